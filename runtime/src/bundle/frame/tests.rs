//! Archives that other tools accept or misread, each refused here.

use std::io::{Cursor, Read};

use zip::ZipArchive;

use super::*;
use raw::{Raw, raw, raw_archive};

mod raw;

const MANIFEST_JSON: &[u8] = b"{}";

/// `archive` with its entries changed and everything else put right again.
pub(crate) fn reframed(
    archive: &[u8],
    change: impl FnOnce(&mut Vec<(String, Vec<u8>)>),
) -> Vec<u8> {
    let entries = parse(archive).unwrap();
    let mut entries: Vec<_> =
        entries.into_iter().map(|(name, range)| (name, archive[range].to_vec())).collect();
    change(&mut entries);
    let borrowed: Vec<_> =
        entries.iter().map(|(name, data)| (name.as_str(), data.as_slice())).collect();
    write(&borrowed).unwrap()
}

fn good() -> Vec<u8> {
    write(&[(MANIFEST, MANIFEST_JSON), (SIGNATURES, b"[]"), ("a/b.bin", &[1; 100]), ("c", b"")])
        .unwrap()
}

fn three(payload: Raw) -> [Raw; 3] {
    [raw(MANIFEST.as_bytes(), MANIFEST_JSON), raw(SIGNATURES.as_bytes(), b"[]"), payload]
}

#[track_caller]
fn assert_refused(archive: &[u8]) {
    let error = parse(archive).expect_err("the archive was accepted");
    assert!(error.is_refusal(), "{error}");
}

#[track_caller]
fn assert_entry_refused(change: impl FnOnce(&mut Raw)) {
    let mut payload = raw(b"c", b"data");
    change(&mut payload);
    assert_refused(&raw_archive(&three(payload), b"", b""));
}

#[test]
fn the_attackers_writer_makes_good_archives_too() {
    let ours = write(&[(MANIFEST, MANIFEST_JSON), (SIGNATURES, b"[]"), ("c", b"data")]).unwrap();
    assert_eq!(raw_archive(&three(raw(b"c", b"data")), b"", b""), ours);
}

#[test]
fn entries_are_found_again() {
    let archive = good();
    let entries = parse(&archive).unwrap();
    let names: Vec<_> = entries.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, [MANIFEST, SIGNATURES, "a/b.bin", "c"]);
    assert_eq!(archive[entries[2].1.clone()], [1; 100]);
    assert_eq!(reframed(&archive, |_| ()), archive);
}

#[test]
fn ordinary_tools_read_it() {
    let archive = good();
    let mut zip = ZipArchive::new(Cursor::new(&archive)).unwrap();
    assert_eq!(zip.len(), 4);
    let mut data = Vec::new();
    zip.by_name("a/b.bin").unwrap().read_to_end(&mut data).unwrap();
    assert_eq!(data, [1; 100]);
    zip.validate_header_consistency().unwrap();
    assert!(!zip.has_overlapping_entries().unwrap());
}

#[test]
fn names_and_their_order_are_checked_when_writing() {
    let refused = |names: &[&str]| {
        let entries: Vec<_> = names.iter().map(|name| (*name, &b""[..])).collect();
        write(&entries).unwrap_err().is_refusal()
    };
    assert!(refused(&[]));
    assert!(refused(&[SIGNATURES, MANIFEST]));
    assert!(refused(&[MANIFEST, SIGNATURES, "b", "a"]));
    assert!(refused(&[MANIFEST, SIGNATURES, "a", "a"]));
    assert!(refused(&[MANIFEST, SIGNATURES, MANIFEST]));
    for name in
        ["", ".", "..", "a/", "/a", "a//b", "a/../b", ".a", "A", "a b", "a\\b", "a\0", "é", "c:"]
    {
        assert!(refused(&[MANIFEST, SIGNATURES, name]), "{name:?}");
    }
    assert!(refused(&[MANIFEST, SIGNATURES, &"x".repeat(LIMITS.name + 1)]));
}

