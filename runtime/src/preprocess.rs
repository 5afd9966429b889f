//! From any RGB image to the base's input: resize, centre crop, rescale, normalise.
//!
//! The same code prepares images for training and for classification. Resizing equals the
//! `Image.resize` of Pillow 2.7 to 12 to one grey level, sizes and crops are those of transformers'
//! image processors or, on request, of torchvision. (Pillow 13 resizes columns first where that is
//! cheaper, which shows where an overshoot at a hard edge is clipped.)
//!
//! Refused: sizes of zero or over [`MAX_SIDE`], a crop larger than the resized image or a small
//! part of it, an image so elongated that its resized form is over [`MAX_RESIZED_PIXELS`], and
//! numbers that no base was trained with: a `rescale` that is not above zero, deviations that make
//! all pixels alike or endless.

use std::cmp::Ordering;
use std::ops::RangeInclusive;

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::image::{RgbImage8, RgbView};

/// The longest side that a base takes, in pixels.
pub const MAX_SIDE: u32 = 4096;
/// The largest image between resize and crop, in pixels: 200 MB as RGB.
pub const MAX_RESIZED_PIXELS: u64 = 1 << 26;

/// How many times longer than what is cut out of it the resized image may be on a side.
const MOST_TIMES_THE_CUT: u32 = 16;
/// Factors from grey levels: 1/65535 and 1 are among them.
const RESCALES: RangeInclusive<f64> = 1e-5..=10.0;
/// Means of pixels after that, of either sign.
const LARGEST_MEAN: f64 = 1e3;
/// Deviations.
const DEVIATIONS: RangeInclusive<f64> = 1e-3..=1e3;

/// What is done to an image before the base sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocessing {
    /// The size that the whole image is brought to.
    pub resize: Resize,
    /// How pixels are interpolated.
    pub filter: Filter,
    /// The part that is cut from the centre, if not all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crop: Option<Size>,
    /// Where the crop begins if the margin is odd.
    #[serde(default, skip_serializing_if = "CropOffset::is_floor")]
    pub crop_offset: CropOffset,
    /// The factor from 0..=255 to the range of `mean` and `std`, usually 1/255.
    pub rescale: f64,
    /// Subtracted from R, G, B after rescaling.
    pub mean: [f64; 3],
    /// R, G, B are divided by this last.
    pub std: [f64; 3],
}

/// The size that the whole image is brought to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resize {
    /// The shorter side becomes this long, the other `floor(edge * long / short)`; needs a crop.
    ShortestEdge(u32),
    /// This size, whatever the image's proportions.
    Exact(Size),
    /// The largest that fits into this size in the image's proportions, centred on black: Pillow's
    /// `ImageOps.pad`.
    Pad(Size),
}

/// How half of an odd margin is rounded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CropOffset {
    /// Down, as transformers' `center_crop` does.
    #[default]
    Floor,
    /// To the even number, as torchvision's `CenterCrop` does.
    Even,
}

impl CropOffset {
    fn is_floor(&self) -> bool {
        *self == CropOffset::Floor
    }

    /// What is left away before the crop, of a margin on both sides together.
    fn of(self, margin: u32) -> u32 {
        match self {
            CropOffset::Floor => margin / 2,
            CropOffset::Even => margin / 2 + u32::from(margin % 4 == 3),
        }
    }
}

/// Height and width in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Size {
    /// Rows.
    pub height: u32,
    /// Columns.
    pub width: u32,
}

/// Pillow's resampling filters. All but `Nearest` widen with the factor when they shrink an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Filter {
    /// The nearest pixel.
    Nearest,
    /// A triangle, support 1.
    Bilinear,
    /// Catmull-Rom (a = -0.5), support 2.
    Bicubic,
    /// A sinc windowed by a sinc, support 3.
    Lanczos,
    /// The mean of the pixels under the target.
    Box,
    /// A sinc windowed by Hamming's window, support 1.
    Hamming,
}

