//! RGB pixels as PNG files.

use png::{BitDepth, ColorType, Encoder, EncodingError, Filter};

pub use png::Compression;

/// The file of `rgb`, `height` rows of `width` times red, green and blue.
///
/// # Errors
/// What the encoder refuses: an image without pixels, or bytes that do not fill it.
pub fn encode(
    rgb: &[u8],
    width: u32,
    height: u32,
    compression: Compression,
) -> Result<Vec<u8>, EncodingError> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, width, height);
    encoder.set_color(ColorType::Rgb);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_compression(compression);
    encoder.set_filter(Filter::Adaptive);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(rgb)?;
    writer.finish()?;
    Ok(bytes)
}
