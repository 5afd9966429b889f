//! TIFF files of one page of 8-bit grey or RGB pixels, as they are or packed without loss
//! (PackBits, LZW, Deflate).
//!
//! Refused, by name: several pages, samples of other than 8 bits, signed or floating, palettes,
//! CMYK and other colours, JPEG inside, planes apart, premultiplied or unknown extra samples,
//! pixels turned by a tag, strips that overlap.

use std::io::Cursor;

use tiff::decoder::{Decoder, DecodingResult, Limits};
use tiff::tags::Tag;

use super::{MAX_PIXELS, RgbImage8};
use crate::Error;

/// The first bytes of TIFF and BigTIFF files, in either order of bytes.
const MAGIC: [&[u8; 4]; 4] = [b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"];
/// Of each value in a page's directory, in bytes.
const MAX_VALUE: usize = 1 << 20;

/// Whether `bytes` begin as a TIFF file does.
pub(super) fn is_tiff(bytes: &[u8]) -> bool {
    MAGIC.iter().any(|magic| bytes.starts_with(*magic))
}

/// A file whose header says that it can be read.
pub(super) struct Page<'a> {
    decoder: Decoder<Cursor<&'a [u8]>>,
    file: &'a str,
    /// Width and height in pixels.
    pub size: (u32, u32),
    samples: usize,
}

impl<'a> Page<'a> {
    /// Reads the header of `bytes`; `file` is what errors call it.
    pub fn open(bytes: &'a [u8], file: &'a str) -> Result<Self, Error> {
        let refuse = |what: String| Err(Error::Image { file: file.to_owned(), what });
        let undecodable = |error| undecodable(file, error);
        let mut decoder = Decoder::new(Cursor::new(bytes)).map_err(undecodable)?;
        let all = MAX_PIXELS as usize * 4;
        let mut limits = Limits::default();
        (limits.decoding_buffer_size, limits.intermediate_buffer_size) = (all, bytes.len());
        limits.ifd_value_size = MAX_VALUE;
        decoder = decoder.with_limits(limits);
        if decoder.more_images() {
            return refuse("it holds several pages; write each to a file of its own".into());
        }
        let mut tag = |tag: Tag, default: u16| match decoder.find_tag_unsigned_vec::<u16>(tag) {
            Ok(values) => Ok(values.filter(|v| !v.is_empty()).unwrap_or_else(|| vec![default])),
            Err(error) => Err(undecodable(error)),
        };
        let photometric = tag(Tag::PhotometricInterpretation, u16::MAX)?[0];
        let colours = match photometric {
            0 | 1 => 1,
            2 => 3,
            _ => {
                let what = match photometric {
                    3 => "a palette of colours is",
                    4 => "a mask of transparency is",
                    5 => "CMYK colours are",
                    6 => "YCbCr colours are",
                    8..=10 => "Lab colours are",
                    _ => "these colours (PhotometricInterpretation) are",
                };
                return refuse(format!("{what} not read; convert the image to RGB"));
            }
        };
        let samples = usize::from(tag(Tag::SamplesPerPixel, 1)?[0]);
        let bits = tag(Tag::BitsPerSample, 1)?;
        if let Some(bits) = bits.iter().find(|bits| **bits != 8) {
            let advice = if *bits < 8 {
                "convert the image to 8 bits"
            } else {
                "window the image to 8 bits first"
            };
            return refuse(format!("{bits} bits a channel are not read; {advice}"));
        }
        if tag(Tag::SampleFormat, 1)?.iter().any(|format| *format != 1) {
            return refuse(
                "signed and floating-point samples are not read; window the image to 8 bits first"
                    .into(),
            );
        }
        match samples.checked_sub(colours) {
            Some(0) => {}
            Some(1) if colours == 3 && tag(Tag::ExtraSamples, 0)? == [2] => {}
            _ => {
                let what = format!(
                    "{samples} samples a pixel that are not plain grey, RGB or RGBA are not read"
                );
                return refuse(format!("{what}; convert the image to RGB"));
            }
        }
        // The most bytes that one byte makes. A code of LZW has 12 bits, and the longest of its
        // 4,096 stand for fewer bytes than there are codes.
        let growth = match tag(Tag::Compression, 1)?[0] {
            1 => 1,
            5 => 4096,
            8 | 32946 => super::png::DEFLATE,
            32773 => 64,
            6 | 7 => {
                return refuse(
                    "JPEG inside of TIFF is not read; save the image as a JPEG or PNG file".into(),
                );
            }
            other => {
                return refuse(format!(
                    "TIFF's compression {other} is not read; save it with LZW, or as PNG"
                ));
            }
        };
        if tag(Tag::PlanarConfiguration, 1)?[0] != 1 && samples > 1 {
            return refuse(
                "planes that lie apart (PlanarConfiguration 2) are not read; save it as PNG".into(),
            );
        }
        if tag(Tag::Orientation, 1)?[0] != 1 || tag(Tag::FillOrder, 1)?[0] != 1 {
            return refuse(
                "pixels or bits in another order (Orientation, FillOrder) are not read; turn the \
                 image"
                    .into(),
            );
        }
        let size = decoder.dimensions().map_err(undecodable)?;
        if u64::from(size.0) * u64::from(size.1) > MAX_PIXELS {
            let (width, height) = size;
            return refuse(format!(
                "{width} x {height} is more than {MAX_PIXELS} pixels; cut or scale the image"
            ));
        }
        // Strips that share bytes would have a small file unpacked again and again.
        let mut stored = 0u64;
        for tag in [Tag::StripByteCounts, Tag::TileByteCounts] {
            let lengths =
                decoder.find_tag_unsigned_vec::<u64>(tag).map_err(undecodable)?.unwrap_or_default();
            stored = lengths.into_iter().fold(stored, u64::saturating_add);
        }
        if stored > bytes.len() as u64 {
            return refuse(
                "the TIFF image is cut off, or its strips overlap; fetch it again".into(),
            );
        }
        let needed = u64::from(size.0) * u64::from(size.1) * samples as u64;
        if needed > stored * growth {
            let (width, height) = size;
            return refuse(format!(
                "{stored} bytes cannot hold {width} x {height} pixels; fetch the image again"
            ));
        }
        Ok(Page { decoder, file, size, samples })
    }

    /// The pixels.
    pub fn decode(mut self) -> Result<RgbImage8, Error> {
        let (width, height) = self.size;
        let data = match self.decoder.read_image().map_err(|error| undecodable(self.file, error))? {
            DecodingResult::U8(data) => data,
            _ => {
                return Err(Error::Image {
                    file: self.file.to_owned(),
                    what: "samples are not of 8 bits".into(),
                });
            }
        };
        let rgb = match self.samples {
            1 => data.iter().flat_map(|grey| [*grey; 3]).collect(),
            3 => data,
            _ => data.chunks_exact(4).flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect(),
        };
        RgbImage8::new(rgb, width, height)
    }
}

fn undecodable(file: &str, error: tiff::TiffError) -> Error {
    Error::Image { file: file.to_owned(), what: format!("the image does not decode ({error})") }
}
