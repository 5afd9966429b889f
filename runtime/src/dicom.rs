//! Frames of DICOM Part 10 files as stored values: native, deflated, RLE and JPEG pixel data,
//! windows and tables of the file, also of enhanced multi-frame objects, each frame by its own.
//!
//! What breaks the standard in one way that peers read alike is read, with a note that says so
//! ([`Dicom::frame`]'s [`Frame::notes`]). A value that is there and cannot be read is an error.
//!
//! Refused by name: other transfer syntaxes (JPEG-LS, JPEG 2000, video), segmented palettes, chroma
//! that is stored more coarsely without JPEG, one bit a sample; and files that are damaged or say
//! nothing about what their pixels are.

mod attributes;
mod dataset;
mod header;
mod part10;
mod pixels;
mod rle;
mod shown;

use std::borrow::Cow;

use dicom_core::Tag;

use crate::image::{MAX_PIXELS, RgbImage8};
use crate::stored::{Bits, Modality, Photometric, Stored, Voi};
use crate::{Error, guard};
use attributes::{Attributes, Notes};
use dataset::{DataSet, PIXELS};
use part10::{BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT, RLE};
use pixels::{Coding, Refusal};

pub use header::{Header, MAX_HEAD, header};
pub use part10::is_part_10;

/// A DICOM file that was read.
pub struct Dicom<'a> {
    data: Cow<'a, [u8]>,
    set: DataSet,
    /// The transfer syntax: one of [`SYNTAXES`].
    syntax: String,
    frames: u32,
    notes: Notes,
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
    notes: Vec<String>,
}

/// The transfer syntaxes that are read, by their UIDs: implicit, explicit, deflated, big-endian,
/// RLE, JPEG baseline, extended, lossless, and lossless of first order.
pub const SYNTAXES: [&str; 9] = [
    IMPLICIT,
    EXPLICIT,
    DEFLATED,
    BIG_ENDIAN,
    RLE,
    "1.2.840.10008.1.2.4.50",
    "1.2.840.10008.1.2.4.51",
    "1.2.840.10008.1.2.4.57",
    "1.2.840.10008.1.2.4.70",
];

/// Reads a DICOM file; `file` is what errors call it.
///
/// # Errors
/// [`Error::Image`] for a file that is none, or damaged; [`Error::DicomUnsupported`] for a transfer
/// syntax that is not read.
pub fn read<'a>(bytes: &'a [u8], file: &str) -> Result<Dicom<'a>, Error> {
    guard::decoding(|| opened(bytes, file)).unwrap_or_else(|guard::Panicked| {
        Err(Error::Image { file: file.to_owned(), what: guard::FAILED.into() })
    })
}

fn opened<'a>(bytes: &'a [u8], file: &str) -> Result<Dicom<'a>, Error> {
    let damaged = |what: String| Error::Image { file: file.to_owned(), what };
    if !is_part_10(bytes) {
        return Err(damaged(part10::NO_PART_10.into()));
    }
    let meta = part10::meta(bytes).map_err(|what| {
        damaged(what.unwrap_or_else(|| "the DICOM file ends within its meta information".into()))
    })?;
    if !SYNTAXES.contains(&meta.syntax.as_str()) {
        let what = format!("transfer syntax {} is not read; {}", meta.syntax, advice(&meta.syntax));
        return Err(Error::DicomUnsupported { file: file.to_owned(), what });
    }
    let (data, start) = part10::inflated(bytes, &meta, MAX_INFLATED).map_err(damaged)?;
    let mut notes = Notes::from_iter(meta.note.map(str::to_owned));
    let set = DataSet::read(&data, start, part10::form(&meta.syntax), None, &mut notes)
        .map_err(|fault| damaged(fault.what))?;
    let dicom = Dicom {
        data,
        set,
        syntax: meta.syntax,
        frames: 1,
        notes: Notes::new(),
        file: file.to_owned(),
    };
    let frames = dicom.attributes().frames(&mut notes).map_err(|what| dicom.damaged(what))?;
    Ok(Dicom { frames, notes, ..dicom })
}

