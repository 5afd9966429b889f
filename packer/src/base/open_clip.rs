//! Folders of open_clip: `open_clip_config.json` and weights of images and texts, of which the part
//! for images is read. That is open_clip's own tower, which is a CLIP's, or one of timm's under
//! `visual.trunk.` with a projection after it (BiomedCLIP, SigLIP).
//!
//! Images are prepared as `image_transform` does outside training.
//!
//! Refused: other towers (ResNet, pooling by attention of CoCa, EVA), projections with a bias or of
//! two layers, images brought to a size by their longest side.

use std::path::PathBuf;

use medforge_runtime::preprocess::{CropOffset, Filter, Preprocessing, Resize, Size};
use medforge_runtime::tensors::Tensor;
use serde_json::{Map, Value, json};

use super::checkpoint;
use super::choices::Choices;
use super::config::{self, preprocessor};
use super::family::Names;
use super::file::File;
use super::names::places;
use super::timm::{self, Read};
use super::vit_config::{
    Family, Interpolation, MAX_HIDDEN, MAX_IMAGE_SIZE, MAX_LAYERS, MAX_PATCH, VitConfig,
};
use super::weight_files::WeightMap;
use crate::Error;
use crate::device::Activation;

/// The file of open_clip's that says what a network is.
pub const FILE: &str = "open_clip_config.json";

/// The base of the images of `weights`, as the file at `path` with these `bytes` describes it.
///
/// # Errors
/// [`Error::Config`] and others of reading tensors.
pub fn read(
    path: PathBuf,
    bytes: &[u8],
    weights: &WeightMap,
    choices: &Choices,
) -> Result<Read, Error> {
    let file = File::parse(path, bytes)?;
    let model = file.part("model_cfg")?;
    let tower = model.part("vision_cfg")?;
    let settings = file.part("preprocess_cfg")?;
    if tower.has("timm_model_name") {
        return of_timm(&model, &tower, &settings, weights, choices);
    }
    let config = own_tower(&model, &tower, choices)?;
    let preprocessing = preprocessing(&settings, side(&tower)?)?;
    let plain = VitConfig { projection: None, ..config.clone() };
    let mut tensors = checkpoint::collect(weights, &plain, |name| places(&NAMES, false, name))?;
    if let Some(width) = config.projection {
        let [from, to] = [config.hidden, width];
        let stored = checkpoint::read(weights, "visual.proj", vec![from, to])?;
        tensors.insert("projection.weight".to_owned(), transposed(&stored).into());
    }
    Ok((config, preprocessing, tensors))
}

/// What open_clip calls the parts of its own tower.
const NAMES: Names = Names {
    prefixes: &[],
    blocks: &["visual.transformer.resblocks"],
    parts: &[
        ("embed.cls", &["visual.class_embedding"]),
        ("embed.positions", &["visual.positional_embedding"]),
        ("embed.patch", &["visual.conv1"]),
        ("embed.norm", &["visual.ln_pre"]),
        ("norm1", &["ln_1"]),
        ("attn.q", &["attn.in_proj_"]),
        ("attn.k", &["attn.in_proj_"]),
        ("attn.v", &["attn.in_proj_"]),
        ("attn.o", &["attn.out_proj"]),
        ("scale1", &["ls_1.gamma"]),
        ("norm2", &["ln_2"]),
        ("mlp.fc1", &["mlp.c_fc"]),
        ("mlp.fc2", &["mlp.c_proj"]),
        ("scale2", &["ls_2.gamma"]),
        ("norm", &["visual.ln_post"]),
    ],
    packed: &[("attn.in_proj_", &["attn.q", "attn.k", "attn.v"])],
};

/// The rows of a matrix as columns.
fn transposed(matrix: &Tensor) -> Tensor {
    let [rows, columns] = [matrix.shape[0], matrix.shape[1]];
    let data = (0..rows * columns).map(|i| matrix.data[i % rows * columns + i / rows]).collect();
    Tensor { shape: vec![columns, rows], data, dtype: matrix.dtype }
}

/// open_clip's own tower (CLIPVisionCfg and its defaults).
fn own_tower(model: &File, tower: &File, choices: &Choices) -> Result<VitConfig, Error> {
    for key in ELSEWHERE {
        if tower.object.get(key).is_some_and(|value| !value.is_null() && *value != false) {
            return tower.refuse(format!("vision_cfg has {key}, which is not read"));
        }
    }
    for (key, read) in [("pos_embed_type", "learnable"), ("pool_type", "tok")] {
        if tower.has(key) && tower.text(key)? != read {
            let other = tower.text(key)?;
            return tower.refuse(format!("{key} {other:?} is not read; packer reads {read}"));
        }
    }
    let norm = tower.part("norm_kwargs")?;
    let hidden = tower.count_or("width", MAX_HIDDEN, 768)?;
    let head = tower.count_or("head_width", MAX_HIDDEN, 64)?;
    let mut config = VitConfig {
        family: Family::Clip,
        image_size: side(tower)?,
        patch: tower.count_or("patch_size", MAX_PATCH, 16)?,
        hidden,
        layers: tower.count_or("layers", MAX_LAYERS, 12)?,
        heads: (hidden / head).max(1),
        mlp: (tower.number("mlp_ratio", 4.0)? * hidden as f64) as usize,
        eps: norm.number("eps", 1e-5)?,
        activation: activation(model, tower)?,
        layer_scale: tower.has("ls_init_value"),
        projection: Some(model.count("embed_dim", MAX_HIDDEN)?),
        interpolation: Interpolation::Antialias,
        ..VitConfig::PLAIN
    };
    choices.heads(Some(config.heads))?;
    choices.pool(&mut config)?;
    config::checked(tower, config)
}

