//! `module.json`: what a module is for and how it was made.

use std::collections::BTreeMap;
use std::path::Path;

use medforge_runtime::bundle::measured::{Estimate, Measured};
use medforge_runtime::preprocess::Preprocessing;
use medforge_runtime::words::shown;
use serde::{Deserialize, Serialize};

use super::{Calibration, Run};
use crate::Error;
use crate::base::Family;

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
    /// Whether the base's MLP has a gate. PEFT's names depend on it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gated: bool,
    pub base_digest: String,
    /// Side in pixels of the training images.
    pub image_size: u32,
    /// How those images were resized and normalised.
    pub preprocessing: Preprocessing,
    /// RFC 3339, UTC, whole seconds. Contributions have it, and modules older than `run.json`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// `run.json`, the file beside this one.
    #[serde(skip)]
    pub run: Run,
    pub classes: Vec<String>,
    /// By class, the texts of its row of the head. Empty for a linear head.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub class_texts: BTreeMap<String, Vec<String>>,
    /// The calibration on images held out of the training, if there were any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
    /// The reason if calibration was left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uncalibrated: Option<String>,
    /// The settings and the progress of the training.
    pub training: serde_json::Value,
    /// Results recorded by `packer eval --record`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<RecordedMetric>,
    /// The whole recorded evaluation: patients, floors, subgroups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<Measured>,
    /// Subgroups in cards older than `measured`.
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
    /// The number of images that it was measured on.
    pub n: usize,
}

impl ModuleCard {
    pub const FORMAT: &str = "medforge-module";
    pub const VERSION: u32 = 1;

    /// The time when the module was made, if that is known.
    pub fn created(&self) -> Option<&str> {
        self.created.as_deref().or(self.run.created.as_deref())
    }

    /// The recorded evaluation. Older cards only have metrics, without floors and patients. None if
    /// the module was never evaluated.
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

/// Whether a task may have this name, which becomes part of file names. It has 1 to 64 lower-case
/// letters, digits, '.', '_' or '-', and does not start with '.'.
pub fn is_task_name(task: &str) -> bool {
    let fits =
        |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-');
    !task.is_empty() && task.len() <= 64 && task.chars().all(fits) && !task.starts_with('.')
}

/// Reads a module's card; errors name it `path`.
///
/// # Errors
/// [`Error::Config`] for a file that is no card of version 1.
pub(super) fn read_card(path: &Path, bytes: &[u8]) -> Result<ModuleCard, Error> {
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

/// Refuses a calibration whose numbers are not above zero.
pub(super) fn check_calibration(path: &Path, calibration: &Calibration) -> Result<(), Error> {
    let positive = |value: f64| value.is_finite() && value > 0.0;
    if positive(calibration.temperature) && positive(calibration.threshold) {
        Ok(())
    } else {
        let what =
            "has a calibration whose temperature or threshold is not a number above zero".into();
        Err(Error::Config { path: path.to_owned(), what })
    }
}
