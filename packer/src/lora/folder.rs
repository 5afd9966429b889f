//! A module as a folder: reading it, checking that it belongs to a base, and its files.

use std::io::ErrorKind;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::card::{check_calibration, read_card};
use super::{Head, Module, Run, Saved, peft};
use crate::base::{Identity, Vit};
use crate::{Error, input};

impl Module {
    /// Reads a module's folder and checks that it belongs to `base`: digest, every site, every
    /// shape.
    pub fn open(dir: &Path, base: &Vit) -> Result<Self, Error> {
        if dir.join("merge.json").is_file() && !dir.join("module.json").exists() {
            let what = "is a merged model and no module; evaluate or pack it as one".into();
            return Err(Error::Config { path: dir.to_owned(), what });
        }
        Self::open_for(dir, &base.identity())
    }

    /// The same where only the base's identity is known.
    pub fn open_for(dir: &Path, base: &Identity) -> Result<Self, Error> {
        let mut module = Self::read(dir, input::folder(dir), base)?;
        if module.card.created.is_none() {
            module.card.run = Run::read(dir, input::folder(dir))?;
        }
        Ok(module)
    }

    /// The same for a module whose files are given by name. Errors name them as files of `place`.
    /// Only folders have `run.json`, so the time comes from the card alone.
    pub fn read(
        place: &Path,
        file: impl Fn(&str) -> Result<Vec<u8>, Error>,
        base: &Identity,
    ) -> Result<Self, Error> {
        let card = read_card(&place.join("module.json"), &file("module.json")?)?;
        if card.base_digest != base.digest {
            let (module, base) = (card.base_digest, base.digest.clone());
            return Err(Error::OtherBase { path: place.to_owned(), module, base });
        }
        if !base.prepares(card.image_size, &card.preprocessing)? {
            return Err(Error::OtherPreprocessing { path: place.to_owned() });
        }
        let peft::Adapter { rank, alpha, sites, saved } = peft::read(place, &file, &base.config)?;
        let (path, features) = (place.join("head.safetensors"), base.config.features());
        let mut head = match (file("head.safetensors"), saved) {
            (Err(Error::Io { source, .. }), Some(saved))
                if source.kind() == ErrorKind::NotFound =>
            {
                let path = place.join("adapter_model.safetensors");
                saved.head(&path, &base.config, &card.classes)?
            }
            (bytes, saved) => {
                let head = Head::read(&path, &bytes?, &card.classes, features)?;
                if let Some(Saved { layer, .. }) = saved {
                    log::warn!(
                        "{}: the head is head.safetensors; the {layer} that PEFT saved is left out",
                        place.display()
                    );
                }
                head
            }
        };
        if head.familiar.is_some() != card.calibration.is_some() {
            let what = "and module.json do not agree on whether the module is calibrated".into();
            return Err(Error::Config { path, what });
        }
        if let Some(calibration) = &card.calibration {
            check_calibration(&place.join("module.json"), calibration)?;
            head.temperature = calibration.temperature;
        }
        Ok(Module { rank, alpha, sites, head, card })
    }

    /// SHA-256 in hex of the factors' file. It identifies the weights, whatever the card says.
    pub fn factors_digest(&self) -> Result<String, Error> {
        let [_, model] = peft::write(self)?;
        Ok(hex::encode(Sha256::digest(model)))
    }

    /// The files of the folder, by name.
    pub fn files(&self) -> Result<Vec<(&'static str, Vec<u8>)>, Error> {
        let [config, model] = peft::write(self)?;
        let mut files = vec![
            ("adapter_config.json", config),
            ("adapter_model.safetensors", model),
            ("head.safetensors", self.head.file()?),
            ("module.json", self.card_file()),
        ];
        files.extend(self.card.run.bytes().map(|bytes| (Run::FILE, bytes)));
        Ok(files)
    }
}
