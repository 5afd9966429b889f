//! The archive's frame: a ZIP file with exactly one byte form for given entries.
//!
//! Reading takes names and lengths from the directory, writes the frame again from the names and
//! data found, and refuses every byte that differs. So nothing can hide in it:
//!
//! - no bytes before, between or after entries,
//! - no second entry of a name, no overlap, no compression,
//! - no comment, no other extra field, no ZIP64 record,
//! - no other order, time or attribute.

use std::ops::Range;

pub use super::names::check_name;
use super::names::{fault, refusal};
pub use super::rules::{LIMITS, Limits};
use super::rules::{MANIFEST, SIGNATURES, too_large};
use crate::error::Refusal;
use crate::{Class, Error};

mod diagnose;
pub(super) mod records;
mod writer;

use records::{Central, End, LOCAL_HEADER};
pub use writer::ALIGNMENT;
use writer::Frame;

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
    let Some(end) = end.filter(|_| archive.starts_with(LOCAL_HEADER)) else {
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
            return Err(refusal(Class::LongName, &record.name[..LIMITS.name]));
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
        if let Some(class) = fault(name.as_bytes()) {
            return Err(refusal(class, name.as_bytes()));
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

#[cfg(test)]
pub(crate) mod tests;
