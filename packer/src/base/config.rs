//! `config.json` and `preprocessor_config.json` of a Hugging Face folder, in and out.

use std::fs;
use std::path::Path;

use medforge_runtime::preprocess::{Filter, Preprocessing, Resize, Size};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::Error;
use crate::device::Activation;

/// The model families that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
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
}

impl VitConfig {
    /// Tokens for square images of `size` pixels: the CLS token and the patches.
    pub fn tokens(&self, size: usize) -> usize {
        1 + (size / self.patch) * (size / self.patch)
    }

    /// Images of `size` pixels for which one layer's attention stays within a bound; less than one for a size too large.
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

    /// Values that a training step keeps for one image of `size` pixels until its backward pass: per block about eleven
    /// token widths, the MLP before and after its activation, and the softmax.
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

/// Larger images than this are not what a vision transformer is used for; the bound keeps memory in bounds.
const MAX_IMAGE_SIZE: usize = 2048;
/// Patches along a side.
const MAX_GRID: usize = 128;
/// Values of one layer's attention and MLP for all images of a pass: 2 GiB in f32.
const MAX_PASS: usize = 1 << 29;
/// Weights of a base: 8 GiB in f32.
const MAX_PARAMETERS: usize = 1 << 31;
const MAX_HIDDEN: usize = 8192;
const MAX_LAYERS: usize = 128;

/// Reads both configuration files of `dir`.
pub fn read(dir: &Path) -> Result<(VitConfig, Preprocessing), Error> {
    let [config, preprocessor] = ["config.json", "preprocessor_config.json"].map(|name| {
        let path = dir.join(name);
        fs::read(&path).map_err(|e| Error::io(path, e))
    });
    parse(dir, &config?, &preprocessor?)
}

/// Both configuration files from their bytes; messages name them as files of `dir`.
pub fn parse(dir: &Path, config: &[u8], preprocessor: &[u8]) -> Result<(VitConfig, Preprocessing), Error> {
    let config = File::parse(dir.join("config.json"), config)?;
    let preprocessor = File::parse(dir.join("preprocessor_config.json"), preprocessor)?;
    Ok((vit_config(&config)?, preprocessing(&preprocessor)?))
}

/// Both files as Hugging Face writes them: `config.json`, `preprocessor_config.json`.
pub fn write(config: &VitConfig, preprocessing: &Preprocessing) -> [Vec<u8>; 2] {
    let mut out = json!({
        "hidden_size": config.hidden,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "hidden_act": match config.activation { Activation::Gelu => "gelu", Activation::QuickGelu => "quick_gelu" },
        "layer_norm_eps": config.eps,
        "qkv_bias": config.qkv_bias,
        "image_size": config.image_size,
        "patch_size": config.patch,
        "num_channels": 3,
    });
    let more = match config.family {
        Family::Dinov2 => json!({
            "model_type": "dinov2", "architectures": ["Dinov2Model"], "use_swiglu_ffn": false,
            "mlp_ratio": mlp_ratio(config), "layerscale_value": 1.0,
        }),
        Family::Vit => json!({
            "model_type": "vit", "architectures": ["ViTModel"], "intermediate_size": config.mlp,
        }),
    };
    if let (Value::Object(out), Value::Object(more)) = (&mut out, more) {
        out.extend(more);
    }
    let size = match preprocessing.resize {
        Resize::ShortestEdge(edge) => json!({ "shortest_edge": edge }),
        Resize::Exact(Size { height, width }) => json!({ "height": height, "width": width }),
    };
    let mut processor = json!({
        "image_processor_type": match config.family { Family::Dinov2 => "BitImageProcessor", Family::Vit => "ViTImageProcessor" },
        "do_resize": true, "size": size, "resample": FILTERS.iter().position(|f| *f == preprocessing.filter),
        "do_rescale": true, "rescale_factor": preprocessing.rescale,
        "do_normalize": true, "image_mean": preprocessing.mean, "image_std": preprocessing.std,
        "do_center_crop": preprocessing.crop.is_some(),
    });
    if let Some(crop) = preprocessing.crop {
        processor["crop_size"] = json!({ "height": crop.height, "width": crop.width });
    }
    [out, processor].map(|v| serde_json::to_vec_pretty(&v).expect("a JSON value can be written"))
}

/// The ratio that `mlp_ratio * hidden`, cut to a whole number, turns into the MLP's width again.
fn mlp_ratio(config: &VitConfig) -> f64 {
    let exact = config.mlp as f64 / config.hidden as f64;
    match (exact * config.hidden as f64) as usize == config.mlp {
        true => exact,
        false => (config.mlp as f64 + 0.5) / config.hidden as f64,
    }
}

/// Pillow's numbers for its filters (PIL.Image.Resampling).
const FILTERS: [Filter; 6] =
    [Filter::Nearest, Filter::Lanczos, Filter::Bilinear, Filter::Bicubic, Filter::Box, Filter::Hamming];

fn vit_config(file: &File) -> Result<VitConfig, Error> {
    let family = match file.text("model_type")? {
        "dinov2" => Family::Dinov2,
        "vit" => Family::Vit,
        other => return file.refuse(format!("model_type {other:?} is not read; packer reads dinov2 and vit")),
    };
    let activation = match if file.has("hidden_act") { file.text("hidden_act")? } else { "gelu" } {
        "gelu" => Activation::Gelu,
        "quick_gelu" => Activation::QuickGelu,
        other => return file.refuse(format!("hidden_act {other:?} is not read; packer reads gelu and quick_gelu")),
    };
    if file.flag("use_swiglu_ffn", false)? {
        return file.refuse("use_swiglu_ffn is true; packer reads only the plain MLP".into());
    }
    if file.has("num_channels") && file.count("num_channels", 3)? != 3 {
        return file.refuse("num_channels is not 3; packer reads RGB models".into());
    }
    let hidden = file.count("hidden_size", MAX_HIDDEN)?;
    let default_eps = match family {
        Family::Dinov2 => 1e-6,
        Family::Vit => 1e-12,
    };
    let config = VitConfig {
        family,
        image_size: file.count("image_size", MAX_IMAGE_SIZE)?,
        patch: file.count("patch_size", 256)?,
        hidden,
        layers: file.count("num_hidden_layers", MAX_LAYERS)?,
        heads: file.count("num_attention_heads", hidden)?,
        mlp: match family {
            Family::Dinov2 => (file.number("mlp_ratio", 4.0)? * hidden as f64) as usize,
            Family::Vit => file.count("intermediate_size", 16 * MAX_HIDDEN)?,
        },
        eps: file.number("layer_norm_eps", default_eps)?,
        activation,
        layer_scale: family == Family::Dinov2,
        qkv_bias: file.flag("qkv_bias", true)?,
    };
    if !config.hidden.is_multiple_of(config.heads) {
        return file.refuse(format!("hidden_size {} is no multiple of {} heads", config.hidden, config.heads));
    }
    if !config.image_size.is_multiple_of(config.patch) {
        return file.refuse(format!("image_size {} is no multiple of patch_size {}", config.image_size, config.patch));
    }
    let parameters: usize = super::parameter_shapes(&config).values().map(|s| s.iter().product::<usize>()).sum();
    if config.image_size / config.patch > MAX_GRID || parameters > MAX_PARAMETERS {
        return file.refuse(format!("describes a base of {parameters} weights; packer reads up to {MAX_PARAMETERS} and {MAX_GRID} x {MAX_GRID} patches"));
    }
    if config.mlp == 0 || config.mlp > 16 * MAX_HIDDEN || !(config.eps > 0.0 && config.eps < 1.0) {
        return file.refuse("mlp_ratio or layer_norm_eps is out of range".into());
    }
    Ok(config)
}

fn preprocessing(file: &File) -> Result<Preprocessing, Error> {
    if !file.flag("do_resize", true)? {
        return file.refuse("do_resize is false; packer needs images of one size".into());
    }
    // BitImageProcessor (DINOv2) and ViTImageProcessor leave out other values, and mean other things by a bare number.
    let kind = ["image_processor_type", "feature_extractor_type"].iter().find(|key| file.has(key));
    let bit = match kind.map(|key| file.text(key)).transpose()? {
        None => false,
        Some(name) => match name.trim_end_matches("Fast") {
            "BitImageProcessor" => true,
            "ViTImageProcessor" | "ViTFeatureExtractor" => false,
            _ => {
                return file
                    .refuse(format!("{name} is not read; packer reads BitImageProcessor and ViTImageProcessor"));
            }
        },
    };
    let resize = match file.get("size")? {
        Value::Object(size) if size.contains_key("longest_edge") => {
            return file
                .refuse("size.longest_edge is not read; packer reads shortest_edge, or height and width".into());
        }
        Value::Object(size) if size.contains_key("shortest_edge") => {
            Resize::ShortestEdge(file.side(&size["shortest_edge"], "size.shortest_edge")?)
        }
        number if bit && number.is_number() => Resize::ShortestEdge(file.side(number, "size")?),
        other => Resize::Exact(file.sides(other, "size")?),
    };
    let crop = match file.flag("do_center_crop", bit)? {
        true => Some(file.sides(file.get("crop_size")?, "crop_size")?),
        false => None,
    };
    if matches!(resize, Resize::ShortestEdge(_)) && crop.is_none() {
        return file.refuse("size.shortest_edge without do_center_crop gives images of many sizes".into());
    }
    let filter = match file.has("resample") {
        true => FILTERS.get(file.index("resample")?).copied(),
        false if bit => Some(Filter::Bicubic),
        false => Some(Filter::Bilinear),
    };
    let Some(filter) = filter else { return file.refuse("resample is not one of Pillow's filters (0 to 5)".into()) };
    let normalised = file.flag("do_normalize", true)?;
    let preprocessing = Preprocessing {
        resize,
        filter,
        crop,
        rescale: if file.flag("do_rescale", true)? { file.number("rescale_factor", 1.0 / 255.0)? } else { 1.0 },
        mean: if normalised { file.triple("image_mean")? } else { [0.0; 3] },
        std: if normalised { file.triple("image_std")? } else { [1.0; 3] },
    };
    preprocessing.check().map_err(|e| Error::Config { path: file.path.clone(), what: e.to_string() })?;
    Ok(preprocessing)
}

/// A JSON object in a file, so that each complaint names the file and the key.
struct File {
    path: std::path::PathBuf,
    object: Map<String, Value>,
}

impl File {
    fn parse(path: std::path::PathBuf, bytes: &[u8]) -> Result<Self, Error> {
        match serde_json::from_slice(bytes) {
            Ok(Value::Object(object)) => Ok(File { path, object }),
            Ok(_) => Err(Error::Config { path, what: "is not a JSON object".into() }),
            Err(e) => Err(Error::Config { path, what: format!("is not JSON: {e}") }),
        }
    }