impl Preprocessing {
    /// Whether every number can be used.
    ///
    /// # Errors
    /// [`Error::Preprocessing`] naming the number.
    pub fn check(&self) -> Result<(), Error> {
        let refuse = |what: String| Err(Error::Preprocessing { what });
        let resized = self.resized_to(1, 1);
        let output = self.output_size();
        for Size { height, width } in [resized, output] {
            if height == 0 || width == 0 || height > MAX_SIDE || width > MAX_SIDE {
                return refuse(format!(
                    "{height} x {width} is not between 1 and {MAX_SIDE} pixels a side"
                ));
            }
        }
        if output.height > resized.height || output.width > resized.width {
            return refuse("the crop is larger than the resized image".into());
        }
        if self.crop.is_none() && matches!(self.resize, Resize::ShortestEdge(_)) {
            return refuse(
                "resizing by the shortest edge needs a crop, or images of other proportions do not \
                 fit".into(),
            );
        }
        if resized.height > output.height * MOST_TIMES_THE_CUT
            || resized.width > output.width * MOST_TIMES_THE_CUT
        {
            return refuse(format!(
                "the resized image is more than {MOST_TIMES_THE_CUT} times longer than what is cut \
                 out of it"
            ));
        }
        let between = |what: &str, range: RangeInclusive<f64>| {
            refuse(format!("{what} must be between {} and {}", range.start(), range.end()))
        };
        if !RESCALES.contains(&self.rescale) {
            return between("rescale", RESCALES);
        }
        if self.mean.iter().any(|mean| !(-LARGEST_MEAN..=LARGEST_MEAN).contains(mean)) {
            return between("mean", -LARGEST_MEAN..=LARGEST_MEAN);
        }
        if self.std.iter().all(|std| DEVIATIONS.contains(std)) {
            Ok(())
        } else {
            between("std", DEVIATIONS)
        }
    }

    /// The size of the base's input.
    pub fn output_size(&self) -> Size {
        self.crop.unwrap_or(self.resized_to(1, 1))
    }

    /// The image after resize and centre crop.
    ///
    /// # Errors
    /// [`Error::Preprocessing`] as [`check`](Self::check), and [`Error::Pixels`] if the image is
    /// too elongated.
    pub fn resized(&self, rgb: &RgbView) -> Result<RgbImage8, Error> {
        self.check()?;
        let size = self.scaled_to(rgb.height(), rgb.width());
        let tallest = size.height.max(rgb.height());
        if u64::from(tallest) * u64::from(size.width) > MAX_RESIZED_PIXELS {
            return Err(Error::Pixels {
                what: format!(
                    "an image of {} x {} is too elongated to be resized; cut it",
                    rgb.width(),
                    rgb.height()
                ),
            });
        }
        let mut whole = resize(rgb, size, self.filter)?;
        let canvas = self.resized_to(rgb.height(), rgb.width());
        if canvas != size {
            whole = padded(&whole, canvas)?;
        }
        match self.crop {
            Some(crop) if crop != canvas => centre(&whole, crop, self.crop_offset),
            _ => Ok(whole),
        }
    }

    /// The part of an image of this size that the base sees, in its pixels: left, top, width,
    /// height. With black beside the image it begins before 0 and is longer than the image.
    pub fn seen(&self, width: u32, height: u32) -> [f64; 4] {
        let whole = self.resized_to(height, width);
        let image = self.scaled_to(height, width);
        let part = self.crop.unwrap_or(whole);
        let side = |original: u32, image: u32, whole: u32, part: u32| {
            let scale = f64::from(original) / f64::from(image);
            let cut = f64::from(self.crop_offset.of(whole.saturating_sub(part)));
            (
                (cut - f64::from(CropOffset::Even.of(whole - image.min(whole)))) * scale,
                f64::from(part) * scale,
            )
        };
        let (left, width) = side(width, image.width, whole.width, part.width);
        let (top, height) = side(height, image.height, whole.height, part.height);
        [left, top, width, height]
    }

    /// The share of an image's area that the base does not see, 0 to 1.
    pub fn share_cut(&self, width: u32, height: u32) -> f64 {
        let [left, top, seen_width, seen_height] = self.seen(width, height);
        let share = |from: f64, length: f64, side: u32| {
            ((from + length).min(side.into()) - from.max(0.0)).max(0.0) / f64::from(side)
        };
        1.0 - share(left, seen_width, width) * share(top, seen_height, height)
    }

    /// Rescales and normalises `image` into `out`: planes R, G, B of height x width values each.
    ///
    /// # Errors
    /// [`Error::Pixels`] if `out` is not three planes of the image's size.
    pub fn normalise(&self, image: &RgbImage8, out: &mut [f32]) -> Result<(), Error> {
        if out.len() != image.data().len() {
            return Err(Error::Pixels {
                what: format!(
                    "{} values do not hold {} x {} RGB pixels",
                    out.len(),
                    image.width(),
                    image.height()
                ),
            });
        }
        let plane = out.len() / 3;
        for (channel, values) in out.chunks_exact_mut(plane).enumerate() {
            let table: [f32; 256] = std::array::from_fn(|level| {
                ((level as f64 * self.rescale - self.mean[channel]) / self.std[channel]) as f32
            });
            for (value, pixel) in values.iter_mut().zip(image.data().chunks_exact(3)) {
                *value = table[usize::from(pixel[channel])];
            }
        }
        Ok(())
    }

