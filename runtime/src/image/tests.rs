//! Decoding of what is read, refusal of what is not; views checked against their memory.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};

use image::{DynamicImage, GrayAlphaImage, ImageBuffer, ImageFormat, Luma, RgbImage, RgbaImage};

use super::*;

mod lost;
pub(super) mod panics;

fn encoded(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Vec::new();
    image.into().write_to(&mut Cursor::new(&mut bytes), format).unwrap();
    bytes
}

fn picture() -> RgbImage {
    RgbImage::from_fn(40, 24, |x, y| image::Rgb([(x * 6) as u8, (y * 10) as u8, 90]))
}

#[track_caller]
fn assert_refused(bytes: &[u8], words: &str) {
    let text = decode(bytes, "x.png").unwrap_err().to_string();
    assert!(text.starts_with("x.png: ") && text.contains(words), "{text}");
}

#[test]
fn png_is_read_exactly_and_jpeg_nearly() {
    let picture = picture();
    let png = decode(&encoded(picture.clone(), ImageFormat::Png), "x").unwrap();
    assert_eq!((png.width(), png.height(), png.data()), (40, 24, picture.as_raw().as_slice()));
    let jpeg = decode(&encoded(picture.clone(), ImageFormat::Jpeg), "x").unwrap();
    let difference = jpeg.data().iter().zip(picture.as_raw()).map(|(a, b)| a.abs_diff(*b)).max();
    assert!(difference.unwrap() < 40, "{difference:?}");
}

#[test]
fn grey_becomes_rgb_and_transparency_is_dropped() {
    let grey = GrayAlphaImage::from_fn(2, 1, |x, _| image::LumaA([x as u8 * 100, 7]));
    assert_eq!(
        decode(&encoded(grey, ImageFormat::Png), "x").unwrap().data(),
        [0, 0, 0, 100, 100, 100]
    );
    let clear = RgbaImage::from_pixel(1, 1, image::Rgba([1, 2, 3, 0]));
    assert_eq!(decode(&encoded(clear, ImageFormat::Png), "x").unwrap().data(), [1, 2, 3]);
}

#[test]
fn attack_cut_off_images() {
    for format in [ImageFormat::Png, ImageFormat::Jpeg] {
        let bytes = encoded(picture(), format);
        // the IEND chunk holds nothing of the image
        let end = if format == ImageFormat::Png { 12 } else { 0 };
        for length in 0..bytes.len() - end {
            assert!(
                decode(&bytes[..length], "x").is_err(),
                "{length} of {} bytes were read",
                bytes.len()
            );
        }
    }
}

#[test]
fn attack_any_flipped_bit_ends_in_a_result() {
    for format in [ImageFormat::Png, ImageFormat::Jpeg] {
        let bytes = encoded(picture(), format);
        for at in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[at / 8] ^= 1 << (at % 8);
            if let Ok(image) = decode(&bytes, "x") {
                assert_eq!(
                    image.data().len(),
                    image.width() as usize * image.height() as usize * 3
                );
            }
        }
    }
}

