//! Names what is wrong with an archive that is not in canonical form.
//!
//! Nothing here decides anything: the archive was refused before. It is read leniently, as other
//! programs might, and the first trick that is recognised gives the class. Costs are bounded by the
//! limits on entries and by the file's length.

use std::collections::BTreeMap;

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};
use unicode_normalization::UnicodeNormalization;

use super::LIMITS;
use super::names::{fault, refusal};
use super::records::{Central, End, Local, find};
use crate::Class;
use crate::bundle::manifest::MANIFEST;
use crate::bundle::signature::SIGNATURES;
use crate::error::Refusal;

/// Signatures of ZIP's records (APPNOTE 6.3.10, section 4.3).
pub(super) const LOCAL_HEADER: &[u8] = b"PK\x03\x04";
pub(super) const CENTRAL_HEADER: &[u8] = b"PK\x01\x02";
pub(super) const END_RECORD: &[u8] = b"PK\x05\x06";
const ZIP64_END: &[u8] = b"PK\x06\x06";
const ZIP64_LOCATOR: &[u8] = b"PK\x06\x07";
/// Extra fields: ZIP64's numbers, Info-ZIP's Unicode path.
const ZIP64_FIELD: u16 = 1;
const UNICODE_PATH: u16 = 0x7075;
/// What a compressed entry may grow by before it is called a bomb.
const BOMB: u64 = 100;
/// How much of a compressed stream is looked at to find its end.
const INFLATED: usize = 1 << 20;

/// The class of a refused archive and where it shows; none where nothing is recognised.
pub(super) fn diagnose(archive: &[u8]) -> Option<Refusal> {
    let end = match end_record(archive) {
        Ok(end) => end,
        Err(refusal) => return Some(refusal),
    };
    let result = whole(archive, &end).and_then(|()| {
        let entries = directory(archive, &end)?;
        let mut places: BTreeMap<usize, usize> = BTreeMap::new();
        entries.iter().for_each(|e| *places.entry(e.offset).or_default() += 1);
        // Where records share a header their names differ because the entries are one.
        entries.iter().try_for_each(|entry| record(archive, entry, places[&entry.offset] > 1))?;
        twins(&entries)?;
        for entry in &entries {
            name(entry)?;
        }
        layout(archive, &end, &entries)?;
        order(&entries)
    });
    result.err()
}

/// The end record that ordinary programs believe.
fn end_record(archive: &[u8]) -> Result<End, Refusal> {
    let from = archive.len().saturating_sub(End::LENGTH + usize::from(u16::MAX));
    let places = find(&archive[from..], END_RECORD).into_iter().map(|at| from + at);
    let all: Vec<End> = places.filter_map(|at| End::read(archive, at)).collect();
    let Some(last) = all.last() else {
        return Err(if archive.starts_with(LOCAL_HEADER) {
            Refusal::new(Class::Truncated, "the end record is missing")
                .bytes(archive.len()..archive.len())
        } else {
            Refusal::new(Class::NotAnArchive, "it neither begins nor ends as an archive does")
        });
    };
    let Some(fitting) = all.iter().find(|e| e.finish() == archive.len()) else {
        let finish = last.finish();
        return Err(if finish > archive.len() {
            Refusal::new(Class::Truncated, "the end record's comment is cut off")
                .bytes(last.at..archive.len())
        } else {
            Refusal::new(
                Class::Trailing,
                format!("{} bytes follow the end record", archive.len() - finish),
            )
            .bytes(finish..archive.len())
        });
    };
    if fitting.comment > 0 {
        let (class, what) = if all.iter().any(|e| e.at > fitting.at) {
            (Class::EocdInComment, "the archive's comment holds an end record")
        } else {
            (Class::ArchiveComment, "the archive has a comment")
        };
        return Err(Refusal::new(class, what).bytes(fitting.at + End::LENGTH..archive.len()));
    }
    if let Some(other) = all.iter().find(|e| e.at < fitting.at && e.at as u64 >= fitting.offset) {
        return Err(Refusal::new(
            Class::TwoEocd,
            format!("there is one at byte {} and one at {}", other.at, fitting.at),
        )
        .bytes(other.at..archive.len()));
    }
    Ok(*fitting)
}

