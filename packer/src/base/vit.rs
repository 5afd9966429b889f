//! A base in memory: how it is read from a folder of Hugging Face's or timm's form, and written.

use std::collections::BTreeMap;
use std::path::Path;

use medforge_runtime::preprocess::Preprocessing;
use medforge_runtime::tensors::Tensor;
use sha2::{Digest, Sha256};

use super::choices::Choices;
use super::config::{self, preprocessor};
use super::file::File;
use super::fit::preprocessing_for;
use super::identity::Identity;
use super::stored::StoredTensor;
use super::vit_config::VitConfig;
use super::weight_files::WeightMap;
use super::{checkpoint, init, positions, timm, unconfigured};
use crate::{Error, input};

/// A vision transformer on the host: what it is, how images are prepared for it, and its weights as
/// their file stores them.
pub struct Vit {
    pub config: VitConfig,
    pub preprocessing: Preprocessing,
    /// By internal name (`blocks.3.attn.q.weight`).
    pub tensors: BTreeMap<String, StoredTensor>,
}

/// The files of a base's folder: configuration, preprocessing, weights.
pub const FILES: [&str; 3] = ["config.json", "preprocessor_config.json", "model.safetensors"];

impl Vit {
    /// Reads `config.json`, `preprocessor_config.json` (timm's folders have none, and a CLIP saved
    /// by transformers 5 has `processor_config.json` in its place) and the weights, which may also
    /// be a checkpoint of PyTorch ([`WeightMap::open`]).
    pub fn open(dir: &Path) -> Result<Self, Error> {
        Self::open_with(dir, &Choices::default())
    }

    /// [`Vit::open`] of a base whose files do not say all, or that is wanted otherwise than they
    /// have it. `place` is a folder, or the file of weights in one. Folders of open_clip and files
    /// of Facebook's have no `config.json`.
    pub fn open_with(place: &Path, choices: &Choices) -> Result<Self, Error> {
        let dir = place.parent().filter(|_| place.is_file()).unwrap_or(place);
        let file = input::folder(dir);
        let weights = || WeightMap::at(place);
        let settings = || preprocessor::of_folder(dir, &file);
        let mut vit = match unconfigured::read(place, &file, choices)? {
            Some((config, preprocessing, tensors)) => Vit { config, preprocessing, tensors },
            None => Self::assembled(dir, &file, weights, settings, choices)?,
        };
        vit.preprocessing = choices.crop(vit.preprocessing)?;
        if let Some(size) = choices.size {
            vit.preprocessing = preprocessing_for(&vit.config, &vit.preprocessing, size)?;
            vit.resize(size as usize);
        }
        choices.round(&mut vit.tensors)?;
        Ok(vit)
    }

    /// Brings the position table to images of `size` pixels, which the patches fill. It is stored
    /// in 32 bits then.
    fn resize(&mut self, size: usize) {
        let [own, shape] = [self.config.image_size, size].map(|size| self.config.shape(size));
        if let Some(table) = self.tensors.get_mut("embed.positions").filter(|_| own != shape) {
            let data = positions::interpolate(&self.config, &table.values.read(), size);
            let columns = self.config.hidden;
            *table = Tensor::f32(vec![data.len() / columns, columns], data).into();
        }
        self.config.image_size = size;
    }

    /// The same of a base whose [`FILES`] are given by name; messages name them as files of
    /// `place`.
    pub fn read(
        place: &Path,
        file: impl Fn(&str) -> Result<Vec<u8>, Error>,
    ) -> Result<Self, Error> {
        let [_, preprocessor, weights] = FILES;
        let weights = || WeightMap::parse(file(weights)?, &place.join(weights));
        let settings = || preprocessor::parse(place, &file(preprocessor)?);
        Self::assembled(place, &file, weights, settings, &Choices::default())
    }

