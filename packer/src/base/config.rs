//! `config.json` and the image settings of a Hugging Face folder, in and out.

use std::io::ErrorKind;
use std::path::Path;

use medforge_runtime::preprocess::{CropOffset, Preprocessing, Resize, Size};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::timm;
use crate::device::Activation;
use crate::{Error, input};

mod file;
mod preprocessor;
mod text;

pub(super) use file::File;
use preprocessor::{FILTERS, preprocessing};
pub use text::{TextConfig, text_config};

/// The model families that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// The vision tower of a CLIP, with its visual projection.
    Clip,
    Dinov2,
    Vit,
}

/// The shape of a vision transformer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VitConfig {
    pub family: Family,
    /// Side in pixels of the images that the position table was made for.
    pub image_size: usize,
    /// Side of a patch in pixels.
    pub patch: usize,
    /// Width of a token.
    pub hidden: usize,
    pub layers: usize,
    pub heads: usize,
    /// Width of the MLP's hidden layer.
    pub mlp: usize,
    /// Epsilon of the layer normalisations.
    pub eps: f64,
    pub activation: Activation,
    /// Whether each residual branch is scaled per channel.
    pub layer_scale: bool,
    /// Whether q, k and v have a bias.
    pub qkv_bias: bool,
    /// Width that a linear layer without bias brings the feature to (CLIP's visual projection).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub projection: Option<usize>,
}

impl VitConfig {
    /// Tokens for square images of `size` pixels: the CLS token and the patches.
    pub fn tokens(&self, size: usize) -> usize {
        1 + (size / self.patch) * (size / self.patch)
    }

    /// Width of the feature.
    pub fn features(&self) -> usize {
        self.projection.unwrap_or(self.hidden)
    }

    /// Whether the tokens are normalised before the first block, and patches embedded without a
    /// bias.
    pub fn pre_norm(&self) -> bool {
        self.family == Family::Clip
    }

    /// Images of `size` pixels for which one layer's attention stays within a bound; less than one
    /// for a size too large.
    pub fn images_per_pass(&self, size: usize) -> usize {
        let tokens = self.tokens(size);
        MAX_PASS / (self.heads * tokens * tokens + tokens * self.mlp)
    }

    /// Values of the largest buffer that a pass over one image of `size` pixels makes.
    pub fn largest_values(&self, size: usize) -> usize {
        let tokens = self.tokens(size);
        let scores = self.heads * tokens * tokens.next_multiple_of(4);
        (tokens * self.mlp.max(3 * self.patch * self.patch)).max(scores).max(3 * size * size)
    }

    /// Values that a training step keeps for one image of `size` pixels until its backward pass:
    /// per block about eleven token widths, the MLP before and after its activation, and the
    /// softmax.
    pub fn training_values(&self, size: usize) -> usize {
        let tokens = self.tokens(size);
        self.layers * tokens * (11 * self.hidden + 2 * self.mlp + self.heads * tokens)
    }

    /// Refuses an image size that patches do not fill, or that is out of range.
    pub fn check_size(&self, size: u32) -> Result<(), Error> {
        let (size, patch) = (size as usize, self.patch);
        if size == 0 || !size.is_multiple_of(patch) || size > MAX_IMAGE_SIZE {
            let below = (size / patch * patch).clamp(patch, MAX_IMAGE_SIZE / patch * patch);
            return Err(Error::ImageSize { size, patch, suggestion: below });
        }
        if size / patch > MAX_GRID || self.images_per_pass(size) == 0 {
            return Err(Error::TooManyTokens { size, tokens: self.tokens(size) });
        }
        Ok(())
    }
}

/// Larger images than this are not what a vision transformer is used for; the bound keeps memory in
/// bounds.
pub(super) const MAX_IMAGE_SIZE: usize = 2048;
/// Patches along a side.
const MAX_GRID: usize = 128;
/// Values of one layer's attention and MLP for all images of a pass: 2 GiB in f32.
const MAX_PASS: usize = 1 << 29;
/// Weights of a base: 8 GiB in f32.
const MAX_PARAMETERS: usize = 1 << 31;
pub(super) const MAX_HIDDEN: usize = 8192;
pub(super) const MAX_LAYERS: usize = 128;

