//! `dinov3_vit`: registers, and rotation of queries and keys in place of a table of positions
//! (DINOv3ViTModel).
//!
//! Refused: queries and values of which only one has a bias, and layers without one.

use serde_json::json;

use super::super::file::File;
use super::super::vit_config::{Family, MAX_HIDDEN, MAX_REGISTERS, Positions, VitConfig};
use super::{Form, Names, Takes, plain};
use crate::Error;

pub const FORM: Form = Form {
    model_types: &["dinov3_vit"],
    read,
    write: |config| {
        let mut out = json!({
            "model_type": "dinov3_vit", "architectures": ["DINOv3ViTModel"],
            "intermediate_size": config.mlp, "use_gated_mlp": config.gated,
            "num_register_tokens": config.registers, "query_bias": config.qkv_bias,
            "key_bias": config.qkv_bias && !config.no_key_bias, "value_bias": config.qkv_bias,
        });
        if let Positions::Rotary { theta } = config.positions {
            out["rope_theta"] = json!(theta);
        }
        out
    },
    processor: |_| "DINOv3ViTImageProcessor",
    names: Names {
        prefixes: &["dinov3_vit."],
        blocks: &["layer", "model.layer"],
        parts: &[
            ("embed.patch", &["embeddings.patch_embeddings"]),
            ("norm1", &["norm1"]),
            ("attn.q", &["attention.q_proj"]),
            ("attn.k", &["attention.k_proj"]),
            ("attn.v", &["attention.v_proj"]),
            ("attn.o", &["attention.o_proj"]),
            ("norm2", &["norm2"]),
            ("mlp.fc1", &["mlp.up_proj"]),
            ("mlp.fc2", &["mlp.down_proj"]),
            ("norm", &["norm"]),
        ],
        packed: &[],
    },
    batched: true,
    classifier: Takes::Other("what transformers, which has no such class, does not say"),
};

fn read(file: &File) -> Result<VitConfig, Error> {
    let plain = plain::read(file, 1e-5)?;
    let [query, key, value] = [("query_bias", true), ("key_bias", false), ("value_bias", true)]
        .map(|(k, d)| file.flag(k, d));
    let (query, key, value) = (query?, key?, value?);
    if query != value || (key && !query) {
        return file.refuse(
            "says that queries, keys and values have a bias each in its own way; packer reads \
             biases of all, of queries and values, or of none"
                .into(),
        );
    }
    for bias in ["proj_bias", "mlp_bias"] {
        if !file.flag(bias, true)? {
            return file.refuse(format!("{bias} is false; packer reads layers with biases"));
        }
    }
    Ok(VitConfig {
        family: Family::Dinov3,
        mlp: file.count("intermediate_size", 16 * MAX_HIDDEN)?,
        gated: file.flag("use_gated_mlp", false)?,
        layer_scale: true,
        registers: file.count_or_none("num_register_tokens", MAX_REGISTERS, 0)?,
        positions: Positions::Rotary { theta: file.number("rope_theta", 100.0)? },
        qkv_bias: query,
        no_key_bias: query && !key,
        ..plain
    })
}
