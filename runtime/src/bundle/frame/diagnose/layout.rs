//! Where entries lie in an archive, and in which order.

use crate::Class;
use crate::bundle::frame::records::{Central, End, Local};
use crate::bundle::names::refusal;
use crate::bundle::rules::{MANIFEST, SIGNATURES};
use crate::error::Refusal;

/// Where entries lie: one after the other, each byte owned once.
pub(super) fn layout(archive: &[u8], end: &End, entries: &[Central]) -> Result<(), Refusal> {
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

/// `manifest.json`, `signatures.json`, then the payload by name.
pub(super) fn order(entries: &[Central]) -> Result<(), Refusal> {
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
