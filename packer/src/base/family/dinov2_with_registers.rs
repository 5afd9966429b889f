//! `dinov2_with_registers`: as `dinov2`, with learned tokens before the patches, and a table of
//! positions that is brought to other sizes with antialiasing (Dinov2WithRegistersModel).

use serde_json::json;

use super::super::file::File;
use super::super::vit_config::{Family, Interpolation, MAX_REGISTERS, Pooling, VitConfig};
use super::dinov2::{PACKED, PARTS};
use super::{Form, Names, Takes, plain};
use crate::Error;

pub const FORM: Form = Form {
    model_types: &["dinov2_with_registers"],
    read,
    write: |config| {
        json!({
            "model_type": "dinov2_with_registers", "architectures": ["Dinov2WithRegistersModel"],
            "num_register_tokens": config.registers, "use_swiglu_ffn": config.gated,
            "mlp_ratio": plain::mlp_ratio(config), "layerscale_value": 1.0,
            "qkv_bias": config.qkv_bias,
        })
    },
    processor: |_| "BitImageProcessor",
    names: Names {
        prefixes: &["dinov2_with_registers."],
        blocks: &["encoder.layer"],
        parts: PARTS,
        packed: PACKED,
    },
    batched: true,
    classifier: Takes::Feature(Pooling::ClassMean),
};

fn read(file: &File) -> Result<VitConfig, Error> {
    Ok(VitConfig {
        family: Family::Dinov2WithRegisters,
        registers: file.count_or_none("num_register_tokens", MAX_REGISTERS, 4)?,
        interpolation: Interpolation::Antialias,
        ..plain::dinov2(file)?
    })
}
