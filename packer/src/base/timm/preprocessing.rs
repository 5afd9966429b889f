//! How timm prepares images: what `resolve_data_config` and `transforms_imagenet_eval` (timm/data)
//! make of the configuration.

use medforge_runtime::preprocess::{CropOffset, Filter, Preprocessing, Resize, Size};
use serde_json::{Value, json};

use super::super::file::File;
use super::super::vit_config::{MAX_IMAGE_SIZE, VitConfig};
use crate::Error;

/// How images are prepared for the network `config`.
pub fn preprocessing(file: &File, config: &VitConfig) -> Result<Preprocessing, Error> {
    let settings = &settings(file)?;
    let side = side(file, settings, config)?;
    let filter = filter(file, settings)?;
    let Crop { share: crop, .. } = crop(file)?;
    let edge = (f64::from(side) / crop).floor();
    if !(edge >= f64::from(side) && edge <= 2.0 * MAX_IMAGE_SIZE as f64) {
        return file.refuse(format!(
            "crop_pct {crop} is out of range; packer crops images, and adds no border"
        ));
    }
    let edge = edge as u32;
    let resize = match text(settings, "crop_mode", "center")? {
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
    file.usable(preprocessing)
}

/// What of an image is seen, and whether the file says so.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Crop {
    /// The share of the shorter side.
    pub share: f64,
    pub said: bool,
}

/// `crop_pct`, or timm's 0.875 where the file does not say.
pub fn crop(file: &File) -> Result<Crop, Error> {
    match settings(file)?.number("crop_pct", 0.0)? {
        0.0 => Ok(Crop { share: 0.875, said: false }),
        share => Ok(Crop { share, said: true }),
    }
}

/// The object with the settings: older files have them beside the architecture.
fn settings(file: &File) -> Result<File, Error> {
    if file.has("pretrained_cfg") {
        return file.part("pretrained_cfg");
    }
    Ok(File { path: file.path.clone(), object: file.object.clone() })
}

/// Side of the images in pixels: `input_size`, for which a table of another size is interpolated,
/// as timm does it.
fn side(file: &File, settings: &File, config: &VitConfig) -> Result<u32, Error> {
    let own = config.image_size;
    let given = settings.object.get("input_size").filter(|value| !value.is_null());
    let side = match given.map(|value| (value, value.as_array().map(Vec::as_slice))) {
        None if own == 224 => own,
        None => {
            return file.refuse(format!(
                "has no input_size, and the base is for {own} x {own} pixels, not 224"
            ));
        }
        Some((value, Some([channels, height, width])))
            if *channels == 3 && height == width && height.is_u64() =>
        {
            let side = value[1].as_u64().map_or(usize::MAX, |side| side as usize);
            if side == 0 || !side.is_multiple_of(config.patch) || side > MAX_IMAGE_SIZE {
                return file.refuse(format!(
                    "input_size is {value}, which patches of {} pixels do not fill, or it is \
                     above {MAX_IMAGE_SIZE}",
                    config.patch
                ));
            }
            side
        }
        Some((value, _)) => {
            return file.refuse(format!("input_size is {value}; packer reads square RGB images"));
        }
    };
    let arguments = file.part("model_args")?;
    let img_size = arguments.object.get("img_size").filter(|value| !value.is_null());
    let fits = |value: &Value| {
        [own, side].iter().any(|side| *value == json!([side, side]) || *value == json!(side))
    };
    match img_size.filter(|value| !fits(value)) {
        Some(value) => file.refuse(format!(
            "img_size is {value}, but the base is for {own} x {own} pixels, and its images are \
             {side} x {side}"
        )),
        None => Ok(side as u32),
    }
}

fn filter(file: &File, settings: &File) -> Result<Filter, Error> {
    match text(settings, "interpolation", "bicubic")? {
        "nearest" => Ok(Filter::Nearest),
        "bilinear" => Ok(Filter::Bilinear),
        "bicubic" => Ok(Filter::Bicubic),
        "lanczos" => Ok(Filter::Lanczos),
        "box" => Ok(Filter::Box),
        "hamming" => Ok(Filter::Hamming),
        other => file.refuse(format!("interpolation {other:?} is not one of Pillow's filters")),
    }
}

/// The text under `key`; the default where there is none, or an empty one.
fn text<'a>(settings: &'a File, key: &str, default: &'a str) -> Result<&'a str, Error> {
    match settings.has(key).then(|| settings.text(key)).transpose()? {
        None | Some("") => Ok(default),
        Some(text) => Ok(text),
    }
}
