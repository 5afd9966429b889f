//! ZIP's records, read as they stand. Nothing in them is believed: they help to name what is wrong
//! with an archive, and are never used otherwise.

use crate::Class;
use crate::error::Refusal;

/// What ZIP's records begin with (APPNOTE 6.3.10, section 4.3).
pub const LOCAL_HEADER: &[u8] = b"PK\x03\x04";
pub(super) const CENTRAL_HEADER: &[u8] = b"PK\x01\x02";
pub(super) const END_RECORD: &[u8] = b"PK\x05\x06";
/// Length of a local header without name and extra field, and of a directory's record without them.
pub const LOCAL: usize = 30;
const CENTRAL: usize = 46;

/// The end record (APPNOTE 6.3.10, section 4.3.16).
#[derive(Clone, Copy)]
pub(super) struct End {
    pub at: usize,
    pub disks: [u16; 2],
    pub here: u16,
    pub total: u16,
    pub size: u64,
    pub offset: u64,
    pub comment: usize,
}

impl End {
    pub const LENGTH: usize = 22;

    pub fn read(archive: &[u8], at: usize) -> Option<Self> {
        let bytes = archive.get(at..)?;
        let short = |at| u16_at(bytes, at);
        let long = |at| u32_at(bytes, at).map(u64::from);
        bytes.starts_with(END_RECORD).then_some(())?;
        Some(End {
            at,
            disks: [short(4)?, short(6)?],
            here: short(8)?,
            total: short(10)?,
            size: long(12)?,
            offset: long(16)?,
            comment: short(20)?.into(),
        })
    }

    /// Where the record says that the file ends.
    pub fn finish(&self) -> usize {
        self.at + Self::LENGTH + self.comment
    }
}

/// A record of the directory (section 4.3.12).
pub(super) struct Central<'a> {
    pub at: usize,
    pub finish: usize,
    pub flags: u16,
    pub method: u16,
    pub crc32: u32,
    /// Packed and unpacked.
    pub sizes: [u32; 2],
    pub name: &'a [u8],
    pub extra: &'a [u8],
    pub comment: usize,
    pub disk: u16,
    pub attributes: u32,
    pub offset: usize,
}

impl<'a> Central<'a> {
    pub fn read(archive: &'a [u8], at: usize, limit: usize) -> Option<Self> {
        let bytes = archive.get(at..limit)?;
        bytes.starts_with(CENTRAL_HEADER).then_some(())?;
        let short = |at| u16_at(bytes, at);
        let [name, extra, comment] = [28, 30, 32].map(short);
        let [name, extra, comment] = [name?, extra?, comment?].map(usize::from);
        let rest = bytes.get(CENTRAL..CENTRAL + name + extra + comment)?;
        Some(Central {
            at,
            finish: at + CENTRAL + rest.len(),
            flags: short(8)?,
            method: short(10)?,
            crc32: u32_at(bytes, 16)?,
            sizes: [u32_at(bytes, 20)?, u32_at(bytes, 24)?],
            name: &rest[..name],
            extra: &rest[name..name + extra],
            comment,
            disk: short(34)?,
            attributes: u32_at(bytes, 38)?,
            offset: u32_at(bytes, 42)? as usize,
        })
    }

    pub fn refusal(&self, class: Class, what: impl Into<String>) -> Refusal {
        let name = String::from_utf8_lossy(self.name).escape_debug().to_string();
        Refusal::new(class, what).entry(name).bytes(self.at..self.finish)
    }
}

/// An entry's own header (section 4.3.7).
pub(super) struct Local<'a> {
    pub flags: u16,
    pub method: u16,
    pub crc32: u32,
    pub sizes: [u32; 2],
    pub name: &'a [u8],
    pub extra: &'a [u8],
    /// Where the data begins.
    pub data: usize,
}

impl<'a> Local<'a> {
    pub fn read(archive: &'a [u8], at: usize) -> Option<Self> {
        let bytes = archive.get(at..)?;
        bytes.starts_with(LOCAL_HEADER).then_some(())?;
        let short = |at| u16_at(bytes, at);
        let [name, extra] = [usize::from(short(26)?), usize::from(short(28)?)];
        let rest = bytes.get(LOCAL..LOCAL + name + extra)?;
        Some(Local {
            flags: short(6)?,
            method: short(8)?,
            crc32: u32_at(bytes, 14)?,
            sizes: [u32_at(bytes, 18)?, u32_at(bytes, 22)?],
            name: &rest[..name],
            extra: &rest[name..],
            data: at + LOCAL + rest.len(),
        })
    }
}

/// Every place of `what` in `bytes`.
pub(super) fn find(bytes: &[u8], what: &[u8]) -> Vec<usize> {
    (0..bytes.len().saturating_sub(what.len() - 1))
        .filter(|&at| bytes[at..].starts_with(what))
        .collect()
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk::<4>().map(|b| u32::from_le_bytes(*b))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk::<2>().map(|b| u16::from_le_bytes(*b))
}
