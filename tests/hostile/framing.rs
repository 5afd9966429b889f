//! Archives that other programs accept or misread: the frame, its entries, their names.

use crate::archive::{Header, Raw, Tail, archive, end_record};
use crate::case::{Case, Good};

pub fn cases(good: &Good) -> Vec<Case> {
    [whole(good), entries(good), names(good)].concat()
}

/// The good bundle's entries, as an attacker writes them.
fn raw(good: &Good) -> Vec<Raw> {
    good.entries.iter().map(|(name, data)| Raw::new(name.as_bytes(), data)).collect()
}

fn whole(good: &Good) -> Vec<Case> {
    let plain = &good.bytes;
    let end = plain.len() - 22;
    let field = |at: usize| u32::from_le_bytes(plain[end + at..end + at + 4].try_into().unwrap());
    let (size, offset) = (field(12), field(16));
    let count = good.entries.len() as u16;
    let tailed = |tail: Tail| archive(&raw(good), &tail);
    let zip64 = |numbers: [u64; 4]| {
        let mut bytes = b"PK\x06\x06".to_vec();
        bytes.extend(44_u64.to_le_bytes());
        bytes.extend([45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        numbers.iter().for_each(|n| bytes.extend(n.to_le_bytes()));
        bytes.extend(b"PK\x06\x07\0\0\0\0");
        bytes.extend((end as u64).to_le_bytes());
        bytes.extend(1_u32.to_le_bytes());
        bytes
    };
    let before = |bytes: Vec<u8>| tailed(Tail { before: bytes, ..Tail::default() });
    let inner = end_record([0, 0], 1, size, offset, b"");
    let mut many = raw(good);
    many.extend((0..4097).map(|n| Raw::new(format!("x/{n:04}").as_bytes(), b"")));
    let mut gap = raw(good);
    gap[3].gap = 64;
    let mut swapped = raw(good);
    swapped.swap(3, 4);
    let mut times = plain.clone();
    times[10] = 1;
    vec![
        Case::bundle("not_an_archive", b"GIF89a and no archive".to_vec()),
        Case::bundle("truncated", plain[..plain.len() - 700].to_vec()),
        Case::bundle("prepended", [b"#!/bin/sh\nexit\n".as_slice(), plain].concat()),
        Case::bundle("trailing", [plain.as_slice(), b"<script></script>"].concat()),
        Case::bundle("two_eocd", [&plain[..end], &inner, &plain[end..]].concat()),
        Case::bundle(
            "eocd_in_comment",
            tailed(Tail { comment: [&b"x"[..], &inner].concat(), ..Tail::default() }),
        ),
        Case::bundle("zip64_eocd_disagrees", before(zip64([1, 1, size.into(), offset.into()]))),
        Case::bundle(
            "zip64_huge",
            before(zip64([count.into(), count.into(), size.into(), 1 << 40])),
        ),
        Case::bundle("count_wrong", tailed(Tail { count: Some(count - 1), ..Tail::default() })),
        Case::bundle("multi_disk", tailed(Tail { disks: [1, 0], ..Tail::default() })),
        Case::bundle("gap_entries", archive(&gap, &Tail::default())),
        Case::bundle("gap_before_eocd", before(b"here lies something".to_vec())),
        Case::bundle(
            "archive_comment",
            tailed(Tail { comment: b"a comment".to_vec(), ..Tail::default() }),
        ),
        Case::bundle("too_many_entries", archive(&many, &Tail::default())),
        Case::bundle("entry_order", archive(&swapped, &Tail::default())),
        Case::bundle("noncanonical_frame", times),
    ]
}

fn entries(good: &Good) -> Vec<Case> {
    // One payload entry is changed: the model card, which every bundle has.
    let place = good.place("model_card.md");
    let changed = |class: &'static str, change: &dyn Fn(&mut Vec<Raw>)| {
        let mut entries = raw(good);
        change(&mut entries);
        Case::bundle(class, archive(&entries, &Tail::default()))
    };
    let card =
        |class, change: &dyn Fn(&mut Raw)| changed(class, &|entries| change(&mut entries[place]));
    vec![
        changed("dup_name", &|all| {
            let twice = all[place].clone();
            all.insert(place + 1, twice);
        }),
        card("lfh_name_differs", &|e| e.local.name = b"model_cart.md".to_vec()),
        card("lfh_size_differs", &|e| (e.local.packed, e.local.unpacked) = (1, 1)),
        card("lfh_crc_differs", &|e| e.local.crc32 ^= 1),
        card("lfh_method_differs", &|e| e.local.method = 8),
        card("descriptor_lies", &|e| e.both(|h| h.flags = 1 << 3)),
        card("encrypted_flag", &|e| e.both(|h| h.flags = 1)),
        card("bad_method", &|e| e.both(|h| h.method = 93)),
        card("deflate_trailing", &|e| {
            let mut stream = stored(&e.data[..e.data.len().min(1000)]);
            stream.extend(b"and more");
            squeeze(e, stream, 1000);
        }),
        changed("overlap_full", &|all| {
            let mut again = all[place].clone();
            again.central.name = b"model_card.md2".to_vec();
            again.phantom = true;
            again.offset = Some(offset_of(all, place));
            all.insert(place + 1, again);
        }),
        changed("overlap_quoted", &|all| {
            // The entry before the card is said to hold the card's own header too.
            let e = &mut all[place - 1];
            e.both(|h| (h.packed, h.unpacked) = (h.packed + 200, h.unpacked + 200));
        }),
        changed("overlap_cd", &|all| {
            let e = all.last_mut().unwrap();
            e.both(|h| (h.packed, h.unpacked) = (h.packed + 100, h.unpacked + 100));
        }),
        card("bomb_ratio", &|e| {
            let stream = stored(b"x");
            squeeze(e, stream, 1 << 30);
        }),
        card("size_lies", &|e| e.both(|h| h.unpacked = 1)),
        card("bad_crc", &|e| e.both(|h| h.crc32 ^= 1)),
        card("unicode_path_extra", &|e| e.both(|h| h.extra = unicode_path(b"../model_card.md"))),
        card("entry_comment", &|e| e.comment = b"a comment".to_vec()),
        card("symlink", &|e| e.attributes = 0o120_777 << 16),
    ]
}

/// Deflate's stored block (RFC 1951, section 3.2.4).
fn stored(data: &[u8]) -> Vec<u8> {
    let length = data.len() as u16;
    [&[1][..], &length.to_le_bytes(), &(!length).to_le_bytes(), data].concat()
}

/// An entry that says it is deflated to `stream`.
fn squeeze(entry: &mut Raw, stream: Vec<u8>, unpacked: u32) {
    entry.both(|h| (h.method, h.packed, h.unpacked) = (8, stream.len() as u32, unpacked));
    entry.data = stream;
}

/// Info-ZIP's extra field of a second name.
fn unicode_path(name: &[u8]) -> Vec<u8> {
    let content = [&[1][..], &crc32fast::hash(b"model_card.md").to_le_bytes(), name].concat();
    [&0x7075_u16.to_le_bytes()[..], &(content.len() as u16).to_le_bytes(), &content].concat()
}

fn names(good: &Good) -> Vec<Case> {
    let with = |class: &'static str, names: &[&[u8]], data: &[u8]| {
        let mut entries = raw(good);
        entries.extend(names.iter().map(|name| Raw::new(name, data)));
        Case::bundle(class, archive(&entries, &Tail::default()))
    };
    let one = |class, name: &[u8]| with(class, &[name], b"data");
    vec![
        one("dotdot", b"zz/../../x"),
        one("absolute", b"/etc/zz"),
        one("backslash", b"zz\\..\\x"),
        one("drive_letter", b"c:/zz"),
        one("nul", b"zz.txt\0.exe"),
        one("empty_name", b""),
        one("dot_segment", b"zz/.ssh"),
        one("double_slash", b"zz//x"),
        with("case_twin", &[b"MODEL_CARD.md"], b"data"),
        with("nfc_nfd_twin", &["zz\u{e9}".as_bytes(), "zze\u{301}".as_bytes()], b"data"),
        one("bad_utf8", b"zz\xff"),
        one("win_reserved", b"zz/con.txt"),
        one("ads_stream", b"zz/x:hidden"),
        one("long_name", &[b'z'; 129]),
        with("dir_with_data", &[b"zz/"], b"data"),
        with("dir_entry", &[b"zz/"], b""),
        one("bad_name", b"zz x"),
    ]
}

/// Where entry `place` begins, as [`archive`] lays entries out.
fn offset_of(entries: &[Raw], place: usize) -> u32 {
    let end = |at: usize, entry: &Raw| {
        let Header { name, extra, .. } = &entry.local;
        (at + 36 + name.len() + extra.len()).next_multiple_of(64) + entry.data.len()
    };
    entries[..place].iter().fold(0, end) as u32
}
