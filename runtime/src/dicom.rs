//! Frames of DICOM Part 10 files as stored values: native, deflated, RLE and JPEG (baseline, extended, lossless) pixel data, windows and tables of the
//! file, also of enhanced multi-frame objects.
//!
//! Refused by name: other transfer syntaxes (JPEG-LS, JPEG 2000, video), segmented palettes, chroma that is stored more coarsely, one bit a sample; and
//! files that are damaged or say nothing about what their pixels are.

mod elements;
mod header;
mod jpeg;
mod lengths;

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use dicom_object::mem::InMemDicomObject;
use dicom_object::{DefaultDicomObject, OpenFileOptions, Tag};
use dicom_pixeldata::{
    PhotometricInterpretation, PixelDecoder, PixelRepresentation, PlanarConfiguration, VoiLutFunction,
};

use crate::Error;
use crate::image::{MAX_PIXELS, RgbImage8};
use crate::stored::{Bits, Function, Modality, Photometric, Stored, Table, Voi};

pub use header::{Header, MAX_HEAD, header, is_part_10};

/// A DICOM file that was read.
pub struct Dicom {
    object: DefaultDicomObject,
    /// The transfer syntax: one of [`NATIVE`] or [`ENCAPSULATED`].
    syntax: String,
    file: String,
}

/// One frame, decoded.
pub struct Frame {
    data: Vec<u8>,
    rows: u32,
    columns: u32,
    bits: Bits,
    photometric: Photometric<'static>,
    planar: bool,
    modality: Modality<'static>,
    voi: Voi<'static>,
    padding: Option<std::ops::RangeInclusive<i64>>,
}

/// Reads a DICOM file; `file` is what errors call it.
///
/// # Errors
/// [`Error::Image`] for a file that is none, or damaged; [`Error::DicomUnsupported`] for a transfer syntax that is not read.
pub fn read(bytes: &[u8], file: &str) -> Result<Dicom, Error> {
    let file = file.to_owned();
    let damaged = |what: String| Error::Image { file: file.clone(), what };
    if !is_part_10(bytes) {
        return Err(damaged(elements::NO_PART_10.into()));
    }
    let mut data = &bytes[132..];
    let syntax = elements::syntax(&mut data).map_err(damaged)?;
    if !NATIVE.contains(&syntax.as_str()) && !ENCAPSULATED.contains(&syntax.as_str()) {
        let what = format!("transfer syntax {syntax} is not read; convert the file");
        return Err(Error::DicomUnsupported { file, what });
    }
    lengths::check(data, &syntax, MAX_INFLATED).map_err(damaged)?;
    let read = || OpenFileOptions::new().from_reader(bytes).map_err(|error| error.to_string());
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(Ok(object)) => Ok(Dicom { object, syntax, file }),
        Ok(Err(what)) => Err(damaged(format!("this is no DICOM file that can be read ({what})"))),
        Err(_) => Err(damaged("the DICOM file made its reader fail".into())),
    }
}

impl Dicom {
    /// Number of frames.
    pub fn frames(&self) -> i64 {
        integer(&self.object, Tag(0x0028, 0x0008)).unwrap_or(1)
    }

    /// Frame `number`, counted from 0.
    ///
    /// # Errors
    /// [`Error::DicomUnsupported`] for what the module's head says is refused by name, [`Error::Image`] for what is damaged or missing.
    pub fn frame(&self, number: u32) -> Result<Frame, Error> {
        let decode = || self.decoded(number);
        catch_unwind(AssertUnwindSafe(decode))
            .unwrap_or_else(|_| Err(self.damaged("its pixels made their decoder fail")))
    }

