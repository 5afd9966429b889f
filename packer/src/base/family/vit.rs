//! `vit`: plain transformers (ViTModel, ViTForImageClassification).

use medforge_runtime::preprocess::Resize;
use serde_json::json;

use super::super::file::File;
use super::super::vit_config::{Family, MAX_HIDDEN, VitConfig};
use super::{Form, plain};
use crate::Error;

pub const FORM: Form = Form {
    model_types: &["vit"],
    read,
    write: |config| {
        json!({
            "model_type": "vit", "architectures": ["ViTModel"], "intermediate_size": config.mlp,
            "qkv_bias": config.qkv_bias,
        })
    },
    processor: |preprocessing| match preprocessing.resize {
        Resize::Exact(_) | Resize::Pad(_) => "ViTImageProcessor",
        Resize::ShortestEdge(_) => "BitImageProcessor",
    },
    prefix: "vit.",
    blocks: &["encoder.layer", "layers"],
    parts: &[
        ("embed.cls", &["embeddings.cls_token"]),
        ("embed.positions", &["embeddings.position_embeddings"]),
        ("embed.patch", &["embeddings.patch_embeddings.projection"]),
        ("norm1", &["layernorm_before"]),
        ("attn.q", &["attention.attention.query", "attention.q_proj"]),
        ("attn.k", &["attention.attention.key", "attention.k_proj"]),
        ("attn.v", &["attention.attention.value", "attention.v_proj"]),
        ("attn.o", &["attention.output.dense", "attention.o_proj"]),
        ("norm2", &["layernorm_after"]),
        ("mlp.fc1", &["intermediate.dense", "mlp.fc1"]),
        ("mlp.fc2", &["output.dense", "mlp.fc2"]),
        ("norm", &["layernorm"]),
    ],
    batched: true,
    timm: true,
    head_takes: |_| None,
};

fn read(file: &File) -> Result<VitConfig, Error> {
    let plain = plain::read(file, 1e-12)?;
    let mlp = file.count("intermediate_size", 16 * MAX_HIDDEN)?;
    Ok(VitConfig { family: Family::Vit, mlp, ..plain })
}
