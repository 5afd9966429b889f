//! `dinov2`: plain transformers with layer scale (Dinov2Model, Dinov2ForImageClassification).

use serde_json::json;

use super::super::file::File;
use super::super::vit_config::{Family, VitConfig};
use super::{Form, plain};
use crate::Error;

pub const FORM: Form = Form {
    model_types: &["dinov2"],
    read,
    write: |config| {
        json!({
            "model_type": "dinov2", "architectures": ["Dinov2Model"], "use_swiglu_ffn": false,
            "mlp_ratio": mlp_ratio(config), "layerscale_value": 1.0, "qkv_bias": config.qkv_bias,
        })
    },
    processor: |_| "BitImageProcessor",
    prefix: "dinov2.",
    blocks: &["encoder.layer"],
    parts: &[
        ("embed.cls", &["embeddings.cls_token"]),
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
        ("scale2", &["layer_scale2.lambda1"]),
        ("norm", &["layernorm"]),
    ],
    batched: true,
    timm: true,
    // What timm saves is called "head".
    head_takes: |layer| (layer != "head").then_some("the class token and the mean of the patches"),
};

fn read(file: &File) -> Result<VitConfig, Error> {
    let plain = plain::read(file, 1e-6)?;
    let mlp = (file.number("mlp_ratio", 4.0)? * plain.hidden as f64) as usize;
    Ok(VitConfig { family: Family::Dinov2, mlp, layer_scale: true, ..plain })
}

/// The ratio that `mlp_ratio * hidden`, cut to a whole number, turns into the MLP's width again.
fn mlp_ratio(config: &VitConfig) -> f64 {
    let exact = config.mlp as f64 / config.hidden as f64;
    if (exact * config.hidden as f64) as usize == config.mlp {
        exact
    } else {
        (config.mlp as f64 + 0.5) / config.hidden as f64
    }
}
