//! The pixels of DICOM files as a viewer shows them, and when they are read.

use std::fs;

use medforge_runtime::preprocess::{CropOffset, Filter, Preprocessing, Resize, Size};

use super::*;
use crate::Error;
use crate::data::{Dataset, Images};

fn preprocessing() -> Preprocessing {
    let size = Size { height: 4, width: 4 };
    let (mean, std) = ([0.0; 3], [1.0; 3]);
    Preprocessing {
        resize: Resize::Exact(size),
        filter: Filter::Bicubic,
        crop: None,
        crop_offset: CropOffset::Floor,
        rescale: 1.0 / 255.0,
        mean,
        std,
    }
}

#[test]
fn pixels_are_those_that_a_viewer_shows() {
    let values: Vec<u8> = (0..16_u16).flat_map(|i| (i * 100).to_le_bytes()).collect();
    let place = patients(4);
    let window = ["800", "800"];
    let shown = Said { pixels: &values, window, patient: "P000", uid: "1.7", ..SAID };
    let place = place.with("0.dcm", &image(&shown));
    let place =
        place.with("1.dcm", &image(&Said { photometric: "MONOCHROME1", uid: "1.8", ..shown }));
    let data = Dataset::open(place.root()).unwrap();
    let images = Images::load(&data, &[0, 1], &preprocessing()).unwrap();
    for i in 0..16 {
        // PS3.3, C.11.2.1.2.1, with centre and width 800.
        let level = (((f64::from(i) * 100.0 - 799.5) / 799.0 + 0.5) * 255.0)
            .clamp(0.0, 255.0)
            .round() as i32;
        let [plain, inverted] =
            [0, 1].map(|image| images.pixels(image)[3 * i as usize..][..3].to_vec());
        assert!(
            plain.iter().all(|&v| (i32::from(v) - level).abs() <= 1),
            "{i}: {plain:?} and not {level}"
        );
        assert!(
            inverted.iter().all(|&v| (255 - level - i32::from(v)).abs() <= 1),
            "{i}: {inverted:?}"
        );
    }
}

/// Opening reads no pixels: a file without them is found out when they are wanted.
#[test]
fn only_headers_are_read_when_a_folder_is_opened() {
    let place = patients(4);
    let whole = fs::read(place.root().join("3.dcm")).unwrap();
    let place = place.with("3.dcm", &whole[..whole.len() - 20]);
    let data = Dataset::open(place.root()).unwrap();
    let text = Images::load(&data, &[2, 3], &preprocessing()).err().unwrap().to_string();
    assert!(text.contains("3.dcm"), "{text}");
    // Sparse: nothing is stored.
    fs::OpenOptions::new()
        .write(true)
        .open(place.root().join("4.dcm"))
        .unwrap()
        .set_len(1 << 40)
        .unwrap();
    let data = Dataset::open(place.root()).unwrap();
    assert!(matches!(Images::load(&data, &[4], &preprocessing()), Err(Error::TooLarge { .. })));
}
