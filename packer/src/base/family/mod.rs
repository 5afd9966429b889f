//! What each family has of its own: its configuration, and the names in its files. A file for each.

use medforge_runtime::preprocess::Preprocessing;
use serde_json::Value;

use super::file::File;
use super::vit_config::{Family, VitConfig};
use crate::Error;

mod clip;
mod dinov2;
mod plain;
mod vit;

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
    /// The name of the model, which may stand in front of every tensor's.
    pub prefix: &'static str,
    /// Where the blocks are, the written form first.
    pub blocks: &'static [&'static str],
    /// Our name for each part, inside of blocks and outside, and the names in files. The form that
    /// transformers writes is the first.
    pub parts: &'static [(&'static str, &'static [&'static str])],
    /// Whether class token and positions have a side of one in front.
    pub batched: bool,
    /// Whether folders of timm become bases of this family.
    pub timm: bool,
    /// What a saved head of this name takes, where that is not the class token.
    pub head_takes: fn(&str) -> Option<&'static str>,
}

/// All families.
const ALL: [Family; 3] = [Family::Clip, Family::Dinov2, Family::Vit];

impl Family {
    /// What it has of its own.
    pub fn form(self) -> &'static Form {
        match self {
            Family::Clip => &clip::FORM,
            Family::Dinov2 | Family::Dinov2WithRegisters | Family::Dinov3 => &dinov2::FORM,
            Family::Siglip | Family::Vit => &vit::FORM,
        }
    }

    /// What a saved head of this name takes, where that is not the class token.
    pub fn head_takes(self, layer: &str) -> Option<&'static str> {
        (self.form().head_takes)(layer)
    }

    /// The names of all families, as a sentence lists them.
    pub fn listed() -> String {
        let names = ALL.map(Family::name);
        let (last, others) = names.split_last().map_or(("", &[][..]), |(last, rest)| (*last, rest));
        format!("{} and {last}", others.join(", "))
    }

    /// The family whose configurations have this `model_type`.
    pub fn of_type(model_type: &str) -> Option<Self> {
        ALL.into_iter().find(|family| family.form().model_types.contains(&model_type))
    }
}

impl Form {
    /// The names of one of our parts in files, the written form first; none for parts that the
    /// family does not have.
    pub fn names(&self, part: &str) -> &'static [&'static str] {
        let found = self.parts.iter().find(|(ours, _)| *ours == part);
        found.map_or(&[], |(_, names)| names)
    }
}
