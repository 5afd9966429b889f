//! What each family has of its own: its configuration, and the names in its files. A file for each.

use medforge_runtime::preprocess::Preprocessing;
use serde_json::Value;

use super::file::File;
use super::vit_config::{Family, Pooling, VitConfig};
use crate::Error;

mod clip;
mod dinov2;
mod dinov2_with_registers;
mod dinov3;
mod names;
mod plain;
mod siglip;
mod vit;

pub use names::{Names, OWN, TIMM};

/// A family as Hugging Face writes it.
pub struct Form {
    /// What `model_type` in `config.json` may be.
    pub model_types: &'static [&'static str],
    /// Reads `config.json`.
    pub read: fn(&File) -> Result<VitConfig, Error>,
    /// What `config.json` says beside the sizes that all families have.
    pub write: fn(&VitConfig) -> Value,
    /// The `image_processor_type` for images that are prepared so.
    pub processor: fn(&Preprocessing) -> &'static str,
    /// The names in its files.
    pub names: Names,
    /// Whether class token, registers and positions have a side of one in front.
    pub batched: bool,
    /// What transformers' `classifier` of the family takes.
    pub classifier: Takes,
}

/// What a saved head takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Takes {
    /// The feature, if the base pools so.
    Feature(Pooling),
    /// What no base of the family gives, in words.
    Other(&'static str),
}

/// All families.
const ALL: [Family; 6] = [
    Family::Clip,
    Family::Dinov2,
    Family::Dinov2WithRegisters,
    Family::Dinov3,
    Family::Siglip,
    Family::Vit,
];

impl Family {
    /// What it has of its own.
    pub fn form(self) -> &'static Form {
        match self {
            Family::Clip => &clip::FORM,
            Family::Dinov2 => &dinov2::FORM,
            Family::Dinov2WithRegisters => &dinov2_with_registers::FORM,
            Family::Dinov3 => &dinov3::FORM,
            Family::Siglip => &siglip::FORM,
            Family::Vit => &vit::FORM,
        }
    }

    /// The values of `model_type` that are read, as a sentence lists them.
    pub fn listed() -> String {
        let types: Vec<&str> =
            ALL.iter().flat_map(|family| family.form().model_types).copied().collect();
        let (last, others) = types.split_last().map_or(("", &[][..]), |(last, rest)| (*last, rest));
        format!("{} and {last}", others.join(", "))
    }

    /// The family whose configurations have this `model_type`.
    pub fn of_type(model_type: &str) -> Option<Self> {
        ALL.into_iter().find(|family| family.form().model_types.contains(&model_type))
    }
}

impl VitConfig {
    /// What a saved head of this name takes, where that is not the base's feature. What timm saves
    /// is called `head`, and takes the feature.
    pub fn head_takes(&self, layer: &str) -> Option<&'static str> {
        if layer == "head" {
            return None;
        }
        match self.family.form().classifier {
            Takes::Feature(pooling) if pooling == self.pooling => None,
            Takes::Feature(pooling) => Some(pooling.words()),
            Takes::Other(what) => Some(what),
        }
    }
}
