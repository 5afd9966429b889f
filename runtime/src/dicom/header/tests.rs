//! Headers in every transfer syntax, against the library that reads whole files; cut, changed and
//! lying files are refused.

use super::super::part10::{BIG_ENDIAN, EXPLICIT, IMPLICIT};
use super::*;

/// One element in a transfer syntax; an undefined length where `value` is none.
pub fn element(syntax: &str, tag: (u16, u16), vr: &str, value: Option<&[u8]>) -> Vec<u8> {
    let two = |v: u16| if syntax == BIG_ENDIAN { v.to_be_bytes() } else { v.to_le_bytes() };
    let four = |v: u32| if syntax == BIG_ENDIAN { v.to_be_bytes() } else { v.to_le_bytes() };
    let length = value.map_or(u32::MAX, |value| value.len() as u32);
    let mut out = [two(tag.0), two(tag.1)].concat();
    if syntax == IMPLICIT || tag.0 == 0xfffe {
        out.extend(four(length));
    } else if !["CS", "UI", "LO", "AS", "IS", "US", "SS", "UL", "DS"].contains(&vr) {
        out.extend([vr.as_bytes(), &[0, 0], &four(length)].concat());
    } else {
        out.extend([vr.as_bytes(), &two(length as u16)].concat());
    }
    out.extend(value.unwrap_or_default());
    out
}

/// A Part 10 file of a data set.
pub fn part_10(syntax: &str, data: &[u8]) -> Vec<u8> {
    let padded = if syntax.len() % 2 == 1 { format!("{syntax}\0") } else { syntax.to_owned() };
    let version = element(EXPLICIT, (2, 1), "OB", Some(&[0, 1]));
    let named = element(EXPLICIT, (2, 0x10), "UI", Some(padded.as_bytes()));
    let meta = [version, named].concat();
    let length = element(EXPLICIT, (2, 0), "UL", Some(&(meta.len() as u32).to_le_bytes()));
    let data = match syntax {
        DEFLATED => miniz_oxide::deflate::compress_to_vec(data, 6),
        _ => data.to_vec(),
    };
    [&[0; 128][..], b"DICM", &length, &meta, &data].concat()
}

/// A data set with a sequence of undefined length, one of a given length and, where there are VRs,
/// a private one of the VR UN in between.
fn data(syntax: &str) -> Vec<u8> {
    data_with(syntax, matches!(syntax, EXPLICIT | DEFLATED))
}

pub fn data_with(syntax: &str, unknown: bool) -> Vec<u8> {
    let one = |tag, vr, value: &[u8]| element(syntax, tag, vr, Some(value));
    let open = |tag, vr| element(syntax, tag, vr, None);
    let end = |element_number| one((0xfffe, element_number), "", b"");
    // Values inside of sequences are not those of the file.
    let inner = one((0x0010, 0x0020), "LO", b"inner ");
    let item = |content: &[u8]| one((0xfffe, 0xe000), "", content);
    let private = element(IMPLICIT, (0x0010, 0x0020), "", Some(b"hidden"));
    let (little_item, little_end) = (
        element(IMPLICIT, (0xfffe, 0xe000), "", Some(&private)),
        element(IMPLICIT, (0xfffe, 0xe0dd), "", Some(b"")),
    );
    let unknown = if unknown {
        [open((0x0009, 0x1001), "UN"), little_item, little_end].concat()
    } else {
        Vec::new()
    };
    [
        one((0x0008, 0x0005), "CS", b"ISO_IR 100"),
        one((0x0008, 0x0018), "UI", b"1.2.3\0"),
        one((0x0008, 0x0070), "LO", b"Acme"),
        one((0x0008, 0x0080), "LO", b"H\xf4pital "),
        open((0x0008, 0x1140), "SQ"),
        open((0xfffe, 0xe000), ""),
        open((0x0008, 0x1150), "SQ"),
        item(&inner),
        end(0xe0dd),
        inner.clone(),
        end(0xe00d),
        end(0xe0dd),
        one((0x0008, 0x2112), "SQ", &item(&inner)),
        unknown,
        one((0x0010, 0x0020), "LO", b"P-17"),
        one((0x0010, 0x0040), "CS", b"F "),
        one((0x0010, 0x1010), "AS", b"034Y"),
        one((0x0028, 0x0008), "IS", b"1 "),
        one((0x0028, 0x0010), "US", &[4, 0]),
    ]
    .concat()
}

#[test]
fn values_are_those_of_the_file_in_every_transfer_syntax() {
    for syntax in [IMPLICIT, EXPLICIT, BIG_ENDIAN, DEFLATED, "1.2.840.10008.1.2.4.50"] {
        let found = header(&part_10(syntax, &data(syntax))[..], "x.dcm").unwrap();
        let expected = Header {
            instance: "1.2.3".into(),
            patient: "P-17".into(),
            sex: "F".into(),
            age: "034Y".into(),
            manufacturer: "Acme".into(),
            institution: "Hôpital".into(),
            frames: 1,
        };
        assert_eq!(found, expected, "{syntax}");
    }
}

