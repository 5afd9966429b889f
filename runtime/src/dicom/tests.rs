//! Small files that ask for much: lengths, deflated data and JPEGs that promise more than is there are refused before any room is made for it.

use super::header::tests::{EXPLICIT, data_with, element, part_10};
use super::*;

const SYNTAXES: [&str; 4] = [IMPLICIT, EXPLICIT, BIG_ENDIAN, DEFLATED];

fn whole(syntax: &str) -> Vec<u8> {
    data_with(syntax, false)
}

fn refusal(syntax: &str, data: &[u8]) -> String {
    let file = part_10(syntax, data);
    let text = read(&file, "x.dcm").err().unwrap().to_string();
    assert!(text.starts_with("x.dcm: "), "{text}");
    assert!(text.contains(&checked(&file, MAX_INFLATED).unwrap_err()), "{text}");
    text
}

/// What the walk alone says of a file.
fn checked(file: &[u8], limit: usize) -> Result<(), String> {
    let mut data = file.get(132..).unwrap_or_default();
    let syntax = elements::syntax(&mut data)?;
    lengths::check(data, &syntax, limit)
}

#[test]
fn sound_files_are_read() {
    for syntax in SYNTAXES {
        assert_eq!(read(&part_10(syntax, &whole(syntax)), "x.dcm").unwrap().frames(), 1, "{syntax}");
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
            let sequence = element(syntax, (0x0088, 0x0200), "SQ", value);
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
        // Whole are none to ten of the eleven elements of the top, and up to three bytes more.
        assert_eq!(cuts.count(), 4 * 11, "{syntax}");
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
    assert!(refusal(EXPLICIT, &[nested.clone(), item.clone()].concat().repeat(1000)).contains("deeper than 16"));
    assert!(refusal(EXPLICIT, &[nested, item].concat()).contains("has no end"));
}

/// Where the library and this walk could come apart: each of these made the library look at a length that was not looked at before.
#[test]
fn what_the_library_would_read_otherwise_is_refused() {
    let bytes = |hex: &str| hex::decode(hex.replace([' ', '|'], "")).unwrap();
    let huge = "0800 0100 4f42 0000 f0ff ffff";
    for (data, word) in [
        (format!("feff 0de0 0c00 0000 | {huge}"), "does not belong"),
        ("feff 0de0 ffff ffff | feff dde0 f0ff ffff".into(), "does not belong"),
        (format!("e07f 1000 5351 0000 ffff ffff | feff 00e0 0c00 0000 | {huge}"), "promises 4294967280"),
        (format!("0800 4011 5351 0000 ffff ffff | feff dde0 0c00 0000 | {huge}"), "does not belong"),
    ] {
        let text = refusal(EXPLICIT, &bytes(&data));
        assert!(text.contains(word), "{data}: {text}");
    }
    // By the dictionary this is a sequence, which ends at once.
    let text = refusal(IMPLICIT, &bytes("4000 7502 1000 0000 | feff dde0 0000 0000 | 0800 1800 f0ff ffff"));
    assert!(text.contains("does not belong"), "{text}");
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
    assert!(read(&twice, "x.dcm").err().unwrap().to_string().contains("meta information is missing or damaged"));
}

#[test]
fn texts_out_of_proportion_are_refused() {
    let text = element(EXPLICIT, (0x0008, 0x0119), "UC", Some(&vec![b'\\'; (1 << 20) + 2]));
    assert!(refusal(EXPLICIT, &text).contains("more than 1048576, of UC"));
    let empty = element(EXPLICIT, (0x0009, 0x1001), "LO", Some(&[]));
    assert!(refusal(EXPLICIT, &empty.repeat((1 << 19) + 1)).contains("more than 524288 elements"));
}

/// A file of 8 x 8 gray pixels in `fragments`.
fn gray(syntax: &str, fragments: &[&[u8]]) -> Vec<u8> {
    let one = |tag, vr, value: &[u8]| element(EXPLICIT, tag, vr, Some(value));
    let short = |number: u16, value: u16| one((0x0028, number), "US", &value.to_le_bytes());
    let mut data = vec![
        short(0x0002, 1),
        one((0x0028, 0x0004), "CS", b"MONOCHROME2 "),
        short(0x0010, 8),
        short(0x0011, 8),
        short(0x0100, 8),
        short(0x0101, 8),
        short(0x0102, 7),
        short(0x0103, 0),
        element(EXPLICIT, (0x7fe0, 0x0010), "OB", None),
        one((0xfffe, 0xe000), "", b""),
    ];
    data.extend(fragments.iter().map(|fragment| one((0xfffe, 0xe000), "", fragment)));
    data.push(one((0xfffe, 0xe0dd), "", b""));
    part_10(syntax, &data.concat())
}

#[test]
fn rle_of_other_segments_than_its_samples_is_refused() {
    let mut frame = [&1u32.to_le_bytes()[..], &64u32.to_le_bytes()].concat();
    frame.resize(64, 0);
    // PackBits: 64 times the same byte.
    frame.extend([0xc1, 90]);
    let shown = |frame: &[u8]| read(&gray(RLE, &[frame]), "x.dcm").and_then(|file| file.frame(0)?.rgb());
    assert_eq!(shown(&frame).unwrap().data()[..3], [90, 90, 90]);
    frame[..4].copy_from_slice(&0x3fff_ffffu32.to_le_bytes());
    for lies in [&frame[..], &frame[..4], b""] {
        assert!(shown(lies).unwrap_err().to_string().contains("another number of segments"));
    }
}

/// A gray JPEG of 8 x 8 whose frame header says `height` x `width`.
fn jpeg_of(height: u16, width: u16) -> Vec<u8> {
    let mut jpeg = std::io::Cursor::new(Vec::new());
    image::GrayImage::from_pixel(8, 8, image::Luma([90])).write_to(&mut jpeg, image::ImageFormat::Jpeg).unwrap();
    let mut jpeg = jpeg.into_inner();
    let at = jpeg.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap() + 5;
    jpeg[at..at + 4].copy_from_slice(&[height.to_be_bytes(), width.to_be_bytes()].concat());
    jpeg.resize(jpeg.len().next_multiple_of(2), 0);
    jpeg
}

#[test]
fn a_jpeg_of_another_size_than_its_file_is_refused() {
    let shown = |height, width| {
        read(&gray(JPEG_BASELINE, &[&jpeg_of(height, width)]), "x.dcm").and_then(|file| file.frame(0)?.rgb())
    };
    assert_eq!(shown(8, 8).unwrap().data()[..3], [90, 90, 90]);
    for (height, width) in [(65_535, 65_535), (8, 9)] {
        let text = shown(height, width).unwrap_err().to_string();
        let words = format!("its JPEG is of {width} x {height} of 1 and the file of 8 x 8 of 1 samples");
        assert!(text.contains(&words), "{text}");
    }
    assert!(shown(0, 8).unwrap_err().to_string().contains("its JPEG cannot be read"));
    // In two fragments it is the same JPEG, and what hides from one look does not hide from the decoder's own.
    for size in [8, 65_535] {
        let jpeg = jpeg_of(size, size);
        let split = read(&gray(JPEG_BASELINE, &[&jpeg[..1], &jpeg[1..]]), "x.dcm").and_then(|file| file.frame(0));
        assert_eq!(split.is_ok(), size == 8);
        let huge = [&b"\xff\xc0\0\x0b\x08\xff\xff\xff\xff\x01\x01\x11\0"[..], b"\xff\xfe\0\x11"].concat();
        let hidden = [&jpeg[..2], b"\xff\0\0\x13", &huge, &jpeg[2..]].concat();
        let text = read(&gray(JPEG_BASELINE, &[&hidden]), "x.dcm").and_then(|file| file.frame(0)).err().unwrap();
        assert!(text.to_string().contains("JPEG is of 65535 x 65535"), "{text}");
    }
}

/// Names of components, JFIF and Adobe's marker, as the decoder and libjpeg understand them.
#[test]
fn colours_are_told_where_decoders_agree() {
    let jpeg = |names: &[u8; 3], jfif: bool, adobe: Option<u8>| {
        let jfif: &[u8] = if jfif { b"\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0" } else { b"" };
        let adobe = adobe.map(|t| [&b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0"[..], &[t]].concat()).unwrap_or_default();
        let [a, b, c] = *names;
        let frame = [&b"\xff\xc0\0\x11\x08\0\x08\0\x08\x03"[..], &[a, 17, 0, b, 17, 0, c, 17, 0]].concat();
        [&b"\xff\xd8"[..], jfif, &adobe, &frame, b"\xff\xda\0\x02"].concat()
    };
    let (numbers, letters, others) = (&[1, 2, 3], b"RGB", &[7, 8, 9]);
    for (names, jfif, adobe, expected) in [
        (numbers, true, None, Some(false)),
        (numbers, false, None, Some(false)),
        (numbers, false, Some(1), Some(false)),
        (numbers, false, Some(0), None),
        (letters, false, None, Some(true)),
        (letters, false, Some(0), Some(true)),
        (letters, false, Some(1), None),
        (letters, true, None, None),
        (others, false, Some(0), Some(true)),
        (others, true, Some(0), Some(false)),
        (others, false, None, Some(false)),
        (&[1, 34, 35], false, None, None),
    ] {
        assert_eq!(jpeg::is_rgb(&jpeg(names, jfif, adobe), false), expected, "{names:?} {jfif} {adobe:?}");
    }
    assert_eq!(jpeg::is_rgb(&jpeg(numbers, false, None), true), Some(true));
    assert_eq!(jpeg::is_rgb(&jpeg(numbers, false, Some(1)), true), Some(false));
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
