//! `dinov2`: plain transformers with layer scale, and SwiGLU in the largest (Dinov2Model,
//! Dinov2ForImageClassification).

use serde_json::json;

use super::super::file::File;
use super::super::vit_config::{Family, Pooling, VitConfig};
use super::{Form, Names, Takes, plain};
use crate::Error;

pub const FORM: Form = Form {
    model_types: &["dinov2"],
    read,
    write: |config| {
        json!({
            "model_type": "dinov2", "architectures": ["Dinov2Model"],
            "use_swiglu_ffn": config.gated, "mlp_ratio": plain::mlp_ratio(config),
            "layerscale_value": 1.0, "qkv_bias": config.qkv_bias,
        })
    },
    processor: |_| "BitImageProcessor",
    names: Names {
        prefixes: &["dinov2."],
        blocks: &["encoder.layer"],
        parts: PARTS,
        packed: PACKED,
    },
    batched: true,
    classifier: Takes::Feature(Pooling::ClassMean),
};

/// The names of parts, with registers too.
pub const PARTS: &[(&str, &[&str])] = &[
    ("embed.cls", &["embeddings.cls_token"]),
    ("embed.registers", &["embeddings.register_tokens"]),
    ("embed.positions", &["embeddings.position_embeddings"]),
    ("embed.patch", &["embeddings.patch_embeddings.projection"]),
    ("norm1", &["norm1"]),
    ("attn.q", &["attention.attention.query", "attention.q_proj"]),
    ("attn.k", &["attention.attention.key", "attention.k_proj"]),
    ("attn.v", &["attention.attention.value", "attention.v_proj"]),
    ("attn.o", &["attention.output.dense", "attention.o_proj"]),
    ("scale1", &["layer_scale1.lambda1"]),
    ("norm2", &["norm2"]),
    ("mlp.fc1", &["mlp.fc1"]),
    ("mlp.fc2", &["mlp.fc2"]),
    ("mlp.gate", &["mlp.weights_in", "mlp.gate_proj"]),
    ("gated.fc1", &["mlp.weights_in", "mlp.up_proj"]),
    ("gated.fc2", &["mlp.weights_out", "mlp.down_proj"]),
    ("scale2", &["layer_scale2.lambda1"]),
    ("norm", &["layernorm"]),
];

pub const PACKED: &[(&str, &[&str])] = &[("mlp.weights_in", &["mlp.gate", "mlp.fc1"])];

fn read(file: &File) -> Result<VitConfig, Error> {
    Ok(VitConfig { family: Family::Dinov2, ..plain::dinov2(file)? })
}
