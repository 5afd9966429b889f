//! What an image is in C.

use std::ffi::c_void;

use crate::growing::Growing;

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
