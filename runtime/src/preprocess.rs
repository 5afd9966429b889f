//! From any RGB image to the base's input: resize, centre crop, rescale, normalise.
//!
//! The same code prepares images for training and for classification. Resizing equals the
//! `Image.resize` of Pillow 2.7 to 12 to one grey level. Pillow 13 resizes columns first where that
//! is cheaper, so hard edges differ there. Sizes and crops are those of transformers' image
//! processors or, on request, of torchvision.
//!
//! Refused:
//!
//! - sizes of zero or over [`MAX_SIDE`],
//! - a crop that is larger than the resized image, or a small part of it,
//! - an image so elongated that its resized form is over [`MAX_RESIZED_PIXELS`],
//! - numbers that no base was trained with: a `rescale` that is not above zero, deviations that
//!   make all pixels alike or endless.

use crate::Error;
use crate::image::{RgbImage8, RgbView};

mod resample;
mod settings;

use resample::{centre, padded, resize};
pub use settings::{CropOffset, Filter, MAX_SIDE, Preprocessing, Resize, Size};

/// The largest image between resize and crop, in pixels: 200 MB as RGB.
pub const MAX_RESIZED_PIXELS: u64 = 1 << 26;

impl Preprocessing {
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
}

#[cfg(test)]
mod tests;