    fn decoded(&self, number: u32) -> Result<Frame, Error> {
        let encapsulated = ENCAPSULATED.contains(&self.syntax.as_str());
        let needed = |tag, name: &str| {
            let value = integer(&self.object, tag).and_then(|value| u32::try_from(value).ok());
            value.ok_or_else(|| self.damaged(&format!("it does not say its {name}")))
        };
        let (rows, columns) = (needed(Tag(0x0028, 0x0010), "Rows")?, needed(Tag(0x0028, 0x0011), "Columns")?);
        let samples = needed(Tag(0x0028, 0x0002), "Samples per Pixel")?;
        let allocated = needed(Tag(0x0028, 0x0100), "Bits Allocated")?;
        let frames = self.frames();
        if i64::from(number) >= frames {
            return Err(self.damaged(&format!("it has no frame {number}; it has {frames}")));
        }
        if u64::from(rows) * u64::from(columns) > MAX_PIXELS {
            return Err(self.unsupported(format!("{columns} x {rows} is more than {MAX_PIXELS} pixels")));
        }
        if !matches!(allocated, 8 | 16 | 32) {
            return Err(self.unsupported(format!("{allocated} bits allocated are not read")));
        }
        let said = self.object.element(Tag(0x0028, 0x0004)).ok().and_then(|element| element.to_str().ok());
        let Some(said) = said.map(|text| text.trim_end_matches(['\0', ' ']).to_owned()) else {
            return Err(self.damaged("it does not say its Photometric Interpretation"));
        };
        if self.syntax == BIG_ENDIAN && allocated == 32 {
            return Err(self.unsupported("32 bits allocated in the big-endian transfer syntax are not read".into()));
        }
        if encapsulated && self.syntax == RLE {
            self.check_rle(number, samples.saturating_mul(allocated / 8))?;
        }
        if encapsulated && self.syntax != RLE {
            self.check_jpeg(number, [rows, columns], samples, &said)?;
        } else if said.starts_with("YBR") && said != "YBR_FULL" {
            return Err(self.unsupported(format!("Photometric Interpretation {said} is not read")));
        }
        let decoded = self.object.decode_pixel_data_frame(number);
        let decoded =
            decoded.map_err(|error| self.damaged(&format!("its pixels do not decode ({})", causes(&error))))?;
        // RLE keeps colours as they are; JPEG's decoder gives RGB.
        let kept = !encapsulated || self.syntax == RLE;
        let photometric = match (decoded.photometric_interpretation(), said.as_str()) {
            (_, "MONOCHROME1") => Photometric::Monochrome1,
            (_, "MONOCHROME2") => Photometric::Monochrome2,
            (_, "PALETTE COLOR") => self.palette()?,
            (_, "RGB") => Photometric::Rgb,
            (_, "YBR_FULL") if kept => Photometric::YbrFull,
            (PhotometricInterpretation::Rgb, _) if !kept => Photometric::Rgb,
            _ => return Err(self.unsupported(format!("Photometric Interpretation {said} is not read"))),
        };
        let signed = decoded.pixel_representation() == PixelRepresentation::Signed;
        let bits = Bits {
            allocated: decoded.bits_allocated(),
            stored: decoded.bits_stored(),
            high: decoded.high_bit(),
            signed,
            big_endian: false,
        };
        let frame_bytes = rows as usize * columns as usize * samples as usize * (allocated / 8) as usize;
        let data = decoded.data();
        if data.len() < frame_bytes {
            return Err(self.damaged(&format!("it has {} bytes of pixels where {frame_bytes} are needed", data.len())));
        }
        let gray = matches!(photometric, Photometric::Monochrome1 | Photometric::Monochrome2);
        let modality = match sequence(&self.object, Tag(0x0028, 0x3000)) {
            Some(item) if gray => Modality::Table(self.table(item, signed)?),
            _ => match decoded.rescale() {
                Ok([first, ..]) => Modality::Linear { slope: first.slope, intercept: first.intercept },
                _ => Modality::Linear { slope: 1.0, intercept: 0.0 },
            },
        };
        let voi = match sequence(&self.object, Tag(0x0028, 0x3010)) {
            Some(item) if gray => Voi::Table(self.table(item, signed)?),
            _ => match decoded.window() {
                Ok(Some([first, ..])) => Voi::Window {
                    center: first.center,
                    width: first.width,
                    function: match decoded.voi_lut_function() {
                        Ok(Some([VoiLutFunction::Sigmoid, ..])) => Function::Sigmoid,
                        Ok(Some([VoiLutFunction::LinearExact, ..])) => Function::LinearExact,
                        _ => Function::Linear,
                    },
                },
                _ => Voi::Range,
            },
        };
        Ok(Frame {
            rows,
            columns,
            bits,
            photometric,
            planar: samples == 3 && decoded.planar_configuration() == PlanarConfiguration::PixelFirst,
            modality,
            voi,
            padding: self.padding(signed).filter(|_| gray),
            data: data[..frame_bytes].to_vec(),
        })
    }

