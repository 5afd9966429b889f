//! How timm prepares images: what `resolve_data_config` and `transforms_imagenet_eval` (timm/data)
//! make of the configuration.

use medforge_runtime::preprocess::{CropOffset, Filter, Preprocessing, Resize, Size};
use serde_json::json;

use super::super::file::File;
use super::super::vit_config::MAX_IMAGE_SIZE;
use crate::Error;

/// How images of `image_size` pixels, the position table's own, are prepared.
pub fn preprocessing(file: &File, image_size: usize) -> Result<Preprocessing, Error> {
    // Older files have these settings beside the architecture.
    let part = file.part("pretrained_cfg")?;
    let settings = if file.has("pretrained_cfg") { &part } else { file };
    let side = u32::try_from(image_size).unwrap_or(u32::MAX);
    check_side(file, settings, side)?;
    let filter = filter(file, settings)?;
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

/// Refuses images of another size than the position table is for.
fn check_side(file: &File, settings: &File, side: u32) -> Result<(), Error> {
    let arguments = file.part("model_args")?;
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
    Ok(())
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
