//! What is done to an image before the base sees it, in numbers: which can be used, and which sizes
//! they make.

use std::cmp::Ordering;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::Error;

/// The longest side that a base takes, in pixels.
pub const MAX_SIDE: u32 = 4096;

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

    /// The size that an image of this size is scaled to; [`resized_to`](Self::resized_to) has the
    /// black around it too.
    pub(super) fn scaled_to(&self, height: u32, width: u32) -> Size {
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
    pub(super) fn resized_to(&self, height: u32, width: u32) -> Size {
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

impl CropOffset {
    fn is_floor(&self) -> bool {
        *self == CropOffset::Floor
    }

    /// What is left away before the crop, of a margin on both sides together.
    pub(super) fn of(self, margin: u32) -> u32 {
        match self {
            CropOffset::Floor => margin / 2,
            CropOffset::Even => margin / 2 + u32::from(margin % 4 == 3),
        }
    }
}
