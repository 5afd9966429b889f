//! The file that a killed training goes on from: one safetensors file, replaced as a whole.
//!
//! Refused: a checkpoint of other settings, another base or other data, a damaged one.

use std::collections::BTreeMap;
use std::path::Path;

use medforge_runtime::tensors;
use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};

use crate::output::NewFile;
use crate::{Error, input};

use super::parameters::Host;
use super::{Epoch, TrainSettings, Validation};

/// A training after some step.
pub struct Checkpoint {
    pub settings: TrainSettings,
    pub progress: Progress,
    pub weights: Host,
    /// AdamW's first and second moments.
    pub first: Host,
    pub second: Host,
}

/// How far a training has come.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Progress {
    /// Steps done.
    pub step: usize,
    /// The sum of the losses of the images seen in the epoch under way.
    pub loss_sum: f64,
    pub epochs: Vec<Epoch>,
    #[serde(skip)]
    pub best: Option<Best>,
}

/// The best epoch so far on the validation part.
#[derive(Clone)]
pub struct Best {
    pub epoch: usize,
    pub validation: Validation,
    pub weights: Host,
}

#[derive(Serialize, Deserialize)]
struct Header {
    settings: TrainSettings,
    progress: Progress,
    best: Option<(usize, Validation)>,
    /// Base digest and data: what else must be the same.
    fingerprint: String,
}

const HEADER: &str = "medforge_checkpoint";

impl Checkpoint {
    /// Writes the file in one go. `fingerprint` names the base and the data.
    pub fn save(&self, file: &NewFile, fingerprint: &str) -> Result<(), Error> {
        let header = Header {
            settings: self.settings.clone(),
            progress: self.progress.clone(),
            best: self.progress.best.as_ref().map(|b| (b.epoch, b.validation)),
            fingerprint: fingerprint.to_owned(),
        };
        let mut parts =
            vec![("weight", &self.weights), ("first", &self.first), ("second", &self.second)];
        parts.extend(self.progress.best.as_ref().map(|b| ("best", &b.weights)));
        let named = parts
            .into_iter()
            .flat_map(|(part, host)| host.iter().map(move |(n, t)| (format!("{part}/{n}"), t)));
        let named: Vec<_> = named.collect();
        let header = serde_json::to_string(&header).expect("a header is plain data");
        let metadata = BTreeMap::from([(HEADER.to_owned(), header)]);
        file.write(&tensors::write(named.iter().map(|(n, t)| (n.as_str(), *t)), &metadata)?)
    }

    /// Steps done.
    pub fn step(&self) -> usize {
        self.progress.step
    }

    /// Reads a checkpoint that was made with the same settings, base and data.
    pub fn open(path: &Path, settings: &TrainSettings, fingerprint: &str) -> Result<Self, Error> {
        // Weights, the best ones, and two moments of each.
        let bytes = input::read(path, 4 * input::MAX_WEIGHTS)?;
        let refuse = |what: &str| Error::Checkpoint { what: format!("{}: {what}", path.display()) };
        let found = tensors::read(&bytes, &path.display().to_string())?;
        let metadata =
            SafeTensors::read_metadata(&bytes).ok().and_then(|(_, m)| m.metadata().clone());
        let header = metadata
            .as_ref()
            .and_then(|m| m.get(HEADER))
            .ok_or_else(|| refuse("is not a checkpoint"))?;
        let header: Header = serde_json::from_str(header)
            .map_err(|_| refuse("was made by another version of packer"))?;
        if header.settings != *settings {
            return Err(refuse("was made with other settings; repeat them, or begin again"));
        }
        if header.fingerprint != fingerprint {
            return Err(refuse("was made with another base or other data; begin again"));
        }
        let mut parts: BTreeMap<String, Host> = BTreeMap::new();
        for (name, tensor) in found {
            let (part, name) =
                name.split_once('/').ok_or_else(|| refuse("holds a tensor of no part"))?;
            parts.entry(part.to_owned()).or_default().insert(name.to_owned(), tensor);
        }
        let mut take =
            |part: &str| parts.remove(part).ok_or_else(|| refuse(&format!("has no part {part}")));
        let best = match header.best {
            Some((epoch, validation)) => Some(Best { epoch, validation, weights: take("best")? }),
            None => None,
        };
        Ok(Checkpoint {
            settings: header.settings,
            progress: Progress { best, ..header.progress },
            weights: take("weight")?,
            first: take("first")?,
            second: take("second")?,
        })
    }
}