    fn refuse<T>(&self, what: String) -> Result<T, Error> {
        Err(Error::Config { path: self.path.clone(), what })
    }

    fn has(&self, key: &str) -> bool {
        self.object.get(key).is_some_and(|v| !v.is_null())
    }

    fn get(&self, key: &str) -> Result<&Value, Error> {
        match self.object.get(key) {
            Some(value) => Ok(value),
            None => self.refuse(format!("has no {key}")),
        }
    }

    fn text(&self, key: &str) -> Result<&str, Error> {
        match self.get(key)?.as_str() {
            Some(text) => Ok(text),
            None => self.refuse(format!("{key} is not a string")),
        }
    }

    fn flag(&self, key: &str, default: bool) -> Result<bool, Error> {
        match self.object.get(key) {
            None | Some(Value::Null) => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => self.refuse(format!("{key} is not true or false")),
        }
    }

    fn number(&self, key: &str, default: f64) -> Result<f64, Error> {
        match self.object.get(key) {
            None | Some(Value::Null) => Ok(default),
            Some(value) => value.as_f64().map_or_else(|| self.refuse(format!("{key} is not a number")), Ok),
        }
    }

    fn index(&self, key: &str) -> Result<usize, Error> {
        match self.get(key)?.as_u64() {
            Some(n) => Ok(usize::try_from(n).unwrap_or(usize::MAX)),
            None => self.refuse(format!("{key} is not a whole number")),
        }
    }