    /// A base of `config.json`, `weights` and, unless they are timm's, `settings` for its images.
    fn assembled(
        place: &Path,
        file: &impl Fn(&str) -> Result<Vec<u8>, Error>,
        weights: impl Fn() -> Result<WeightMap, Error>,
        settings: impl FnOnce() -> Result<Preprocessing, Error>,
        choices: &Choices,
    ) -> Result<Self, Error> {
        let parsed = File::parse(place.join(FILES[0]), &file(FILES[0])?)?;
        // transformers' keys may stand in a file of timm, whose tensors tell it then.
        let known = timm::wrote(&parsed).then(&weights).transpose()?;
        if let Some(weights) = known.as_ref().filter(|weights| timm::named(&parsed, weights)) {
            let (config, preprocessing, tensors) = timm::read(&parsed, weights, choices)?;
            return Ok(Vit { config, preprocessing, tensors });
        }
        let (mut config, preprocessing) = (config::vit_config(&parsed)?, settings()?);
        choices.heads(Some(config.heads))?;
        choices.pool(&mut config)?;
        let tensors = checkpoint::parse(&known.map_or_else(weights, Ok)?, &config)?;
        Ok(Vit { config, preprocessing, tensors })
    }

    /// A transformer of the shape that `dir`'s configuration files describe, with random weights.
    pub fn random(dir: &Path, seed: u64) -> Result<Self, Error> {
        let read = input::folder(dir);
        let file = File::parse(dir.join(FILES[0]), &read(FILES[0])?)?;
        if timm::wrote(&file) && !file.has("model_type") {
            return file.refuse(
                "is timm's, which gives no shape without the weights; start from transformers' \
                 config.json"
                    .into(),
            );
        }
        let config = config::vit_config(&file)?;
        let preprocessing = preprocessor::of_folder(dir, read)?;
        let tensors = init::random(&config, seed);
        Ok(Vit { config, preprocessing, tensors })
    }

    /// The three files of a Hugging Face folder, by name. Weights are stored in each tensor's own
    /// type.
    pub fn files(&self) -> Result<Vec<(&'static str, Vec<u8>)>, Error> {
        let [config, preprocessor, weights] = FILES;
        Ok(vec![
            (config, config::write(&self.config)),
            (preprocessor, preprocessor::write(self.config.family, &self.preprocessing)),
            (weights, checkpoint::write(&self.config, &self.tensors)?),
        ])
    }

    /// A tensor's values in f32. Panics for one that the base does not have.
    pub fn tensor(&self, name: &str) -> Tensor {
        self.tensors.get(name).unwrap_or_else(|| panic!("the base has no tensor {name}")).read()
    }

    /// Changes a tensor's values, for tests.
    #[cfg(test)]
    pub(crate) fn change(&mut self, name: &str, change: impl FnOnce(&mut [f32])) {
        let mut tensor = self.tensor(name);
        change(&mut tensor.data);
        self.tensors.insert(name.to_owned(), tensor.into());
    }

    /// SHA-256 in hex over the configuration and every tensor as f32: the same weights stored in
    /// f16 or f32 are the same base.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(b"medforge base 1\n");
        hash.update(serde_json::to_vec(&self.config).expect("a configuration is plain data"));
        for (name, tensor) in &self.tensors {
            hash.update(format!("\n{name} {:?}\n", tensor.shape));
            for values in tensor.values.read().chunks(1 << 16) {
                hash.update(little_endian(values));
            }
        }
        hex::encode(hash.finalize())
    }

    /// All but the weights, and their digest.
    pub fn identity(&self) -> Identity {
        let (config, preprocessing) = (self.config.clone(), self.preprocessing.clone());
        Identity { config, preprocessing, digest: self.digest() }
    }

    /// How images are prepared for an input of `size` x `size`: resize and crop of the base's
    /// preprocessor, both scaled by the same factor.
    pub fn preprocessing_for(&self, size: u32) -> Result<Preprocessing, Error> {
        preprocessing_for(&self.config, &self.preprocessing, size)
    }
}

/// The bytes of `values`, little-endian.
fn little_endian(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}
