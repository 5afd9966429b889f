//! JPEGs of every kind against Pillow, cut off, changed, or not read.

use super::*;

/// JPEGs of every kind, with what Pillow shows of them (`tests/jpeg/golden.py`).
pub fn golden() -> Vec<(String, Vec<u8>, u32)> {
    let golden: serde_json::Value =
        serde_json::from_str(include_str!("../../../../tests/jpeg/golden.json")).unwrap();
    let read = |entry: &serde_json::Value| {
        let text = |key: &str| entry[key].as_str().unwrap();
        let name = format!("{}: {}", text("kind"), text("name"));
        (name, hex::decode(text("jpeg")).unwrap(), entry["crc"].as_u64().unwrap() as u32)
    };
    golden.as_array().unwrap().iter().map(read).collect()
}

#[test]
fn jpegs_of_every_kind_are_shown_to_the_bit_as_by_pillow() {
    let mut shown = 0;
    for (name, jpeg, crc) in golden() {
        match decode(&jpeg, "x") {
            Ok(image) => assert_eq!(crc32fast::hash(image.data()), crc, "{name}"),
            Err(error) if name.starts_with("arithmetic") => {
                assert!(error.to_string().contains("its arithmetic coding is not read"), "{error}");
                continue;
            }
            Err(error) => {
                assert!(
                    name.starts_with("CMYK") && error.to_string().contains("CMYK"),
                    "{name}: {error}"
                );
                continue;
            }
        }
        shown += 1;
    }
    assert!(shown >= 40, "only {shown}");
}

#[test]
fn attack_jpegs_of_every_kind_cut_off_or_changed() {
    for (name, jpeg, _) in golden() {
        for length in 0..jpeg.len() {
            assert!(
                decode(&jpeg[..length], "x").is_err(),
                "{name}: {length} of {} bytes were read",
                jpeg.len()
            );
            // Cut, and ended as if it were whole.
            let data = head_length(&jpeg)..jpeg.len() - 3;
            if data.contains(&length) && length % 7 == 0 {
                let ended = [&jpeg[..length], &[0xff, 0xd9]].concat();
                assert!(
                    decode(&ended, "x").is_err(),
                    "{name}: {length} of {} bytes were shown",
                    jpeg.len()
                );
            }
        }
        for bit in (0..jpeg.len() * 8).step_by(5) {
            let mut changed = jpeg.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let _ = decode(&changed, "x");
        }
    }
}

/// Up to the first scan's data.
pub fn head_length(jpeg: &[u8]) -> usize {
    let scan = jpeg.windows(2).position(|pair| pair == [0xff, 0xda]).unwrap();
    scan + 2 + usize::from(jpeg[scan + 3])
}

#[test]
fn jpegs_that_are_not_read_say_why() {
    let changed = |kind: &str, from: &[u8], to: &[u8]| {
        let (_, jpeg, _) = golden().into_iter().find(|(name, ..)| name.starts_with(kind)).unwrap();
        let at = jpeg.windows(from.len()).position(|window| window == from).unwrap();
        [&jpeg[..at], to, &jpeg[at + from.len()..]].concat()
    };
    assert_refused(
        &changed("sizes", b"\xff\xc0\0\x11\x08", b"\xff\xc1\0\x11\x0c"),
        "its 12 bits a sample are not read",
    );
    assert_refused(&changed("sizes", b"\xff\xc0", b"\xff\xc5"), "it is hierarchical");
    assert_refused(&changed("sizes", b"\xff\xc0", b"\xff\xc3"), "it is lossless");
    assert_refused(
        &changed("sampling: luma 3", b"\x02\x11\x01", b"\x02\x21\x01"),
        "not multiples of each other",
    );
    // The last scan of the default script brings the last bit of luma, and goes.
    let (_, jpeg, _) =
        golden().into_iter().find(|(name, ..)| name.starts_with("progressive")).unwrap();
    let last = jpeg.windows(2).rposition(|pair| pair == [0xff, 0xda]).unwrap();
    assert_refused(
        &[&jpeg[..last], b"\xff\xd9"].concat(),
        "do not bring every coefficient in full",
    );
    let again = [&jpeg[..jpeg.len() - 2], &jpeg[last..]].concat();
    assert_refused(&again, "its scans do not follow on each other");
    let (_, jpeg, _) =
        golden().into_iter().find(|(name, ..)| name.starts_with("scans: apart")).unwrap();
    let last = jpeg.windows(2).rposition(|pair| pair == [0xff, 0xda]).unwrap();
    assert_refused(&[&jpeg[..last], b"\xff\xd9"].concat(), "a colour is in no scan");
}

#[test]
fn attack_jpeg_size_bomb() {
    let jpeg = encoded(picture(), ImageFormat::Jpeg);
    let at = jpeg.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap() + 5;
    for (sides, words) in [
        ([0xff; 4], "more than 134217728 pixels"),
        ([0x3f, 0xff, 0x20, 0], "cannot hold 8192 x 16383 pixels"),
    ] {
        let mut jpeg = jpeg.clone();
        jpeg[at..at + 4].copy_from_slice(&sides);
        assert_refused(&jpeg, words);
    }
}
