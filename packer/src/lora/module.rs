//! A module as a folder: reading it, checking that it belongs to a base, and its files.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::card::{ModuleCard, check_calibration, read_card};
use super::{Factors, Head, Run, Saved, peft};
use crate::base::{Identity, Vit};
use crate::{Error, input};

/// One contributor's module for one task: low-rank factors on a base's sites, and a head.
#[derive(Clone, Debug)]
pub struct Module {
    pub rank: usize,
    pub alpha: f64,
    /// By site (`blocks.3.attn.q`). Empty if only the head was trained.
    pub sites: BTreeMap<String, Factors>,
    pub head: Head,
    pub card: ModuleCard,
}

impl Module {
    /// The factor of B * A: alpha / rank.
    pub fn scale(&self) -> f64 {
        self.alpha / self.rank as f64
    }

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
                saved.head(&path, base.config.family, &card.classes, features)?
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

    /// The module without its calibration, for others to merge.
    pub fn uncalibrated(&self) -> Module {
        let (head, card) = (
            self.head.clone().uncalibrated(),
            ModuleCard { calibration: None, ..self.card.clone() },
        );
        Module { head, card, ..self.clone() }
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

    /// `module.json` alone.
    pub fn card_file(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(&self.card).expect("a card is plain data");
        bytes.push(b'\n');
        bytes
    }
}
