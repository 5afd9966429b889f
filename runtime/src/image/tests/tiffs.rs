//! TIFF files against Pillow, cut off, changed, or not read.

use std::collections::BTreeMap;
use std::io::Read;

use super::*;

/// TIFF files by Pillow and tifffile, and PNG files of what Pillow reads in them; made by
/// `image/tiff.py`.
fn tiffs() -> BTreeMap<String, Vec<u8>> {
    let mut archive = zip::ZipArchive::new(Cursor::new(include_bytes!("../tiff.zip"))).unwrap();
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
