//! A bundle's bytes, read from a file or handed over. A second thread may take the digests of its
//! entries while the file is read.
//!
//! The digests are of the bytes in memory, at places that the entries' own headers give. Verifying
//! uses a digest only where the archive's checked frame has an entry at that very place.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::ops::{Deref, Range};
use std::path::Path;
use std::sync::mpsc;

use memmap2::MmapMut;
use sha2::{Digest, Sha256};

use super::frame::records::{LOCAL, LOCAL_HEADER};
use super::rules::{self, LIMITS, too_large};
use crate::{Error, file, memory};

/// The bytes of a bundle.
pub struct Bytes {
    data: Data,
    /// Of entries' data by place: first byte and length.
    digests: BTreeMap<(usize, usize), String>,
}

enum Data {
    Owned(Vec<u8>),
    /// A buffer, and how many of its first bytes are the bundle.
    Mapped(MmapMut, usize),
    /// A file with more bytes than a bundle may have; none was read.
    TooMany,
}

impl Bytes {
    /// Reads the regular file at `path`. One with more bytes than a bundle may have is not read,
    /// and refused by whatever looks at it.
    ///
    /// # Errors
    /// What the system says, and as [`file::open`].
    pub fn read(path: &Path) -> io::Result<Self> {
        let Some((mut file, mut map, room)) = opened(path)? else {
            return Ok(Data::TooMany.into());
        };
        let mut length = 0;
        while length < room {
            match file.read(&mut map[length..room])? {
                0 => break,
                read => length += read,
            }
        }
        Ok(Data::Mapped(map, length).into())
    }

    /// As [`read`](Self::read), on two threads: one reads the file while this one takes the
    /// digests. On two cores loading takes less time.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_on_two_threads(path: &Path) -> io::Result<Self> {
        let Some((mut file, mut map, room)) = opened(path)? else {
            return Ok(Data::TooMany.into());
        };
        let mut digests = Digests::default();
        let length = std::thread::scope(|scope| {
            let (send, receive) = mpsc::channel();
            let mut rest = &mut map[..room];
            let reader = std::thread::Builder::new().name("medforge-read".into()).spawn_scoped(
                scope,
                move || {
                    let mut length = 0;
                    while !rest.is_empty() {
                        let asked = rest.len().min(CHUNK);
                        let read = file.read(&mut rest[..asked])?;
                        if read == 0 {
                            break;
                        }
                        let (chunk, next) = rest.split_at_mut(read);
                        (rest, length) = (next, length + read);
                        // Nobody listens any more only if this function is ending already.
                        let _ = send.send(&*chunk);
                    }
                    io::Result::Ok(length)
                },
            )?;
            receive.iter().for_each(|chunk| digests.take(chunk));
            reader
                .join()
                .unwrap_or_else(|_| Err(io::Error::other("the reading thread ended early")))
        })?;
        Ok(Bytes { data: Data::Mapped(map, length), digests: digests.found })
    }

    /// All of them.
    ///
    /// # Errors
    /// [`Class::TooLarge`](crate::Class::TooLarge).
    pub(super) fn all(&self) -> Result<&[u8], Error> {
        match self.data {
            Data::TooMany => Err(too_large().into()),
            _ => Ok(self),
        }
    }

    /// SHA-256 of the bytes in `range`, in hex.
    pub(super) fn sha256_hex(&self, range: Range<usize>) -> String {
        let known = self.digests.get(&(range.start, range.len())).cloned();
        known.unwrap_or_else(|| rules::sha256_hex(&self[range]))
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Data::Owned(bytes).into()
    }
}

impl From<Data> for Bytes {
    fn from(data: Data) -> Self {
        Bytes { data, digests: BTreeMap::new() }
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.data {
            Data::Owned(bytes) => bytes,
            Data::Mapped(map, length) => &map[..*length],
            Data::TooMany => &[],
        }
    }
}

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "{} bytes", self.len())
    }
}

/// Bytes that are read at a time.
const CHUNK: usize = 1 << 20;

/// The file at `path`, a buffer for it, and how much of that to fill. That is one byte more than
/// the file has, so that the frame shows whether the file grew meanwhile. None for a file with more
/// bytes than a bundle may have.
fn opened(path: &Path) -> io::Result<Option<(File, MmapMut, usize)>> {
    let file = file::open(path)?;
    let length =
        usize::try_from(file.metadata()?.len()).ok().filter(|length| *length <= LIMITS.bundle);
    let Some(length) = length else { return Ok(None) };
    Ok(Some((file, memory::zeros(length + 1)?, length + 1)))
}

/// Follows an archive's local headers as its bytes come in, and takes the digest of each entry's
/// data.
#[derive(Default)]
struct Digests {
    /// Bytes taken so far.
    at: usize,
    /// The header that is coming in.
    header: Vec<u8>,
    /// The data that is coming in: where it begins, its length, and how much of it is still to
    /// come.
    data: Option<(usize, usize, usize)>,
    hasher: Sha256,
    found: BTreeMap<(usize, usize), String>,
}

impl Digests {
    fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let taken = match &mut self.data {
                Some((start, length, left)) => {
                    let taken = bytes.len().min(*left);
                    self.hasher.update(&bytes[..taken]);
                    *left -= taken;
                    if *left == 0 {
                        self.found
                            .insert((*start, *length), hex::encode(self.hasher.finalize_reset()));
                        self.data = None;
                    }
                    taken
                }
                None => {
                    let wanted = self.header_length();
                    let taken = bytes.len().min(wanted.saturating_sub(self.header.len()));
                    self.header.extend_from_slice(&bytes[..taken]);
                    if self.header.len() == self.header_length() {
                        let length = self.number(22, 4);
                        self.header.clear();
                        self.data = (length > 0).then_some((self.at + taken, length, length));
                    } else if taken == 0 {
                        // The directory: nothing after it has data.
                        return;
                    }
                    taken
                }
            };
            self.at += taken;
            bytes = &bytes[taken..];
        }
    }

    /// The length of the header that is coming in, as far as it is known; 0 if it is no header.
    fn header_length(&self) -> usize {
        match self.header.len() {
            0..LOCAL => LOCAL,
            _ if !self.header.starts_with(LOCAL_HEADER) => 0,
            _ => LOCAL + self.number(26, 2) + self.number(28, 2),
        }
    }

    /// `count` bytes of the header, the lowest first.
    fn number(&self, at: usize, count: usize) -> usize {
        self.header[at..at + count]
            .iter()
            .rev()
            .fold(0, |number, byte| number << 8 | usize::from(*byte))
    }
}

#[cfg(test)]
mod tests;
