//! Heads, and lossless JPEGs against an encoder by the definition of T.81 annex H and against dcmtk
//! and GDCM.

mod encoder;

use super::*;
use encoder::{KIND, Kind, encoded, samples, segment};

fn decoded(jpeg: &[u8]) -> Result<Vec<u16>, Fault> {
    lossless::decode(&head(jpeg)?).map(|decoded| decoded.samples)
}

#[test]
fn lossless_jpegs_of_every_kind_come_back() {
    let mut seen = 0;
    for (precision, predictor) in
        (2..=16).flat_map(|precision| (1..=7).map(move |predictor| (precision, predictor)))
    {
        for (restart, low) in [(0, 0), (1, 0), (3, 1), (0, precision - 1)] {
            for (components, apart) in [(1, false), (3, false), (3, true), (4, true)] {
                for (rows, columns) in [(1, 1), (13, 7), (25, 1), (2, 31)] {
                    let kind = Kind {
                        rows,
                        columns,
                        components,
                        precision,
                        predictor,
                        restart,
                        low,
                        apart,
                    };
                    let samples = samples(kind);
                    assert_eq!(decoded(&encoded(kind, &samples)).unwrap(), samples, "{kind:?}");
                    seen += 1;
                }
            }
        }
    }
    assert_eq!(seen, 15 * 7 * 4 * 4 * 4);
}

/// `tests/jpeg/dicom.py` says how the files were made; the samples are what dcmtk and GDCM show,
/// which refuses less than 8 bits.
#[test]
fn jpegs_of_dicom_files_are_decoded_as_by_dcmtk_and_gdcm() {
    let golden: serde_json::Value =
        serde_json::from_str(include_str!("../../../tests/jpeg/dicom.json")).unwrap();
    let bytes = |value: &serde_json::Value| hex::decode(value.as_str().unwrap()).unwrap();
    let mut seen = [0, 0];
    for entry in golden.as_array().unwrap() {
        let theirs: Vec<u16> = bytes(&entry["samples"])
            .as_chunks::<2>()
            .0
            .iter()
            .map(|&pair| u16::from_le_bytes(pair))
            .collect();
        let jpeg = bytes(&entry["jpeg"]);
        let head = head(&jpeg).unwrap();
        let lossless = head.process == Process::Lossless;
        let ours = if lossless { lossless::decode(&head) } else { dct::decode(&head) };
        assert_eq!(ours.unwrap().samples, theirs, "{}", entry["name"]);
        seen[usize::from(lossless)] += 1;
    }
    assert!(seen[0] >= 10 && seen[1] >= 60, "{seen:?}");
}

#[test]
fn attack_lossless_jpegs_cut_off_or_changed() {
    for kind in
        [KIND, Kind { components: 3, precision: 12, predictor: 7, restart: 2, apart: true, ..KIND }]
    {
        let (samples, jpeg) = (samples(kind), encoded(kind, &samples(kind)));
        // Nothing but the end marker may be missing.
        for length in 0..jpeg.len() - 2 {
            assert!(
                decoded(&jpeg[..length]).is_err(),
                "{length} of {} bytes were read",
                jpeg.len()
            );
        }
        assert_eq!(decoded(&jpeg[..jpeg.len() - 2]).unwrap(), samples);
        assert!(!head(&jpeg[..jpeg.len() - 2]).unwrap().ended);
        for bit in 0..jpeg.len() * 8 {
            let mut changed = jpeg.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let _ = decoded(&changed);
        }
    }
}

#[test]
fn what_writers_leave_after_the_last_sample_is_passed_over() {
    let kind = Kind { components: 3, restart: 2, ..KIND };
    let (samples, jpeg) = (samples(kind), encoded(kind, &samples(kind)));
    let end = jpeg.len() - 2;
    for (left, surplus) in [
        (b"".as_slice(), false),
        (b"\xff\xff", false),
        (b"\0", true),
        (&[0; 100], true),
        (b"\xff\xd3", true),
        (b"\x12\0\xff\xd3\0", true),
    ] {
        let decoded =
            lossless::decode(&head(&[&jpeg[..end], left, b"\xff\xd9"].concat()).unwrap()).unwrap();
        assert_eq!((&decoded.samples, decoded.surplus), (&samples, surplus), "{left:?}");
    }
}

