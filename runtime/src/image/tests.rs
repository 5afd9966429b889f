//! Decoding of what is read, refusal of what is not; views checked against their memory.

use std::io::Cursor;

use image::{DynamicImage, GrayAlphaImage, ImageBuffer, ImageFormat, Luma, RgbImage, RgbaImage};

use super::*;

mod jpegs;
mod lost;
pub(super) mod panics;
mod tiffs;

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
