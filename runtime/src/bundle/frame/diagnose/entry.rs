//! What is wrong with one entry: its record in the directory, its own header, its name.

use std::collections::BTreeMap;

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};
use unicode_normalization::UnicodeNormalization;

use super::fields::{UNICODE_PATH, ZIP64_FIELD, field, u64_at};
use crate::Class;
use crate::bundle::frame::records::{Central, Local};
use crate::bundle::names::{fault, refusal};
use crate::bundle::rules::LIMITS;
use crate::error::Refusal;

/// What a compressed entry may grow by before it is called a bomb.
const BOMB: u64 = 100;
/// How much of a compressed stream is looked at to find its end.
const INFLATED: usize = 1 << 20;

/// One record of the directory, and the header that it points to.
pub(super) fn record(archive: &[u8], entry: &Central, shared: bool) -> Result<(), Refusal> {
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
    extras(archive, entry, local.as_ref())?;
    if entry.attributes >> 16 & 0o170_000 == 0o120_000 {
        return refuse(Class::Symlink, "its attributes make it a symbolic link".into());
    }
    flags(entry, entry.flags)?;
    if let Some(local) = &local {
        header(entry, local, shared)?;
    }
    compression(archive, entry, local.as_ref())
}

/// Fields that give an entry a second size or name.
fn extras(archive: &[u8], entry: &Central, local: Option<&Local>) -> Result<(), Refusal> {
    let extras = [entry.extra, local.map_or(&[][..], |l| l.extra)];
    for extra in extras {
        if let Some(field) = field(extra, ZIP64_FIELD) {
            let huge = field
                .chunks_exact(8)
                .any(|n| u64_at(n, 0).is_some_and(|n| n > archive.len() as u64));
            let class = if huge { Class::Zip64Huge } else { Class::Zip64EocdDisagrees };
            return Err(entry.refusal(class, "it has ZIP64's second copies of its sizes"));
        }
        if field(extra, UNICODE_PATH).is_some() {
            return Err(entry.refusal(Class::UnicodePathExtra, "it has a second name"));
        }
    }
    Ok(())
}

/// An entry's own header against the directory's record of it.
fn header(entry: &Central, local: &Local, shared: bool) -> Result<(), Refusal> {
    let refuse = |class, what: String| Err(entry.refusal(class, what));
    let differs = |what: &str| format!("the directory and its own header give it different {what}");
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
    Ok(())
}

/// Whether the entry is stored as it is; otherwise what is odd about its compression.
fn compression(archive: &[u8], entry: &Central, local: Option<&Local>) -> Result<(), Refusal> {
    let refuse = |class, what: String| Err(entry.refusal(class, what));
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
pub(super) fn twins(entries: &[Central]) -> Result<(), Refusal> {
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

/// What is wrong with an entry's name.
pub(super) fn name(entry: &Central) -> Result<(), Refusal> {
    match fault(entry.name) {
        None => Ok(()),
        Some(Class::DirEntry) if entry.sizes != [0, 0] => {
            Err(refusal(Class::DirWithData, entry.name))
        }
        Some(class) => Err(refusal(class, entry.name)),
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