    /// What a JPEG says of its size and colours must be what the file says: the decoder makes room for the one before it looks at the other, and
    /// believes the one where other viewers believe the other.
    fn check_jpeg(&self, number: u32, sides: [u32; 2], samples: u32, said: &str) -> Result<(), Error> {
        let bytes = self.jpeg_frame(number)?;
        let (height, width, colours) = jpeg::shape(&bytes).map_err(|what| self.damaged(&what))?;
        let [rows, columns] = sides;
        if (height, width, colours) != (rows, columns, samples) {
            let what =
                format!("{width} x {height} of {colours} and the file of {columns} x {rows} of {samples} samples");
            return Err(self.damaged(&format!("its JPEG is of {what}")));
        }
        if samples != 3 {
            return Ok(());
        }
        let lossless = !matches!(self.syntax.as_str(), JPEG_BASELINE | JPEG_EXTENDED);
        match (jpeg::is_rgb(&bytes, lossless), said) {
            (Some(true), "RGB") => Ok(()),
            (Some(false), "YBR_FULL" | "YBR_FULL_422") if !lossless => Ok(()),
            (rgb, _) => {
                let is = rgb.map_or("RGB or YBR, as viewers like,", |rgb| if rgb { "RGB" } else { "YBR" });
                Err(self.unsupported(format!("its JPEG is {is} and its Photometric Interpretation {said}")))
            }
        }
    }

    /// The bytes of a frame's JPEG: a fragment, or all of them if there is one frame.
    fn jpeg_frame(&self, number: u32) -> Result<Cow<'_, [u8]>, Error> {
        let fragments = self.fragments()?;
        match (fragments.len() as i64, self.frames()) {
            (count, frames) if count == frames => Ok(Cow::Borrowed(&fragments[number as usize])),
            (_, 1) => Ok(Cow::Owned(fragments.concat())),
            _ => Err(self.unsupported("a frame in several fragments, of several frames".into())),
        }
    }

    /// The number of segments is what a frame of RLE begins with (PS3.5, annex G): one for each byte of a sample.
    fn check_rle(&self, number: u32, segments: u32) -> Result<(), Error> {
        let fragment = self.fragments()?.get(number as usize).map(Vec::as_slice).unwrap_or_default();
        match fragment.len() >= 64 && fragment[..4] == segments.to_le_bytes() {
            true => Ok(()),
            false => Err(self.damaged("its RLE has another number of segments than its samples have bytes")),
        }
    }

    fn fragments(&self) -> Result<&[Vec<u8>], Error> {
        let fragments = self.object.element(PIXELS).ok().and_then(|element| element.fragments());
        fragments.ok_or_else(|| self.damaged("its pixels are in no fragments"))
    }

    fn palette(&self) -> Result<Photometric<'static>, Error> {
        let channel = |descriptor, data| self.entries(&self.object, descriptor, data, false);
        Ok(Photometric::Palette([
            channel(Tag(0x0028, 0x1101), Tag(0x0028, 0x1201))?,
            channel(Tag(0x0028, 0x1102), Tag(0x0028, 0x1202))?,
            channel(Tag(0x0028, 0x1103), Tag(0x0028, 0x1203))?,
        ]))
    }

    fn table(&self, item: &InMemDicomObject, signed: bool) -> Result<Table<'static>, Error> {
        self.entries(item, Tag(0x0028, 0x3002), Tag(0x0028, 0x3006), signed)
    }

    /// A table by its descriptor (PS3.3 C.11.1.1): entries, of which 0 means 65,536; the first value; bits.
    fn entries(
        &self,
        item: &InMemDicomObject,
        descriptor: Tag,
        data: Tag,
        signed: bool,
    ) -> Result<Table<'static>, Error> {
        let missing = || self.unsupported("a lookup table is missing or segmented".into());
        let described =
            item.element(descriptor).map_err(|_| missing())?.to_multi_int::<i64>().map_err(|_| missing())?;
        let [count, first, bits] = described[..] else { return Err(missing()) };
        let count = match count & 0xffff {
            0 => 1 << 16,
            count => count as usize,
        };
        let words = item.element(data).map_err(|_| missing())?.to_bytes().map_err(|_| missing())?;
        let entries: Vec<u16> = match words.len() {
            length if length >= 2 * count => {
                words.as_chunks::<2>().0.iter().map(|&pair| u16::from_le_bytes(pair)).collect()
            }
            length if length >= count => words.iter().map(|&byte| byte.into()).collect(),
            length => return Err(self.damaged(&format!("a lookup table of {count} entries has {length} bytes"))),
        };
        // Eight bits in words may stand for sixteen: then some entry is larger.
        let widest = entries.iter().take(count).max().copied().unwrap_or(0);
        let bits = if bits == 8 && widest > 0xff { 16 } else { bits as u16 };
        Ok(Table { first: extended(first, signed), bits, entries: entries[..count].to_vec().into() })
    }

    fn padding(&self, signed: bool) -> Option<std::ops::RangeInclusive<i64>> {
        let one = extended(integer(&self.object, Tag(0x0028, 0x0120))?, signed);
        let other = integer(&self.object, Tag(0x0028, 0x0121)).map_or(one, |limit| extended(limit, signed));
        Some(one.min(other)..=one.max(other))
    }

    fn damaged(&self, what: &str) -> Error {
        Error::Image { file: self.file.clone(), what: format!("the DICOM file cannot be used: {what}") }
    }

    fn unsupported(&self, what: String) -> Error {
        Error::DicomUnsupported { file: self.file.clone(), what }
    }
}

