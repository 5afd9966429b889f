//! The base: a vision transformer read from a folder of Hugging Face's or timm's form, and its
//! forward pass on the tape.
//!
//! Families: `clip` (CLIPModel, CLIPVisionModelWithProjection: the vision tower with its
//! projection; [`text`] has the other tower), `dinov2` (Dinov2Model, Dinov2ForImageClassification)
//! and `vit` (ViTModel, ViTForImageClassification). Folders of timm become one of the families
//! `dinov2` (with layer scale) and `vit`. Refused, with the file and the reason: other families,
//! SwiGLU, other activations than GELU, missing or misshapen tensors, values that are not finite.

use std::collections::BTreeMap;
use std::path::Path;

use medforge_runtime::preprocess::{Preprocessing, Resize, Size};
use medforge_runtime::tensors::Tensor;
use sha2::{Digest, Sha256};

use crate::{Error, input};
use config::File;

mod checkpoint;
mod config;
pub mod embedded;
mod forward;
mod init;
pub mod positions;
pub mod text;
mod timm;

pub use checkpoint::{PROJECTION, adapter_path, parameter_shapes, sites_of_adapter_path};
pub use config::{Family, VitConfig};
pub use forward::{Weights, forward, forward_from_leaf, forward_observed, forward_with_tokens};
pub use text::TextTower;

/// A vision transformer on the host: what it is, how images are prepared for it, and its weights in
/// f32.
pub struct Vit {
    pub config: VitConfig,
    pub preprocessing: Preprocessing,
    /// By internal name (`blocks.3.attn.q.weight`); each remembers the type it was stored in.
    pub tensors: BTreeMap<String, Tensor>,
}

/// What tells whether a module belongs to a base: all of the base but its weights, and their
/// digest.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity {
    pub config: VitConfig,
    pub preprocessing: Preprocessing,
    /// As [`Vit::digest`].
    pub digest: String,
}

/// The files of a base's folder: configuration, preprocessing, weights.
pub const FILES: [&str; 3] = ["config.json", "preprocessor_config.json", "model.safetensors"];