    fn count(&self, key: &str, most: usize) -> Result<usize, Error> {
        let n = self.index(key)?;
        match (1..=most).contains(&n) {
            true => Ok(n),
            false => self.refuse(format!("{key} is {n}, outside 1 to {most}")),
        }
    }

    fn side(&self, value: &Value, key: &str) -> Result<u32, Error> {
        match value.as_u64() {
            Some(n) if (1..=MAX_IMAGE_SIZE as u64 * 2).contains(&n) => Ok(n as u32),
            _ => self.refuse(format!("{key} is not a side in pixels, 1 to {}", MAX_IMAGE_SIZE * 2)),
        }
    }

    /// `{"height": h, "width": w}`, or one number for both.
    fn sides(&self, value: &Value, key: &str) -> Result<Size, Error> {
        match value {
            Value::Object(o) => match (o.get("height"), o.get("width")) {
                (Some(height), Some(width)) => {
                    Ok(Size { height: self.side(height, key)?, width: self.side(width, key)? })
                }
                _ => self.refuse(format!("{key} has neither shortest_edge nor height and width")),
            },
            one => self.side(one, key).map(|side| Size { height: side, width: side }),
        }
    }

    fn triple(&self, key: &str) -> Result<[f64; 3], Error> {
        let values: Option<Vec<f64>> = self.get(key)?.as_array().and_then(|a| a.iter().map(Value::as_f64).collect());
        match values.and_then(|v| <[f64; 3]>::try_from(v).ok()) {
            Some(triple) => Ok(triple),
            None => self.refuse(format!("{key} is not three numbers")),
        }
    }
}
