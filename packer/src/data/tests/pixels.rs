//! Images as they are loaded: pixels, batches, and files that do not decode.

use std::fs;

use medforge_runtime::preprocess::{CropOffset, Filter, Preprocessing, Resize, Size};

use super::*;
use crate::Error;

fn preprocessing() -> Preprocessing {
    let size = Size { height: 8, width: 8 };
    let crop_offset = CropOffset::Floor;
    let (mean, std) = ([0.5, 0.4, 0.3], [0.25, 0.5, 1.0]);
    Preprocessing {
        resize: Resize::Exact(size),
        filter: Filter::Bicubic,
        crop: None,
        crop_offset,
        rescale: 1.0 / 255.0,
        mean,
        std,
    }
}

/// Four pictures of 8 x 8, left half one colour and right half another.
fn pictures() -> (Place, Dataset) {
    let place = Place::new(&FOUR).listing(GOOD);
    for (i, file) in FOUR.iter().enumerate() {
        let left = [10 * i as u8, 100, 200];
        let pixels: Vec<u8> =
            (0..64).flat_map(|p| if p % 8 < 4 { left } else { [50, 60, 70] }).collect();
        let image = medforge_runtime::image::RgbImage8::new(pixels, 8, 8).unwrap();
        fs::write(place.root().join(file), phantom::png(&image).unwrap()).unwrap();
    }
    let data = Dataset::open(place.root()).unwrap();
    (place, data)
}

#[test]
fn images_are_loaded_in_order_with_colours_and_groups() {
    let (_place, data) = pictures();
    let images = Images::load(&data, &[3, 0, 2], &preprocessing()).unwrap();
    assert_eq!(
        (images.len(), images.labels(), images.groups()),
        (3, &[1, 0, 1][..], &[2, 0, 1][..])
    );
    assert_eq!(images.pixels(0)[..3], [30, 100, 200]);
    let [r, g, b, sd_r, sd_g, sd_b] = images.colours()[0].features();
    let expected = [40.0, 80.0, 135.0, 10.0, 20.0, 65.0].map(|v| v / 255.0);
    for (value, expected) in [r, g, b, sd_r, sd_g, sd_b].into_iter().zip(expected) {
        assert!((value - expected).abs() < 1e-12, "{value} {expected}");
    }
}

#[test]
fn batches_are_normalised_planes() {
    let (_place, data) = pictures();
    let images = Images::load(&data, &[0, 1, 2, 3], &preprocessing()).unwrap();
    let mut batch = vec![9.0; 5];
    images.batch(&[2, 1], None, &mut batch).unwrap();
    assert_eq!(batch.len(), 2 * 3 * 64);
    let value = |level: f64, c: usize| {
        ((level / 255.0 - preprocessing().mean[c]) / preprocessing().std[c]) as f32
    };
    assert!((batch[0] - value(20.0, 0)).abs() < 1e-6);
    assert!((batch[64 + 7] - value(60.0, 1)).abs() < 1e-6);
    assert!((batch[192 + 128] - value(200.0, 2)).abs() < 1e-6);
}

#[test]
fn augmented_batches_depend_on_the_draw_and_not_on_the_company() {
    let (_place, data) = pictures();
    let images = Images::load(&data, &[0, 1, 2, 3], &preprocessing()).unwrap();
    let augment = Augment { colour_jitter: 0.5, ..Augment::default() };
    let run = |indices: &[usize], epoch| {
        let mut batch = Vec::new();
        images.batch(indices, Some((&augment, Draw { seed: 7, epoch })), &mut batch).unwrap();
        batch
    };
    assert_eq!(run(&[1, 2], 4)[192..], run(&[2], 4)[..]);
    assert_ne!(run(&[2], 4), run(&[2], 5));
}

#[test]
fn an_image_that_does_not_decode_is_named() {
    let (place, data) = pictures();
    let file = place.root().join(FOUR[1]);
    let whole = fs::read(&file).unwrap();
    for bytes in [&b"no image"[..], &b""[..], &whole[..whole.len() / 2]] {
        fs::write(&file, bytes).unwrap();
        let text = Images::load(&data, &[0, 1, 2], &preprocessing()).err().unwrap().to_string();
        assert!(text.contains("a/2.png"), "{text}");
    }
    fs::write(place.root().join(FOUR[2]), b"").unwrap();
    let text = Images::load(&data, &[0, 1, 2], &preprocessing()).err().unwrap().to_string();
    assert!(
        text.contains("2 faults") && text.contains("a/2.png") && text.contains("b/1.png"),
        "{text}"
    );
    fs::remove_file(&file).unwrap();
    assert!(
        Images::load(&data, &[1], &preprocessing()).err().unwrap().to_string().contains("a/2.png")
    );
}

#[test]
fn files_over_the_limits_are_refused_unread() {
    let (place, data) = pictures();
    // Sparse: nothing is stored.
    fs::File::create(place.root().join(FOUR[0])).unwrap().set_len(1 << 40).unwrap();
    assert!(matches!(Images::load(&data, &[0], &preprocessing()), Err(Error::TooLarge { .. })));
    fs::File::create(place.root().join("splits.csv")).unwrap().set_len(1 << 40).unwrap();
    assert!(matches!(Dataset::open(place.root()), Err(Error::TooLarge { .. })));
}

/// A PNG header of 16 bits a channel without a pixel: all that a dry run needs to see.
#[test]
fn headers_tell_what_loading_would_refuse_and_what_is_cut() {
    let (place, data) = pictures();
    let square = Some(Size { height: 8, width: 8 });
    let cropped =
        Preprocessing { resize: Resize::ShortestEdge(8), crop: square, ..preprocessing() };
    assert_eq!(data.headers(&[0, 1], &cropped).unwrap(), Some(0.0));
    let wide = medforge_runtime::image::RgbImage8::new(vec![7; 64 * 32 * 3], 64, 32).unwrap();
    fs::write(place.root().join(FOUR[0]), phantom::png(&wide).unwrap()).unwrap();
    // Of one image half of the columns are cut, of the other none.
    assert_eq!(data.headers(&[0, 1], &cropped).unwrap(), Some(0.25));
    assert_eq!(Images::load(&data, &[0, 1], &cropped).unwrap().cut(), 0.25);
    assert_eq!(
        data.headers(&[0, 1], &preprocessing()).unwrap(),
        Some(0.0),
        "squeezed, and all of it seen"
    );
    let mut deep = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x04\0\0\0\x04\x10\0\0\0\0".to_vec();
    deep.extend(crc32fast::hash(&deep[12..29]).to_be_bytes());
    deep.extend(b"\0\0\0\0IDAT");
    deep.extend(crc32fast::hash(b"IDAT").to_be_bytes());
    for file in [FOUR[1], FOUR[3]] {
        fs::write(place.root().join(file), &deep).unwrap();
    }
    let text = data.headers(&[0, 1, 2, 3], &cropped).unwrap_err().to_string();
    assert!(text.contains("2 faults") && text.contains("a/2.png: 16 bits a channel"), "{text}");
}