impl Dicom<'_> {
    /// Number of frames, at least 1.
    pub fn frames(&self) -> u32 {
        self.frames
    }

    /// Frame `number`, counted from 0.
    ///
    /// # Errors
    /// [`Error::DicomUnsupported`] for what the module's head says is refused by name,
    /// [`Error::Image`] for what is damaged, missing, or there and cannot be read.
    pub fn frame(&self, number: u32) -> Result<Frame, Error> {
        guard::decoding(|| self.decoded(number))
            .unwrap_or_else(|guard::Panicked| Err(self.damaged(guard::FAILED.into())))
    }

    fn decoded(&self, number: u32) -> Result<Frame, Error> {
        let (file, mut notes) = (self.attributes(), self.notes.clone());
        if number >= self.frames {
            return Err(self.damaged(format!("it has no frame {number}; it has {}", self.frames)));
        }
        let (rows, columns) =
            (self.needed(Tag(0x0028, 0x0010))?, self.needed(Tag(0x0028, 0x0011))?);
        if rows == 0 || columns == 0 || u64::from(rows) * u64::from(columns) > MAX_PIXELS {
            let what = format!("{columns} x {rows} is not between 1 and {MAX_PIXELS} pixels");
            return Err(self.unsupported(what));
        }
        let samples = self.needed(Tag(0x0028, 0x0002))?;
        let bits = self.bits(&mut notes)?;
        let said = file.text(Tag(0x0028, 0x0004)).map_err(|what| self.damaged(what))?;
        let Some(said) = said else {
            return Err(self.damaged("it does not say its Photometric Interpretation".into()));
        };
        let stated = match said {
            "MONOCHROME1" => Photometric::Monochrome1,
            "MONOCHROME2" => Photometric::Monochrome2,
            "PALETTE COLOR" => shown::palette(&file).map_err(|what| self.damaged(what))?,
            "RGB" => Photometric::Rgb,
            "YBR_FULL" | "YBR_FULL_422" => Photometric::YbrFull,
            _ => {
                return Err(
                    self.unsupported(format!("Photometric Interpretation {said} is not read"))
                );
            }
        };
        let colours = matches!(stated, Photometric::Rgb | Photometric::YbrFull);
        if samples != if colours { 3 } else { 1 } {
            let what =
                format!("it has {samples} samples a pixel under Photometric Interpretation {said}");
            return Err(self.damaged(what));
        }
        let planar = colours && self.planar(&mut notes)?;
        let coding = match self.syntax.as_str() {
            IMPLICIT | EXPLICIT | DEFLATED | BIG_ENDIAN => Coding::Native,
            RLE => Coding::Rle,
            _ => Coding::Jpeg,
        };
        let format = pixels::Format {
            rows,
            columns,
            samples,
            bits,
            photometric: said,
            planar,
            frames: self.frames,
            coding,
        };
        let Some(element) = self.set.get(PIXELS) else {
            return Err(self.damaged("it has no pixels".into()));
        };
        let values = pixels::decode(&self.data, element, number, &format, &mut notes);
        let values = values.map_err(|refusal| match refusal {
            Refusal::Damaged(what) => self.damaged(what),
            Refusal::Unsupported(what) => self.unsupported(what),
        })?;
        let photometric = if values.ybr_after_all { Photometric::YbrFull } else { stated };
        let gray = matches!(photometric, Photometric::Monochrome1 | Photometric::Monochrome2);
        let mut frame = Frame {
            data: values.data,
            rows,
            columns,
            bits: Bits { big_endian: false, ..bits },
            photometric,
            planar: values.planar,
            modality: Modality::Linear { slope: 1.0, intercept: 0.0 },
            voi: Voi::Range,
            padding: None,
            notes: Vec::new(),
        };
        if gray {
            let shown = shown::gray(&file, number, self.frames, bits, &mut notes);
            let shown = shown.map_err(|what| self.damaged(what))?;
            (frame.modality, frame.voi, frame.padding) = (shown.modality, shown.voi, shown.padding);
        }
        frame.notes = notes.into_iter().collect();
        Ok(frame)
    }

    fn bits(&self, notes: &mut Notes) -> Result<Bits, Error> {
        let allocated = self.needed(Tag(0x0028, 0x0100))?;
        if !matches!(allocated, 8 | 16 | 32) {
            return Err(self.unsupported(format!("{allocated} bits allocated are not read")));
        }
        let big_endian = self.syntax == BIG_ENDIAN;
        if big_endian && allocated == 32 {
            let what = "32 bits allocated in the big-endian transfer syntax are not read";
            return Err(self.unsupported(what.into()));
        }
        let stored = self.needed(Tag(0x0028, 0x0101))?;
        let high = self.attributes().integer(Tag(0x0028, 0x0102), notes);
        let high = match high.map_err(|what| self.damaged(what))? {
            Some(high) => u32::try_from(high).unwrap_or(u32::MAX),
            None => {
                notes.insert("it does not say its High Bit, and the lowest bits are read".into());
                stored.saturating_sub(1)
            }
        };
        if stored == 0 || high >= allocated || high + 1 < stored {
            let what = format!(
                "{stored} bits stored up to bit {high} do not fit {allocated} bits allocated"
            );
            return Err(self.damaged(what));
        }
        let signed = match self.needed(Tag(0x0028, 0x0103))? {
            0 => false,
            1 => true,
            other => {
                return Err(
                    self.damaged(format!("its Pixel Representation is {other}, not 0 or 1"))
                );
            }
        };
        Ok(Bits {
            allocated: allocated as u16,
            stored: stored as u16,
            high: high as u16,
            signed,
            big_endian,
        })
    }

    fn planar(&self, notes: &mut Notes) -> Result<bool, Error> {
        let stated = self.attributes().integer(Tag(0x0028, 0x0006), notes);
        match stated.map_err(|what| self.damaged(what))? {
            Some(0) => Ok(false),
            Some(1) => Ok(true),
            Some(other) => {
                Err(self.damaged(format!("its Planar Configuration is {other}, not 0 or 1")))
            }
            None => {
                notes.insert(
                    "it does not say its Planar Configuration, and is read pixel by pixel".into(),
                );
                Ok(false)
            }
        }
    }

    /// A whole number that has to be there.
    fn needed(&self, tag: Tag) -> Result<u32, Error> {
        let stated =
            self.attributes().integer(tag, &mut Notes::new()).map_err(|what| self.damaged(what))?;
        let stated = stated.ok_or_else(|| {
            self.damaged(format!("it does not say its {}", attributes::name(tag)))
        })?;
        u32::try_from(stated)
            .map_err(|_| self.damaged(format!("{} is {stated}", attributes::name(tag))))
    }

    fn attributes(&self) -> Attributes<'_> {
        Attributes { data: &self.data, set: &self.set, big_endian: self.syntax == BIG_ENDIAN }
    }

    fn damaged(&self, what: String) -> Error {
        Error::Image {
            file: self.file.clone(),
            what: format!("the DICOM file cannot be used: {what}"),
        }
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

    /// What of the file broke the standard and was read all the same, a sentence each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The image that a viewer shows.
    ///
    /// # Errors
    /// As [`Stored::rgb`].
    pub fn rgb(&self) -> Result<RgbImage8, Error> {
        self.stored().rgb()
    }
}

/// The most that a deflated file may inflate to, in bytes.
const MAX_INFLATED: usize = 1 << 28;

/// What makes a readable file of one in another transfer syntax.
fn advice(syntax: &str) -> &'static str {
    match syntax {
        "1.2.840.10008.1.2.4.80" | "1.2.840.10008.1.2.4.81" => {
            "it is JPEG-LS: convert the file with gdcmconv --raw or dcmdjpls"
        }
        "1.2.840.10008.1.2.4.90" | "1.2.840.10008.1.2.4.91" => {
            "it is JPEG 2000: convert the file with pydicom's decompress"
        }
        _ => "convert the file to explicit VR, or give a frame of it as PNG",
    }
}

#[cfg(test)]
mod tests;
