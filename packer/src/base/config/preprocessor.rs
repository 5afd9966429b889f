//! `preprocessor_config.json`: how images are resized, cropped and normalised.
//!
//! `crop_offset` and `pad` are packer's own keys. transformers ignores them: it crops at most one
//! pixel elsewhere, and squeezes what is padded here. Refused: image processors of other classes,
//! and settings that leave images of many sizes.
//!
//! `DINOv3ViTImageProcessor` resizes values between 0 and 1, and rounds nothing. Here, as on every
//! device, pixels of 8 bits are resized, which rounds after each of both directions. The weights of
//! its bilinear filter are positive, so values are at most one grey level from its own.

use std::io::ErrorKind;
use std::path::Path;

use medforge_runtime::preprocess::{CropOffset, Filter, Preprocessing, Resize, Size};
use serde_json::{Value, json};

use super::super::file::File;
use super::super::vit_config::Family;
use crate::Error;

/// How images are prepared, from the bytes of `preprocessor_config.json` of `dir`.
pub fn parse(dir: &Path, bytes: &[u8]) -> Result<Preprocessing, Error> {
    preprocessing(&File::parse(dir.join("preprocessor_config.json"), bytes)?)
}

/// How images are prepared, of a folder's files by name: `preprocessor_config.json`, or
/// `image_processor` in the `processor_config.json` that transformers 5 writes for a CLIP. Two that
/// differ are refused: versions of transformers differ in which they take.
pub fn of_folder(
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

/// `preprocessor_config.json` of a base of this family, as Hugging Face writes it.
pub fn write(family: Family, preprocessing: &Preprocessing) -> Vec<u8> {
    let size = match preprocessing.resize {
        Resize::ShortestEdge(edge) => json!({ "shortest_edge": edge }),
        Resize::Exact(Size { height, width }) | Resize::Pad(Size { height, width }) => {
            json!({ "height": height, "width": width })
        }
    };
    let mut processor = json!({
        "image_processor_type": (family.form().processor)(preprocessing),
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
    serde_json::to_vec_pretty(&processor).expect("a JSON value can be written")
}

/// What is left out, and what a bare number means, depends on the class of image processor.
#[derive(Clone, Copy)]
struct Defaults {
    /// Whether it resizes the shortest edge and crops the centre: BitImageProcessor (DINOv2) and
    /// CLIPImageProcessor.
    crops: bool,
    filter: Filter,
    /// Mean and deviation, of a class that has defaults for everything, such as sides of 224.
    normalisation: Option<[[f64; 3]; 2]>,
}

fn preprocessing(file: &File) -> Result<Preprocessing, Error> {
    if !file.flag("do_resize", true)? {
        return file.refuse("do_resize is false; packer needs images of one size".into());
    }
    let defaults = defaults(file)?;
    let (resize, crop) = sizes(file, defaults)?;
    let filter = if file.has("resample") {
        FILTERS.get(file.index("resample")?).copied()
    } else {
        Some(defaults.filter)
    };
    let Some(filter) = filter else {
        return file.refuse("resample is not one of Pillow's filters (0 to 5)".into());
    };
    let normalised = file.flag("do_normalize", true)?;
    let triple = |key: &str, which: usize| match defaults.normalisation {
        _ if !normalised => Ok([which as f64; 3]),
        Some(known) if !file.has(key) => Ok(known[which]),
        _ => file.triple(key),
    };
    let rescale = if file.flag("do_rescale", true)? {
        file.number("rescale_factor", 1.0 / 255.0)?
    } else {
        1.0
    };
    let preprocessing = Preprocessing {
        resize,
        filter,
        crop,
        crop_offset: crop_offset(file)?,
        rescale,
        mean: triple("image_mean", 0)?,
        std: triple("image_std", 1)?,
    };
    file.usable(preprocessing)
}

fn defaults(file: &File) -> Result<Defaults, Error> {
    let defaults = |crops, filter, normalisation| Defaults { crops, filter, normalisation };
    let mut kinds = ["image_processor_type", "feature_extractor_type"].iter();
    let Some(key) = kinds.find(|key| file.has(key)) else {
        return Ok(defaults(false, Filter::Bilinear, None));
    };
    let name = file.text(key)?;
    match name.trim_end_matches("Fast").trim_end_matches("Pil") {
        "BitImageProcessor" => Ok(defaults(true, Filter::Bicubic, None)),
        "CLIPImageProcessor" | "CLIPFeatureExtractor" => {
            Ok(defaults(true, Filter::Bicubic, Some(CLIP)))
        }
        "DINOv3ViTImageProcessor" => Ok(defaults(false, Filter::Bilinear, Some(IMAGENET))),
        "SiglipImageProcessor" => Ok(defaults(false, Filter::Bicubic, Some([[0.5; 3]; 2]))),
        "ViTImageProcessor" | "ViTFeatureExtractor" => Ok(defaults(false, Filter::Bilinear, None)),
        _ => {
            let read = "BitImageProcessor, CLIPImageProcessor, DINOv3ViTImageProcessor, \
                        SiglipImageProcessor and ViTImageProcessor";
            file.refuse(format!("{name} is not read; packer reads {read}"))
        }
    }
}

/// To which size images are brought, and what is cut out of that.
fn sizes(file: &File, defaults: Defaults) -> Result<(Resize, Option<Size>), Error> {
    let side = Value::from(224);
    let value = |key: &str| match file.object.get(key) {
        None | Some(Value::Null) if defaults.normalisation.is_some() => Ok(&side),
        _ => file.get(key),
    };
    let resize = match value("size")? {
        Value::Object(size) if size.contains_key("longest_edge") => {
            return file.refuse(
                "size.longest_edge is not read; packer reads shortest_edge, or height and width"
                    .into(),
            );
        }
        Value::Object(size) if size.contains_key("shortest_edge") => {
            Resize::ShortestEdge(file.side(&size["shortest_edge"], "size.shortest_edge")?)
        }
        number if defaults.crops && number.is_number() => {
            Resize::ShortestEdge(file.side(number, "size")?)
        }
        other if file.flag("pad", false)? => Resize::Pad(file.sides(other, "size")?),
        other => Resize::Exact(file.sides(other, "size")?),
    };
    let crop = if file.flag("do_center_crop", defaults.crops)? {
        Some(file.sides(value("crop_size")?, "crop_size")?)
    } else {
        None
    };
    if matches!(resize, Resize::ShortestEdge(_)) && crop.is_none() {
        return file
            .refuse("size.shortest_edge without do_center_crop gives images of many sizes".into());
    }
    Ok((resize, crop))
}

fn crop_offset(file: &File) -> Result<CropOffset, Error> {
    match if file.has("crop_offset") { file.text("crop_offset")? } else { "floor" } {
        "floor" => Ok(CropOffset::Floor),
        "even" => Ok(CropOffset::Even),
        other => {
            file.refuse(format!("crop_offset {other:?} is not read; packer reads floor and even"))
        }
    }
}

/// Pillow's numbers for its filters (PIL.Image.Resampling).
const FILTERS: [Filter; 6] = [
    Filter::Nearest,
    Filter::Lanczos,
    Filter::Bilinear,
    Filter::Bicubic,
    Filter::Box,
    Filter::Hamming,
];

/// Mean and deviation of CLIP's images (transformers, `OPENAI_CLIP_MEAN`, `OPENAI_CLIP_STD`).
pub const CLIP: [[f64; 3]; 2] =
    [[0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]];

/// Mean and deviation of ImageNet's (transformers, `IMAGENET_DEFAULT_MEAN`, `_STD`).
pub const IMAGENET: [[f64; 3]; 2] = [[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]];