/// Reads the configuration files of `dir`.
pub fn read(dir: &Path) -> Result<(VitConfig, Preprocessing), Error> {
    let read = input::folder(dir);
    let config = read("config.json")?;
    let file = File::parse(dir.join("config.json"), &config)?;
    if timm::wrote(&file) {
        return file.refuse(
            "is timm's, which gives no shape without the weights; start from transformers' \
             config.json"
                .into(),
        );
    }
    Ok((vit_config(&file)?, image_settings(dir, read)?))
}

/// Both configuration files from their bytes; messages name them as files of `dir`.
pub fn parse(
    dir: &Path,
    config: &[u8],
    preprocessor: &[u8],
) -> Result<(VitConfig, Preprocessing), Error> {
    let config = File::parse(dir.join("config.json"), config)?;
    Ok((vit_config(&config)?, self::preprocessor(dir, preprocessor)?))
}

/// How images are prepared, from the bytes of `preprocessor_config.json` of `dir`.
pub fn preprocessor(dir: &Path, bytes: &[u8]) -> Result<Preprocessing, Error> {
    preprocessing(&File::parse(dir.join("preprocessor_config.json"), bytes)?)
}

/// How images are prepared, of a folder's files by name: `preprocessor_config.json`, or
/// `image_processor` in the `processor_config.json` that transformers 5 writes for a CLIP. Two that
/// differ are refused: versions of transformers differ in which they take.
pub fn image_settings(
    place: &Path,
    file: impl Fn(&str) -> Result<Vec<u8>, Error>,
) -> Result<Preprocessing, Error> {
    let [own, nested] = ["preprocessor_config.json", "processor_config.json"];
    let there = |name: &str| match file(name) {
        Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(None),
        bytes => File::parse(place.join(name), &bytes?).map(Some),
    };
    let inner = match there(nested)? {
        Some(whole) if whole.has("image_processor") => Some(whole.part("image_processor")?),
        _ => None,
    };
    match (there(own)?, inner) {
        (Some(own), None) => preprocessing(&own),
        (None, Some(inner)) => preprocessing(&inner),
        (Some(own), Some(inner)) => {
            let (first, second) = (preprocessing(&own)?, preprocessing(&inner)?);
            if first == second {
                Ok(first)
            } else {
                own.refuse(format!(
                    "and image_processor in {nested} differ; keep the one that the base was made \
                     with"
                ))
            }
        }
        (None, None) => Err(Error::Config {
            path: place.to_owned(),
            what: format!(
                "has no {own}, and no {nested} with an image_processor: nothing says how images \
                 are prepared"
            ),
        }),
    }
}

