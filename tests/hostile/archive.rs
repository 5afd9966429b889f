//! A ZIP writer whose every field may lie: local header and directory record of each entry apart,
//! gaps, comments, second end records.

/// One entry, with what its local header and its directory record say of it.
#[derive(Clone)]
pub struct Raw {
    pub data: Vec<u8>,
    pub local: Header,
    pub central: Header,
    pub attributes: u32,
    pub comment: Vec<u8>,
    pub disk: u16,
    /// Where the directory says that the entry begins, if not where it does.
    pub offset: Option<u32>,
    /// Zeros before the local header.
    pub gap: usize,
    /// No local header and no data: the record points elsewhere.
    pub phantom: bool,
}

#[derive(Clone)]
pub struct Header {
    pub name: Vec<u8>,
    pub flags: u16,
    pub method: u16,
    pub crc32: u32,
    pub packed: u32,
    pub unpacked: u32,
    pub extra: Vec<u8>,
}

impl Raw {
    pub fn new(name: &[u8], data: &[u8]) -> Self {
        let length = data.len() as u32;
        let header = Header {
            name: name.to_vec(),
            flags: 0,
            method: 0,
            crc32: crc32fast::hash(data),
            packed: length,
            unpacked: length,
            extra: vec![],
        };
        Raw {
            data: data.to_vec(),
            local: header.clone(),
            central: header,
            attributes: 0,
            comment: vec![],
            disk: 0,
            offset: None,
            gap: 0,
            phantom: false,
        }
    }

    /// The same change in both headers.
    pub fn both(&mut self, change: impl Fn(&mut Header)) {
        change(&mut self.local);
        change(&mut self.central);
    }
}

/// The end record, and what stands around it.
#[derive(Default)]
pub struct Tail {
    /// Between the directory and the end record.
    pub before: Vec<u8>,
    pub disks: [u16; 2],
    /// Number of entries, if not the true one.
    pub count: Option<u16>,
    pub comment: Vec<u8>,
}

/// The archive of `entries`, in the format's alignment.
pub fn archive(entries: &[Raw], tail: &Tail) -> Vec<u8> {
    let (mut bytes, mut directory) = (vec![], vec![]);
    for entry in entries {
        bytes.resize(bytes.len() + entry.gap, 0);
        let at = bytes.len();
        if !entry.phantom {
            let h = &entry.local;
            let head = 36 + h.name.len() + h.extra.len();
            let padding = (at + head).next_multiple_of(64) - at - head;
            bytes.extend(b"PK\x03\x04");
            bytes.extend(common(h));
            bytes.extend(((padding + 6 + h.extra.len()) as u16).to_le_bytes());
            bytes.extend(&h.name);
            bytes.extend(&h.extra);
            bytes.extend([0x1e, 0xa1]);
            bytes.extend(((padding + 2) as u16).to_le_bytes());
            bytes.extend(64_u16.to_le_bytes());
            bytes.resize(bytes.len() + padding, 0);
            bytes.extend(&entry.data);
        }
        let h = &entry.central;
        directory.extend(b"PK\x01\x02\x0a\0");
        directory.extend(common(h));
        directory.extend(
            [h.extra.len() as u16, entry.comment.len() as u16, entry.disk, 0]
                .map(u16::to_le_bytes)
                .concat(),
        );
        directory.extend(entry.attributes.to_le_bytes());
        directory.extend(entry.offset.unwrap_or(at as u32).to_le_bytes());
        directory.extend([&h.name[..], &h.extra, &entry.comment].concat());
    }
    let count = tail.count.unwrap_or(entries.len() as u16);
    let (at, size) = (bytes.len() as u32, directory.len() as u32);
    bytes.extend(directory);
    bytes.extend(&tail.before);
    bytes.extend(end_record(tail.disks, count, size, at, &tail.comment));
    bytes
}

pub fn end_record(disks: [u16; 2], count: u16, size: u32, at: u32, comment: &[u8]) -> Vec<u8> {
    let mut bytes = b"PK\x05\x06".to_vec();
    bytes.extend([disks[0], disks[1], count, count].map(u16::to_le_bytes).concat());
    bytes.extend([size, at].map(u32::to_le_bytes).concat());
    bytes.extend((comment.len() as u16).to_le_bytes());
    bytes.extend(comment);
    bytes
}

fn common(h: &Header) -> Vec<u8> {
    let mut bytes = 10_u16.to_le_bytes().to_vec();
    bytes.extend([h.flags, h.method, 0, 0x21].map(u16::to_le_bytes).concat());
    bytes.extend([h.crc32, h.packed, h.unpacked].map(u32::to_le_bytes).concat());
    bytes.extend((h.name.len() as u16).to_le_bytes());
    bytes
}
