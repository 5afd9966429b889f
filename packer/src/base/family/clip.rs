//! `clip`: the vision tower of a CLIP with its visual projection (CLIPModel,
//! CLIPVisionModelWithProjection).

use serde_json::json;

use super::super::file::File;
use super::super::vit_config::{
    Family, MAX_HIDDEN, MAX_IMAGE_SIZE, MAX_LAYERS, MAX_PATCH, VitConfig,
};
use super::{Form, Names, Takes};
use crate::Error;

pub const FORM: Form = Form {
    model_types: &["clip", "clip_vision_model"],
    read,
    write: |config| {
        json!({
            "model_type": "clip_vision_model", "architectures": ["CLIPVisionModelWithProjection"],
            "intermediate_size": config.mlp, "projection_dim": config.projection,
        })
    },
    processor: |_| "CLIPImageProcessor",
    names: Names {
        prefixes: &["clip."],
        blocks: &["vision_model.encoder.layers"],
        parts: PARTS,
        packed: &[],
    },
    batched: false,
    // Before the last norm and the projection (CLIPForImageClassification).
    classifier: Takes::Other("the mean of the patches before the last norm"),
};

// The files misspell the first norm's name.
const PARTS: &[(&str, &[&str])] = &[
    ("embed.cls", &["vision_model.embeddings.class_embedding"]),
    ("embed.registers", &["vision_model.embeddings.register_tokens"]),
    ("embed.positions", &["vision_model.embeddings.position_embedding.weight"]),
    ("embed.patch", &["vision_model.embeddings.patch_embedding"]),
    ("embed.norm", &["vision_model.pre_layrnorm"]),
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
    ("norm", &["vision_model.post_layernorm"]),
    ("projection", &["visual_projection"]),
];

/// transformers leaves out of a nested configuration what is the default: that of ViT-B/32.
fn read(file: &File) -> Result<VitConfig, Error> {
    let projection = file.count_or("projection_dim", MAX_HIDDEN, 512)?;
    let nested = file.text("model_type")? == "clip";
    let nested = nested.then(|| file.part("vision_config")).transpose()?;
    let file = nested.as_ref().unwrap_or(file);
    let hidden = file.count_or("hidden_size", MAX_HIDDEN, 768)?;
    Ok(VitConfig {
        family: Family::Clip,
        image_size: file.count_or("image_size", MAX_IMAGE_SIZE, 224)?,
        patch: file.count_or("patch_size", MAX_PATCH, 32)?,
        hidden,
        layers: file.count_or("num_hidden_layers", MAX_LAYERS, 12)?,
        heads: file.count_or("num_attention_heads", hidden, 12)?,
        mlp: file.count_or("intermediate_size", 16 * MAX_HIDDEN, 3072)?,
        eps: file.number("layer_norm_eps", 1e-5)?,
        activation: file.activation("quick_gelu")?,
        projection: Some(projection),
        ..VitConfig::PLAIN
    })
}
