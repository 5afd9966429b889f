//! Images of every kind, read or refused.

use std::ptr::null;

use medforge::*;

use crate::fixture::*;

#[test]
fn images_of_every_kind_are_read_or_refused_by_name() {
    let fixture = Fixture::new();
    let classifier = fixture.open();
    let probabilities = |image| probabilities(classifier, image);
    let data = pixels(3);
    let two = two_frames(&data);
    let words = words(&two);
    let wrong: [(Image, Status, &str); 12] = [
        (Image { data: null(), ..rgb(&data) }, Status::NullPointer, "image.data"),
        (Image { struct_size: 4, ..rgb(&data) }, Status::OutOfRange, "struct_size"),
        (Image { kind: 7, ..rgb(&data) }, Status::Pixels, "kind"),
        (Image { rows: SIDE + 1, ..rgb(&data) }, Status::Pixels, "bytes"),
        (Image { frame: 1, ..rgb(&data) }, Status::Pixels, "bytes"),
        (Image { bits_allocated: 70_000, ..rgb(&data) }, Status::Pixels, "bits_allocated"),
        (Image { photometric: 9, ..rgb(&data) }, Status::Pixels, "photometric"),
        (Image { samples: 1, ..rgb(&data) }, Status::Pixels, "samples"),
        (Image { voi: 4, ..words }, Status::NullPointer, "voi_lut"),
        (Image { photometric: 4, ..words }, Status::NullPointer, "palette[0]"),
        (Image { kind: ImageKind::Dicom as u32, ..rgb(&data) }, Status::Image, "DICOM"),
        (Image { kind: ImageKind::File as u32, ..rgb(&data) }, Status::Image, "PNG"),
    ];
    for (image, status, word) in wrong {
        assert_eq!(probabilities(image), Err(status), "{word}: {}", last_error());
        assert!(last_error().contains(word), "{word}: {}", last_error());
    }
    let options = ClassifyOptions { task: c"task0".as_ptr(), ..ClassifyOptions::new() };
    let batch = [rgb(&data), Image { rows: 99, ..rgb(&data) }];
    assert_eq!(classified(classifier, &batch, &options), Err(Status::Pixels));
    assert!(last_error().starts_with("image 1 of the batch"), "{}", last_error());
    // SAFETY: open, and not used any more.
    unsafe { medforge_close(classifier) };
}

#[test]
fn planes_and_files_are_what_pixels_are() {
    let fixture = Fixture::new();
    let classifier = fixture.open();
    let probabilities = |image| probabilities(classifier, image);
    let data = pixels(3);
    let expected = probabilities(rgb(&data)).unwrap();
    // The same in planes, and as a PNG file.
    let planes: Vec<u8> = (0..3).flat_map(|c| data.iter().skip(c).step_by(3).copied()).collect();
    assert_eq!(probabilities(Image { planar: 1, ..rgb(&planes) }).unwrap(), expected);
    let png = export_png(&data);
    let file = Image {
        kind: ImageKind::File as u32,
        data: png.as_ptr().cast(),
        length: png.len(),
        ..Image::new()
    };
    assert_eq!(probabilities(file).unwrap(), expected);
    // SAFETY: open, and not used any more.
    unsafe { medforge_close(classifier) };
}

#[test]
fn gray_goes_through_its_window_table_or_palette() {
    let fixture = Fixture::new();
    let classifier = fixture.open();
    let probabilities = |image| probabilities(classifier, image);
    let data = pixels(3);
    let thrice: Vec<u8> = data.iter().step_by(3).flat_map(|value| [*value; 3]).collect();
    let expected = probabilities(rgb(&thrice)).unwrap();
    let two = two_frames(&data);
    let words = words(&two);
    assert_eq!(probabilities(words).unwrap(), expected);
    assert_eq!(
        probabilities(Image {
            rescale_slope: -1.0,
            rescale_intercept: 255.0,
            photometric: 1,
            ..words
        })
        .unwrap(),
        expected
    );
    let entries: Vec<u16> = (0..256).collect();
    let lut = Lut { first_value: 0, bits: 8, count: 256, entries: entries.as_ptr() };
    assert_eq!(probabilities(Image { voi: 4, voi_lut: &lut, ..words }).unwrap(), expected);
    let palette = Image { palette: [&lut; 3], photometric: 4, voi: 0, ..words };
    assert_eq!(probabilities(palette).unwrap(), expected);
    // SAFETY: open, and not used any more.
    unsafe { medforge_close(classifier) };
}

/// The probabilities of one image for `task0`.
fn probabilities(classifier: *const Classifier, image: Image) -> Result<Vec<f32>, Status> {
    let options = ClassifyOptions { task: c"task0".as_ptr(), ..ClassifyOptions::new() };
    let results = classified(classifier, &[image], &options)?;
    let found = result(results, 0);
    // SAFETY: as many as there are, and freed once.
    unsafe {
        let all = std::slice::from_raw_parts(found.probabilities, found.class_count).to_vec();
        medforge_results_free(results);
        Ok(all)
    }
}

/// The second of two frames of gray: sixteen bits, twelve of them stored, through a window that is
/// the identity.
fn words(two: &[u8]) -> Image {
    Image {
        data: two.as_ptr().cast(),
        length: two.len(),
        rows: SIDE,
        columns: SIDE,
        frame: 1,
        bits_allocated: 16,
        bits_stored: 12,
        voi: ValuesOfInterest::LinearExact as u32,
        window_center: 127.5,
        window_width: 255.0,
        ..Image::new()
    }
}

/// Two frames: of nothing, and of the red of `data` in words.
fn two_frames(data: &[u8]) -> Vec<u8> {
    let red = data.iter().step_by(3);
    let spread: Vec<u8> = red.flat_map(|value| u16::from(*value).to_le_bytes()).collect();
    [vec![0; spread.len()], spread].concat()
}

fn export_png(data: &[u8]) -> Vec<u8> {
    let mut png = std::io::Cursor::new(Vec::new());
    let image = image::RgbImage::from_raw(SIDE, SIDE, data.to_vec()).unwrap();
    image.write_to(&mut png, image::ImageFormat::Png).unwrap();
    png.into_inner()
}
