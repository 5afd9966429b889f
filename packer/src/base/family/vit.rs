//! `vit`: plain transformers (ViTModel, ViTForImageClassification), and the encoder of a `vit_mae`
//! (ViTMAEModel, ViTMAEForPreTraining), whose positions are in its file too.

use medforge_runtime::preprocess::Resize;
use serde_json::json;

use super::super::file::File;
use super::super::vit_config::{Family, MAX_HIDDEN, Pooling, VitConfig};
use super::{Form, Names, Takes, plain};
use crate::Error;

pub const FORM: Form = Form {
    model_types: &["vit", "vit_mae"],
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
    names: Names {
        prefixes: &["vit."],
        blocks: &["encoder.layer", "layers"],
        parts: PARTS,
        packed: &[],
    },
    batched: true,
    classifier: Takes::Feature(Pooling::Class),
};

const PARTS: &[(&str, &[&str])] = &[
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
];

fn read(file: &File) -> Result<VitConfig, Error> {
    let plain = plain::read(file, 1e-12)?;
    let mlp = file.count("intermediate_size", 16 * MAX_HIDDEN)?;
    Ok(VitConfig { family: Family::Vit, mlp, ..plain })
}