#[test]
fn attack_prepended_and_appended_bytes() {
    for extra in [&b"x"[..], b"#!/bin/sh\n", &good()] {
        assert_refused(&[extra, &good()].concat());
        assert_refused(&[&good(), extra].concat());
    }
}

#[test]
fn attack_comments() {
    assert_refused(&raw_archive(&three(raw(b"c", b"data")), b"", b"comment"));
    assert_refused(&raw_archive(&three(raw(b"c", b"data")), b"", &good()));
    assert_entry_refused(|entry| entry.comment = b"comment".to_vec());
}

#[test]
fn attack_duplicate_names() {
    let mut entries = three(raw(b"c", b"first")).to_vec();
    entries.push(raw(b"c", b"second"));
    assert_refused(&raw_archive(&entries, b"", b""));
    let mut entries = three(raw(b"c", b"data")).to_vec();
    entries.push(raw(MANIFEST.as_bytes(), b"{\"other\":1}"));
    assert_refused(&raw_archive(&entries, b"", b""));
}

#[test]
fn attack_overlapping_entries() {
    let one_record = 30 + 1 + 6 + 27 + 64;
    let mut second = raw(b"d", &[1; 64]);
    second.shift = -one_record;
    let mut entries = three(raw(b"c", &[1; 64])).to_vec();
    entries.push(second.clone());
    assert_refused(&raw_archive(&entries, b"", b""));
    second.name = b"c".to_vec(); // both records point to the same local header, whose name is c
    *entries.last_mut().unwrap() = second;
    assert_refused(&raw_archive(&entries, b"", b""));
}

#[test]
fn attack_names() {
    for name in
        [&b"../x"[..], b"/x", b"a\0b", b"C", b"a\\b", b"a/", b"a//b", b"\xff", b"", b"x/.ssh"]
    {
        assert_refused(&raw_archive(&three(raw(name, b"data")), b"", b""));
    }
    // differs between header and directory
    assert_entry_refused(|entry| entry.name = b"d".to_vec());
    assert_entry_refused(|entry| entry.central_name = b"d".to_vec());
}

#[test]
fn attack_order() {
    let [manifest, signatures, payload] = three(raw(b"c", b"data"));
    assert_refused(&raw_archive(
        &[signatures.clone(), manifest.clone(), payload.clone()],
        b"",
        b"",
    ));
    assert_refused(&raw_archive(
        &[manifest.clone(), payload.clone(), signatures.clone()],
        b"",
        b"",
    ));
    assert_refused(&raw_archive(
        &[manifest.clone(), signatures.clone(), payload, raw(b"b", b"")],
        b"",
        b"",
    ));
    assert_refused(&raw_archive(&[manifest], b"", b""));
    assert_refused(&raw_archive(&[], b"", b""));
}

#[test]
fn attack_directory_in_another_order_than_the_data() {
    let mut entries = three(raw(b"d", &[1; 64])).to_vec();
    entries.push(raw(b"c", &[1; 64]));
    let one_record = 30 + 1 + 6 + 27 + 64;
    (entries[2].shift, entries[3].shift) = (one_record, -one_record);
    (entries[2].central_name, entries[3].central_name) = (b"c".to_vec(), b"d".to_vec());
    assert_refused(&raw_archive(&entries, b"", b""));
}

#[test]
fn attack_compression_and_encryption() {
    for method in [8, 12, 93, 95, 99, 65535] {
        assert_entry_refused(|entry| entry.method = method);
    }
    for flags in [1, 1 << 3, 1 << 6, 1 << 11, 1 << 13] {
        assert_entry_refused(|entry| entry.flags = flags);
    }
}

