//! What a manifest has: the bundle as a whole, its base, modules and members.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::task::{Composition, Head, Int8Cost, Metric, Routing};
use crate::bundle::description::Entry;
use crate::bundle::measured::Measured;
use crate::preprocess::Preprocessing;

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
    /// How the task of an image is told from the image. There if and only if a composition is
    /// routed.
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
    /// Whose work went into a merged model.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<Member>,
    /// Task -> what arithmetic in eight bits costs. It names every task or none; with none the
    /// bundle does not run in eight bits.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub int8: BTreeMap<String, Int8Cost>,
    /// What packed the bundle.
    pub tool: Tool,
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

/// What packed the bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}
