//! What a manifest says of a task: its head, its composition, its results.

use serde::{Deserialize, Serialize};

/// The classification head of a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// Letters a-z, digits and `._-`.
    pub task: String,
    /// `heads/TASK.safetensors`.
    pub entry: String,
    /// Class names in the order of the head's rows.
    pub classes: Vec<String>,
    /// Those of the classes that only a text describes: nothing was trained on images of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub zero_shot: Vec<String>,
    /// What each class is in a coding scheme: as many as classes, or none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub codes: Vec<Code>,
    /// What the task's answers are worth, if that was measured. It holds for the composition that
    /// the manifest states.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
}

/// How a task's answers were calibrated, on images that no training saw.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// What logits are divided by before the softmax (Guo et al. 2017); above 0.
    pub temperature: f64,
    /// The expected calibration error with it, on the images that it was fitted on.
    pub error: f64,
    /// The out-of-distribution score above which an image is of a kind that the module does not
    /// know; above 0.
    pub threshold: f64,
    /// The probability of the likeliest class below which there is no answer; 0 for none.
    pub least_probability: f64,
    /// Images that it was measured on.
    pub n: u64,
}

/// A coded concept (DICOM PS3.3, table 8.8-1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Code {
    /// The coding scheme: `SCT` for SNOMED CT, `DCM`, or a private one that begins with `99`. At
    /// most 16 characters.
    pub scheme: String,
    /// The code. At most 16 characters.
    pub value: String,
    /// What it means. At most 64 characters.
    pub meaning: String,
}

/// Who takes part with which weight when a task is classified.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Composition {
    /// The task.
    pub task: String,
    /// How the parts act together.
    pub mode: Mode,
    /// The modules, at least one.
    pub parts: Vec<WeightedModule>,
}

/// How the parts of a composition act together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Ranks stacked, weights folded into B: one adapted forward pass.
    Fusion,
    /// One forward pass for each part, then the weighted sum of the head's probabilities. Negative
    /// sums count as zero, and the rest is scaled to sum to 1.
    Mixture,
    /// As a mixture. Each part's weight is multiplied by the image's share of the task of the
    /// part's module.
    Routed,
}

/// A module of a composition, and its weight.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeightedModule {
    /// The module's id.
    pub module: String,
    /// Finite; may be negative.
    pub weight: f64,
}

/// The most parts of a composition: each is a forward pass of a mixture, or ranks of a fusion.
pub const MOST_PARTS: usize = 256;

/// Shares of tasks: the posterior of Gaussians around prototypes, with one covariance for all and
/// tasks equally likely.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Routing {
    /// `prototypes.safetensors`. It has a tensor `[prototypes, feature + 1]` for each task, under
    /// its name. A row times the frozen base's feature, followed by a 1, is the logarithm of the
    /// Gaussian around that prototype, up to a constant that all share.
    pub entry: String,
}

/// The one value of [`Routing::entry`].
pub const PROTOTYPES: &str = "prototypes.safetensors";

/// A result with its 95 % interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metric {
    /// For example `balanced_accuracy`.
    pub name: String,
    /// The estimate.
    pub value: f64,
    /// The interval's lower end.
    pub low: f64,
    /// The interval's upper end.
    pub high: f64,
    /// Images.
    pub n: u64,
}

/// A metric of the same images in 32 bits and in eight, and the difference with its 95 % interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Int8Cost {
    /// For example `balanced_accuracy`.
    pub name: String,
    /// In 32 bits.
    pub f32: f64,
    /// In eight.
    pub int8: f64,
    /// Of eight bits less 32: the interval's lower end.
    pub low: f64,
    /// The interval's upper end.
    pub high: f64,
    /// Images.
    pub n: u64,
}
