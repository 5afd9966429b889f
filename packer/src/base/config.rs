//! `config.json` of a Hugging Face folder, in and out, and what may stand in one.

use std::path::Path;

use medforge_runtime::preprocess::Preprocessing;
use serde_json::{Value, json};

use super::file::File;
use super::parameters::parameter_shapes;
use super::vit_config::{Family, MAX_GRID, MAX_HIDDEN, MAX_PARAMETERS, VitConfig};
use crate::Error;
use crate::device::Activation;

pub mod preprocessor;
mod text;

pub use text::{TextConfig, text_config};

/// Both configuration files from their bytes; messages name them as files of `dir`.
pub fn parse(
    dir: &Path,
    config: &[u8],
    preprocessor: &[u8],
) -> Result<(VitConfig, Preprocessing), Error> {
    let config = File::parse(dir.join("config.json"), config)?;
    Ok((vit_config(&config)?, preprocessor::parse(dir, preprocessor)?))
}

/// The base that a `config.json` describes.
pub fn vit_config(file: &File) -> Result<VitConfig, Error> {
    let model_type = file.text("model_type")?;
    let Some(family) = Family::of_type(model_type) else {
        let read = Family::listed();
        return file.refuse(format!("model_type {model_type:?} is not read; packer reads {read}"));
    };
    let config = (family.form().read)(file)?;
    if file.has("num_channels") && file.count("num_channels", 3)? != 3 {
        return file.refuse("num_channels is not 3; packer reads RGB models".into());
    }
    checked(file, config)
}

/// Refuses a shape that is out of range.
pub fn checked(file: &File, config: VitConfig) -> Result<VitConfig, Error> {
    if !config.hidden.is_multiple_of(config.heads) {
        return file.refuse(format!(
            "hidden_size {} is no multiple of {} heads",
            config.hidden, config.heads
        ));
    }
    if !config.image_size.is_multiple_of(config.patch) {
        return file.refuse(format!(
            "image_size {} is no multiple of patch_size {}",
            config.image_size, config.patch
        ));
    }
    let parameters: usize =
        parameter_shapes(&config).values().map(|s| s.iter().product::<usize>()).sum();
    if config.image_size / config.patch > MAX_GRID || parameters > MAX_PARAMETERS {
        return file.refuse(format!(
            "describes a base of {parameters} weights; packer reads up to \
                                    {MAX_PARAMETERS} and {MAX_GRID} x {MAX_GRID} patches"
        ));
    }
    if config.mlp == 0 || config.mlp > 16 * MAX_HIDDEN || !(config.eps > 0.0 && config.eps < 1.0) {
        return file.refuse("mlp_ratio or layer_norm_eps is out of range".into());
    }
    Ok(config)
}

/// `config.json` as Hugging Face writes it.
pub fn write(config: &VitConfig) -> Vec<u8> {
    let mut out = json!({
        "hidden_size": config.hidden,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "hidden_act": match config.activation {
            Activation::Gelu => "gelu",
            Activation::QuickGelu => "quick_gelu",
            Activation::GeluTanh => "gelu_pytorch_tanh",
            Activation::Silu => "silu",
        },
        "layer_norm_eps": config.eps,
        "image_size": config.image_size,
        "patch_size": config.patch,
        "num_channels": 3,
    });
    if let (Value::Object(out), Value::Object(more)) =
        (&mut out, (config.family.form().write)(config))
    {
        out.extend(more);
    }
    serde_json::to_vec_pretty(&out).expect("a JSON value can be written")
}
