//! Writes an archive's frame from the front: local headers one by one, then the directory and the
//! end record.

use super::records::{CENTRAL_HEADER, END_RECORD, LOCAL, LOCAL_HEADER};
use crate::Class;
use crate::bundle::rules::{LIMITS, too_large};
use crate::error::Refusal;

/// Every entry's data begins at a multiple of this many bytes, so that weights can be used in
/// place.
pub const ALIGNMENT: usize = 64;

/// What was written so far.
#[derive(Default)]
pub(super) struct Frame {
    /// Where the next part begins.
    pub end: usize,
    entries: usize,
    directory: Vec<u8>,
}

/// Shortest extra field: id, length, alignment (2 bytes each).
const EXTRA: usize = 6;

impl Frame {
    /// Where the data of an entry `name` begins if it is the next.
    pub(super) fn data_start(&self, name: &str) -> usize {
        (self.end + LOCAL + name.len() + EXTRA).next_multiple_of(ALIGNMENT)
    }

    /// The local header of the next entry, up to the first byte of its data.
    pub(super) fn local(&mut self, name: &str, data: &[u8]) -> Result<Vec<u8>, Refusal> {
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

        let mut header = LOCAL_HEADER.to_vec();
        header.extend(&common);
        header.extend((padding as u16 + EXTRA as u16).to_le_bytes());
        header.extend(name.as_bytes());
        header.extend(0xa11e_u16.to_le_bytes()); // the extra field "data stream alignment"
        header.extend((padding as u16 + 2).to_le_bytes());
        header.extend((ALIGNMENT as u16).to_le_bytes());
        header.resize(start - at, 0);

        self.directory.extend(CENTRAL_HEADER);
        // made by: the same, attributes of MS-DOS
        self.directory.extend(VERSION_NEEDED.to_le_bytes());
        self.directory.extend(&common);
        self.directory.extend([0; 12]); // no extra field, no comment, disk 0, no attributes
        self.directory.extend(narrow(at)?.to_le_bytes());
        self.directory.extend(name.as_bytes());
        Ok(header)
    }

    /// The central directory and the end record.
    pub(super) fn directory(self) -> Result<Vec<u8>, Refusal> {
        let mut directory = self.directory;
        let length = directory.len();
        directory.extend(END_RECORD);
        directory.extend([0; 4]); // disk 0, twice
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
