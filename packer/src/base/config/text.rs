//! The text tower's part of a CLIP's `config.json`.

use std::path::Path;

use super::super::file::File;
use super::super::vit_config::{MAX_HIDDEN, MAX_LAYERS};
use crate::Error;
use crate::device::Activation;

/// The shape of a CLIP's text tower.
#[derive(Clone, Debug, PartialEq)]
pub struct TextConfig {
    /// Tokens that are known.
    pub vocabulary: usize,
    /// Tokens of the longest text.
    pub positions: usize,
    pub hidden: usize,
    pub layers: usize,
    pub heads: usize,
    /// Width of the MLP's hidden layer.
    pub mlp: usize,
    /// Epsilon of the layer normalisations.
    pub eps: f64,
    pub activation: Activation,
    /// The token whose place holds a text's feature.
    pub end: u32,
    /// Width of the feature, the same for images and texts.
    pub projection: usize,
}

/// Larger vocabularies than this are no CLIP's.
const MAX_VOCABULARY: usize = 1 << 20;
const MAX_POSITIONS: usize = 4096;

/// Reads the `bytes` of `config.json` of `dir`. transformers leaves out of a nested configuration
/// what is the default: that of ViT-B/32.
pub fn text_config(dir: &Path, bytes: &[u8]) -> Result<TextConfig, Error> {
    let file = File::parse(dir.join("config.json"), bytes)?;
    match file.text("model_type")? {
        "clip" => {}
        other => {
            return file.refuse(format!(
                "is of model_type {other:?}, which has no text tower; a head of texts needs a \
                 whole CLIP"
            ));
        }
    }
    let text = file.part("text_config")?;
    let hidden = text.count_or("hidden_size", MAX_HIDDEN, 512)?;
    let config = TextConfig {
        vocabulary: text.count_or("vocab_size", MAX_VOCABULARY, 49_408)?,
        positions: text.count_or("max_position_embeddings", MAX_POSITIONS, 77)?,
        hidden,
        layers: text.count_or("num_hidden_layers", MAX_LAYERS, 12)?,
        heads: text.count_or("num_attention_heads", hidden, 8)?,
        mlp: text.count_or("intermediate_size", 16 * MAX_HIDDEN, 2048)?,
        eps: text.number("layer_norm_eps", 1e-5)?,
        activation: text.activation("quick_gelu")?,
        end: if text.has("eos_token_id") { text.index("eos_token_id")? as u32 } else { 49_407 },
        projection: file.count_or("projection_dim", MAX_HIDDEN, 512)?,
    };
    if !config.hidden.is_multiple_of(config.heads)
        || config.positions < 3
        || !(config.eps > 0.0 && config.eps < 1.0)
    {
        return file.refuse(
            "text_config is of no text tower: heads, positions or layer_norm_eps are out of range"
                .into(),
        );
    }
    Ok(config)
}
