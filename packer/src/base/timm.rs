//! Folders of timm: `config.json` and `model.safetensors` of a plain vision transformer, with no
//! file for the preprocessor.
//!
//! The shape is that of the tensors; q, k and v are cut out of one tensor. No tensor shows the
//! number of heads: it is in `model_args`, or else the architecture's, where the tensors have that
//! architecture's width and depth. Images are prepared as
//! `create_transform(**resolve_data_config(...))` does outside training, for the crop modes
//! `center` and `squash`. Refused, with the file and the reason: other architectures and arguments
//! (register tokens, mean pooling, SwiGLU, norms of q and k), a number of heads that would be a
//! guess, every tensor that such a transformer does not have, and a position table for another size
//! than the images'.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use medforge_runtime::preprocess::{CropOffset, Filter, Preprocessing, Resize, Size};
use medforge_runtime::tensors::{self, Tensor, View};
use serde_json::{Value, json};

use crate::Error;
use crate::device::Activation;

use super::config::{self, File, MAX_HIDDEN, MAX_IMAGE_SIZE, MAX_LAYERS};
use super::{Family, Vit, VitConfig, checkpoint, parameter_shapes};

/// Whether a `config.json` is timm's.
pub fn wrote(file: &File) -> bool {
    file.has("architecture") && !file.has("model_type")
}

/// The base that `config.json` and the file of weights at `path` describe.
pub fn read(file: &File, weights: &[u8], path: &Path) -> Result<Vit, Error> {
    let activation = check_arguments(file)?;
    let named = architecture(file)?;
    let views = tensors::views(weights, &path.display().to_string())?;
    if let Some((name, what)) = views.keys().find_map(|name| Some((name, oddity(name)?))) {
        return refuse(path, format!("holds {name}: {what} not read; {READ}"));
    }
    let mut config = shape(&views, path, activation)?;
    config.heads = heads(file, named, [config.hidden, config.layers])?;
    let config = config::checked(file, config)?;
    let preprocessing = preprocessing(file, config.image_size)?;
    let tensors = parameters(&views, path, &config)?;
    Ok(Vit { config, preprocessing, tensors })
}

const READ: &str = "packer reads plain vision transformers with a class token";

fn refuse<T>(path: &Path, what: String) -> Result<T, Error> {
    Err(Error::Config { path: path.to_owned(), what })
}

/// What timm makes of a name that says nothing else: `[width, blocks, heads]`.
type Named = [usize; 3];

