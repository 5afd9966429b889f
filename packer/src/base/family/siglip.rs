//! `siglip`: the vision tower of a SigLIP, which has no class token (SiglipModel,
//! SiglipVisionModel, SiglipForImageClassification). Its feature is that of a head that pools by
//! attention; of a classifier, or a tower without that head, it is the mean of the patches.

use serde_json::json;

use super::super::file::File;
use super::super::vit_config::{
    Family, MAX_HIDDEN, MAX_IMAGE_SIZE, MAX_LAYERS, MAX_PATCH, Pooling, VitConfig,
};
use super::{Form, Names, Takes};
use crate::Error;

pub const FORM: Form = Form {
    model_types: &["siglip", "siglip_vision_model"],
    read,
    write: |config| {
        json!({
            "model_type": "siglip_vision_model", "architectures": ["SiglipVisionModel"],
            "intermediate_size": config.mlp,
            "vision_use_head": matches!(config.pooling, Pooling::Attention { .. }),
        })
    },
    processor: |_| "SiglipImageProcessor",
    names: Names {
        prefixes: &["vision_model.", "siglip.vision_model."],
        blocks: &["encoder.layers"],
        parts: &[
            ("embed.positions", &["embeddings.position_embedding.weight"]),
            ("embed.patch", &["embeddings.patch_embedding"]),
            ("norm1", &["layer_norm1"]),
            ("attn.q", &["self_attn.q_proj"]),
            ("attn.k", &["self_attn.k_proj"]),
            ("attn.v", &["self_attn.v_proj"]),
            ("attn.o", &["self_attn.out_proj"]),
            ("attn.q_norm", &["self_attn.q_norm"]),
            ("attn.k_norm", &["self_attn.k_norm"]),
            ("norm2", &["layer_norm2"]),
            ("mlp.fc1", &["mlp.fc1"]),
            ("mlp.fc2", &["mlp.fc2"]),
            ("norm", &["post_layernorm"]),
        ],
        packed: &[],
    },
    batched: false,
    classifier: Takes::Feature(Pooling::Mean),
};

/// transformers leaves out of a nested configuration what is the default: that of ViT-B/16.
fn read(file: &File) -> Result<VitConfig, Error> {
    let classifies = file.lists("architectures", "SiglipForImageClassification");
    let nested = file.text("model_type")? == "siglip";
    let nested = nested.then(|| file.part("vision_config")).transpose()?;
    let file = nested.as_ref().unwrap_or(file);
    let hidden = file.count_or("hidden_size", MAX_HIDDEN, 768)?;
    let heads = file.count_or("num_attention_heads", hidden, 12)?;
    let mlp = file.count_or("intermediate_size", 16 * MAX_HIDDEN, 3072)?;
    let pooling = if file.flag("vision_use_head", true)? && !classifies {
        Pooling::Attention { heads, mlp }
    } else {
        Pooling::Mean
    };
    Ok(VitConfig {
        family: Family::Siglip,
        image_size: file.count_or("image_size", MAX_IMAGE_SIZE, 224)?,
        patch: file.count_or("patch_size", MAX_PATCH, 16)?,
        hidden,
        layers: file.count_or("num_hidden_layers", MAX_LAYERS, 12)?,
        heads,
        mlp,
        eps: file.number("layer_norm_eps", 1e-6)?,
        activation: file.activation("gelu_pytorch_tanh")?,
        no_class_token: true,
        pooling,
        ..VitConfig::PLAIN
    })
}
