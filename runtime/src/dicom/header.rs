//! What the beginning of a DICOM Part 10 file says of its patient, its maker and its frames. No
//! pixel is read, and no length that the file states is believed before as many bytes are there.
//!
//! Refused:
//!
//! - what is no Part 10 file, or ends before its pixels,
//! - more than [`MAX_HEAD`] bytes before the pixels (of a deflated file, after inflating),
//! - values that are there and cannot be read.

use std::io::Read;

use dicom_object::{OpenFileOptions, Tag};
use miniz_oxide::inflate::decompress_to_vec_with_limit;

use super::attributes::{Attributes, FRAMES, Notes, name};
use super::dataset::{DataSet, Fault};
use super::part10::{self, DEFLATED, NO_PART_10, START, is_part_10};
use crate::{Error, guard};

/// The most that is read of a file's head, in bytes.
pub const MAX_HEAD: u64 = 1 << 24;
/// The longest value that is kept, in bytes; what is longer counts as not stated.
const MAX_VALUE: usize = 1024;

const CHARACTER_SET: Tag = Tag(0x0008, 0x0005);
const INSTANCE: Tag = Tag(0x0008, 0x0018);
const MANUFACTURER: Tag = Tag(0x0008, 0x0070);
const INSTITUTION: Tag = Tag(0x0008, 0x0080);
const PATIENT: Tag = Tag(0x0010, 0x0020);
const SEX: Tag = Tag(0x0010, 0x0040);
const AGE: Tag = Tag(0x0010, 0x1010);
/// What is text, each with the VR of the data dictionary (PS3.6).
const KEPT: [(Tag, &[u8; 2]); 7] = [
    (CHARACTER_SET, b"CS"),
    (INSTANCE, b"UI"),
    (MANUFACTURER, b"LO"),
    (INSTITUTION, b"LO"),
    (PATIENT, b"LO"),
    (SEX, b"CS"),
    (AGE, b"AS"),
];

/// Values of a file's head, without the spaces around them; empty where the file does not state
/// one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// SOP Instance UID.
    pub instance: String,
    /// Patient ID.
    pub patient: String,
    /// Patient's Sex.
    pub sex: String,
    /// Patient's Age, as DICOM writes it: `034Y`, `007M`.
    pub age: String,
    /// Manufacturer.
    pub manufacturer: String,
    /// Institution Name.
    pub institution: String,
    /// Number of Frames, 1 where it is not stated.
    pub frames: u32,
}

/// Reads the head of the DICOM file that `source` gives; `file` is what errors call it.
///
/// # Errors
/// [`Error::Image`] for what the module's head says is refused.
pub fn header(mut source: impl Read, file: &str) -> Result<Header, Error> {
    let failed = |what: String| Error::Image { file: file.to_owned(), what };
    let (mut bytes, mut wanted) = (Vec::new(), FIRST);
    loop {
        let more = wanted - bytes.len() as u64;
        // A panic in here is the caller's own.
        source
            .by_ref()
            .take(more)
            .read_to_end(&mut bytes)
            .map_err(|error| failed(error.to_string()))?;
        let all = (bytes.len() as u64) < wanted;
        let found = guard::decoding(|| of(&bytes))
            .unwrap_or_else(|guard::Panicked| Err(guard::FAILED.into()));
        match found.map_err(failed)? {
            Some(header) => return Ok(header),
            None if all => {
                return Err(failed(
                    "the DICOM file ends within an element or before its pixels".into(),
                ));
            }
            None if wanted > MAX_HEAD => {
                return Err(failed(format!("it has more than {MAX_HEAD} bytes before its pixels")));
            }
            None => wanted = (wanted * 4).min(MAX_HEAD + START as u64),
        }
    }
}

/// What is read at first; then four times as much, until the head is there.
const FIRST: u64 = 1 << 14;

/// The header in the beginning of a file; none where it goes on after these bytes.
fn of(bytes: &[u8]) -> Result<Option<Header>, String> {
    if !is_part_10(bytes) {
        return Err(NO_PART_10.into());
    }
    let meta = match part10::meta(bytes) {
        Ok(meta) => meta,
        Err(Some(what)) => return Err(what),
        Err(None) => return Ok(None),
    };
    let inflated;
    let (data, start) = if meta.syntax == DEFLATED {
        // What comes out before the limit, or before the bytes end, is the head or says that it is
        // not whole.
        let all = decompress_to_vec_with_limit(&bytes[meta.end..], MAX_HEAD as usize);
        inflated = all.unwrap_or_else(|failed| failed.output);
        if inflated.len() as u64 >= MAX_HEAD {
            return Err(format!("it has more than {MAX_HEAD} bytes before its pixels"));
        }
        (&inflated[..], 0)
    } else {
        (bytes, meta.end)
    };
    let form = part10::form(&meta.syntax);
    match DataSet::read(data, start, form, Some(FRAMES), &mut Notes::new()) {
        Ok(set) => decoded(&Attributes { data, set: &set, big_endian: form.big_endian }).map(Some),
        Err(Fault { ended: true, .. }) => Ok(None),
        Err(Fault { what, .. }) => Err(what),
    }
}

/// The kept values as text, in the file's character set: written as a small file of their own, for
/// the library to read.
fn decoded(attributes: &Attributes) -> Result<Header, String> {
    let mut file = [
        &[0; 128][..],
        b"DICM\x02\0\0\0UL\x04\0\x1c\0\0\0\x02\0\x10\0UI\x14\x001.2.840.10008.1.2.1\0",
    ]
    .concat();
    for (tag, vr) in KEPT {
        let value = attributes.bytes(tag)?;
        let Some((value, _)) = value.filter(|(value, _)| value.len() <= MAX_VALUE) else {
            continue;
        };
        for part in [tag.group(), tag.element()] {
            file.extend(part.to_le_bytes());
        }
        file.extend(vr);
        file.extend((value.len() as u16).to_le_bytes());
        file.extend(value);
    }
    let object = OpenFileOptions::new().from_reader(&file[..]);
    let object =
        object.map_err(|error| format!("the values of its header cannot be read ({error})"))?;
    let text = |tag| {
        let value = object.element(tag).ok().and_then(|element| element.to_str().ok());
        value.map_or(String::new(), |text| text.trim_matches(['\0', ' ']).to_owned())
    };
    let instance = text(INSTANCE);
    if instance.len() > 64 || !instance.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return Err(format!("{} is no unique identifier (PS3.5, 9.1)", name(INSTANCE)));
    }
    Ok(Header {
        instance,
        patient: text(PATIENT),
        sex: text(SEX),
        age: text(AGE),
        manufacturer: text(MANUFACTURER),
        institution: text(INSTITUTION),
        frames: attributes.frames(&mut Notes::new())?,
    })
}

#[cfg(test)]
pub mod tests;