/// The end record's own numbers.
fn whole(archive: &[u8], end: &End) -> Result<(), Refusal> {
    let place = end.at..archive.len();
    let refuse = |class, what: String| Err(Refusal::new(class, what).bytes(place.clone()));
    zip64(archive, end)?;
    if end.disks != [0, 0] {
        return refuse(Class::MultiDisk, format!("it names disks {:?}", end.disks));
    }
    if usize::from(end.total) > LIMITS.entries {
        return refuse(
            Class::TooManyEntries,
            format!("{} entries, more than {}", end.total, LIMITS.entries),
        );
    }
    let directory_end = end.offset + end.size;
    if directory_end > end.at as u64 {
        return refuse(
            Class::Truncated,
            format!(
                "the directory must end at byte {directory_end} and the end record begins at {}",
                end.at
            ),
        );
    }
    let moved = (end.at as u64 - directory_end) as usize;
    let begins =
        |at: usize, record: &[u8]| archive.get(at..).is_some_and(|bytes| bytes.starts_with(record));
    if !begins(0, LOCAL_HEADER) || (moved > 0 && begins(moved, LOCAL_HEADER)) {
        return Err(Refusal::new(Class::Prepended, "the archive does not begin with the file")
            .bytes(0..moved.max(4)));
    }
    match moved {
        0 => Ok(()),
        _ if begins(moved + end.offset as usize, CENTRAL_HEADER) => Err(Refusal::new(
            Class::GapEntries,
            format!("{moved} bytes among the entries are nobody's"),
        )),
        _ => Err(Refusal::new(
            Class::GapBeforeEocd,
            format!("{moved} bytes before the end record are nobody's"),
        )
        .bytes(directory_end as usize..end.at)),
    }
}

/// ZIP64's second copies of the end record's numbers.
fn zip64(archive: &[u8], end: &End) -> Result<(), Refusal> {
    let size = archive.len() as u64;
    let before = &archive[..end.at];
    let record = find(&before[before.len().saturating_sub(200)..], ZIP64_END).pop();
    let record = record.map(|at| before.len().saturating_sub(200) + at);
    let locator =
        before.len().checked_sub(20).is_some_and(|at| before[at..].starts_with(ZIP64_LOCATOR));
    let saturated = end.total == u16::MAX
        || end.offset == u64::from(u32::MAX)
        || end.size == u64::from(u32::MAX);
    if record.is_none() && !locator && !saturated {
        return Ok(());
    }
    let numbers =
        record.map(|at| [24, 32, 40, 48].map(|o| u64_at(archive, at + o))).unwrap_or_default();
    let huge =
        numbers.iter().any(|n| n.is_some_and(|n| n > size)) || (record.is_none() && saturated);
    let place = record.unwrap_or(end.at)..archive.len();
    Err(if huge {
        Refusal::new(Class::Zip64Huge, "a ZIP64 end record gives numbers beyond the file")
            .bytes(place)
    } else {
        Refusal::new(Class::Zip64EocdDisagrees, "there is a ZIP64 end record beside the plain one")
            .bytes(place)
    })
}

fn directory<'a>(archive: &'a [u8], end: &End) -> Result<Vec<Central<'a>>, Refusal> {
    let (mut at, finish) = (end.offset as usize, end.at);
    let mut entries = Vec::new();
    while at < finish {
        let Some(entry) = Central::read(archive, at, finish) else { break };
        at = entry.finish;
        entries.push(entry);
        if entries.len() > LIMITS.entries {
            break;
        }
    }
    let says = usize::from(end.total);
    if entries.len() != says || end.here != end.total {
        let what = format!(
            "the end record says {says} ({} on this disk), the directory has {}",
            end.here,
            entries.len()
        );
        return Err(Refusal::new(Class::CountWrong, what).bytes(end.at..archive.len()));
    }
    if at == finish {
        Ok(entries)
    } else {
        Err(Refusal::new(Class::GapBeforeEocd, "bytes after the directory are nobody's")
            .bytes(at..finish))
    }
}

