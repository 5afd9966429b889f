//! What timm's `config.json` says of the network: its architecture's name and its arguments.

use serde_json::{Value, json};

use super::super::choices::{Choices, Feature};
use super::super::file::File;
use super::super::vit_config::{MAX_HIDDEN, VitConfig};
use super::architecture::{self, Architecture};
use super::layout::{Layout, READ};
use crate::Error;
use crate::device::Activation;

/// What timm makes of the architecture's name.
pub fn architecture(file: &File) -> Result<Architecture, Error> {
    let name = file.text("architecture")?;
    let read = architecture::READ;
    let unread = || format!("architecture {name:?} is not read; of timm's, packer reads {read}");
    architecture::named(name).map_or_else(|| file.refuse(unread()), Ok)
}

/// Heads of a base whose tensors are of `[width, blocks]`: what `model_args` gives, what was
/// chosen, or what timm's architecture of that width and depth has. Under any other shape the name
/// was given to another network, and its heads would be a guess.
pub fn heads(
    file: &File,
    named: &Architecture,
    shape: [usize; 2],
    choices: &Choices,
) -> Result<usize, Error> {
    let arguments = file.part("model_args")?;
    let said =
        arguments.has("num_heads").then(|| arguments.count("num_heads", MAX_HIDDEN)).transpose()?;
    if let Some(heads) = choices.heads(said)? {
        return Ok(heads);
    }
    let [width, blocks, heads] = named.size;
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

/// What `config.json` says that no tensor shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    pub eps: f64,
    /// None: GELU, or SiLU of a gate.
    pub activation: Option<Activation>,
    /// None: of the network as it is without a pooling of its own.
    pub feature: Option<Feature>,
    /// Of rotary positions.
    pub theta: Option<f64>,
    /// Whether the position table has rows for patches alone.
    pub patches_alone: bool,
    /// Side of the images in pixels that the network was made for.
    pub image_size: Option<usize>,
}

/// Reads what no tensor shows.
pub fn said(file: &File, named: &Architecture) -> Result<Said, Error> {
    let arguments = file.part("model_args")?;
    let normed = |eps| match arguments.object.get("norm_layer") {
        None | Some(Value::Null) => Ok(eps),
        Some(layer) if layer == "layernorm" => Ok(1e-6),
        Some(other) => file.refuse(unread("norm_layer", other)),
    };
    Ok(Said {
        eps: normed(named.eps)?,
        activation: activation(file, &arguments)?.or(named.activation),
        feature: feature(file, &arguments, named)?,
        theta: match (named.theta, arguments.has("rope_temperature")) {
            (Some(_), true) => Some(arguments.number("rope_temperature", 0.0)?),
            (theta, _) => theta,
        },
        patches_alone: arguments.flag("no_embed_class", named.patches_alone)?,
        image_size: image_size(file, &arguments)?,
    })
}

fn unread(key: &str, value: &Value) -> String {
    format!("model_args has {key} {value}, which is not read; {READ}")
}

fn activation(file: &File, arguments: &File) -> Result<Option<Activation>, Error> {
    match arguments.object.get("act_layer") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(name)) if name == "gelu" => Ok(Some(Activation::Gelu)),
        Some(Value::String(name)) if name == "gelu_tanh" => Ok(Some(Activation::GeluTanh)),
        Some(Value::String(name)) if name == "quick_gelu" => Ok(Some(Activation::QuickGelu)),
        Some(Value::String(name)) if ["silu", "swish"].contains(&name.as_str()) => {
            Ok(Some(Activation::Silu))
        }
        Some(other) => file.refuse(unread("act_layer", other)),
    }
}

/// `global_pool` of `model_args`, else that beside the architecture, else the architecture's own.
fn feature(file: &File, arguments: &File, named: &Architecture) -> Result<Option<Feature>, Error> {
    let place = [arguments, file].into_iter().find(|place| place.has("global_pool"));
    let Some(place) = place else { return Ok(Some(named.feature)) };
    match place.text("global_pool")? {
        "token" => Ok(Some(Feature::Class)),
        "avg" => Ok(Some(Feature::Mean)),
        "map" => Ok(Some(Feature::Attention)),
        "" => Ok(None),
        other => file.refuse(format!(
            "global_pool {other:?} is not read; packer reads token, avg, map and none"
        )),
    }
}