impl Frame {
    /// The frame's stored values, and how they are meant.
    pub fn stored(&self) -> Stored<'_> {
        Stored {
            data: &self.data,
            rows: self.rows,
            columns: self.columns,
            stride: None,
            bits: self.bits,
            photometric: self.photometric.clone(),
            planar: self.planar,
            modality: self.modality.clone(),
            voi: self.voi.clone(),
            padding: self.padding.clone(),
        }
    }

    /// The image that a viewer shows.
    ///
    /// # Errors
    /// As [`Stored::rgb`].
    pub fn rgb(&self) -> Result<RgbImage8, Error> {
        self.stored().rgb()
    }
}

const PIXELS: Tag = Tag(0x7fe0, 0x0010);
/// The most that a deflated file may inflate to, in bytes.
const MAX_INFLATED: usize = 1 << 28;
/// Pixels as they are, or all of the file deflated.
const NATIVE: [&str; 4] = [IMPLICIT, "1.2.840.10008.1.2.1", BIG_ENDIAN, DEFLATED];
const IMPLICIT: &str = "1.2.840.10008.1.2";
const DEFLATED: &str = "1.2.840.10008.1.2.1.99";
const BIG_ENDIAN: &str = "1.2.840.10008.1.2.2";
const RLE: &str = "1.2.840.10008.1.2.5";
const JPEG_BASELINE: &str = "1.2.840.10008.1.2.4.50";
const JPEG_EXTENDED: &str = "1.2.840.10008.1.2.4.51";
/// RLE; JPEG baseline, extended, lossless and lossless of first order.
const ENCAPSULATED: [&str; 5] = [RLE, JPEG_BASELINE, JPEG_EXTENDED, "1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70"];

fn integer(object: &InMemDicomObject, tag: Tag) -> Option<i64> {
    object.element(tag).ok()?.to_int::<i64>().ok()
}

/// An error with all of its causes.
fn causes(error: &dyn std::error::Error) -> String {
    let all = std::iter::successors(Some(error), |error| error.source());
    all.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// The first item of a sequence.
fn sequence(object: &InMemDicomObject, tag: Tag) -> Option<&InMemDicomObject> {
    object.element(tag).ok()?.items()?.first()
}

/// A 16-bit value that a file without VRs gives unsigned.
fn extended(value: i64, signed: bool) -> i64 {
    if signed && (0x8000..=0xffff).contains(&value) { value - 0x1_0000 } else { value }
}

#[cfg(test)]
mod tests;
