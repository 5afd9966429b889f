//! A DICOM data set element by element (PS3.5, 7.1), and the transfer syntax that the meta information names. No length is believed before as many
//! bytes are there.

use std::io::{self, Read, Take};

use dicom_object::Tag;

/// The deepest that sequences may stand in each other.
pub const MAX_DEPTH: usize = 16;
/// The length of what ends with a delimiter.
pub const UNDEFINED: u32 = u32::MAX;
const MAX_META: u32 = 1 << 16;
const MAX_UID: u32 = 1024;
/// The VRs whose length has two bytes (PS3.5, table 7.1-2); all others have four, also those to come.
const SHORT: [&[u8; 2]; 21] = [
    b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN", b"SH", b"SL", b"SS",
    b"ST", b"TM", b"UI", b"UL", b"US",
];

pub struct Element {
    pub tag: Tag,
    pub vr: [u8; 2],
    pub length: u32,
}

/// A data set, element by element; `source` is limited to what may be read of it.
pub struct Elements<R> {
    pub source: Take<R>,
    pub explicit: bool,
    pub big_endian: bool,
}

pub const ITEM: Tag = Tag(0xfffe, 0xe000);
pub const ITEM_END: Tag = Tag(0xfffe, 0xe00d);
pub const SEQUENCE_END: Tag = Tag(0xfffe, 0xe0dd);

impl<R: Read> Elements<R> {
    /// The next element up to its value.
    pub fn element(&mut self) -> Result<Element, String> {
        let tag = Tag(self.u16()?, self.u16()?);
        if !self.explicit || tag.group() == 0xfffe {
            return Ok(Element { tag, vr: *b"  ", length: self.u32()? });
        }
        let vr = self.bytes()?;
        let length = match SHORT.contains(&&vr) {
            true => self.u16()?.into(),
            false => {
                self.u16()?;
                self.u32()?
            }
        };
        Ok(Element { tag, vr, length })
    }

    pub fn skip(&mut self, length: u32) -> Result<(), String> {
        let skipped = io::copy(&mut self.source.by_ref().take(length.into()), &mut io::sink());
        match skipped.map_err(|e| e.to_string())? == u64::from(length) {
            true => Ok(()),
            false => Err(ENDED.into()),
        }
    }

    pub fn value(&mut self, length: u32) -> Result<Vec<u8>, String> {
        let mut value = vec![0; length as usize];
        self.source.read_exact(&mut value).map_err(|_| ENDED)?;
        Ok(value)
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut bytes = [0; N];
        self.source.read_exact(&mut bytes).map_err(|_| ENDED)?;
        Ok(bytes)
    }

    fn u16(&mut self) -> Result<u16, String> {
        let bytes = self.bytes()?;
        Ok(if self.big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    }

    fn u32(&mut self) -> Result<u32, String> {
        let bytes = self.bytes()?;
        Ok(if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }
}

const ENDED: &str = "the DICOM file ends within an element";

/// Why a file is refused that does not begin as a Part 10 file does (PS3.10, 7.1).
pub const NO_PART_10: &str = "this is no DICOM Part 10 file (DICM does not stand at byte 128)";

/// The transfer syntax that the meta information names (PS3.10, table 7.1-1).
pub fn syntax(source: &mut dyn Read) -> Result<String, String> {
    let missing = "its meta information is missing or damaged";
    let mut first = [0; 12];
    source.read_exact(&mut first).map_err(|_| missing)?;
    let length = u32::from_le_bytes([first[8], first[9], first[10], first[11]]);
    if first[..8] != *b"\x02\0\0\0UL\x04\0" || length > MAX_META {
        return Err(missing.into());
    }
    let mut elements = Elements { source: source.take(length.into()), explicit: true, big_endian: false };
    let mut found = None;
    // The data set begins where the meta information ends.
    while elements.source.limit() > 0 {
        let Element { tag, length, .. } = elements.element().map_err(|_| missing)?;
        match tag {
            Tag(0x0002, 0x0010) if length <= MAX_UID && found.is_none() => {
                found = Some(elements.value(length).map_err(|_| missing)?);
            }
            Tag(0x0002, 0x0010) => return Err(missing.into()),
            _ => elements.skip(length).map_err(|_| missing)?,
        }
    }
    let value = found.ok_or(missing)?;
    Ok(String::from_utf8_lossy(&value).trim_end_matches(['\0', ' ']).to_owned())
}