/// One record of the directory, and the header that it points to.
fn record(archive: &[u8], entry: &Central, shared: bool) -> Result<(), Refusal> {
    let refuse = |class, what: String| Err(entry.refusal(class, what));
    if entry.name.len() > LIMITS.name {
        // Before anything is made of it: long names are memory.
        return refuse(
            Class::LongName,
            format!("its name has {} bytes, more than {}", entry.name.len(), LIMITS.name),
        );
    }
    if entry.disk != 0 {
        return refuse(Class::MultiDisk, format!("it is said to be on disk {}", entry.disk));
    }
    if entry.comment > 0 {
        return refuse(Class::EntryComment, format!("it has a comment of {} bytes", entry.comment));
    }
    let local = Local::read(archive, entry.offset);
    let extras = [entry.extra, local.as_ref().map_or(&[][..], |l| l.extra)];
    for extra in extras {
        if let Some(field) = field(extra, ZIP64_FIELD) {
            let huge = field
                .chunks_exact(8)
                .any(|n| u64_at(n, 0).is_some_and(|n| n > archive.len() as u64));
            let class = if huge { Class::Zip64Huge } else { Class::Zip64EocdDisagrees };
            return refuse(class, "it has ZIP64's second copies of its sizes".into());
        }
        if field(extra, UNICODE_PATH).is_some() {
            return refuse(Class::UnicodePathExtra, "it has a second name".into());
        }
    }
    if entry.attributes >> 16 & 0o170_000 == 0o120_000 {
        return refuse(Class::Symlink, "its attributes make it a symbolic link".into());
    }
    flags(entry, entry.flags)?;
    if let Some(local) = &local {
        let differs =
            |what: &str| format!("the directory and its own header give it different {what}");
        if local.name != entry.name && !shared {
            return refuse(Class::LfhNameDiffers, differs("names"));
        }
        if local.method != entry.method {
            return refuse(Class::LfhMethodDiffers, differs("compressions"));
        }
        flags(entry, local.flags)?;
        if local.sizes != entry.sizes {
            return refuse(Class::LfhSizeDiffers, differs("sizes"));
        }
        if local.crc32 != entry.crc32 {
            return refuse(Class::LfhCrcDiffers, differs("checksums"));
        }
    }
    let [packed, unpacked] = entry.sizes.map(u64::from);
    match entry.method {
        0 if packed != unpacked => {
            refuse(Class::SizeLies, format!("{packed} bytes that are said to be {unpacked}"))
        }
        0 => Ok(()),
        _ if unpacked / packed.max(1) > BOMB => {
            refuse(Class::BombRatio, format!("{packed} bytes would become {unpacked}"))
        }
        8 if local.is_some_and(|l| ends_early(archive, l.data, packed as usize)) => {
            refuse(Class::DeflateTrailing, "bytes follow the end of its compressed stream".into())
        }
        method => refuse(Class::BadMethod, format!("it is compressed by method {method}")),
    }
}

fn flags(entry: &Central, flags: u16) -> Result<(), Refusal> {
    if flags & (1 | 1 << 6 | 1 << 13) != 0 {
        return Err(entry.refusal(Class::EncryptedFlag, "it is marked as encrypted"));
    }
    match flags & 1 << 3 {
        0 => Ok(()),
        _ => {
            Err(entry.refusal(Class::DescriptorLies, "its sizes are said to stand after its data"))
        }
    }
}

/// Names that some file systems take for one.
fn twins(entries: &[Central]) -> Result<(), Refusal> {
    let mut exact = BTreeMap::new();
    let mut lower = BTreeMap::new();
    let mut composed = BTreeMap::new();
    for entry in entries {
        if exact.insert(entry.name, ()).is_some() {
            return Err(entry.refusal(Class::DupName, "an entry of this name is there already"));
        }
        let Ok(name) = std::str::from_utf8(entry.name) else { continue };
        if let Some(other) = composed.insert(name.nfc().collect::<String>(), name) {
            return Err(entry.refusal(
                Class::NfcNfdTwin,
                format!("it is spelt like {other:?} but for its accents"),
            ));
        }
        if let Some(other) = lower.insert(name.to_lowercase(), name) {
            return Err(entry.refusal(Class::CaseTwin, format!("it is {other:?} in another case")));
        }
    }
    Ok(())
}

