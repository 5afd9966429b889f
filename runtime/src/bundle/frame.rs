//! The archive's frame: a ZIP file of which there is exactly one byte form for given entries.
//!
//! Reading takes names and lengths from the directory, writes the frame again from the names and
//! data found, and refuses every byte that differs. So nothing can hide in it: no bytes before,
//! between or after entries, no second entry of a name, no overlap, compression, comment, other
//! extra field, ZIP64 record, other order, time or attribute.

use std::ops::Range;

use super::manifest::MANIFEST;
use super::signature::SIGNATURES;
use crate::error::Refusal;
use crate::{Class, Error};

mod diagnose;
mod names;
mod records;

pub use names::check_name;
use records::{Central, End};

/// Every entry's data begins at a multiple of this many bytes, so that weights can be used in
/// place.
pub const ALIGNMENT: usize = 64;

/// What is refused for its size alone, before it costs memory or time.
pub struct Limits {
    /// Bytes of the whole bundle. ZIP's 32-bit fields end here, and ZIP64 has second copies of them
    /// that can disagree.
    pub bundle: usize,
    /// Entries. Thousands of modules fit, and a listing of empty ones does not cost more than it
    /// should.
    pub entries: usize,
    /// Bytes of a name: `modules/`, 64 hex digits and `.safetensors` are 84.
    pub name: usize,
    /// Bytes of `manifest.json` and `signatures.json` each. They are parsed before the entries are
    /// checked.
    pub json: usize,
    /// Objects and lists in one another in those two; the format needs five.
    pub nesting: usize,
    /// Signatures. Each costs a curve operation before anybody is trusted.
    pub signatures: usize,
}

/// The limits of format version 1.
pub const LIMITS: Limits = Limits {
    bundle: u32::MAX as usize,
    entries: 4096,
    name: 128,
    json: 8 << 20,
    nesting: 16,
    signatures: 64,
};

/// The archive of `entries` (name, data): `manifest.json`, `signatures.json`, then the payload
/// sorted by name.
///
/// # Errors
/// [`Error::Refused`] for a name that is not allowed or out of order, or sizes over the limits.
pub fn write(entries: &[(&str, &[u8])]) -> Result<Vec<u8>, Error> {
    check_order(entries.iter().map(|(name, _)| *name))?;
    let data: usize = entries.iter().map(|(_, data)| data.len()).sum();
    let mut frame = Frame::default();
    let mut archive = Vec::with_capacity(data.saturating_add(entries.len() * 512));
    for (name, data) in entries {
        archive.extend(frame.local(name, data)?);
        archive.extend_from_slice(data);
    }
    archive.extend(frame.directory()?);
    Ok(archive)
}

/// The entries of an archive in canonical form: name, and where the data is.
///
/// # Errors
/// [`Error::Refused`] for every other archive, with the class of what is wrong.
pub fn parse(archive: &[u8]) -> Result<Vec<(String, Range<usize>)>, Error> {
    if archive.len() > LIMITS.bundle {
        return Err(too_large().into());
    }
    // The comparison decides; what it was is asked afterwards.
    strict(archive).map_err(|refusal| diagnose::diagnose(archive).unwrap_or(refusal).into())
}

fn strict(archive: &[u8]) -> Result<Vec<(String, Range<usize>)>, Refusal> {
    let listed = list(archive)?;
    check_order(listed.iter().map(|(name, _)| name.as_str()))?;
    let mut frame = Frame::default();
    let mut found = Vec::with_capacity(listed.len());
    for (name, length) in listed {
        let start = frame.data_start(&name);
        let range = start..start.saturating_add(length);
        let data = archive.get(range.clone()).ok_or_else(|| {
            let what = format!("{length} bytes from byte {start} on are not all there");
            Refusal::new(Class::Truncated, what).entry(name.as_str())
        })?;
        let at = frame.end;
        demand(archive, at, &frame.local(&name, data)?, &format!("header of {name}"))?;
        found.push((name, range));
    }
    let at = frame.end;
    let directory = frame.directory()?;
    demand(archive, at, &directory, "central directory")?;
    if archive.len() != at + directory.len() {
        let after = at + directory.len()..archive.len();
        return Err(Refusal::new(Class::Trailing, "there are bytes after the archive").bytes(after));
    }
    Ok(found)
}

/// Name and length of each entry as the directory gives them, at most as many as the limit. Nothing
/// of this is believed before [`strict`] has written it again.
fn list(archive: &[u8]) -> Result<Vec<(String, usize)>, Refusal> {
    let refuse = |what: &str| Refusal::new(Class::NoncanonicalFrame, what);
    let end = archive.len().checked_sub(End::LENGTH).and_then(|at| End::read(archive, at));
    let Some(end) = end.filter(|_| archive.starts_with(diagnose::LOCAL_HEADER)) else {
        return Err(refuse("it does not begin and end as an archive does"));
    };
    let entries = usize::from(end.total);
    if entries > LIMITS.entries {
        let what = format!("it has {entries} entries, more than {}", LIMITS.entries);
        return Err(Refusal::new(Class::TooManyEntries, what));
    }
    if end.offset + end.size != end.at as u64 {
        return Err(refuse("its directory is not where its end says"));
    }
    let (mut at, mut listed) = (end.offset as usize, Vec::with_capacity(entries));
    for _ in 0..entries {
        let record = Central::read(archive, at, end.at)
            .ok_or_else(|| refuse("its directory has fewer records"))?;
        if record.name.len() > LIMITS.name {
            return Err(names::refusal(Class::LongName, &record.name[..LIMITS.name]));
        }
        listed.push((String::from_utf8_lossy(record.name).into_owned(), record.sizes[1] as usize));
        at = record.finish;
    }
    Ok(listed)
}