/// JPEGs of every kind, with what Pillow shows of them (`tests/jpeg/golden.py`).
fn golden() -> Vec<(String, Vec<u8>, u32)> {
    let golden: serde_json::Value =
        serde_json::from_str(include_str!("../../../tests/jpeg/golden.json")).unwrap();
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
fn head_length(jpeg: &[u8]) -> usize {
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

#[test]
fn attack_size_bomb() {
    let mut bytes = encoded(RgbImage::new(1, 1), ImageFormat::Png);
    bytes[16..24].copy_from_slice(&[0, 1, 0, 0, 0, 1, 0, 0]); // 65,536 x 65,536
    let checksum = crc32fast::hash(&bytes[12..29]).to_be_bytes();
    bytes[29..33].copy_from_slice(&checksum);
    assert_refused(&bytes, "pixels");
}

#[test]
fn what_is_not_read_says_so() {
    assert_refused(b"", "neither a PNG nor a JPEG nor a TIFF");
    assert_refused(b"GIF89a----------", "neither a PNG nor a JPEG nor a TIFF");
    let deep: ImageBuffer<Luma<u16>, Vec<u16>> = ImageBuffer::new(2, 2);
    assert_refused(&encoded(deep, ImageFormat::Png), "16 bits a channel");
    let mut cmyk = encoded(picture(), ImageFormat::Jpeg);
    let frame = cmyk.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    assert_eq!(cmyk[frame + 9], 3);
    cmyk.splice(frame + 2..frame + 4, [0, 20]);
    cmyk[frame + 9] = 4;
    cmyk.splice(frame + 19..frame + 19, [4, 0x11, 0]);
    let scan = cmyk.windows(2).position(|pair| pair == [0xff, 0xda]).unwrap();
    cmyk.splice(scan + 2..scan + 5, [0, 14, 4]);
    cmyk.splice(scan + 11..scan + 11, [4, 0]);
    assert_refused(&cmyk, "CMYK");
}

#[test]
fn views_must_fit_their_memory() {
    let data = [7; 100];
    assert!(RgbView::new(&data[..27], 3, 3, 9).is_ok());
    assert!(RgbView::new(&data[..26], 3, 3, 9).is_err());
    assert!(RgbView::new(&data[..29], 3, 3, 10).is_ok(), "the last row needs no gap after it");
    assert!(RgbView::new(&data, 3, 3, 8).is_err());
    assert!(RgbView::new(&data, 0, 3, 9).is_err());
    assert!(RgbView::new(&data, u32::MAX, u32::MAX, usize::MAX).is_err());
    assert!(RgbView::new(&data, 1, 3, usize::MAX).is_err());
    assert!(RgbImage8::new(vec![0; 28], 3, 3).is_err());
    assert!(RgbImage8::new(vec![0; 27], 3, 3).is_ok());
}

#[test]
fn rows_skip_the_gap() {
    let data = [1, 2, 3, 0, 4, 5, 6];
    assert_eq!(
        RgbView::new(&data, 1, 2, 4).unwrap().rows().collect::<Vec<_>>(),
        [[1, 2, 3], [4, 5, 6]]
    );
}

/// TIFF files by Pillow and tifffile, and PNG files of what Pillow reads in them; made by `tiff.py`
/// beside this file.
fn tiffs() -> BTreeMap<String, Vec<u8>> {
    let mut archive = zip::ZipArchive::new(Cursor::new(include_bytes!("tiff.zip"))).unwrap();
    let mut files = BTreeMap::new();
    for i in 0..archive.len() {
        let mut file = archive.by_index(i).unwrap();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        files.insert(file.name().unwrap().into_owned(), bytes);
    }
    files
}

#[test]
fn tiff_is_read_as_pillow_reads_it() {
    let files = tiffs();
    let pictures: Vec<&str> = files.keys().filter_map(|name| name.strip_suffix(".png")).collect();
    assert_eq!(pictures.len(), 12);
    for name in pictures {
        let (tif, png) = (&files[&format!("{name}.tif")], &files[&format!("{name}.png")]);
        assert_eq!(decode(tif, name).unwrap(), decode(png, name).unwrap(), "{name}");
        assert_eq!(size(tif, name).unwrap(), (23, 19), "{name}");
    }
}

#[test]
fn tiff_of_another_kind_is_refused_by_name_without_its_pixels() {
    let files = tiffs();
    let refused = [
        ("pages", "several pages"),
        ("palette", "a palette of colours"),
        ("cmyk", "CMYK"),
        ("lab", "Lab"),
        ("ycbcr", "YCbCr"),
        ("16_bits", "16 bits a channel"),
        ("one_bit", "1 bits a channel"),
        ("float", "32 bits a channel"),
        ("signed", "signed and floating-point"),
        ("jpeg", "JPEG inside of TIFF"),
        ("planes", "planes that lie apart"),
        ("premultiplied", "4 samples a pixel"),
        ("turned", "Orientation"),
    ];
    assert_eq!(refused.len() + 2 * 12, files.len());
    for (name, words) in refused {
        let bytes = &files[&format!("{name}.tif")];
        assert_refused(bytes, words);
        assert!(size(bytes, name).unwrap_err().to_string().contains(words), "{name}");
    }
}

#[test]
fn attack_tiff_files_cut_off_or_changed_anywhere_end_in_a_result() {
    for (name, bytes) in tiffs().iter().filter(|(name, _)| name.ends_with(".tif")) {
        let whole = decode(bytes, name).ok();
        for length in 0..bytes.len() {
            // What is left away may be nothing of the image: then the image is the same.
            let cut = decode(&bytes[..length], name).ok();
            assert!(
                cut.is_none() || cut == whole,
                "{name}: {length} of {} bytes were read",
                bytes.len()
            );
        }
        for at in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[at / 8] ^= 1 << (at % 8);
            if let Ok(image) = decode(&bytes, name) {
                assert_eq!(
                    image.data().len(),
                    image.width() as usize * image.height() as usize * 3
                );
            }
        }
    }
}

/// A strip for each row, all of them the same bytes: a small file that would be unpacked a thousand
/// times.
#[test]
fn attack_strips_that_share_bytes() {
    let mut bytes = b"II*\0".to_vec();
    let (rows, word) = (1000u32, u32::to_le_bytes);
    let strips = 8 + 2 + 8 * 12 + 4;
    bytes.extend(word(8));
    bytes.extend(8u16.to_le_bytes());
    let tags: [(u16, u16, u32, u32); 8] = [
        (256, 4, 1, 1000),
        (257, 4, 1, rows),
        (258, 3, 1, 8),
        (262, 3, 1, 1),
        (273, 4, rows, strips),
        (277, 3, 1, 1),
        (278, 4, 1, 1),
        (279, 4, rows, strips + 4 * rows),
    ];
    for (tag, kind, count, value) in tags {
        bytes.extend([tag, kind].map(u16::to_le_bytes).concat());
        bytes.extend([count, value].map(word).concat());
    }
    bytes.extend(word(0));
    bytes.extend((0..rows).flat_map(|_| word(0)));
    bytes.extend((0..rows).flat_map(|_| word(1000)));
    assert_refused(&bytes, "strips overlap");
}

/// Chunks may fit their own checksums, and the pixels in them not theirs; Pillow refuses that too.
#[test]
fn a_png_whose_pixels_miss_their_checksum_is_refused() {
    let whole = encoded(picture(), ImageFormat::Png);
    let data = whole.windows(4).position(|name| name == b"IDAT").unwrap();
    let length = u32::from_be_bytes(whole[data - 4..data].try_into().unwrap()) as usize;
    let end = data + 4 + length;
    assert_eq!(&whole[end + 8..end + 12], b"IEND");
    let mut changed = whole.clone();
    changed[end - 1] ^= 1;
    let checksum = crc32fast::hash(&changed[data..end]).to_be_bytes();
    changed[end..end + 4].copy_from_slice(&checksum);
    decode(&whole, "x.png").unwrap();
    let text = decode(&changed, "x.png").unwrap_err().to_string();
    assert!(text.contains("does not decode"), "{text}");
}
