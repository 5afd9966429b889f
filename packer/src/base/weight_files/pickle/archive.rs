//! PyTorch's archive: a ZIP file whose entries are stored as they are, `data.pkl` and beside it a
//! file for each storage, all in one folder.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{BufReader, Error as IoError, ErrorKind, Read, Result as IoResult, Seek, SeekFrom};
use std::sync::Arc;

use zip::{CompressionMethod, ZipArchive};

use super::super::WeightView;
use super::super::source::Source;
use super::heap::Storage;
use super::state_dict::{self, Placed};
use super::{LONGEST, machine, refuse};
use crate::Error;

/// Entries of an archive.
const MOST_ENTRIES: usize = 1 << 18;

/// The tensors of the archive `source`.
pub fn read(source: &Arc<Source>) -> Result<BTreeMap<String, WeightView>, Error> {
    let entries = entries(source)?;
    let all: Vec<&str> = entries
        .keys()
        .filter(|name| *name == PICKLE || name.ends_with(&format!("/{PICKLE}")))
        .map(String::as_str)
        .collect();
    let folder = match all[..] {
        [name] => name.trim_end_matches(PICKLE),
        [] => return Err(refuse(source, format!("is a ZIP file without {PICKLE}: {NONE}"))),
        [..] => return Err(refuse(source, format!("holds {PICKLE} several times"))),
    };
    if entries.contains_key(&format!("{folder}constants.pkl")) {
        let what = "is a program (TorchScript), which packer does not run; save its state_dict()";
        return Err(refuse(source, what.into()));
    }
    let find = |name: &str| {
        let entry = entries.get(&format!("{folder}{name}"));
        entry.map(|entry| entry.place(name)).transpose()
    };
    let fault = |what: String| refuse(source, what);
    let bytes = |name: &str, most: u64| match find(name).map_err(fault)? {
        Some(Placed { length, .. }) if length > most => {
            Err(fault(format!("has a {name} of more than {most} bytes")))
        }
        Some(Placed { at, length }) => source.read(at, length),
        None => Ok(Cow::default()),
    };
    let order = bytes("byteorder", 16)?;
    if !order.is_empty() && *order != *b"little" {
        let what = "is of another byte order than little; save it anew on a usual machine";
        return Err(fault(what.into()));
    }
    let pickle = bytes(PICKLE, LONGEST)?;
    let made = machine::run(&pickle, 0).map_err(fault)?;
    let place = |storage: &Storage| {
        let name = format!("data/{}", storage.key);
        find(&name)?.ok_or_else(|| format!("has no {name}"))
    };
    state_dict::tensors(source, &pickle, &made, place)
}

/// An entry of the archive.
struct Entry {
    place: Placed,
    /// Stored as it is.
    plain: bool,
}

impl Entry {
    /// Where the entry `name` lies, if it can be read.
    fn place(&self, name: &str) -> Result<Placed, String> {
        if self.plain {
            return Ok(self.place);
        }
        Err(format!("has a compressed or encrypted {name:?}, which PyTorch writes as it is"))
    }
}

const PICKLE: &str = "data.pkl";
const NONE: &str = "no checkpoint of PyTorch";

/// The places of entries by name, all of them within the file.
fn entries(source: &Source) -> Result<BTreeMap<String, Entry>, Error> {
    let broken = |error: &dyn std::fmt::Display| {
        refuse(source, format!("is no whole ZIP file ({error}); fetch it again"))
    };
    let reader = BufReader::new(Reader { source, at: 0 });
    let mut archive = ZipArchive::new(reader).map_err(|error| broken(&error))?;
    if archive.len() > MOST_ENTRIES {
        return Err(refuse(source, format!("has more than {MOST_ENTRIES} entries")));
    }
    let mut entries = BTreeMap::new();
    for number in 0..archive.len() {
        let entry = archive.by_index_raw(number).map_err(|error| broken(&error))?;
        let name = entry.name().map_err(|error| broken(&error))?.into_owned();
        let (at, length) = (entry.data_start().unwrap_or(u64::MAX), entry.size());
        if at.checked_add(length).is_none_or(|end| end > source.length) {
            return Err(refuse(source, format!("entry {name:?} goes beyond the end of the file")));
        }
        let plain = !entry.encrypted() && entry.compression() == CompressionMethod::Stored;
        entries.insert(name, Entry { place: Placed { at, length }, plain });
    }
    Ok(entries)
}

/// A source as the ZIP library reads it.
struct Reader<'a> {
    source: &'a Source,
    at: u64,
}

impl Read for Reader<'_> {
    fn read(&mut self, into: &mut [u8]) -> IoResult<usize> {
        let length = self.source.length.saturating_sub(self.at).min(into.len() as u64);
        let bytes = self.source.read(self.at, length).map_err(IoError::other)?;
        into[..bytes.len()].copy_from_slice(&bytes);
        self.at += length;
        Ok(bytes.len())
    }
}

impl Seek for Reader<'_> {
    fn seek(&mut self, to: SeekFrom) -> IoResult<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.source.length.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or(ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
