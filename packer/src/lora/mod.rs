//! LoRA modules (Hu et al. 2021): which sites they adapt, their factors, their head, and their
//! files.
//!
//! A module is a folder: `adapter_config.json` and `adapter_model.safetensors` as PEFT has them,
//! `head.safetensors` ([`Head`]), `module.json` and, of the run alone, `run.json` ([`Run`]).
//! Without `head.safetensors` the head is the one that PEFT saved in the adapter, if it did.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

use medforge_runtime::bundle::measured::{Estimate, Measured};
use medforge_runtime::preprocess::Preprocessing;
use medforge_runtime::tensors::Tensor;
use medforge_runtime::words::shown;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::base::{Family, Identity, Vit, VitConfig};
use crate::{Error, input};

pub mod dora;
mod familiar;
mod head;
pub mod peft;
mod run;
mod saved;
mod stack;
mod target;
#[cfg(test)]
pub(crate) mod tests;

pub use familiar::{Calibration, Familiar, Interval};
pub use head::{Head, TextHead};
pub use run::Run;
pub use saved::Saved;
pub use stack::{compact, stack};
pub use target::{Target, Targets};

/// One contributor's work for one task: low-rank factors on a base's sites, and a linear head.
#[derive(Clone, Debug)]
pub struct Module {
    pub rank: usize,
    pub alpha: f64,
    /// By site (`blocks.3.attn.q`). Empty where only the head was trained.
    pub sites: BTreeMap<String, Factors>,
    pub head: Head,
    pub card: ModuleCard,
}

/// The two factors of a site: its weight changes by alpha/rank * B * A; and its rows' lengths after
/// that, where they are trained too.
#[derive(Clone, Debug)]
pub struct Factors {
    /// [rank, in]
    pub a: Tensor,
    /// [out, rank]
    pub b: Tensor,
    /// `[out]`: what the rows of W + alpha/rank * B * A are brought to (DoRA).
    pub magnitude: Option<Tensor>,
}

impl Factors {
    /// Factors without magnitudes.
    pub fn plain(a: Tensor, b: Tensor) -> Self {
        Factors { a, b, magnitude: None }
    }

    /// The same with `scale` folded into B.
    pub fn scaled(&self, scale: f64) -> Factors {
        let b = self.b.data.iter().map(|v| (f64::from(*v) * scale) as f32).collect();
        Factors { b: Tensor::f32(self.b.shape.clone(), b), ..self.clone() }
    }

    /// The same product with `rank` rows of A and columns of B, those beyond its own zero.
    pub fn padded(self, rank: usize) -> Factors {
        let Factors { mut a, b, magnitude } = self;
        let (own, inputs, outputs) = (a.shape[0], a.shape[1], b.shape[0]);
        a.data.resize(rank * inputs, 0.0);
        let mut wide = vec![0.0; outputs * rank];
        for (to, from) in wide.chunks_exact_mut(rank).zip(b.data.chunks_exact(own)) {
            to[..own].copy_from_slice(from);
        }
        let (a, b) =
            (Tensor::f32(vec![rank, inputs], a.data), Tensor::f32(vec![outputs, rank], wide));
        Factors { a, b, magnitude }
    }
}

/// `module.json`: what a module is for and how it was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModuleCard {
    /// Always `medforge-module`.
    pub format: String,
    /// Always 1.
    pub version: u32,
    pub task: String,
    pub contributor: String,
    /// The licence of the module, as an SPDX expression or a name.
    pub licence: String,
    pub family: Family,
    pub base_digest: String,
    /// Side in pixels of the images that it was trained on.
    pub image_size: u32,
    /// How those images were brought to that size and normalised.
    pub preprocessing: Preprocessing,
    /// RFC 3339, UTC, whole seconds: in contributions, and in modules from before `run.json`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// The file beside this one.
    #[serde(skip)]
    pub run: Run,
    pub classes: Vec<String>,
    /// By class, the texts that its row of the head is made of; empty for a linear head.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub class_texts: BTreeMap<String, Vec<String>>,
    /// What was measured on images held out of the training, if any were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
    /// Why nothing was, where calibration was left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uncalibrated: Option<String>,
    /// The settings and the course of the training.
    pub training: serde_json::Value,
    /// Results recorded by `packer eval --record`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<RecordedMetric>,
    /// The whole evaluation that was recorded: patients, floors, subgroups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<Measured>,
    /// Subgroups as cards had them before `measured` held them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subgroups: Vec<serde_json::Value>,
}