impl Vit {
    /// Reads `config.json`, `preprocessor_config.json` (timm's folders have none, and a CLIP saved
    /// by transformers 5 has `processor_config.json` in its place) and `model.safetensors`.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        let file = input::folder(dir);
        Self::assembled(dir, &file, || config::image_settings(dir, &file))
    }

    /// The same of a base whose [`FILES`] are given by name; messages name them as files of
    /// `place`.
    pub fn read(
        place: &Path,
        file: impl Fn(&str) -> Result<Vec<u8>, Error>,
    ) -> Result<Self, Error> {
        Self::assembled(place, &file, || config::preprocessor(place, &file(FILES[1])?))
    }

    /// A base of `config.json`, weights and, unless they are timm's, `settings` for its images.
    fn assembled(
        place: &Path,
        file: &impl Fn(&str) -> Result<Vec<u8>, Error>,
        settings: impl FnOnce() -> Result<Preprocessing, Error>,
    ) -> Result<Self, Error> {
        let [config, _, weights] = FILES;
        let parsed = File::parse(place.join(config), &file(config)?)?;
        if timm::wrote(&parsed) {
            return timm::read(&parsed, &file(weights)?, &place.join(weights));
        }
        let (config, preprocessing) = (config::vit_config(&parsed)?, settings()?);
        let tensors = checkpoint::parse(&file(weights)?, &place.join(weights), &config)?;
        Ok(Vit { config, preprocessing, tensors })
    }

    /// A transformer of the shape that `dir`'s configuration files describe, with random weights.
    pub fn random(dir: &Path, seed: u64) -> Result<Self, Error> {
        let (config, preprocessing) = config::read(dir)?;
        let tensors = init::random(&config, seed);
        Ok(Vit { config, preprocessing, tensors })
    }

    /// The three files of a Hugging Face folder, by name. Weights are stored in each tensor's own
    /// type.
    pub fn files(&self) -> Result<Vec<(&'static str, Vec<u8>)>, Error> {
        let [config, preprocessor] = config::write(&self.config, &self.preprocessing);
        Ok(vec![
            ("config.json", config),
            ("preprocessor_config.json", preprocessor),
            ("model.safetensors", checkpoint::write(&self.config, &self.tensors)?),
        ])
    }

    /// SHA-256 in hex over the configuration and every tensor as f32: the same weights stored in
    /// f16 or f32 are the same base.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(b"medforge base 1\n");
        hash.update(serde_json::to_vec(&self.config).expect("a configuration is plain data"));
        for (name, tensor) in &self.tensors {
            hash.update(format!("\n{name} {:?}\n", tensor.shape));
            hash.update(little_endian(&tensor.data));
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

impl Identity {
    /// What a base of this configuration, these image settings and weights of this digest is.
    pub fn read(
        place: &Path,
        file: impl Fn(&str) -> Result<Vec<u8>, Error>,
        digest: &str,
    ) -> Result<Self, Error> {
        let [config, preprocessor, _] = FILES;
        let (config, preprocessing) = config::parse(place, &file(config)?, &file(preprocessor)?)?;
        Ok(Identity { config, preprocessing, digest: digest.to_owned() })
    }

    /// As [`Vit::preprocessing_for`].
    pub fn preprocessing_for(&self, size: u32) -> Result<Preprocessing, Error> {
        preprocessing_for(&self.config, &self.preprocessing, size)
    }

    /// Whether images for an input of `size` x `size` may be prepared so: as the base's
    /// preprocessor says, but for the [`Fit`].
    pub fn prepares(&self, size: u32, preprocessing: &Preprocessing) -> Result<bool, Error> {
        let fitted =
            |fit: &Fit| preprocessing_for(&self.config, &fit.of(&self.preprocessing), size);
        let own = self.preprocessing_for(size)?;
        let all = [Fit::Crop, Fit::Squash, Fit::Pad]
            .iter()
            .map(fitted)
            .collect::<Result<Vec<_>, Error>>()?;
        Ok(own == *preprocessing || all.contains(preprocessing))
    }
}

/// How images whose sides differ become square.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// By their centre; what is beside it is left away.
    Crop,
    /// By squeezing the longer side.
    Squash,
    /// By black beside them.
    Pad,
}

impl Fit {
    /// `own`, a base's preprocessing, with this fit.
    pub fn of(self, own: &Preprocessing) -> Preprocessing {
        let side = own.output_size();
        let resize = match (self, own.resize) {
            (Fit::Crop, Resize::ShortestEdge(_)) => own.resize,
            (Fit::Crop, Resize::Exact(edges) | Resize::Pad(edges)) => {
                Resize::ShortestEdge(edges.height.min(edges.width))
            }
            (Fit::Squash, _) => Resize::Exact(side),
            (Fit::Pad, _) => Resize::Pad(side),
        };
        Preprocessing { resize, crop: Some(side), ..own.clone() }
    }
}

fn preprocessing_for(
    config: &VitConfig,
    preprocessing: &Preprocessing,
    size: u32,
) -> Result<Preprocessing, Error> {
    config.check_size(size)?;
    let own = preprocessing.output_size();
    let scale = |edge: u32, own: u32| {
        let scaled = (f64::from(edge) * f64::from(size) / f64::from(own)).round() as u32;
        scaled.max(size)
    };
    let both = |edges: Size| Size {
        height: scale(edges.height, own.height),
        width: scale(edges.width, own.width),
    };
    let resize = match preprocessing.resize {
        Resize::ShortestEdge(edge) => Resize::ShortestEdge(scale(edge, own.height.min(own.width))),
        Resize::Exact(edges) => Resize::Exact(both(edges)),
        Resize::Pad(edges) => Resize::Pad(both(edges)),
    };
    let crop = Some(Size { height: size, width: size });
    Ok(Preprocessing { resize, crop, ..preprocessing.clone() })
}

/// The bytes of `values`, little-endian.
fn little_endian(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

#[cfg(test)]
mod pixels_tests;
#[cfg(test)]
pub(crate) mod tests;
