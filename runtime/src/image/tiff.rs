//! TIFF files of one page of 8-bit grey or RGB pixels, as they are or packed without loss
//! (PackBits, LZW, Deflate).
//!
//! Refused, by name:
//!
//! - several pages,
//! - samples that do not have 8 bits, or are signed or floating,
//! - palettes, CMYK and other colours, premultiplied or unknown extra samples,
//! - JPEG inside, planes that lie apart, pixels turned by a tag,
//! - strips that overlap.

use std::io::Cursor;

use tiff::decoder::{Decoder, DecodingResult, Limits};
use tiff::tags::Tag;

use super::rgb::{MAX_PIXELS, RgbImage8};
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
        let refused = |what: String| Error::Image { file: file.to_owned(), what };
        let decoder = Decoder::new(Cursor::new(bytes)).map_err(|error| undecodable(file, error))?;
        let mut limits = Limits::default();
        limits.decoding_buffer_size = MAX_PIXELS as usize * 4;
        limits.intermediate_buffer_size = bytes.len();
        limits.ifd_value_size = MAX_VALUE;
        let mut page =
            Page { decoder: decoder.with_limits(limits), file, size: (0, 0), samples: 0 };
        if page.decoder.more_images() {
            return Err(refused("it holds several pages; write each to a file of its own".into()));
        }
        page.samples = page.plain_samples()?;
        let growth = page.growth()?;
        page.check_order()?;
        page.size = page.decoder.dimensions().map_err(|error| undecodable(file, error))?;
        let (width, height) = page.size;
        let pixels = u64::from(width) * u64::from(height);
        if pixels > MAX_PIXELS {
            return Err(refused(format!(
                "{width} x {height} is more than {MAX_PIXELS} pixels; cut or scale the image"
            )));
        }
        let stored = page.stored()?;
        if stored > bytes.len() as u64 {
            return Err(refused(
                "the TIFF image is cut off, or its strips overlap; fetch it again".into(),
            ));
        }
        if pixels * page.samples as u64 > stored * growth {
            return Err(refused(format!(
                "{stored} bytes cannot hold {width} x {height} pixels; fetch the image again"
            )));
        }
        Ok(page)
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

    /// The values of a tag, or `default` where it has none.
    fn tag(&mut self, tag: Tag, default: u16) -> Result<Vec<u16>, Error> {
        let values = self.decoder.find_tag_unsigned_vec::<u16>(tag);
        let values = values.map_err(|error| undecodable(self.file, error))?;
        Ok(values.filter(|values| !values.is_empty()).unwrap_or_else(|| vec![default]))
    }

    fn refuse<T>(&self, what: impl Into<String>) -> Result<T, Error> {
        Err(Error::Image { file: self.file.to_owned(), what: what.into() })
    }

    /// Samples of a pixel, if they are of 8 bits and plain grey, RGB or RGBA.
    fn plain_samples(&mut self) -> Result<usize, Error> {
        let photometric = self.tag(Tag::PhotometricInterpretation, u16::MAX)?[0];
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
                return self.refuse(format!("{what} not read; convert the image to RGB"));
            }
        };
        let samples = usize::from(self.tag(Tag::SamplesPerPixel, 1)?[0]);
        let bits = self.tag(Tag::BitsPerSample, 1)?;
        if let Some(bits) = bits.iter().find(|bits| **bits != 8) {
            let advice = if *bits < 8 {
                "convert the image to 8 bits"
            } else {
                "window the image to 8 bits first"
            };
            return self.refuse(format!("{bits} bits a channel are not read; {advice}"));
        }
        if self.tag(Tag::SampleFormat, 1)?.iter().any(|format| *format != 1) {
            return self.refuse(
                "signed and floating-point samples are not read; window the image to 8 bits first",
            );
        }
        match samples.checked_sub(colours) {
            Some(0) => Ok(samples),
            Some(1) if colours == 3 && self.tag(Tag::ExtraSamples, 0)? == [2] => Ok(samples),
            _ => {
                let what = format!(
                    "{samples} samples a pixel that are not plain grey, RGB or RGBA are not read"
                );
                self.refuse(format!("{what}; convert the image to RGB"))
            }
        }
    }

    /// The most bytes that the compression makes of one byte.
    fn growth(&mut self) -> Result<u64, Error> {
        match self.tag(Tag::Compression, 1)?[0] {
            1 => Ok(1),
            // A code of LZW has 12 bits. The longest of its 4,096 codes stands for fewer bytes than
            // there are codes.
            5 => Ok(4096),
            8 | 32946 => Ok(super::png::DEFLATE),
            32773 => Ok(64),
            6 | 7 => {
                self.refuse("JPEG inside of TIFF is not read; save the image as a JPEG or PNG file")
            }
            other => self.refuse(format!(
                "TIFF's compression {other} is not read; save it with LZW, or as PNG"
            )),
        }
    }

    /// Refuses planes that lie apart, and pixels or bits in another order.
    fn check_order(&mut self) -> Result<(), Error> {
        if self.tag(Tag::PlanarConfiguration, 1)?[0] != 1 && self.samples > 1 {
            return self.refuse(
                "planes that lie apart (PlanarConfiguration 2) are not read; save it as PNG",
            );
        }
        if self.tag(Tag::Orientation, 1)?[0] != 1 || self.tag(Tag::FillOrder, 1)?[0] != 1 {
            return self.refuse(
                "pixels or bits in another order (Orientation, FillOrder) are not read; turn the \
                 image",
            );
        }
        Ok(())
    }

    /// Bytes of all strips or tiles. Strips that share bytes would have a small file unpacked again
    /// and again.
    fn stored(&mut self) -> Result<u64, Error> {
        let mut stored = 0u64;
        for tag in [Tag::StripByteCounts, Tag::TileByteCounts] {
            let lengths = self.decoder.find_tag_unsigned_vec::<u64>(tag);
            let lengths = lengths.map_err(|error| undecodable(self.file, error))?;
            stored = lengths.unwrap_or_default().into_iter().fold(stored, u64::saturating_add);
        }
        Ok(stored)
    }
}

fn undecodable(file: &str, error: tiff::TiffError) -> Error {
    Error::Image { file: file.to_owned(), what: format!("the image does not decode ({error})") }
}