/// Both files as Hugging Face writes them: `config.json`, `preprocessor_config.json`.
pub fn write(config: &VitConfig, preprocessing: &Preprocessing) -> [Vec<u8>; 2] {
    let mut out = json!({
        "hidden_size": config.hidden,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "hidden_act": match config.activation { Activation::Gelu => "gelu",
            Activation::QuickGelu => "quick_gelu" },
        "layer_norm_eps": config.eps,
        "image_size": config.image_size,
        "patch_size": config.patch,
        "num_channels": 3,
    });
    let more = match config.family {
        Family::Clip => json!({
            "model_type": "clip_vision_model", "architectures": ["CLIPVisionModelWithProjection"],
            "intermediate_size": config.mlp, "projection_dim": config.projection,
        }),
        Family::Dinov2 => json!({
            "model_type": "dinov2", "architectures": ["Dinov2Model"], "use_swiglu_ffn": false,
            "mlp_ratio": mlp_ratio(config), "layerscale_value": 1.0, "qkv_bias": config.qkv_bias,
        }),
        Family::Vit => json!({
            "model_type": "vit", "architectures": ["ViTModel"], "intermediate_size": config.mlp,
                "qkv_bias": config.qkv_bias,
        }),
    };
    if let (Value::Object(out), Value::Object(more)) = (&mut out, more) {
        out.extend(more);
    }
    let size = match preprocessing.resize {
        Resize::ShortestEdge(edge) => json!({ "shortest_edge": edge }),
        Resize::Exact(Size { height, width }) | Resize::Pad(Size { height, width }) => {
            json!({ "height": height, "width": width })
        }
    };
    let mut processor = json!({
        "image_processor_type": match config.family {
            Family::Clip => "CLIPImageProcessor",
            Family::Dinov2 => "BitImageProcessor",
            Family::Vit => match preprocessing.resize {
                Resize::Exact(_) | Resize::Pad(_) => "ViTImageProcessor",
                Resize::ShortestEdge(_) => "BitImageProcessor",
            },
        },
        "do_resize": true, "size": size,
            "resample": FILTERS.iter().position(|f| *f == preprocessing.filter),
        "do_rescale": true, "rescale_factor": preprocessing.rescale,
        "do_normalize": true, "image_mean": preprocessing.mean, "image_std": preprocessing.std,
        "do_center_crop": preprocessing.crop.is_some(),
    });
    if let Some(crop) = preprocessing.crop {
        processor["crop_size"] = json!({ "height": crop.height, "width": crop.width });
    }
    if preprocessing.crop_offset == CropOffset::Even {
        processor["crop_offset"] = json!("even");
    }
    if let Resize::Pad(_) = preprocessing.resize {
        processor["pad"] = json!(true);
    }
    [out, processor].map(|v| serde_json::to_vec_pretty(&v).expect("a JSON value can be written"))
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

pub(super) fn vit_config(file: &File) -> Result<VitConfig, Error> {
    let config = match file.text("model_type")? {
        "clip" => clip_config(
            &file.part("vision_config")?,
            file.count_or("projection_dim", MAX_HIDDEN, 512)?,
        )?,
        "clip_vision_model" => {
            clip_config(file, file.count_or("projection_dim", MAX_HIDDEN, 512)?)?
        }
        "dinov2" => plain_config(file, Family::Dinov2)?,
        "vit" => plain_config(file, Family::Vit)?,
        other => {
            return file.refuse(format!(
                "model_type {other:?} is not read; packer reads clip, dinov2 and vit"
            ));
        }
    };
    if file.has("num_channels") && file.count("num_channels", 3)? != 3 {
        return file.refuse("num_channels is not 3; packer reads RGB models".into());
    }
    checked(file, config)
}

/// Refuses a shape that is out of range.
pub(super) fn checked(file: &File, config: VitConfig) -> Result<VitConfig, Error> {
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
        super::parameter_shapes(&config).values().map(|s| s.iter().product::<usize>()).sum();
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

/// The families `dinov2` and `vit`, which say everything that has a size.
fn plain_config(file: &File, family: Family) -> Result<VitConfig, Error> {
    if file.flag("use_swiglu_ffn", false)? {
        return file.refuse("use_swiglu_ffn is true; packer reads only the plain MLP".into());
    }
    let hidden = file.count("hidden_size", MAX_HIDDEN)?;
    Ok(VitConfig {
        family,
        image_size: file.count("image_size", MAX_IMAGE_SIZE)?,
        patch: file.count("patch_size", 256)?,
        hidden,
        layers: file.count("num_hidden_layers", MAX_LAYERS)?,
        heads: file.count("num_attention_heads", hidden)?,
        mlp: match family {
            Family::Dinov2 => (file.number("mlp_ratio", 4.0)? * hidden as f64) as usize,
            _ => file.count("intermediate_size", 16 * MAX_HIDDEN)?,
        },
        eps: file.number("layer_norm_eps", if family == Family::Dinov2 { 1e-6 } else { 1e-12 })?,
        activation: activation(file, "gelu")?,
        layer_scale: family == Family::Dinov2,
        qkv_bias: file.flag("qkv_bias", true)?,
        projection: None,
    })
}

/// A CLIP's vision tower. transformers leaves out of a nested configuration what is the default:
/// that of ViT-B/32.
fn clip_config(file: &File, projection: usize) -> Result<VitConfig, Error> {
    let hidden = file.count_or("hidden_size", MAX_HIDDEN, 768)?;
    Ok(VitConfig {
        family: Family::Clip,
        image_size: file.count_or("image_size", MAX_IMAGE_SIZE, 224)?,
        patch: file.count_or("patch_size", 256, 32)?,
        hidden,
        layers: file.count_or("num_hidden_layers", MAX_LAYERS, 12)?,
        heads: file.count_or("num_attention_heads", hidden, 12)?,
        mlp: file.count_or("intermediate_size", 16 * MAX_HIDDEN, 3072)?,
        eps: file.number("layer_norm_eps", 1e-5)?,
        activation: activation(file, "quick_gelu")?,
        layer_scale: false,
        qkv_bias: true,
        projection: Some(projection),
    })
}

fn activation(file: &File, default: &str) -> Result<Activation, Error> {
    match if file.has("hidden_act") { file.text("hidden_act")? } else { default } {
        "gelu" => Ok(Activation::Gelu),
        "quick_gelu" => Ok(Activation::QuickGelu),
        other => file
            .refuse(format!("hidden_act {other:?} is not read; packer reads gelu and quick_gelu")),
    }
}
