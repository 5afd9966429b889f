//! `manifest.json`: what is in a bundle and what it is for.
//!
//! The canonical form is RFC 8785's; a manifest is refused if it is not in that form (which also
//! refuses unknown and duplicate keys, spaces and other spellings of numbers) or if it contradicts
//! itself (see [`check`](Manifest::check)).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::measured::Measured;
use super::{Description, Role};
use crate::Error;
use crate::preprocess::Preprocessing;

mod check;

pub use check::are_weights;

/// The name of the manifest's own entry.
pub const MANIFEST: &str = "manifest.json";
/// The one value of [`Manifest::format`].
pub const FORMAT: &str = "medforge-bundle";
/// The one value of [`Manifest::version`].
pub const VERSION: u32 = 1;
/// The payload entries that every bundle has, beside those of its modules and heads.
pub const REQUIRED: [&str; 5] =
    ["base.onnx", "base.safetensors", "golden.safetensors", "model_card.md", "sbom.json"];

/// The signed description of a bundle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: String,
    /// [`VERSION`].
    pub version: u32,
    /// What people call the bundle.
    pub name: String,
    /// Counts the releases of this name, so that an older one is known as such; below 2^53.
    pub counter: u64,
    /// UTC, to the second: `2026-01-31T23:59:59Z`.
    pub created: String,
    /// The id of the bundle that this one replaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predecessor: Option<String>,
    /// The payload, sorted by name.
    pub entries: Vec<Entry>,
    /// The frozen vision transformer.
    pub base: Base,
    /// The LoRA modules.
    pub modules: Vec<Module>,
    /// One for each task.
    pub heads: Vec<Head>,
    /// One for each task: which modules take part by default, with which weights.
    pub compositions: Vec<Composition>,
    /// How an image's task is told by its looks; there if and only if a composition is routed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routing: Option<Routing>,
    /// From an image to the base's input.
    pub preprocessing: Preprocessing,
    /// For whom and what the bundle is made.
    pub intended_use: String,
    /// Task -> its main result on images that training never saw.
    pub metrics: BTreeMap<String, Metric>,
    /// Task -> all that was measured of it as this bundle answers it; a task that is not there was
    /// never evaluated.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub measured: BTreeMap<String, Measured>,
    /// Of a merged model, whose work went in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<Member>,
    /// Task -> what arithmetic in eight bits costs; of every task, or of none: then the bundle does
    /// not run so.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub int8: BTreeMap<String, Int8Cost>,
    /// What packed the bundle.
    pub tool: Tool,
}

/// One payload entry of the archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The name in the archive.
    pub name: String,
    /// Bytes.
    pub length: u64,
    /// SHA-256 of the bytes, 64 lower-case hex digits.
    pub sha256: String,
}

/// The frozen vision transformer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Base {
    /// `clip`, `dinov2` or `vit`.
    pub family: String,
    /// Identifies the weights: 64 lower-case hex digits.
    pub digest: String,
    /// Height and width of the input in pixels.
    pub image_size: [u32; 2],
    /// Values of the feature.
    pub feature_size: u32,
    /// Transformer blocks.
    pub layers: u32,
    /// Attention heads of a block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heads: Option<u32>,
    /// The licence of the weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
}

/// A LoRA module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Module {
    /// SHA-256 of the module's entry, 64 lower-case hex digits.
    pub id: String,
    /// Who made it.
    pub contributor: String,
    /// The task that it was trained for; of a merged module any name.
    pub task: String,
    /// The largest rank at any site.
    pub rank: u32,
    /// The sites that it adapts, sorted.
    pub sites: Vec<String>,
    /// The licence of the module.
    pub licence: String,
    /// The digest of the base that it was trained on: the bundle's own.
    pub base: String,
    /// `modules/ID.safetensors`.
    pub entry: String,
}

/// A contributor's work for one task that went into a merged model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Who made it.
    pub contributor: String,
    /// The task.
    pub task: String,
    /// The licence of the module.
    pub licence: String,
    /// The id of the signed contribution that it came in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contribution: Option<String>,
    /// `cards/SHA256.md`: what the contributor says of it, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<String>,
    /// What was measured of its module alone, before it was merged; left out if it was never
    /// evaluated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<Measured>,
}

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
    /// What the task's answers are worth, if that was measured; it holds of the composition that
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
    pub parts: Vec<Part>,
}

/// How the parts of a composition act together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Ranks stacked, weights folded into B: one adapted forward pass.
    Fusion,
    /// One forward pass a part; the weighted sum of the head's probabilities, negative sums counted
    /// as zero, brought to one.
    Mixture,
    /// As a mixture, each part's weight times the share that the image has of the task of the
    /// part's module.
    Routed,
}

/// Shares of tasks: the posterior of Gaussians around prototypes, with one covariance for all and
/// tasks equally likely.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Routing {
    /// `prototypes.safetensors`: for each task a tensor of its name, [prototypes, feature + 1]: a
    /// row's product with the frozen base's feature and 1 is the logarithm of the Gaussian around
    /// that prototype, but for what all share.
    pub entry: String,
}

/// Parts of a composition: each is a forward pass of a mixture, or ranks of a fusion.
pub const MOST_PARTS: usize = 256;

/// The one value of [`Routing::entry`].
pub const PROTOTYPES: &str = "prototypes.safetensors";

/// One module's share in a composition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// The module's id.
    pub module: String,
    /// Finite; may be negative.
    pub weight: f64,
}

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

/// What packed the bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

impl Description for Manifest {
    const PAYLOAD_TYPE: &'static str = "application/vnd.medforge.manifest+json";
    const FORMAT: &'static str = FORMAT;
    const VERSION: u32 = VERSION;
    const ROLE: Role = Role::Release;

    fn check(&self) -> Result<(), Error> {
        self.check()
    }

    fn entries(&self) -> &[Entry] {
        &self.entries
    }

    fn check_entry(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        check::entry(name, bytes)
    }

    fn release(&self) -> Option<(&str, u64)> {
        Some((&self.name, self.counter))
    }
}

#[cfg(test)]
pub(crate) mod tests;
