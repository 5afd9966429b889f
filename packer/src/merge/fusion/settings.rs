//! How a fusion is searched, and what the search found.

use serde::{Deserialize, Serialize};

use super::super::cma_es::Tried;

/// How many weights a part has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// One weight.
    Whole,
    /// One weight for each site.
    Site,
}

/// How weights are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Finder {
    /// Without gradients.
    CmaEs,
    /// Quasi-Newton steps with the tape's gradient.
    Gradient,
}

/// How a fusion's weights are searched.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FusionSettings {
    pub level: Level,
    pub finder: Finder,
    /// How often the loss is computed. [`Finder::Gradient`] also computes its gradient each time.
    pub evaluations: usize,
    pub seed: u64,
}

/// Weights, and how they were found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// By part, then by site with [`Level::Site`].
    pub weights: Vec<f64>,
    pub loss: f64,
    pub trace: Vec<Tried>,
}

impl Level {
    /// The largest absolute value of a weight.
    pub(super) fn bound(self) -> f64 {
        match self {
            Level::Whole => 1.5,
            Level::Site => 2.0,
        }
    }
}