/// One result on a test split, with its 95 % interval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedMetric {
    pub name: String,
    pub value: f64,
    pub low: f64,
    pub high: f64,
    /// Images that it was measured on.
    pub n: usize,
}

impl ModuleCard {
    pub const FORMAT: &str = "medforge-module";
    pub const VERSION: u32 = 1;

    /// When the module was made, if that is known.
    pub fn created(&self) -> Option<&str> {
        self.created.as_deref().or(self.run.created.as_deref())
    }

    /// What was measured of the module: as it was recorded, or of cards without floors and patients
    /// the metrics alone. None if it was never evaluated.
    pub fn measured(&self) -> Option<Measured> {
        if self.measured.is_some() || self.metrics.is_empty() {
            return self.measured.clone();
        }
        let estimate = |m: &RecordedMetric| {
            let (name, value) = (m.name.clone(), m.value);
            Estimate { name, value, low: Some(m.low), high: Some(m.high) }
        };
        Some(Measured {
            images: self.metrics.iter().map(|m| m.n as u64).max().unwrap_or(0),
            groups: None,
            metrics: self.metrics.iter().map(estimate).collect(),
            floors: Vec::new(),
            subgroups: Vec::new(),
            no_intervals: None,
        })
    }
}

impl Module {
    /// alpha / rank.
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

    /// The same of a module whose files are given by name; messages name them as files of `place`.
    /// Of when it was made, only the card says something: `run.json` stands in folders alone.
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

    /// Without what was measured on held-out images: for others to merge, who need none of it.
    pub fn uncalibrated(&self) -> Module {
        let (head, card) = (
            self.head.clone().uncalibrated(),
            ModuleCard { calibration: None, ..self.card.clone() },
        );
        Module { head, card, ..self.clone() }
    }

    /// SHA-256 in hex of the factors' file: which weights these are, whatever the card says.
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

/// Whether a task may have this name, which becomes part of file names: 1 to 64 lower-case letters,
/// digits, '.', '_' or '-', the first no '.'.
pub fn is_task_name(task: &str) -> bool {
    let fits =
        |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-');
    !task.is_empty() && task.len() <= 64 && task.chars().all(fits) && !task.starts_with('.')
}

/// The shape (out, in) of the linear layer at `site`; none if the base has no such site.
pub fn site_shape(config: &VitConfig, site: &str) -> Option<(usize, usize)> {
    let shape = config.shape(config.image_size);
    let (inputs, outputs) = shape.widths(shape.site(site)?);
    Some((outputs, inputs))
}

fn read_card(path: &Path, bytes: &[u8]) -> Result<ModuleCard, Error> {
    let refuse = |what: String| Error::Config { path: path.to_owned(), what };
    let card: ModuleCard = serde_json::from_slice(bytes)
        .map_err(|e| refuse(format!("is not a module card: {}", shown(&e.to_string()))))?;
    if card.format != ModuleCard::FORMAT || card.version != ModuleCard::VERSION {
        return Err(refuse(format!(
            "is {} version {}, and packer reads medforge-module version 1",
            card.format, card.version
        )));
    }
    if card.classes.len() < 2 {
        return Err(refuse("names fewer than two classes".into()));
    }
    if let Some(measured) = &card.measured {
        measured.check("the module").map_err(|e| refuse(e.to_string()))?;
    }
    Ok(card)
}

fn check_calibration(path: &Path, calibration: &Calibration) -> Result<(), Error> {
    let positive = |value: f64| value.is_finite() && value > 0.0;
    if positive(calibration.temperature) && positive(calibration.threshold) {
        Ok(())
    } else {
        let what =
            "has a calibration whose temperature or threshold is not a number above zero".into();
        Err(Error::Config { path: path.to_owned(), what })
    }
}
