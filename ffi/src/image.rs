//! Images as callers have them: stored values with everything that DICOM says of them, image files,
//! and DICOM files.

use std::ffi::c_void;

use medforge_runtime::image::{self, RgbImage8};
use medforge_runtime::stored::{Bits, Function, Modality, Photometric, Stored, Table, Voi};

use crate::growing::{self, Growing};
use crate::last_error::Failure;
use crate::pointer::input;
use crate::status::Status;

/// What an image is made of.
#[repr(u32)]
pub enum ImageKind {
    /// Stored values, described by the fields from rows on.
    Values = 0,
    /// A PNG, JPEG or TIFF file.
    File = 1,
    /// A DICOM Part 10 file; frame says which of its frames.
    Dicom = 2,
}

/// What stored values mean (Photometric Interpretation).
#[repr(u32)]
pub enum PhotometricInterpretation {
    /// Gray, the lowest value black.
    Monochrome2 = 0,
    /// Gray, the lowest value white.
    Monochrome1 = 1,
    /// Red, green, blue; samples is 3.
    Rgb = 2,
    /// Luminance and two chroma values of each pixel; samples is 3.
    YbrFull = 3,
    /// A number into the three tables of palette.
    PaletteColor = 4,
}

/// Which values are shown.
#[repr(u32)]
pub enum ValuesOfInterest {
    /// All that the stored bits can have.
    Range = 0,
    /// center and width, VOI LUT Function LINEAR.
    Linear = 1,
    /// center and width, LINEAR_EXACT.
    LinearExact = 2,
    /// center and width, SIGMOID.
    Sigmoid = 3,
    /// voi_lut.
    Table = 4,
}

/// A lookup table. The first entry is for first_value and all below, the last one for all above.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Lut {
    /// The value that the first entry is for.
    pub first_value: i32,
    /// Bits of an entry, 8 to 16.
    pub bits: u32,
    /// Entries.
    pub count: usize,
    /// The entries.
    pub entries: *const u16,
}

/// An image. Zero it, set struct_size to sizeof(medforge_image), then what it has. Zeros mean:
/// stored values, unsigned, little-endian, gray, rows without gaps, all bits stored, slope 1, the
/// whole range shown.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Image {
    /// sizeof(medforge_image): what lies beyond it is not read.
    pub struct_size: usize,
    /// A medforge_image_kind.
    pub kind: u32,
    /// Of a DICOM file, or of stored values with several frames one after another: which of them,
    /// counted from 0.
    pub frame: u32,
    /// The stored values, or the file. Not NULL.
    pub data: *const c_void,
    /// Bytes of data.
    pub length: usize,
    /// Height in pixels.
    pub rows: u32,
    /// Width in pixels.
    pub columns: u32,
    /// Bytes from one row to the next of the same plane. 0: rows follow one another.
    pub stride: usize,
    /// A medforge_photometric_interpretation.
    pub photometric: u32,
    /// Samples of a pixel. 0: as many as photometric has.
    pub samples: u32,
    /// Not 0: all of one colour, then all of the next (Planar Configuration 1).
    pub planar: u32,
    /// 8, 16 or 32.
    pub bits_allocated: u32,
    /// How many of them count. 0: all.
    pub bits_stored: u32,
    /// Where the highest of those is, counted from 0. 0: bits_stored - 1.
    pub high_bit: u32,
    /// Not 0: two's complement (Pixel Representation 1).
    pub is_signed: u32,
    /// Not 0: the first byte of a value is the highest.
    pub big_endian: u32,
    /// Rescale Slope. 0: 1.
    pub rescale_slope: f64,
    /// Rescale Intercept.
    pub rescale_intercept: f64,
    /// Modality LUT, in place of slope and intercept; NULL: none.
    pub modality_lut: *const Lut,
    /// A medforge_values_of_interest.
    pub voi: u32,
    /// Not 0: values from padding_first to padding_last are no part of the picture.
    pub has_padding: u32,
    /// Window Center.
    pub window_center: f64,
    /// Window Width.
    pub window_width: f64,
    /// VOI LUT; NULL: none.
    pub voi_lut: *const Lut,
    /// Red, green and blue.
    pub palette: [*const Lut; 3],
    /// Pixel Padding Value, or the lower end of its range.
    pub padding_first: i64,
    /// The upper end of that range; the same where there is none.
    pub padding_last: i64,
}

// SAFETY: C layout, the size first, and zeros are numbers and NULL.
unsafe impl Growing for Image {
    const LEAST: usize = size_of::<Image>();
}

/// An image as a viewer shows it, and the digest of what it was made of.
pub struct Shown {
    pub rgb: RgbImage8,
    /// SHA-256 in hex of the stored values without gaps between rows; of an image file, of the RGB
    /// pixels.
    pub sha256: String,
    /// What was odd about the file, and which of several frames this is.
    pub notes: Vec<String>,
}

