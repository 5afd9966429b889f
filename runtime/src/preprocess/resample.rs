//! Images resized, padded and cut.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

use super::settings::{CropOffset, Filter, Size};
use crate::Error;
use crate::image::{RgbImage8, RgbView};

/// Rows first, then columns, each rounded and clipped to 8 bits: Pillow's order, without which
/// sharp edges differ.
pub(super) fn resize(rgb: &RgbView, size: Size, filter: Filter) -> Result<RgbImage8, Error> {
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
pub(super) fn padded(image: &RgbImage8, size: Size) -> Result<RgbImage8, Error> {
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
pub(super) fn centre(
    image: &RgbImage8,
    size: Size,
    offset: CropOffset,
) -> Result<RgbImage8, Error> {
    let top = offset.of(image.height() - size.height) as usize;
    let left = offset.of(image.width() - size.width) as usize;
    let row = size.width as usize * 3;
    let view = image.view();
    let rows = view.rows().skip(top).take(size.height as usize);
    let data = rows.map(|pixels| &pixels[left * 3..][..row]).collect::<Vec<_>>().concat();
    RgbImage8::new(data, size.width, size.height)
}