fn name(entry: &Central) -> Result<(), Refusal> {
    match fault(entry.name) {
        None => Ok(()),
        Some(Class::DirEntry) if entry.sizes != [0, 0] => {
            Err(refusal(Class::DirWithData, entry.name))
        }
        Some(class) => Err(refusal(class, entry.name)),
    }
}

/// Where entries lie: one after the other, each byte owned once.
fn layout(archive: &[u8], end: &End, entries: &[Central]) -> Result<(), Refusal> {
    let mut by_place: Vec<&Central> = entries.iter().collect();
    by_place.sort_by_key(|e| e.offset);
    let directory = end.offset as usize;
    if let Some(twice) = by_place.windows(2).find(|pair| pair[0].offset == pair[1].offset) {
        return Err(twice[1].refusal(Class::OverlapFull, "another entry has the same bytes"));
    }
    let mut at = 0;
    for (place, entry) in by_place.iter().enumerate() {
        let next = by_place.get(place + 1).map_or(directory, |e| e.offset);
        if entry.offset > at {
            let what = format!("{} bytes before it are nobody's", entry.offset - at);
            return Err(entry.refusal(Class::GapEntries, what).bytes(at..entry.offset));
        }
        let Some(local) = Local::read(archive, entry.offset) else {
            let class = if entry.offset >= directory { Class::OverlapCd } else { Class::Truncated };
            return Err(entry.refusal(class, format!("it has no header at byte {}", entry.offset)));
        };
        let finish = local.data.saturating_add(entry.sizes[0] as usize);
        if finish > directory {
            let class = if finish > archive.len() { Class::Truncated } else { Class::OverlapCd };
            return Err(entry.refusal(
                class,
                format!("its data would end at byte {finish}, past the directory's begin"),
            ));
        }
        if finish > next {
            return Err(entry.refusal(
                Class::OverlapQuoted,
                format!("its data would end at byte {finish}, past {next}"),
            ));
        }
        if crc32fast::hash(&archive[local.data..finish]) != entry.crc32 {
            return Err(entry
                .refusal(Class::BadCrc, "its checksum is not that of its data")
                .bytes(local.data..finish));
        }
        at = finish;
    }
    if at == directory {
        Ok(())
    } else {
        Err(Refusal::new(Class::GapEntries, "bytes before the directory are nobody's")
            .bytes(at..directory))
    }
}

fn order(entries: &[Central]) -> Result<(), Refusal> {
    let names: Vec<&[u8]> = entries.iter().map(|e| e.name).collect();
    let front = [MANIFEST.as_bytes(), SIGNATURES.as_bytes()];
    if names.len() < 2 || names[..2] != front {
        let missing = front.iter().find(|name| !names.contains(name));
        return Err(match missing {
            Some(name) => Refusal::new(Class::MissingEntry, "the archive does not have it")
                .entry(String::from_utf8_lossy(name)),
            None => Refusal::new(
                Class::EntryOrder,
                format!("{MANIFEST} and {SIGNATURES} do not come first"),
            ),
        });
    }
    match names[2..].windows(2).find(|pair| pair[0] > pair[1]) {
        Some(pair) => Err(refusal(Class::EntryOrder, pair[1])),
        None => Ok(()),
    }
}

/// Whether a deflate stream ends before its entry's bytes do.
fn ends_early(archive: &[u8], from: usize, length: usize) -> bool {
    let Some(stream) = archive.get(from..from.saturating_add(length)) else { return false };
    let mut out = vec![0; INFLATED];
    let flags = inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
    let (status, read, _) = decompress(&mut DecompressorOxide::new(), stream, &mut out, 0, flags);
    status == TINFLStatus::Done && read < stream.len()
}

/// The content of an extra field of this kind.
fn field(mut extra: &[u8], kind: u16) -> Option<&[u8]> {
    while let Some((head, rest)) = extra.split_first_chunk::<4>() {
        let length = usize::from(u16::from_le_bytes([head[2], head[3]]));
        let content = rest.get(..length)?;
        if u16::from_le_bytes([head[0], head[1]]) == kind {
            return Some(content);
        }
        extra = &rest[length..];
    }
    None
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk::<8>().map(|b| u64::from_le_bytes(*b))
}
