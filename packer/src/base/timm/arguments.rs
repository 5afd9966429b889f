//! What timm's `config.json` says of the network: its architecture's name and its arguments.

use serde_json::Value;

use super::super::file::File;
use super::super::vit_config::MAX_HIDDEN;
use super::tensors::READ;
use crate::Error;
use crate::device::Activation;

/// What timm makes of a name that says nothing else: `[width, blocks, heads]`.
pub type Named = [usize; 3];

/// What timm has under the architecture's name (timm/models/vision_transformer.py, deit.py).
pub fn architecture(file: &File) -> Result<Named, Error> {
    let name = file.text("architecture")?;
    let known = || {
        let (model, rest) = name
            .strip_prefix("vit_")
            .or_else(|| name.strip_prefix("deit_"))?
            .split_once("_patch")?;
        let (patch, size) = rest.split_once('_')?;
        let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let (size, plus) = size.strip_prefix("plus_").map_or((size, false), |size| (size, true));
        let plain = number(patch) && (number(size) || size == "dinov2");
        let named = match model {
            "base" if plus => [896, 12, 14],
            _ if plus => return None,
            "tiny" => [192, 12, 3],
            "small" => [384, 12, 6],
            "base" => [768, 12, 12],
            "large" => [1024, 24, 16],
            "huge" => [1280, 32, 16],
            "giant" if size == "dinov2" => [1536, 40, 24],
            "giant" => [1408, 40, 16],
            "gigantic" => [1664, 48, 16],
            _ => return None,
        };
        plain.then_some(named)
    };
    let read = "vit_SIZE_patchP_N, vit_SIZE_patch14_dinov2 and deit_SIZE_patchP_N";
    let unread = || format!("architecture {name:?} is not read; of timm's, packer reads {read}");
    known().map_or_else(|| file.refuse(unread()), Ok)
}

/// Heads of a base whose tensors are of `[width, blocks]`: what `model_args` gives, or what timm's
/// architecture of that width and depth has. Under any other shape the name was given to another
/// network, and its heads would be a guess.
pub fn heads(file: &File, named: Named, shape: [usize; 2]) -> Result<usize, Error> {
    let arguments = file.part("model_args")?;
    if arguments.has("num_heads") {
        return arguments.count("num_heads", MAX_HIDDEN);
    }
    let [width, blocks, heads] = named;
    if [width, blocks] == shape {
        return Ok(heads);
    }
    let ([own_width, own_blocks], name) = (shape, file.text("architecture")?);
    file.refuse(format!(
        "architecture {name:?} is {width} wide with {blocks} blocks in timm, and the tensors are \
         {own_width} wide with {own_blocks}: how many heads \
         they have is not in the files; write it into model_args, as \"model_args\": \
         {{\"num_heads\": N}}, from the code that makes the model"
    ))
}

/// Arguments that change nothing here: the tensors show what they say, or it is about training, or
/// about sizes other than the base's own.
const WITHOUT_EFFECT: [&str; 19] = [
    "patch_size",
    "in_chans",
    "num_classes",
    "embed_dim",
    "depth",
    "num_heads",
    "mlp_ratio",
    "qkv_bias",
    "init_values",
    "dynamic_img_size",
    "dynamic_img_pad",
    "drop_rate",
    "pos_drop_rate",
    "patch_drop_rate",
    "proj_drop_rate",
    "attn_drop_rate",
    "drop_path_rate",
    "weight_init",
    "fix_init",
];

/// Refuses arguments of another network than the plain one; returns the activation.
pub fn check_arguments(file: &File) -> Result<Activation, Error> {
    let pool = if file.has("global_pool") { file.text("global_pool")? } else { "token" };
    if !["token", ""].contains(&pool) {
        return file.refuse(format!(
            "global_pool {pool:?} is not read; packer takes the class token (token)"
        ));
    }
    let mut activation = Activation::Gelu;
    for (key, value) in &file.part("model_args")?.object {
        let plain = match (key.as_str(), value) {
            ("img_size", _) => true,
            (key, _) if WITHOUT_EFFECT.contains(&key) => true,
            ("act_layer", Value::String(name)) if name == "quick_gelu" => {
                activation = Activation::QuickGelu;
                true
            }
            ("act_layer", value) => value.is_null() || value == "gelu",
            ("global_pool", value) => value == "token" || value == "",
            ("class_token" | "final_norm", value) => *value == true,
            ("pos_embed", value) => value == "learn",
            ("reg_tokens", value) => *value == 0,
            (
                "qk_norm"
                | "scale_attn_norm"
                | "scale_mlp_norm"
                | "no_embed_class"
                | "pre_norm"
                | "pool_include_prefix",
                value,
            ) => *value == false,
            ("proj_bias", value) => *value == true,
            ("fc_norm", value) => value.is_null() || *value == false,
            _ => false,
        };
        if !plain {
            return file.refuse(format!("model_args has {key} {value}, which is not read; {READ}"));
        }
    }
    Ok(activation)
}