#[test]
fn attack_lossless_jpegs_whose_scans_do_not_fit() {
    let kind = Kind { components: 3, restart: 2, ..KIND };
    let jpeg = encoded(kind, &samples(kind));
    let refused = |from: &[u8], to: &[u8], words: &str| {
        let at = jpeg.windows(from.len()).position(|window| window == from).unwrap();
        let changed = [&jpeg[..at], to, &jpeg[at + from.len()..]].concat();
        let text = decoded(&changed).unwrap_err().to_string();
        assert!(text.contains(words), "{text}");
    };
    refused(b"\xff\xd1", b"\xff\xd2", "a restart marker is missing");
    refused(b"\xff\xd0", b"\xff\xd0\xff\xd0", "its data ends early");
    refused(
        b"\xff\xdd\0\x04\0\x0a",
        b"\xff\xdd\0\x04\0\x0b",
        "its restart interval is not of whole lines",
    );
    refused(b"\xff\xc3", b"\xff\xcb", "lossless with arithmetic coding");
    refused(b"\x03\x01\x11\0", b"\x03\x01\x21\0", "sampling factors other than 1 x 1");
    refused(b"\x08\0\x07\0\x05", b"\x08\0\0\0\x05", "its number of lines is not in the header");
    refused(
        b"\x08\0\x07\0\x05",
        b"\x08\xff\xff\xff\xff",
        "65535 x 65535 is more than 134217728 pixels",
    );
    refused(b"\x08\0\x07\0\x05", b"\x08\x3f\xff\x20\0", "cannot hold 8192 x 16383 pixels");
    refused(
        b"\x08\0\x07\0\x05",
        b"\x08\0\x06\0\x05",
        "bytes are left after the last sample of a scan",
    );
    refused(b"\x08\0\x07\0\x05", b"\x08\0\x08\0\x05", "its data ends early");
    refused(
        b"\xff\xd9",
        b"\x12\x34\x56\xff\xd9",
        "3 bytes are left after the last sample of a scan",
    );
    refused(b"\xff\xd9", b"\xff\xd1\xff\xd9", "2 bytes are left after the last sample of a scan");
    refused(b"\x08\0\x07\0\x05", b"\x11\0\x07\0\x05", "17 bits a sample");
    refused(b"\x03\0\x01\0\0", b"\x03\0\x08\0\0", "the header of a scan is damaged");
    refused(b"\x03\0\x01\0\0", b"\x03\0\x01\0\x08", "the header of a scan is damaged");
    refused(b"\x03\0\x01\0\0", b"\x02\0\x01\0\0", "a scan has a colour that the frame has not");
    refused(b"\x03\0\x01\0\0", b"\x03\x10\x01\0\0", "a Huffman table is missing");
}

#[test]
fn attack_heads_that_hide_or_contradict() {
    let jpeg = encoded(KIND, &samples(KIND));
    assert_eq!(head(&jpeg).unwrap().components.len(), 1);
    let hidden = [
        &jpeg[..2],
        b"\xff\0\0\x13",
        &segment(0xc3, &[8, 255, 255, 255, 255, 1, 1, 0x11, 0]),
        &jpeg[2..],
    ];
    for (bytes, words) in [
        (hidden.concat(), "two frames"),
        (jpeg[1..].to_vec(), "does not begin"),
        ([&jpeg[..2], &jpeg].concat(), "begins a second time"),
        ([&jpeg[..2], &segment(0xdc, &[0, 9]), &jpeg[2..]].concat(), "DNL"),
        ([&jpeg[..2], &segment(0xdd, &[0]), &jpeg[2..]].concat(), "restart interval"),
        ([&jpeg[..2], &segment(0xc4, &[0; 16]), &jpeg[2..]].concat(), "Huffman"),
        ([&jpeg[..2], &segment(0xdb, &[0; 64]), &jpeg[2..]].concat(), "quantization"),
        (
            [&jpeg[..2], &segment(0xda, &[1, 1, 0, 1, 0, 0]), &jpeg[2..]].concat(),
            "before its frame",
        ),
        ([&jpeg[..2], b"\xff\xd9"].concat(), "no frame"),
        (
            [&jpeg[..jpeg.len() - 2], &segment(0xda, &[1, 1, 0, 1, 0, 0]).repeat(100)].concat(),
            "more than 100 scans",
        ),
    ] {
        let text = head(&bytes).unwrap_err().to_string();
        assert!(text.contains(words), "{text}");
    }
}
