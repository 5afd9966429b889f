//! A writer of archives whose every field may lie.

/// An entry as an attacker writes it: every field may lie.
#[derive(Clone)]
pub struct Raw {
    pub name: Vec<u8>,
    pub central_name: Vec<u8>,
    pub data: Vec<u8>,
    pub flags: u16,
    pub method: u16,
    pub time: u16,
    pub crc32: u32,
    pub alignment: u16,
    pub local_extra: Vec<u8>,
    pub central_extra: Vec<u8>,
    pub comment: Vec<u8>,
    pub attributes: u32,
    pub shift: i64,
    pub gap: usize,
}

/// An entry that lies about nothing.
pub fn raw(name: &[u8], data: &[u8]) -> Raw {
    Raw {
        name: name.into(),
        central_name: name.into(),
        data: data.into(),
        flags: 0,
        method: 0,
        time: 0,
        crc32: crc32fast::hash(data),
        alignment: 64,
        local_extra: vec![],
        central_extra: vec![],
        comment: vec![],
        attributes: 0,
        shift: 0,
        gap: 0,
    }
}

fn two_bytes(value: usize) -> [u8; 2] {
    (value as u16).to_le_bytes()
}

/// The archive of `entries`; `tail` goes between directory and end record, `comment` after it.
pub fn raw_archive(entries: &[Raw], tail: &[u8], comment: &[u8]) -> Vec<u8> {
    let (mut archive, mut directory) = (vec![], vec![]);
    for entry in entries {
        archive.resize(archive.len() + entry.gap, 0);
        let at = archive.len();
        let padded = (at + 36 + entry.name.len() + entry.local_extra.len())
            .next_multiple_of(entry.alignment.into());
        let padding = padded - at - 36 - entry.name.len() - entry.local_extra.len();
        let common = |name: usize| {
            [
                &10_u16.to_le_bytes()[..],
                &entry.flags.to_le_bytes(),
                &entry.method.to_le_bytes(),
                &entry.time.to_le_bytes(),
                &[0x21, 0],
                &entry.crc32.to_le_bytes(),
                &(entry.data.len() as u32).to_le_bytes(),
                &(entry.data.len() as u32).to_le_bytes(),
                &two_bytes(name),
            ]
            .concat()
        };
        archive.extend(
            [
                b"PK\x03\x04",
                &common(entry.name.len())[..],
                &two_bytes(padding + 6 + entry.local_extra.len()),
            ]
            .concat(),
        );
        archive.extend(&entry.name);
        archive.extend(&entry.local_extra);
        archive.extend([two_bytes(0xa11e), two_bytes(padding + 2), two_bytes(64)].concat());
        archive.resize(archive.len() + padding, 0);
        archive.extend(&entry.data);
        directory.extend([b"PK\x01\x02\x0a\0", &common(entry.central_name.len())[..]].concat());
        directory.extend(
            [two_bytes(entry.central_extra.len()), two_bytes(entry.comment.len()), [0; 2], [0; 2]]
                .concat(),
        );
        directory.extend(entry.attributes.to_le_bytes());
        directory.extend(((at as i64 + entry.shift) as u32).to_le_bytes());
        directory.extend([&entry.central_name[..], &entry.central_extra, &entry.comment].concat());
    }
    let at = archive.len() as u32;
    let size = (directory.len() + tail.len()) as u32;
    let count = two_bytes(entries.len());
    archive.extend([&directory, tail, b"PK\x05\x06\0\0\0\0", &count, &count].concat());
    archive.extend(
        [&size.to_le_bytes()[..], &at.to_le_bytes(), &two_bytes(comment.len()), comment].concat(),
    );
    archive
}