    /// [`resized`](Self::resized), then [`normalise`](Self::normalise).
    ///
    /// # Errors
    /// As these two.
    pub fn apply(&self, rgb: &RgbView, out: &mut [f32]) -> Result<(), Error> {
        self.normalise(&self.resized(rgb)?, out)
    }

    /// The size that an image of this size is scaled to; [`resized_to`](Self::resized_to) has the
    /// black around it too.
    fn scaled_to(&self, height: u32, width: u32) -> Size {
        let Resize::Pad(size) = self.resize else { return self.resized_to(height, width) };
        // As Pillow's `ImageOps.contain` has it, in 64 bits, halves to the even number.
        let (own, asked) = [(width, height), (size.width, size.height)]
            .map(|(w, h)| f64::from(w) / f64::from(h))
            .into();
        let fit = |other: u32, side: u32, to: u32| {
            ((f64::from(other) / f64::from(side) * f64::from(to)).round_ties_even() as u32).max(1)
        };
        match own.total_cmp(&asked) {
            Ordering::Equal => size,
            Ordering::Greater => {
                Size { height: fit(height, width, size.width).min(size.height), ..size }
            }
            Ordering::Less => {
                Size { width: fit(width, height, size.height).min(size.width), ..size }
            }
        }
    }

    /// The size before the crop of an image of this size.
    fn resized_to(&self, height: u32, width: u32) -> Size {
        match self.resize {
            Resize::Exact(size) | Resize::Pad(size) => size,
            Resize::ShortestEdge(edge) => {
                let long = |long: u32, short: u32| {
                    u32::try_from(u64::from(edge) * u64::from(long) / u64::from(short))
                        .unwrap_or(u32::MAX)
                };
                if width <= height {
                    Size { height: long(height, width), width: edge }
                } else {
                    Size { height: edge, width: long(width, height) }
                }
            }
        }
    }
}

/// Rows first, then columns, each rounded and clipped to 8 bits: Pillow's order, without which
/// sharp edges differ.
fn resize(rgb: &RgbView, size: Size, filter: Filter) -> Result<RgbImage8, Error> {
    let algorithm = match filter {
        Filter::Nearest => ResizeAlg::Nearest,
        Filter::Bilinear => ResizeAlg::Convolution(FilterType::Bilinear),
        Filter::Bicubic => ResizeAlg::Convolution(FilterType::CatmullRom),
        Filter::Lanczos => ResizeAlg::Convolution(FilterType::Lanczos3),
        Filter::Box => ResizeAlg::Convolution(FilterType::Box),
        Filter::Hamming => ResizeAlg::Convolution(FilterType::Hamming),
    };
    let options = ResizeOptions::new().resize_alg(algorithm);
    let refuse = |what: String| Error::Pixels { what };
    let packed = rgb.rows().collect::<Vec<_>>().concat();
    let source = ImageRef::new(rgb.width(), rgb.height(), &packed, PixelType::U8x3)
        .map_err(|error| refuse(error.to_string()))?;
    let mut resizer = Resizer::new();
    let mut rows = Image::new(size.width, rgb.height(), PixelType::U8x3);
    resizer.resize(&source, &mut rows, &options).map_err(|error| refuse(error.to_string()))?;
    let mut both = Image::new(size.width, size.height, PixelType::U8x3);
    resizer.resize(&rows, &mut both, &options).map_err(|error| refuse(error.to_string()))?;
    RgbImage8::new(both.into_vec(), size.width, size.height)
}

/// The image in the centre of black.
fn padded(image: &RgbImage8, size: Size) -> Result<RgbImage8, Error> {
    let top = CropOffset::Even.of(size.height - image.height()) as usize;
    let left = CropOffset::Even.of(size.width - image.width()) as usize;
    let row = size.width as usize * 3;
    let mut data = vec![0; row * size.height as usize];
    for (to, from) in data.chunks_exact_mut(row).skip(top).zip(image.view().rows()) {
        to[left * 3..][..from.len()].copy_from_slice(from);
    }
    RgbImage8::new(data, size.width, size.height)
}

/// The central part.
fn centre(image: &RgbImage8, size: Size, offset: CropOffset) -> Result<RgbImage8, Error> {
    let top = offset.of(image.height() - size.height) as usize;
    let left = offset.of(image.width() - size.width) as usize;
    let row = size.width as usize * 3;
    let view = image.view();
    let rows = view.rows().skip(top).take(size.height as usize);
    let data = rows.map(|pixels| &pixels[left * 3..][..row]).collect::<Vec<_>>().concat();
    RgbImage8::new(data, size.width, size.height)
}

#[cfg(test)]
mod tests;
