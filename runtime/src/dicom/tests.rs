//! Small files that ask for much. Lengths, deflated data and JPEGs may promise more than is there;
//! they are refused before any room is made for it.

use super::attributes::Notes;
use super::dataset::DataSet;
use super::header::tests::{data_with, element, part_10};
use super::part10::{BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT, RLE};
use super::*;
use crate::Error;

const SYNTAXES: [&str; 4] = [IMPLICIT, EXPLICIT, BIG_ENDIAN, DEFLATED];

fn whole(syntax: &str) -> Vec<u8> {
    data_with(syntax, false)
}

fn refusal(syntax: &str, data: &[u8]) -> String {
    let text = read(&part_10(syntax, data), "x.dcm").err().unwrap().to_string();
    assert!(text.starts_with("x.dcm: "), "{text}");
    text
}

/// What reading says of a file whose deflated data may have `limit` bytes.
fn checked(file: &[u8], limit: usize) -> Result<(), String> {
    let meta = part10::meta(file).map_err(Option::unwrap_or_default)?;
    let (data, start) = part10::inflated(file, &meta, limit)?;
    let read = DataSet::read(&data, start, part10::form(&meta.syntax), None, &mut Notes::new());
    read.map(drop).map_err(|fault| fault.what)
}

#[test]
fn sound_files_are_read() {
    for syntax in SYNTAXES {
        assert_eq!(
            read(&part_10(syntax, &whole(syntax)), "x.dcm").unwrap().frames(),
            1,
            "{syntax}"
        );
    }
}

/// The length is in the file's own order of bytes; the value is three bytes, whatever it promises.
#[test]
fn a_length_that_lies_is_refused_at_every_depth() {
    for syntax in SYNTAXES {
        let four = |v: u32| if syntax == BIG_ENDIAN { v.to_be_bytes() } else { v.to_le_bytes() };
        let mut pixels = element(syntax, (0x7fe0, 0x0010), "OW", Some(&[]));
        pixels.truncate(pixels.len() - 4);
        pixels.extend([&four(0xffff_fff0)[..], b"abc"].concat());
        let text = refusal(syntax, &[whole(syntax), pixels.clone()].concat());
        assert!(text.contains("promises 4294967280 bytes where 3 are left"), "{syntax}: {text}");

        let item = element(syntax, (0xfffe, 0xe000), "", Some(&pixels));
        for value in [Some(&item[..]), None] {
            let sequence = element(syntax, (0x0028, 0x3010), "SQ", value);
            let rest = if value.is_none() { &item[..] } else { &[] };
            let text = refusal(syntax, &[&sequence, rest].concat());
            assert!(text.contains("promises 4294967280 bytes"), "{syntax}: {text}");
        }
    }
}

#[test]
fn every_cut_within_an_element_is_refused() {
    for syntax in [IMPLICIT, EXPLICIT, BIG_ENDIAN] {
        let (file, data) = (part_10(syntax, &whole(syntax)), whole(syntax));
        let cuts = (0..file.len()).filter(|&length| checked(&file[..length], 0).is_ok());
        assert!(cuts.clone().all(|length| length >= file.len() - data.len()), "{syntax}");
        // Whole are one to ten of the eleven elements of the top, and up to three bytes more.
        assert_eq!(cuts.count(), 4 * 10, "{syntax}");
    }
}

#[test]
fn a_deflated_bomb_is_refused() {
    let zeros = element(DEFLATED, (0x7fe0, 0x0010), "OB", Some(&vec![0; 1 << 20]));
    let file = part_10(DEFLATED, &zeros);
    assert!(file.len() < 2000 && checked(&file, 1 << 21).is_ok());
    assert!(checked(&file, 1 << 20).unwrap_err().contains("inflates to more than 1048576 bytes"));
}

#[test]
fn sequences_without_end_are_refused() {
    let nested = element(EXPLICIT, (0x0008, 0x1140), "SQ", None);
    let item = element(EXPLICIT, (0xfffe, 0xe000), "", None);
    assert!(
        refusal(EXPLICIT, &[nested.clone(), item.clone()].concat().repeat(1000))
            .contains("deeper than 16")
    );
    assert!(refusal(EXPLICIT, &[nested, item].concat()).contains("has no end"));
}

#[test]
fn delimiters_where_none_belongs_are_refused() {
    let bytes = |hex: &str| hex::decode(hex.replace([' ', '|'], "")).unwrap();
    let huge = "0800 0100 4f42 0000 f0ff ffff";
    for (data, word) in [
        (format!("feff 0de0 0c00 0000 | {huge}"), "does not belong"),
        ("feff 0de0 ffff ffff | feff dde0 f0ff ffff".into(), "does not belong"),
        (
            format!("e07f 1000 5351 0000 ffff ffff | feff 00e0 0c00 0000 | {huge}"),
            "promises 4294967280",
        ),
        (
            format!("0800 4011 5351 0000 ffff ffff | feff dde0 0c00 0000 | {huge}"),
            "does not belong",
        ),
    ] {
        let text = refusal(EXPLICIT, &bytes(&data));
        assert!(text.contains(word), "{data}: {text}");
    }
    // What only looks like a sequence is none.
    let private = element(IMPLICIT, (0x0009, 0x1001), "", Some(b"\xfe\xff\0\xe0\xff\xff\xff\x7f"));
    assert!(read(&part_10(IMPLICIT, &[private, whole(IMPLICIT)].concat()), "x.dcm").is_ok());
}

#[test]
fn a_transfer_syntax_is_what_it_says_letter_by_letter() {
    for syntax in ["1.2.840.10008.1.2\n", "1.2.840.10008.1.2.1.99\n ", "1.2.840.10008.1.2.4.95"] {
        let error = read(&part_10(syntax, &whole(EXPLICIT)), "x.dcm").err().unwrap();
        assert!(matches!(error, Error::DicomUnsupported { .. }), "{syntax:?}: {error}");
    }
    let named = |syntax: &str| element(EXPLICIT, (2, 0x10), "UI", Some(syntax.as_bytes()));
    let meta = [named("1.2.840.10008.1.2.1\0"), named("1.2.840.10008.1.2\0")].concat();
    let length = element(EXPLICIT, (2, 0), "UL", Some(&(meta.len() as u32).to_le_bytes()));
    let twice = [&[0; 128][..], b"DICM", &length, &meta, &whole(EXPLICIT)].concat();
    assert!(
        read(&twice, "x.dcm")
            .err()
            .unwrap()
            .to_string()
            .contains("does not name one transfer syntax")
    );
}

#[test]
fn elements_out_of_number_are_refused() {
    let empty = element(EXPLICIT, (0x0009, 0x1001), "LO", Some(&[]));
    assert!(refusal(EXPLICIT, &empty.repeat((1 << 19) + 1)).contains("more than 524288 elements"));
}

#[test]
fn changed_bytes_never_panic() {
    for syntax in SYNTAXES {
        let file = part_10(syntax, &whole(syntax));
        for at in 0..file.len() {
            let mut changed = file.clone();
            changed[at] ^= 0xff;
            let _ = read(&changed, "x.dcm").and_then(|file| file.frame(0));
        }
    }
}

mod coded;
mod odd;
