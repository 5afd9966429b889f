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
    assert_eq!(lengths::check(&file, MAX_INFLATED).err().map(|what| text.contains(&what)), Some(true), "{text}");
    text
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
        let cuts = (0..file.len()).filter(|&length| lengths::check(&file[..length], 0).is_ok());
        // What is whole are the elements of the top: nine of them begin after the first byte.
        assert!(cuts.clone().all(|length| length >= file.len() - data.len()), "{syntax}");
        assert_eq!(cuts.count(), 11, "{syntax}");
    }
}

#[test]
fn a_deflated_bomb_is_refused() {
    let zeros = element(DEFLATED, (0x7fe0, 0x0010), "OB", Some(&vec![0; 1 << 20]));
    let file = part_10(DEFLATED, &zeros);
    assert!(file.len() < 2000 && lengths::check(&file, 1 << 21).is_ok());
    assert!(lengths::check(&file, 1 << 20).unwrap_err().contains("inflates to more than 1048576 bytes"));
}

#[test]
fn sequences_without_end_are_refused() {
    let nested = element(EXPLICIT, (0x0008, 0x1140), "SQ", None);
    let item = element(EXPLICIT, (0xfffe, 0xe000), "", None);
    assert!(refusal(EXPLICIT, &[nested.clone(), item.clone()].concat().repeat(1000)).contains("deeper than 16"));
    assert!(refusal(EXPLICIT, &[nested, item].concat()).contains("has no end"));
}

/// A gray JPEG of 8 x 8 whose frame header says `height` x `width`, in a file of 8 x 8.
fn jpeg_of(height: u16, width: u16) -> Vec<u8> {
    let mut jpeg = std::io::Cursor::new(Vec::new());
    image::GrayImage::from_pixel(8, 8, image::Luma([90])).write_to(&mut jpeg, image::ImageFormat::Jpeg).unwrap();
    let mut jpeg = jpeg.into_inner();
    let at = jpeg.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap() + 5;
    jpeg[at..at + 4].copy_from_slice(&[height.to_be_bytes(), width.to_be_bytes()].concat());
    jpeg.resize(jpeg.len().next_multiple_of(2), 0);
    let one = |tag, vr, value: &[u8]| element(EXPLICIT, tag, vr, Some(value));
    let short = |number: u16, value: u16| one((0x0028, number), "US", &value.to_le_bytes());
    let data = [
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
        one((0xfffe, 0xe000), "", &jpeg),
        one((0xfffe, 0xe0dd), "", b""),
    ];
    part_10(JPEG_BASELINE, &data.concat())
}

#[test]
fn a_jpeg_of_another_size_than_its_file_is_refused() {
    let shown = |height, width| read(&jpeg_of(height, width), "x.dcm").and_then(|file| file.frame(0)?.rgb());
    assert_eq!(shown(8, 8).unwrap().data()[..3], [90, 90, 90]);
    for (height, width) in [(65_535, 65_535), (8, 9), (0, 8)] {
        let text = shown(height, width).unwrap_err().to_string();
        assert!(text.contains(&format!("its JPEG is of {width} x {height} and the file of 8 x 8")), "{text}");
    }
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