/// What timm has under the architecture's name (timm/models/vision_transformer.py, deit.py).
fn architecture(file: &File) -> Result<Named, Error> {
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
fn heads(file: &File, named: Named, shape: [usize; 2]) -> Result<usize, Error> {
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
fn check_arguments(file: &File) -> Result<Activation, Error> {
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

/// What a tensor of a network that is not read belongs to.
fn oddity(name: &str) -> Option<&'static str> {
    let ends = |end: &str| name.split('.').any(|part| part == end);
    ODDITIES.iter().find(|(part, _)| ends(part)).map(|(_, what)| *what)
}

const ODDITIES: [(&str, &str); 13] = [
    ("reg_token", "register tokens are"),
    ("register_tokens", "register tokens are"),
    ("dist_token", "a distillation token is"),
    ("fc_norm", "mean pooling (fc_norm) is"),
    ("attn_pool", "attention pooling is"),
    ("norm_pre", "a norm before the blocks is"),
    ("q_norm", "norms of queries and keys are"),
    ("k_norm", "norms of queries and keys are"),
    ("w12", "SwiGLU is"),
    ("fc1_g", "SwiGLU is"),
    ("rope", "rotary position embedding is"),
    ("gamma_1", "layer scale in this form (gamma_1) is"),
    ("backbone", "a convolutional stem is"),
];

/// The shape that the tensors have, with one head.
fn shape(
    views: &BTreeMap<String, View>,
    path: &Path,
    activation: Activation,
) -> Result<VitConfig, Error> {
    let sides = |name: &str| match views.get(name) {
        Some(view) => Ok(view.shape.as_slice()),
        None => Err(Error::TensorMissing { path: path.to_owned(), tensor: name.to_owned() }),
    };
    let odd = |name: &str, expected: &str| -> Result<VitConfig, Error> {
        refuse(path, format!("{name} has shape {:?}, not {expected}", sides(name)?))
    };
    if !views.contains_key("cls_token") {
        return refuse(path, format!("holds no cls_token; {READ}"));
    }
    let &[hidden, 3, patch, wide] = sides(PATCHES)? else {
        return odd(PATCHES, "[width, 3, patch, patch]");
    };
    let &[1, tokens, _] = sides(POSITIONS)? else { return odd(POSITIONS, "[1, tokens, width]") };
    let (&[mlp, _], &[_, narrow]) = (sides(FC1)?, sides(FC2)?) else {
        return odd(FC1, "of two sides");
    };
    let layers =
        (0..).take_while(|n| views.contains_key(&format!("blocks.{n}.norm1.weight"))).count();
    let grid = (tokens - 1).isqrt();
    if grid == 0 || grid * grid != tokens - 1 {
        let what = if tokens.isqrt().pow(2) == tokens {
            "none for the class token"
        } else {
            "not one and a square"
        };
        return refuse(
            path,
            format!("{POSITIONS} has {tokens} rows, {what}; {READ} in the position table"),
        );
    }
    if mlp == 2 * narrow {
        return refuse(
            path,
            format!("{FC1} is twice as wide as {FC2}: SwiGLU is not read; {READ}"),
        );
    }
    let image_size = grid.saturating_mul(patch);
    if patch != wide
        || patch > 256
        || image_size > MAX_IMAGE_SIZE
        || hidden > MAX_HIDDEN
        || layers > MAX_LAYERS
    {
        let most = format!(
            "square patches, {MAX_IMAGE_SIZE} pixels, {MAX_HIDDEN} wide, {MAX_LAYERS} blocks"
        );
        return refuse(path, format!("describes a base out of range; packer reads up to {most}"));
    }
    let layer_scale = views.contains_key("blocks.0.ls1.gamma");
    Ok(VitConfig {
        family: if layer_scale { Family::Dinov2 } else { Family::Vit },
        image_size,
        patch,
        hidden,
        layers,
        heads: 1,
        mlp,
        eps: 1e-6,
        activation,
        layer_scale,
        qkv_bias: views.contains_key("blocks.0.attn.qkv.bias"),
        projection: None,
    })
}

const PATCHES: &str = "patch_embed.proj.weight";
const POSITIONS: &str = "pos_embed";
const FC1: &str = "blocks.0.mlp.fc1.weight";
const FC2: &str = "blocks.0.mlp.fc2.weight";

/// Every parameter by internal name; q, k and v are the thirds of one tensor.
fn parameters(
    views: &BTreeMap<String, View>,
    path: &Path,
    config: &VitConfig,
) -> Result<BTreeMap<String, Tensor>, Error> {
    let shapes = parameter_shapes(config);
    let names: BTreeSet<String> = shapes.keys().map(|name| file_name(name)).collect();
    let left = |name: &&String| *name == "mask_token" || name.starts_with("head.");
    if let Some(name) = views.keys().find(|name| !names.contains(*name) && !left(name)) {
        return refuse(path, format!("holds {name}, which is not read; {READ}"));
    }
    let mut out = BTreeMap::new();
    for (name, mut shape) in shapes {
        let theirs = file_name(&name);
        let thirds = match name.contains(".attn.q.") {
            true => vec![
                name.clone(),
                name.replace(".attn.q.", ".attn.k."),
                name.replace(".attn.q.", ".attn.v."),
            ],
            false if theirs.contains(".attn.qkv.") => continue,
            false => vec![name],
        };
        let own = shape.clone();
        shape[0] *= thirds.len();
        let whole = checkpoint::read(views, path, &theirs, shape)?;
        let length = whole.data.len() / thirds.len();
        for (name, values) in thirds.into_iter().zip(whole.data.chunks_exact(length)) {
            out.insert(
                name,
                Tensor { shape: own.clone(), data: values.to_vec(), dtype: whole.dtype },
            );
        }
    }
    Ok(out)
}

/// timm's name of the tensor that holds a parameter.
fn file_name(ours: &str) -> String {
    let theirs = [
        ("embed.cls", "cls_token"),
        ("embed.positions", POSITIONS),
        ("embed.patch.", "patch_embed.proj."),
        (".attn.q.", ".attn.qkv."),
        (".attn.k.", ".attn.qkv."),
        (".attn.v.", ".attn.qkv."),
        (".attn.o.", ".attn.proj."),
        (".scale1", ".ls1.gamma"),
        (".scale2", ".ls2.gamma"),
    ];
    let found = theirs.iter().find(|(part, _)| ours.contains(part));
    found.map_or_else(|| ours.to_owned(), |(part, name)| ours.replace(part, name))
}

/// What `resolve_data_config` and `transforms_imagenet_eval` (timm/data) make of the configuration.
pub fn preprocessing(file: &File, image_size: usize) -> Result<Preprocessing, Error> {
    // Older files have these settings beside the architecture.
    let (part, arguments) = (file.part("pretrained_cfg")?, file.part("model_args")?);
    let settings = if file.has("pretrained_cfg") { &part } else { file };
    let side = u32::try_from(image_size).unwrap_or(u32::MAX);
    let own = [json!([3, side, side]), json!([side, side]), json!(side)];
    let given = [
        ("input_size", settings.object.get("input_size")),
        ("img_size", arguments.object.get("img_size")),
    ];
    for (key, value) in given {
        if let Some(value) = value.filter(|v| !v.is_null() && !own.contains(v)) {
            return file.refuse(format!(
                "{key} is {value}, but the position table is for {side} x {side} RGB pixels"
            ));
        }
    }
    if !settings.has("input_size") && side != 224 {
        return file.refuse(format!(
            "has no input_size, and the position table is for {side} x {side} pixels, not 224"
        ));
    }
    let text =
        |key: &str, default| match settings.has(key).then(|| settings.text(key)).transpose()? {
            None | Some("") => Ok::<_, Error>(default),
            Some(text) => Ok(text),
        };
    let filter = match text("interpolation", "bicubic")? {
        "nearest" => Filter::Nearest,
        "bilinear" => Filter::Bilinear,
        "bicubic" => Filter::Bicubic,
        "lanczos" => Filter::Lanczos,
        "box" => Filter::Box,
        "hamming" => Filter::Hamming,
        other => {
            return file.refuse(format!("interpolation {other:?} is not one of Pillow's filters"));
        }
    };
    let crop = match settings.number("crop_pct", 0.0)? {
        0.0 => 0.875,
        crop => crop,
    };
    let edge = (f64::from(side) / crop).floor();
    if !(edge >= f64::from(side) && edge <= 2.0 * MAX_IMAGE_SIZE as f64) {
        return file.refuse(format!(
            "crop_pct {crop} is out of range; packer crops images, and adds no border"
        ));
    }
    let edge = edge as u32;
    let resize = match text("crop_mode", "center")? {
        "center" => Resize::ShortestEdge(edge),
        "squash" => Resize::Exact(Size { height: edge, width: edge }),
        other => {
            return file.refuse(format!(
                "crop_mode {other:?} is not read; packer reads center and squash"
            ));
        }
    };
    let triple =
        |key: &str, default| if settings.has(key) { settings.triple(key) } else { Ok(default) };
    let preprocessing = Preprocessing {
        resize,
        filter,
        crop: Some(Size { height: side, width: side }),
        crop_offset: CropOffset::Even,
        rescale: 1.0 / 255.0,
        mean: triple("mean", [0.485, 0.456, 0.406])?,
        std: triple("std", [0.229, 0.224, 0.225])?,
    };
    preprocessing
        .check()
        .map_err(|e| Error::Config { path: file.path.clone(), what: e.to_string() })?;
    Ok(preprocessing)
}

#[cfg(test)]
mod tests;
