//! Names what is wrong with an archive that is not in canonical form.
//!
//! Nothing here decides anything: the archive was refused before. It is read as loosely as other
//! programs may read it. The first trick that is recognised gives the class. The limits on entries
//! and the file's length bound the cost.

use std::collections::BTreeMap;

use super::records::{CENTRAL_HEADER, Central, END_RECORD, End, LOCAL_HEADER, find};
use crate::Class;
use crate::bundle::rules::LIMITS;
use crate::error::Refusal;

mod entry;
mod fields;
mod layout;

use entry::{name, record, twins};
use fields::u64_at;
use layout::{layout, order};

/// What ZIP64's end record begins with, and what leads to it.
const ZIP64_END: &[u8] = b"PK\x06\x06";
const ZIP64_LOCATOR: &[u8] = b"PK\x06\x07";

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