#[test]
fn what_is_not_stated_is_empty_and_what_is_too_long_too() {
    let long = vec![b'x'; 2000];
    let rows = element(EXPLICIT, (0x0028, 0x0010), "US", Some(&[4, 0]));
    let patient = element(EXPLICIT, (0x0010, 0x0020), "LO", Some(&long));
    let found = header(&part_10(EXPLICIT, &[patient, rows].concat())[..], "x.dcm").unwrap();
    assert_eq!((found.patient.as_str(), found.sex.as_str(), found.frames), ("", "", 1));
}

/// VR UN, no VR among others, no length and no version of the meta information (PS3.5 6.2.2; what
/// pydicom and dcmtk read).
#[test]
fn what_peers_read_is_read() {
    let expected = header(&part_10(EXPLICIT, &data(EXPLICIT))[..], "x.dcm").unwrap();
    let unknown = part_10(EXPLICIT, &data(EXPLICIT));
    let at = unknown.windows(6).position(|bytes| bytes == b"\x10\0\x20\0LO").unwrap();
    // The last of them is the file's own; the one before lies in a sequence.
    let at =
        unknown.windows(10).rposition(|bytes| bytes == b"\x10\0\x20\0LO\x04\0P-").unwrap_or(at);
    let renamed = [&unknown[..at + 4], b"UN\0\0\x04\0\0\0P-17", &unknown[at + 12..]].concat();
    let without_vr = [&unknown[..at + 4], b"\x04\0\0\0P-17", &unknown[at + 12..]].concat();
    let named = element(EXPLICIT, (2, 0x10), "UI", Some(b"1.2.840.10008.1.2.1\0"));
    let bare = [&[0; 128][..], b"DICM", &named, &data(EXPLICIT)].concat();
    for file in [renamed, without_vr, bare] {
        assert_eq!(header(&file[..], "x.dcm").unwrap(), expected);
    }
}

#[test]
fn values_that_cannot_be_read_are_refused_by_name() {
    for (tag, vr, value, word) in [
        (
            (0x0008, 0x0018),
            "UI",
            &b"1.2.x\0"[..],
            "SOPInstanceUID (0008,0018) is no unique identifier",
        ),
        (
            (0x0028, 0x0008),
            "IS",
            b"two ",
            "NumberOfFrames (0028,0008) is \"two\", which is no number",
        ),
        ((0x0028, 0x0008), "IS", b"-1", "NumberOfFrames (0028,0008) is -1"),
    ] {
        let rows = element(EXPLICIT, (0x0028, 0x0010), "US", Some(&[4, 0]));
        let file = part_10(EXPLICIT, &[element(EXPLICIT, tag, vr, Some(value)), rows].concat());
        let text = header(&file[..], "x.dcm").unwrap_err().to_string();
        assert!(text.contains(word), "{text}");
    }
}

#[test]
fn every_cut_is_refused_by_name() {
    for syntax in [IMPLICIT, EXPLICIT, BIG_ENDIAN] {
        let file = part_10(syntax, &data(syntax));
        // The last element's tag is enough; its value is not part of the head.
        let last = file.len() - 2;
        for length in 0..last {
            let text = header(&file[..length], "x.dcm").unwrap_err().to_string();
            assert!(text.starts_with("x.dcm"), "{length}: {text}");
        }
        assert!(header(&file[..last], "x.dcm").is_ok());
    }
}

#[test]
fn changed_bytes_never_panic() {
    for syntax in [IMPLICIT, EXPLICIT, DEFLATED] {
        let file = part_10(syntax, &data(syntax));
        for at in 0..file.len() {
            for bit in [0x01, 0x80, 0xff] {
                let mut changed = file.clone();
                changed[at] ^= bit;
                let _ = header(&changed[..], "x.dcm");
            }
        }
    }
}

#[test]
fn lengths_that_lie_cost_nothing_and_are_refused() {
    let patient =
        [&[0x10, 0, 0x20, 0][..], b"UT\0\0", &0xffff_fff0_u32.to_le_bytes(), b"abc"].concat();
    let text = header(&part_10(EXPLICIT, &patient)[..], "x.dcm").unwrap_err().to_string();
    assert!(text.contains("ends within an element or before its pixels"), "{text}");

    let large = element(EXPLICIT, (0x0009, 0x1001), "OB", Some(&vec![0; MAX_HEAD as usize + 1]));
    for syntax in [EXPLICIT, DEFLATED] {
        let text = header(&part_10(syntax, &large)[..], "x.dcm").unwrap_err().to_string();
        assert!(text.contains("more than 16777216 bytes"), "{text}");
    }

    let nested = element(EXPLICIT, (0x0008, 0x1140), "SQ", None);
    let item = element(EXPLICIT, (0xfffe, 0xe000), "", None);
    let deep = [nested, item].concat().repeat(1000);
    let text = header(&part_10(EXPLICIT, &deep)[..], "x.dcm").unwrap_err().to_string();
    assert!(text.contains("deeper than 16"), "{text}");
}

/// A fault of the program that reads is its own, and not the file's.
#[test]
fn a_panic_of_the_callers_own_reader_goes_through() {
    struct Faulty;
    impl Read for Faulty {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            panic!("the caller's own")
        }
    }
    assert!(std::panic::catch_unwind(|| header(Faulty, "x.dcm")).is_err());
}
