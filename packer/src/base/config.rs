//! `config.json` of a Hugging Face folder, in and out, and what may stand in one. What Hugging Face
//! has no key for is under packer's [own] keys.

use std::path::Path;

use medforge_runtime::preprocess::Preprocessing;
use serde_json::{Value, json};

use super::file::File;
use super::parameters::parameter_shapes;
use super::vit_config::{
    Family, MAX_GRID, MAX_HIDDEN, MAX_PARAMETERS, MAX_REGISTERS, Pooling, Positions, VitConfig,
};
use crate::Error;
use crate::device::Activation;

pub mod own;
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
    let config = own::overlaid(file, (family.form().read)(file)?)?;
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
    if config.mlp == 0 || config.mlp > 16 * MAX_HIDDEN || !(config.eps > 0.0 && config.eps < 1.0) {
        return file.refuse("mlp_ratio or layer_norm_eps is out of range".into());
    }
    if let Some(what) = contradiction(&config) {
        return file.refuse(what);
    }
    let parameters: usize =
        parameter_shapes(&config).values().map(|s| s.iter().product::<usize>()).sum();
    if config.image_size / config.patch > MAX_GRID || parameters > MAX_PARAMETERS {
        return file.refuse(format!(
            "describes a base of {parameters} weights; packer reads up to \
                                    {MAX_PARAMETERS} and {MAX_GRID} x {MAX_GRID} patches"
        ));
    }
    Ok(config)
}

/// What no network can be, or is out of range, in words.
fn contradiction(config: &VitConfig) -> Option<String> {
    let (width, heads) = (config.hidden, config.heads);
    if config.no_class_token && config.pooling.of_class_token() {
        return Some(format!(
            "the feature is {}, and the base has no class token; \"pooling\": \"mean\" takes \
             the mean of the patches",
            config.pooling.words()
        ));
    }
    if let Pooling::Attention { heads, mlp } = config.pooling
        && (heads == 0 || !width.is_multiple_of(heads) || !(1..=16 * MAX_HIDDEN).contains(&mlp))
    {
        return Some(format!(
            "pooling by attention with {heads} heads and {mlp} values is out of range"
        ));
    }
    if let Positions::Rotary { theta } = config.positions {
        if !(1.0..=1e9).contains(&theta) {
            return Some(format!("rope_theta {theta} is out of range"));
        }
        if !(width / heads).is_multiple_of(4) {
            return Some(format!(
                "rotates heads of {} values, and two axes take multiples of four",
                width / heads
            ));
        }
    }
    let projected = config.projection.is_some_and(|width| !(1..=MAX_HIDDEN).contains(&width));
    (projected || config.registers > MAX_REGISTERS).then(|| {
        format!("projection or registers are out of range: up to {MAX_HIDDEN} and {MAX_REGISTERS}")
    })
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
    own::add(&mut out, config);
    serde_json::to_vec_pretty(&out).expect("a JSON value can be written")
}
