//! What a killed training goes on from.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::output::NewFile;
use crate::{Error, input};

use super::envelope::{self, Header, refused};
use super::host::Host;
use super::observer::Resumable;
use super::outcome::{Epoch, Validation};
use super::settings::TrainSettings;

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
struct TrainHeader {
    settings: TrainSettings,
    progress: Progress,
    best: Option<(usize, Validation)>,
    /// Base digest and data: what else must be the same.
    fingerprint: String,
}

impl Header for TrainHeader {
    const KEY: &'static str = "medforge_checkpoint";
    const FINGERPRINT: &'static str = "base or other data";
    /// Weights, the best ones, and two moments of each.
    const LARGEST: u64 = 4 * input::MAX_WEIGHTS;

    type Settings = TrainSettings;

    fn settings(&self) -> &TrainSettings {
        &self.settings
    }

    fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
}

impl Resumable for Checkpoint {
    fn step(&self) -> usize {
        self.progress.step
    }

    fn save(&self, file: &NewFile, fingerprint: &str) -> Result<(), Error> {
        let header = TrainHeader {
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
        envelope::save(file, &header, named)
    }
}

impl Checkpoint {
    /// Reads a checkpoint that was made with the same settings, base and data.
    ///
    /// # Errors
    /// [`Error::Checkpoint`]: another one, or a damaged one.
    pub fn open(path: &Path, settings: &TrainSettings, fingerprint: &str) -> Result<Self, Error> {
        let (header, found) = envelope::open::<TrainHeader>(path, settings, fingerprint)?;
        let refuse = |what: &str| refused(path, what);
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
