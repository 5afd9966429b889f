//! A DICOM Part 10 file, opened: its data set, and how many frames it has.

use std::borrow::Cow;

use dicom_core::Tag;

use super::attributes::{self, Attributes, Notes};
use super::dataset::DataSet;
use super::part10::{self, BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT, RLE, is_part_10};
use crate::{Error, guard};

/// A DICOM file that was read.
pub struct Dicom<'a> {
    pub(super) data: Cow<'a, [u8]>,
    pub(super) set: DataSet,
    /// The transfer syntax: one of [`SYNTAXES`].
    pub(super) syntax: String,
    pub(super) frames: u32,
    pub(super) notes: Notes,
    pub(super) file: String,
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

    /// A whole number that has to be there.
    pub(super) fn needed(&self, tag: Tag) -> Result<u32, Error> {
        let stated =
            self.attributes().integer(tag, &mut Notes::new()).map_err(|what| self.damaged(what))?;
        let stated = stated.ok_or_else(|| {
            self.damaged(format!("it does not say its {}", attributes::name(tag)))
        })?;
        u32::try_from(stated)
            .map_err(|_| self.damaged(format!("{} is {stated}", attributes::name(tag))))
    }

    pub(super) fn attributes(&self) -> Attributes<'_> {
        Attributes { data: &self.data, set: &self.set, big_endian: self.syntax == BIG_ENDIAN }
    }

    pub(super) fn damaged(&self, what: String) -> Error {
        Error::Image {
            file: self.file.clone(),
            what: format!("the DICOM file cannot be used: {what}"),
        }
    }

    pub(super) fn unsupported(&self, what: String) -> Error {
        Error::DicomUnsupported { file: self.file.clone(), what }
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