fn check_order<'a>(mut names: impl Iterator<Item = &'a str>) -> Result<(), Refusal> {
    let refuse = |class, name: &str, what: &str| Err(Refusal::new(class, what).entry(name));
    for first in [MANIFEST, SIGNATURES] {
        if names.next() != Some(first) {
            return refuse(Class::EntryOrder, first, "it is not in its place at the front");
        }
    }
    let mut before = "";
    for name in names {
        if let Some(class) = names::fault(name.as_bytes()) {
            return Err(names::refusal(class, name.as_bytes()));
        }
        if name == before || name == MANIFEST || name == SIGNATURES {
            return refuse(Class::DupName, name, "it is there twice");
        }
        if name < before {
            return refuse(Class::EntryOrder, name, "it is out of order");
        }
        before = name;
    }
    Ok(())
}

fn demand(archive: &[u8], at: usize, expected: &[u8], part: &str) -> Result<(), Refusal> {
    let found = archive.get(at..).unwrap_or_default();
    if found.starts_with(expected) {
        return Ok(());
    }
    let same = expected.iter().zip(found).take_while(|(ours, theirs)| ours == theirs).count();
    let show =
        |bytes: &[u8]| bytes.get(same).map_or("nothing".into(), |byte| format!("{byte:#04x}"));
    let what = format!(
        "in the {part}, {} stands where {} must; pack it again",
        show(found),
        show(expected)
    );
    Err(Refusal::new(Class::NoncanonicalFrame, what).bytes(at + same..at + expected.len()))
}

/// Writes the frame from the front: local headers one by one, then the directory and the end
/// record.
#[derive(Default)]
struct Frame {
    /// Where the next part begins.
    end: usize,
    entries: usize,
    directory: Vec<u8>,
}

/// Length of a local header without name and extra field, and of a directory's record without them.
const LOCAL: usize = 30;
const CENTRAL: usize = 46;
/// Shortest extra field: id, length, alignment (2 bytes each).
const EXTRA: usize = 6;

impl Frame {
    /// Where the data of an entry `name` begins if it is the next.
    fn data_start(&self, name: &str) -> usize {
        (self.end + LOCAL + name.len() + EXTRA).next_multiple_of(ALIGNMENT)
    }

    /// The local header of the next entry, up to the first byte of its data.
    fn local(&mut self, name: &str, data: &[u8]) -> Result<Vec<u8>, Refusal> {
        self.entries += 1;
        let (at, start) = (self.end, self.data_start(name));
        self.end = start.saturating_add(data.len());
        if self.entries > LIMITS.entries {
            return Err(Refusal::new(
                Class::TooManyEntries,
                format!("it has more than {} entries", LIMITS.entries),
            ));
        }
        let common = common_fields(name, narrow(data.len())?, crc32fast::hash(data));
        let padding = start - at - LOCAL - name.len() - EXTRA;

        let mut header = b"PK\x03\x04".to_vec();
        header.extend(&common);
        header.extend((padding as u16 + EXTRA as u16).to_le_bytes());
        header.extend(name.as_bytes());
        header.extend(0xa11e_u16.to_le_bytes()); // the extra field "data stream alignment"
        header.extend((padding as u16 + 2).to_le_bytes());
        header.extend((ALIGNMENT as u16).to_le_bytes());
        header.resize(start - at, 0);

        self.directory.extend(b"PK\x01\x02");
        // made by: the same, attributes of MS-DOS
        self.directory.extend(VERSION_NEEDED.to_le_bytes());
        self.directory.extend(&common);
        self.directory.extend([0; 12]); // no extra field, no comment, disk 0, no attributes
        self.directory.extend(narrow(at)?.to_le_bytes());
        self.directory.extend(name.as_bytes());
        Ok(header)
    }

    /// The central directory and the end record.
    fn directory(self) -> Result<Vec<u8>, Refusal> {
        let mut directory = self.directory;
        let length = directory.len();
        directory.extend(b"PK\x05\x06\0\0\0\0");
        directory.extend(
            [(self.entries as u16).to_le_bytes(), (self.entries as u16).to_le_bytes()].concat(),
        );
        directory.extend([narrow(length)?.to_le_bytes(), narrow(self.end)?.to_le_bytes()].concat());
        directory.extend([0, 0]);
        narrow(self.end + directory.len())?;
        Ok(directory)
    }
}

/// ZIP 1.0: nothing but stored files is needed to read a bundle.
const VERSION_NEEDED: u16 = 10;

/// The 24 bytes that a local header and a directory record share: version needed, flags, method,
/// time, date, CRC-32, both lengths, length of the name.
fn common_fields(name: &str, length: u32, crc32: u32) -> Vec<u8> {
    let mut fields = VERSION_NEEDED.to_le_bytes().to_vec();
    fields.extend([0, 0, 0, 0, 0, 0, 0x21, 0]); // no flags, stored, 00:00:00 on 1980-01-01
    fields.extend([crc32, length, length].map(u32::to_le_bytes).concat());
    fields.extend((name.len() as u16).to_le_bytes());
    fields
}

fn narrow(value: usize) -> Result<u32, Refusal> {
    u32::try_from(value).map_err(|_| too_large())
}

pub(super) fn too_large() -> Refusal {
    Refusal::new(Class::TooLarge, format!("it has more than {} bytes", LIMITS.bundle))
}

#[cfg(test)]
pub(crate) mod tests;