/// The side that `img_size` gives, else that of `input_size`; none where neither is there, or
/// where it is no square.
fn image_size(file: &File, arguments: &File) -> Result<Option<usize>, Error> {
    let part = file.part("pretrained_cfg")?;
    let settings = if file.has("pretrained_cfg") { &part } else { file };
    let values = [arguments.object.get("img_size"), settings.object.get("input_size")];
    let side = |value: &Value| match value.as_array().map(Vec::as_slice) {
        None => value.as_u64(),
        Some([.., height, width]) if height == width => height.as_u64(),
        Some(_) => None,
    };
    let found = values.into_iter().flatten().find(|value| !value.is_null()).and_then(side);
    Ok(found.and_then(|side| usize::try_from(side).ok()))
}

/// Refuses arguments that say otherwise than the tensors, and those of networks that are not read.
pub fn agree(file: &File, layout: &Layout) -> Result<(), Error> {
    for (key, value) in &file.part("model_args")?.object {
        let right = value.is_null() || about_training(key) || {
            let Some(right) = agrees(key, value, layout) else {
                return file.refuse(unread(key, value));
            };
            right
        };
        if !right {
            return file.refuse(format!("model_args has {key} {value}, and the tensors have not"));
        }
    }
    Ok(())
}

/// Arguments that change nothing here: they are about training, or about sizes other than the
/// base's own, or are read elsewhere.
fn about_training(key: &str) -> bool {
    const KEYS: [&str; 20] = [
        "act_layer",
        "attn_drop_rate",
        "drop_path_rate",
        "drop_rate",
        "dynamic_img_pad",
        "dynamic_img_size",
        "fix_init",
        "global_pool",
        "head_init_scale",
        "img_size",
        "mlp_ratio",
        "norm_layer",
        "num_classes",
        "num_heads",
        "patch_drop_rate",
        "pos_drop_rate",
        "proj_drop_rate",
        "rope_temperature",
        "swiglu_align_to",
        "weight_init",
    ];
    KEYS.contains(&key)
}

/// Whether an argument says what the tensors are; none for those that are not known.
fn agrees(key: &str, value: &Value, layout: &Layout) -> Option<bool> {
    let config: &VitConfig = &layout.config;
    let rotary = layout.prefix.is_none();
    let whole = |side: usize| *value == json!(side) || *value == json!([side, side]);
    Some(match key {
        "patch_size" => whole(config.patch),
        "in_chans" => whole(3),
        "embed_dim" => whole(config.hidden),
        "depth" => whole(config.layers),
        "reg_tokens" | "num_reg_tokens" => whole(config.registers),
        "qkv_bias" => *value == config.qkv_bias,
        "init_values" => (value.as_f64() != Some(0.0)) == config.layer_scale,
        "class_token" => *value != config.no_class_token,
        "no_embed_class" => rotary || layout.leading() == 0 || *value == (layout.prefix == Some(0)),
        "pos_embed" => !rotary && value == "learn",
        "qk_norm" => *value == config.qk_norm,
        "pre_norm" => *value == layout.first_norm,
        "fc_norm" | "use_fc_norm" => *value == layout.norms_after(),
        "mlp_layer" => {
            let glu = value.as_str().is_some_and(|name| name.to_ascii_lowercase().contains("glu"));
            glu == config.gated
        }
        "swiglu_mlp" => *value == config.gated,
        "use_abs_pos_emb" => *value != rotary,
        "use_rot_pos_emb" => *value == rotary,
        "rope_type" => rotary && value == "dinov3",
        "final_norm" | "proj_bias" | "qkv_fused" => *value == true,
        "rope_rotate_half" => rotary && *value == true,
        "pool_include_prefix"
        | "scale_attn_inner"
        | "scale_attn_norm"
        | "scale_mlp"
        | "scale_mlp_norm"
        | "use_post_norm" => *value == false,
        _ => return None,
    })
}
