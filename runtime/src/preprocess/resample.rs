//! Images resized, padded and cut.

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};

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
    // Images of one type, the same for both steps: code is compiled for each pair of types.
    let mut resizer = Resizer::new();
    let mut step = |source: &[u8], [from, to]: [Size; 2]| {
        let mut bytes = vec![0; 3 * to.width as usize * to.height as usize];
        let source = TypedImageRef::<U8x3>::from_buffer(from.width, from.height, source)
            .map_err(|error| refuse(error.to_string()))?;
        let mut image = TypedImage::<U8x3>::from_buffer(to.width, to.height, &mut bytes)
            .map_err(|error| refuse(error.to_string()))?;
        resizer
            .resize_typed(&source, &mut image, &options)
            .map_err(|error| refuse(error.to_string()))?;
        Ok::<_, Error>(bytes)
    };
    let own = Size { width: rgb.width(), height: rgb.height() };
    let rows = Size { width: size.width, height: own.height };
    let packed = step(&packed, [own, rows])?;
    RgbImage8::new(step(&packed, [rows, size])?, size.width, size.height)
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