/// Settings of networks that are not read.
const ELSEWHERE: [&str; 11] = [
    "attentional_pool",
    "no_ln_pre",
    "final_ln_after_pool",
    "block_type",
    "qk_norm",
    "scaled_cosine_attn",
    "scale_heads",
    "scale_attn_inner",
    "scale_attn",
    "scale_fc",
    "eva_model_name",
];

fn activation(model: &File, tower: &File) -> Result<Activation, Error> {
    let arguments = tower.part("act_kwargs")?;
    let tanh = arguments.has("approximate") && arguments.text("approximate")? == "tanh";
    Ok(match (model.flag("quick_gelu", false)?, tanh) {
        (true, _) => Activation::QuickGelu,
        (false, true) => Activation::GeluTanh,
        (false, false) => Activation::Gelu,
    })
}

/// Side of the images in pixels.
fn side(tower: &File) -> Result<usize, Error> {
    match tower.object.get("image_size") {
        Some(Value::Array(sides)) => match &sides[..] {
            [height, width] if height == width => Ok(tower.side(height, "image_size")? as usize),
            _ => tower.refuse("image_size is no square".into()),
        },
        _ => tower.count_or("image_size", MAX_IMAGE_SIZE, 224),
    }
}

/// A tower of timm's, and the projection after it.
fn of_timm(
    model: &File,
    tower: &File,
    settings: &File,
    weights: &WeightMap,
    choices: &Choices,
) -> Result<Read, Error> {
    let text = |key: &str, default: &'static str| {
        if tower.has(key) { tower.text(key).map(str::to_owned) } else { Ok(default.to_owned()) }
    };
    let (pool, projection) = (text("timm_pool", "avg")?, text("timm_proj", "linear")?);
    if !["linear", "none"].contains(&projection.as_str()) {
        return tower
            .refuse(format!("timm_proj {projection:?} is not read; packer reads linear and none"));
    }
    let side = side(tower)?;
    let mut said = Map::new();
    said.insert("architecture".into(), tower.get("timm_model_name")?.clone());
    said.insert("pretrained_cfg".into(), json!({ "input_size": [3, side, side], "crop_pct": 1.0 }));
    if !pool.is_empty() {
        said.insert("global_pool".into(), json!(pool));
    }
    let file = File { path: tower.path.clone(), object: said };
    let (mut config, _, mut tensors) = timm::read(&file, &trunk(weights), choices)?;
    if projection == "linear" {
        let (to, from) = (model.count("embed_dim", MAX_HIDDEN)?, config.features());
        for more in ["visual.head.proj.bias", "visual.head.mlp.fc1.weight"] {
            if weights.tensors.contains_key(more) {
                let what = format!("holds {more}; packer reads one projection without a bias");
                return Err(Error::Config { path: weights.path.clone(), what });
            }
        }
        let stored = checkpoint::read(weights, "visual.head.proj.weight", vec![to, from])?;
        tensors.insert("projection.weight".to_owned(), stored.into());
        config.projection = Some(to);
    }
    let preprocessing = preprocessing(settings, config.image_size)?;
    Ok((config::checked(tower, config)?, preprocessing, tensors))
}

/// The tensors of timm's tower, by its names.
fn trunk(weights: &WeightMap) -> WeightMap {
    let tensors = weights.tensors.iter();
    let tensors = tensors.filter_map(|(name, view)| {
        Some((name.strip_prefix("visual.trunk.")?.to_owned(), view.clone()))
    });
    WeightMap { path: weights.path.clone(), tensors: tensors.collect() }
}

/// How images become `side` pixels high and wide (open_clip's PreprocessCfg and its defaults).
fn preprocessing(settings: &File, side: usize) -> Result<Preprocessing, Error> {
    let text = |key: &str, default: &'static str| {
        if settings.has(key) { settings.text(key) } else { Ok(default) }
    };
    let side = side as u32;
    let square = Size { height: side, width: side };
    let resize = match text("resize_mode", "shortest")? {
        "shortest" => Resize::ShortestEdge(side),
        "squash" => Resize::Exact(square),
        other => {
            return settings.refuse(format!(
                "resize_mode {other:?} is not read; packer reads shortest and squash"
            ));
        }
    };
    let filter = match text("interpolation", "bicubic")? {
        "bilinear" => Filter::Bilinear,
        "bicubic" | "random" => Filter::Bicubic,
        other => return settings.refuse(format!("interpolation {other:?} is not read")),
    };
    let triple = |key: &str, default: [f64; 3]| match settings.object.get(key) {
        None | Some(Value::Null) => Ok(default),
        Some(Value::Number(one)) => Ok([one.as_f64().unwrap_or(f64::NAN); 3]),
        Some(_) => settings.triple(key),
    };
    let [mean, std] = preprocessor::CLIP;
    settings.usable(Preprocessing {
        resize,
        filter,
        crop: Some(square),
        crop_offset: CropOffset::Even,
        rescale: 1.0 / 255.0,
        mean: triple("mean", mean)?,
        std: triple("std", std)?,
    })
}
