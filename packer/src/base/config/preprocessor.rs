//! `preprocessor_config.json`: how images are resized, cropped and normalised. Refused: image
//! processors of other classes, and settings that leave images of many sizes. `crop_offset` and
//! `pad` are packer's own keys: transformers ignores them, crops at most one pixel elsewhere, and
//! squeezes what is padded here.

use medforge_runtime::preprocess::{CropOffset, Filter, Preprocessing, Resize};
use serde_json::Value;

use super::file::File;
use crate::Error;

/// Pillow's numbers for its filters (PIL.Image.Resampling).
pub(super) const FILTERS: [Filter; 6] = [
    Filter::Nearest,
    Filter::Lanczos,
    Filter::Bilinear,
    Filter::Bicubic,
    Filter::Box,
    Filter::Hamming,
];

/// What CLIPImageProcessor normalises with where its file does not say (transformers,
/// `OPENAI_CLIP_MEAN`, `OPENAI_CLIP_STD`).
const CLIP_MEAN: [f64; 3] = [0.48145466, 0.4578275, 0.40821073];
const CLIP_STD: [f64; 3] = [0.26862954, 0.26130258, 0.27577711];

pub(super) fn preprocessing(file: &File) -> Result<Preprocessing, Error> {
    if !file.flag("do_resize", true)? {
        return file.refuse("do_resize is false; packer needs images of one size".into());
    }
    // What is left out, and what a bare number means, depends on the class: BitImageProcessor
    // (DINOv2) and CLIPImageProcessor resize the shortest edge and crop the centre.
    let kind = ["image_processor_type", "feature_extractor_type"].iter().find(|key| file.has(key));
    let (crops, clip) = match kind.map(|key| file.text(key)).transpose()? {
        None => (false, false),
        Some(name) => match name.trim_end_matches("Fast").trim_end_matches("Pil") {
            "BitImageProcessor" => (true, false),
            "CLIPImageProcessor" | "CLIPFeatureExtractor" => (true, true),
            "ViTImageProcessor" | "ViTFeatureExtractor" => (false, false),
            _ => {
                let read = "BitImageProcessor, CLIPImageProcessor and ViTImageProcessor";
                return file.refuse(format!("{name} is not read; packer reads {read}"));
            }
        },
    };
    let side = Value::from(224);
    let [size, crop_size] = ["size", "crop_size"].map(|key| match file.object.get(key) {
        None | Some(Value::Null) if clip => Ok(&side),
        _ => file.get(key),
    });
    let resize = match size? {
        Value::Object(size) if size.contains_key("longest_edge") => {
            return file.refuse(
                "size.longest_edge is not read; packer reads shortest_edge, or height and width"
                    .into(),
            );
        }
        Value::Object(size) if size.contains_key("shortest_edge") => {
            Resize::ShortestEdge(file.side(&size["shortest_edge"], "size.shortest_edge")?)
        }
        number if crops && number.is_number() => Resize::ShortestEdge(file.side(number, "size")?),
        other if file.flag("pad", false)? => Resize::Pad(file.sides(other, "size")?),
        other => Resize::Exact(file.sides(other, "size")?),
    };
    let crop = if file.flag("do_center_crop", crops)? {
        Some(file.sides(crop_size?, "crop_size")?)
    } else {
        None
    };
    if matches!(resize, Resize::ShortestEdge(_)) && crop.is_none() {
        return file
            .refuse("size.shortest_edge without do_center_crop gives images of many sizes".into());
    }
    let filter = match file.has("resample") {
        true => FILTERS.get(file.index("resample")?).copied(),
        false if crops => Some(Filter::Bicubic),
        false => Some(Filter::Bilinear),
    };
    let Some(filter) = filter else {
        return file.refuse("resample is not one of Pillow's filters (0 to 5)".into());
    };
    let normalised = file.flag("do_normalize", true)?;
    let preprocessing = Preprocessing {
        resize,
        filter,
        crop,
        crop_offset: match if file.has("crop_offset") { file.text("crop_offset")? } else { "floor" }
        {
            "floor" => CropOffset::Floor,
            "even" => CropOffset::Even,
            other => {
                return file.refuse(format!(
                    "crop_offset {other:?} is not read; packer reads floor and even"
                ));
            }
        },
        rescale: if file.flag("do_rescale", true)? {
            file.number("rescale_factor", 1.0 / 255.0)?
        } else {
            1.0
        },
        mean: match normalised {
            true if clip && !file.has("image_mean") => CLIP_MEAN,
            true => file.triple("image_mean")?,
            false => [0.0; 3],
        },
        std: match normalised {
            true if clip && !file.has("image_std") => CLIP_STD,
            true => file.triple("image_std")?,
            false => [1.0; 3],
        },
    };
    preprocessing
        .check()
        .map_err(|e| Error::Config { path: file.path.clone(), what: e.to_string() })?;
    Ok(preprocessing)
}