#[test]
fn attack_fields_that_nobody_reads() {
    assert_entry_refused(|entry| entry.time = 1);
    assert_entry_refused(|entry| entry.attributes = 0o120777 << 16); // a symbolic link
    assert_entry_refused(|entry| entry.crc32 ^= 1);
    assert_entry_refused(|entry| entry.gap = 64);
    assert_entry_refused(|entry| entry.alignment = 1);
    assert_entry_refused(|entry| entry.alignment = 4096);
    assert_entry_refused(|entry| entry.local_extra = b"\x55\x54\x05\0\x01\0\0\0\0".to_vec());
    assert_entry_refused(|entry| entry.central_extra = b"\x55\x54\x05\0\x01\0\0\0\0".to_vec());
    assert_entry_refused(|entry| entry.central_extra = b"\x01".to_vec());
    let mut padding = good();
    let at = padding.iter().position(|&byte| byte == b'{').unwrap() - 1;
    padding[at] = 1;
    assert_refused(&padding);
}

#[test]
fn attack_zip64() {
    let zip64_field =
        [&b"\x01\0\x18\0"[..], &4_u64.to_le_bytes(), &4_u64.to_le_bytes(), &0_u64.to_le_bytes()]
            .concat();
    assert_entry_refused(|entry| entry.central_extra = zip64_field.clone());
    assert_entry_refused(|entry| entry.local_extra = zip64_field[..20].to_vec());
    let plain = raw_archive(&three(raw(b"c", b"data")), b"", b"");
    let directory = plain.windows(4).position(|bytes| bytes == b"PK\x01\x02").unwrap();
    let end = plain.len() - 22;
    let mut tail = b"PK\x06\x06".to_vec();
    tail.extend(44_u64.to_le_bytes());
    tail.extend([45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    for value in [1, 1, end as u64 - directory as u64, directory as u64] {
        tail.extend(value.to_le_bytes()); // one entry where the plain record says three
    }
    tail.extend(b"PK\x06\x07\0\0\0\0");
    tail.extend((end as u64).to_le_bytes());
    tail.extend(1_u32.to_le_bytes());
    assert_refused(&raw_archive(&three(raw(b"c", b"data")), &tail, b""));
    assert_refused(&[&plain[..end], &tail, &plain[end..]].concat());
}

#[test]
fn attack_end_record() {
    let archive = good();
    for (at, value) in [(4, 1), (6, 1), (8, 3), (10, 3), (10, 5), (12, 1), (16, 1)] {
        let mut bad = archive.clone();
        let end = bad.len() - 22;
        bad[end + at] = value;
        assert_refused(&bad);
    }
    let many = vec![raw(b"c", b""); LIMITS.entries + 1];
    let error = parse(&raw_archive(&many, b"", b"")).unwrap_err();
    assert_eq!(error.class(), Some(Class::TooManyEntries), "{error}");
}

#[test]
fn attack_lengths_beyond_the_file() {
    let archive = good();
    let directory = archive.windows(4).position(|bytes| bytes == b"PK\x01\x02").unwrap();
    for length in [u32::MAX, u32::MAX - 1, 1 << 31, archive.len() as u32] {
        let mut bad = archive.clone();
        bad[directory + 20..directory + 24].copy_from_slice(&length.to_le_bytes());
        bad[directory + 24..directory + 28].copy_from_slice(&length.to_le_bytes());
        assert_refused(&bad);
    }
}

/// A last record that libraries pass over, so that they believe another one before it, with as many
/// entries as that says.
#[test]
fn attack_decoy_end_record() {
    let good = good();
    let end = good.len() - 22;
    let mut decoy = good[end..].to_vec();
    decoy[20] = 1;
    assert_refused(&[&good[..], &decoy].concat());
    let mut commented = good;
    commented[end + 20] = 1;
    assert_refused(&commented);
}

#[test]
fn attack_names_that_are_memory() {
    let many: Vec<Raw> = (0..200).map(|_| raw(&[b'x'; 60_000], b"")).collect();
    let error = parse(&raw_archive(&many, b"", b"")).unwrap_err();
    assert_eq!(error.class(), Some(Class::LongName), "{error}");
}

#[test]
fn what_is_no_archive_says_so() {
    for bytes in [&b""[..], b"PK", b"PK\x03\x04", b"GIF89a", &[0; 1000]] {
        let error = parse(bytes).unwrap_err();
        assert!(matches!(error.class(), Some(Class::NotAnArchive | Class::Truncated)), "{error}");
    }
}
