//! `condensed.json`: what a set is for and how it was made.

use medforge_runtime::preprocess::Preprocessing;
use serde::{Deserialize, Serialize};

/// The content of `condensed.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Always `medforge-condensed`.
    pub format: String,
    /// Always 1.
    pub version: u32,
    pub task: String,
    pub classes: Vec<String>,
    pub per_class: usize,
    /// Side in pixels.
    pub image_size: u32,
    pub base_digest: String,
    /// How the real images were brought to that size, and how the base gets these normalised.
    pub preprocessing: Preprocessing,
    /// What the pixels started from.
    pub start: Start,
    pub labels: Labels,
    /// Real training images that were condensed; none where their number is protected.
    pub real_images: Option<usize>,
    /// Groups (patients) of those images.
    pub real_groups: Option<usize>,
    /// The SHA-256 of the factors of the module that took part.
    pub module: Option<String>,
    /// Every other setting.
    pub settings: serde_json::Value,
    /// The loss at the start and at the end.
    pub loss: [f64; 2],
    /// The accounting of a private set. Without it nothing is promised.
    pub privacy: Option<serde_json::Value>,
}

/// What the pixels start from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    Noise,
    /// Images of patients: for research, never to be given away.
    Real,
}

/// What the labels of the images are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Labels {
    /// One class each.
    Hard,
    /// The module's probabilities.
    Soft,
}

impl Record {
    pub const FORMAT: &str = "medforge-condensed";
    pub const VERSION: u32 = 1;
}
