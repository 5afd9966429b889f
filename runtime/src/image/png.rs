//! PNG files of up to 8 bits a channel, by the crate `png`. Texts and colour profiles are passed
//! over: they would be inflated, and nothing here shows them.
//!
//! Refused: 16 bits a channel, sides that the file's bytes cannot fill, checksums that do not fit.

use std::io::Cursor;

use png::{BitDepth, ColorType, Decoder, Limits, Transformations};

use super::rgb::{MAX_PIXELS, RgbImage8};
use crate::Error;

/// What a PNG begins with.
const MAGIC: &[u8] = b"\x89PNG\r\n\x1a\n";
/// The most bytes that one byte of Deflate makes.
pub(super) const DEFLATE: u64 = 1032;

/// Whether `bytes` begin as a PNG file does.
pub(super) fn is_png(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// A file whose header says that it can be read.
pub(super) struct Picture<'a> {
    decoder: Decoder<Cursor<&'a [u8]>>,
    file: &'a str,
    /// Width and height in pixels.
    pub size: (u32, u32),
}

impl<'a> Picture<'a> {
    /// Reads the header of `bytes`; `file` is what errors call it.
    pub fn open(bytes: &'a [u8], file: &'a str) -> Result<Self, Error> {
        let refuse = |what: String| Err(Error::Image { file: file.to_owned(), what });
        let mut decoder =
            Decoder::new_with_limits(Cursor::new(bytes), Limits { bytes: MAX_PIXELS as usize * 8 });
        decoder.set_ignore_text_chunk(true);
        decoder.set_ignore_iccp_chunk(true);
        decoder.ignore_checksums(false);
        decoder.set_transformations(Transformations::EXPAND);
        let info = decoder.read_header_info().map_err(|error| undecodable(file, error))?;
        let size @ (width, height) = info.size();
        if u64::from(width) * u64::from(height) > MAX_PIXELS {
            return refuse(format!(
                "{width} x {height} is more than {MAX_PIXELS} pixels; cut or scale the image"
            ));
        }
        if info.bit_depth == BitDepth::Sixteen {
            return refuse(
                "16 bits a channel are not read; window the image to 8 bits first".into(),
            );
        }
        let row = (u64::from(width) * info.bits_per_pixel() as u64).div_ceil(8);
        if row * u64::from(height) > bytes.len() as u64 * DEFLATE {
            let length = bytes.len();
            return refuse(format!(
                "{length} bytes cannot hold {width} x {height} pixels; fetch the image again"
            ));
        }
        Ok(Picture { decoder, file, size })
    }

    /// The pixels.
    pub fn decode(self) -> Result<RgbImage8, Error> {
        let undecodable = |error| undecodable(self.file, error);
        let mut reader = self.decoder.read_info().map_err(undecodable)?;
        let length = reader.output_buffer_size().unwrap_or(usize::MAX);
        let mut data = Vec::new();
        if data.try_reserve_exact(length).is_err() {
            return Err(Error::Memory { what: format!("the pixels of {}", self.file) });
        }
        data.resize(length, 0);
        reader.next_frame(&mut data).map_err(undecodable)?;
        let rgb = match reader.output_color_type().0 {
            ColorType::Grayscale => data.iter().flat_map(|grey| [*grey; 3]).collect(),
            ColorType::GrayscaleAlpha => {
                data.as_chunks::<2>().0.iter().flat_map(|pixel| [pixel[0]; 3]).collect()
            }
            ColorType::Rgba => data
                .as_chunks::<4>()
                .0
                .iter()
                .flat_map(|pixel| [pixel[0], pixel[1], pixel[2]])
                .collect(),
            // A palette is expanded.
            ColorType::Rgb | ColorType::Indexed => data,
        };
        let (width, height) = self.size;
        RgbImage8::new(rgb, width, height)
    }
}

fn undecodable(file: &str, error: png::DecodingError) -> Error {
    Error::Image { file: file.to_owned(), what: format!("the image does not decode ({error})") }
}