/// The image at `pointer`.
///
/// # Safety
/// `pointer` is NULL or points to an image whose every pointer is NULL or reaches as far as the
/// image says.
pub unsafe fn shown(pointer: *const Image) -> Result<Shown, Failure> {
    // SAFETY: the caller's promise.
    let image = unsafe { growing::read(pointer, "image")? };
    let data = input(image.data.cast::<u8>(), "image.data")?;
    if isize::try_from(image.length).is_err() {
        return Err(wrong("image.length is more than memory can hold".into()));
    }
    // SAFETY: not NULL, and the caller promises as many bytes.
    let data = unsafe { std::slice::from_raw_parts(data, image.length) };
    match image.kind {
        kind if kind == ImageKind::Values as u32 => {
            // SAFETY: the caller's promise for each table.
            let stored = unsafe { stored(&image, data)? };
            Ok(Shown { sha256: stored.sha256_hex()?, rgb: stored.rgb()?, notes: Vec::new() })
        }
        kind if kind == ImageKind::File as u32 => {
            let rgb = image::decode(data, "image.data")?;
            Ok(Shown {
                sha256: medforge_runtime::bundle::sha256_hex(rgb.data()),
                rgb,
                notes: Vec::new(),
            })
        }
        kind if kind == ImageKind::Dicom as u32 => dicom(data, image.frame),
        kind => Err(wrong(format!("image.kind is {kind}, which is none"))),
    }
}

#[cfg(feature = "dicom")]
fn dicom(data: &[u8], frame: u32) -> Result<Shown, Failure> {
    let file = medforge_runtime::dicom::read(data, "image.data")?;
    let (number, frames, frame) = (frame, file.frames(), file.frame(frame)?);
    let mut notes = frame.notes().to_vec();
    if frames > 1 {
        notes.push(format!("this is frame {number}, counted from 0, of {frames}"));
    }
    Ok(Shown { sha256: frame.stored().sha256_hex()?, rgb: frame.rgb()?, notes })
}

#[cfg(not(feature = "dicom"))]
fn dicom(_: &[u8], _: u32) -> Result<Shown, Failure> {
    Err(Failure::new(
        Status::DicomUnsupported,
        "this library was built without DICOM; build it with --features dicom",
    ))
}

/// # Safety
/// The tables' pointers are NULL or reach as far as the tables say.
unsafe fn stored<'a>(image: &Image, data: &'a [u8]) -> Result<Stored<'a>, Failure> {
    let narrow = |what: &str, value: u32| {
        u16::try_from(value)
            .map_err(|_| wrong(format!("image.{what} is {value}, which is too large")))
    };
    let allocated = narrow("bits_allocated", image.bits_allocated)?;
    let stored =
        if image.bits_stored == 0 { allocated } else { narrow("bits_stored", image.bits_stored)? };
    let high = if image.high_bit == 0 {
        stored.saturating_sub(1)
    } else {
        narrow("high_bit", image.high_bit)?
    };
    let bits = Bits {
        allocated,
        stored,
        high,
        signed: image.is_signed != 0,
        big_endian: image.big_endian != 0,
    };
    // SAFETY: the caller's promise.
    let table = |table: *const Lut, name: &str| unsafe { lut(table, name) };
    let photometric = match image.photometric {
        0 => Photometric::Monochrome2,
        1 => Photometric::Monochrome1,
        2 => Photometric::Rgb,
        3 => Photometric::YbrFull,
        4 => {
            let [red, green, blue] = image.palette;
            Photometric::Palette([
                table(red, "palette[0]")?,
                table(green, "palette[1]")?,
                table(blue, "palette[2]")?,
            ])
        }
        other => return Err(wrong(format!("image.photometric is {other}, which is none"))),
    };
    let samples =
        if matches!(photometric, Photometric::Rgb | Photometric::YbrFull) { 3 } else { 1 };
    if image.samples != 0 && image.samples != samples {
        return Err(wrong(format!(
            "image.samples is {} where photometric has {samples}",
            image.samples
        )));
    }
    let modality = if image.modality_lut.is_null() {
        let slope = if image.rescale_slope == 0.0 { 1.0 } else { image.rescale_slope };
        Modality::Linear { slope, intercept: image.rescale_intercept }
    } else {
        Modality::Table(table(image.modality_lut, "modality_lut")?)
    };
    let window =
        |function| Voi::Window { center: image.window_center, width: image.window_width, function };
    let voi = match image.voi {
        0 => Voi::Range,
        1 => window(Function::Linear),
        2 => window(Function::LinearExact),
        3 => window(Function::Sigmoid),
        4 => Voi::Table(table(image.voi_lut, "voi_lut")?),
        other => return Err(wrong(format!("image.voi is {other}, which is none"))),
    };
    let padding = (image.has_padding != 0).then_some(image.padding_first..=image.padding_last);
    let stride = (image.stride != 0).then_some(image.stride);
    let planar = image.planar != 0 && samples == 3;
    let one = Stored {
        data,
        rows: image.rows,
        columns: image.columns,
        stride,
        bits,
        photometric,
        planar,
        modality,
        voi,
        padding,
    };
    one.at(image.frame).map_err(Failure::from)
}

/// # Safety
/// `pointer` is NULL or points to a table whose entries are there.
unsafe fn lut(pointer: *const Lut, name: &str) -> Result<Table<'static>, Failure> {
    // SAFETY: not NULL, and the caller promises a table there.
    let lut = unsafe { *input(pointer, &format!("image.{name}"))? };
    let entries = input(lut.entries, &format!("image.{name}->entries"))?;
    if lut.count > MOST_ENTRIES {
        return Err(wrong(format!(
            "image.{name} has {} entries, more than {MOST_ENTRIES}",
            lut.count
        )));
    }
    // SAFETY: not NULL, and the caller promises as many entries.
    let entries = unsafe { std::slice::from_raw_parts(entries, lut.count) };
    let bits = u16::try_from(lut.bits).unwrap_or(u16::MAX);
    Ok(Table { first: lut.first_value.into(), bits, entries: entries.to_vec().into() })
}

/// Entries of a table: what 16 bits can number.
const MOST_ENTRIES: usize = 1 << 16;

fn wrong(text: String) -> Failure {
    Failure::new(Status::Pixels, text)
}
