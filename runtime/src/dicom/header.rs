//! What the beginning of a DICOM Part 10 file says of its patient, its maker and its frames. No pixel is read, and no length that the file
//! states is believed before as many bytes are there.
//!
//! Refused: what is no Part 10 file, ends before its pixels or has more than [`MAX_HEAD`] bytes before them (inflated, where it is deflated).

use std::io::{Cursor, Read};

use dicom_object::{OpenFileOptions, Tag};
use miniz_oxide::inflate::decompress_to_vec_with_limit;

use super::elements::{Element, Elements, ITEM, ITEM_END, MAX_DEPTH, NO_PART_10, SEQUENCE_END, UNDEFINED, syntax};
use super::{BIG_ENDIAN, DEFLATED, IMPLICIT, integer};
use crate::Error;

/// The most that is read of a file's head, in bytes.
pub const MAX_HEAD: u64 = 1 << 24;
/// The longest value that is kept, in bytes; what is longer counts as not stated.
const MAX_VALUE: u32 = 1024;

const CHARACTER_SET: Tag = Tag(0x0008, 0x0005);
const INSTANCE: Tag = Tag(0x0008, 0x0018);
const MANUFACTURER: Tag = Tag(0x0008, 0x0070);
const INSTITUTION: Tag = Tag(0x0008, 0x0080);
const PATIENT: Tag = Tag(0x0010, 0x0020);
const SEX: Tag = Tag(0x0010, 0x0040);
const AGE: Tag = Tag(0x0010, 0x1010);
const FRAMES: Tag = Tag(0x0028, 0x0008);
/// What is kept, each with the VR of the data dictionary (PS3.6).
const KEPT: [(Tag, &[u8; 2]); 8] = [
    (CHARACTER_SET, b"CS"),
    (INSTANCE, b"UI"),
    (MANUFACTURER, b"LO"),
    (INSTITUTION, b"LO"),
    (PATIENT, b"LO"),
    (SEX, b"CS"),
    (AGE, b"AS"),
    (FRAMES, b"IS"),
];

/// Values of a file's head, without the spaces around them; empty where the file does not state one.
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
    pub manufacturer: String,
    /// Institution Name.
    pub institution: String,
    /// Number of Frames, 1 where it is not stated.
    pub frames: i64,
}

/// Whether bytes begin as a Part 10 file does; 132 of them tell.
pub fn is_part_10(bytes: &[u8]) -> bool {
    bytes.get(128..132) == Some(b"DICM")
}

/// Reads the head of the DICOM file that `source` gives; `file` is what errors call it.
///
/// # Errors
/// [`Error::Image`] for what the module's head says is refused.
pub fn header(source: impl Read, file: &str) -> Result<Header, Error> {
    read(Box::new(source)).map_err(|what| Error::Image { file: file.to_owned(), what })
}

fn read(mut source: Box<dyn Read + '_>) -> Result<Header, String> {
    let mut start = Vec::new();
    source.by_ref().take(132).read_to_end(&mut start).map_err(|e| e.to_string())?;
    if !is_part_10(&start) {
        return Err(NO_PART_10.into());
    }
    let syntax = syntax(&mut source)?;
    if syntax == DEFLATED {
        let mut deflated = Vec::new();
        source.take(MAX_HEAD).read_to_end(&mut deflated).map_err(|e| e.to_string())?;
        // What comes out before the limit, or before the bytes end, is the head or says that it is not whole.
        let inflated =
            decompress_to_vec_with_limit(&deflated, MAX_HEAD as usize).unwrap_or_else(|failed| failed.output);
        source = Box::new(Cursor::new(inflated));
    }
    let explicit = syntax != IMPLICIT;
    let mut elements = Elements { source: source.take(MAX_HEAD), explicit, big_endian: syntax == BIG_ENDIAN };
    let kept = elements.kept().map_err(|what| match elements.source.limit() {
        0 => format!("it has more than {MAX_HEAD} bytes before its pixels"),
        _ => what,
    })?;
    decoded(&kept)
}

impl<R: Read> Elements<R> {
    /// The values of [`KEPT`] that are there.
    fn kept(&mut self) -> Result<Vec<(Tag, Vec<u8>)>, String> {
        let mut kept = Vec::new();
        loop {
            let Element { tag, vr, length } = self.sound()?;
            if tag > FRAMES {
                return Ok(kept);
            }
            match length {
                UNDEFINED => self.skip_sequence(vr, 0)?,
                _ if length <= MAX_VALUE && KEPT.iter().any(|(wanted, _)| *wanted == tag) => {
                    kept.push((tag, self.value(length)?));
                }
                _ => self.skip(length)?,
            }
        }
    }

    /// The next element, whose VR must be one.
    fn sound(&mut self) -> Result<Element, String> {
        let element = self.element()?;
        let unnamed = !self.explicit || element.tag.group() == 0xfffe;
        match unnamed || element.vr.iter().all(u8::is_ascii_uppercase) {
            true => Ok(element),
            false => Err(format!("its header is damaged at element {}", element.tag)),
        }
    }

    /// Skips a sequence of undefined length, whose first item is next. What has the VR UN is written without VRs (PS3.5, 6.2.2, note 2).
    fn skip_sequence(&mut self, vr: [u8; 2], depth: usize) -> Result<(), String> {
        if depth > MAX_DEPTH {
            return Err(format!("its header nests sequences deeper than {MAX_DEPTH}"));
        }
        let explicit = self.explicit;
        self.explicit = explicit && vr != *b"UN";
        loop {
            match self.sound()? {
                Element { tag: SEQUENCE_END, .. } => break,
                Element { tag: ITEM, length: UNDEFINED, .. } => loop {
                    match self.sound()? {
                        Element { tag: ITEM_END, .. } => break,
                        Element { vr, length: UNDEFINED, .. } => self.skip_sequence(vr, depth + 1)?,
                        Element { length, .. } => self.skip(length)?,
                    }
                },
                Element { tag: ITEM, length, .. } => self.skip(length)?,
                Element { tag, .. } => return Err(format!("its header is damaged at element {tag}")),
            }
        }
        self.explicit = explicit;
        Ok(())
    }
}

/// The kept values as text, in the file's character set: written as a small file of their own, for the library to read.
fn decoded(kept: &[(Tag, Vec<u8>)]) -> Result<Header, String> {
    let mut file =
        [&[0; 128][..], b"DICM\x02\0\0\0UL\x04\0\x1c\0\0\0\x02\0\x10\0UI\x14\x001.2.840.10008.1.2.1\0"].concat();
    for (tag, vr) in KEPT {
        let Some((_, value)) = kept.iter().find(|(own, _)| *own == tag) else { continue };
        for part in [tag.group(), tag.element()] {
            file.extend(part.to_le_bytes());
        }
        file.extend(vr);
        file.extend((value.len() as u16).to_le_bytes());
        file.extend(value);
    }
    let object = OpenFileOptions::new().from_reader(&file[..]);
    let object = object.map_err(|error| format!("the values of its header cannot be read ({error})"))?;
    let text = |tag| {
        let value = object.element(tag).ok().and_then(|element| element.to_str().ok());
        value.map_or(String::new(), |text| text.trim_matches(['\0', ' ']).to_owned())
    };
    Ok(Header {
        instance: text(INSTANCE),
        patient: text(PATIENT),
        sex: text(SEX),
        age: text(AGE),
        manufacturer: text(MANUFACTURER),
        institution: text(INSTITUTION),
        frames: integer(&object, FRAMES).unwrap_or(1),
    })
}

#[cfg(test)]
pub mod tests;
