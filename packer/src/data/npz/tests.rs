//! MedMNIST's files: what numpy wrote is read as it is, and other files are refused.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use medforge_runtime::preprocess::{CropOffset, Filter, Preprocessing, Resize, Size};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::data::{Dataset, Images, Split};

/// As `tests/parity/golden.py` writes it: gray 5 x 4, six images in training, two in val, three in
/// test.
fn by_numpy() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/medmnist.npz")
}

fn as_they_are() -> Preprocessing {
    let size = Size { height: 5, width: 4 };
    let crop_offset = CropOffset::Floor;
    let (mean, std) = ([0.0; 3], [1.0; 3]);
    Preprocessing {
        resize: Resize::Exact(size),
        filter: Filter::Bilinear,
        crop: None,
        crop_offset,
        rescale: 1.0,
        mean,
        std,
    }
}

#[test]
fn a_file_of_numpy_is_read_image_by_image() {
    let data = Dataset::open(&by_numpy()).unwrap();
    assert_eq!(data.classes, ["00", "01", "10"]);
    assert_eq!(
        (data.class_counts(Split::Train), data.class_counts(Split::Test)),
        (vec![3, 3, 2], vec![1, 1, 1])
    );
    let asked = [10, 0, 7, 0];
    let images = Images::load(&data, &asked, &as_they_are()).unwrap();
    assert_eq!(images.labels(), [2, 0, 1, 0]);
    for (place, index) in asked.into_iter().enumerate() {
        let expected: Vec<u8> = (0..20).flat_map(|i| [(index * 20 + i) as u8; 3]).collect();
        assert_eq!(images.pixels(place), expected, "image {index}");
    }
}

/// An array as a file of its own.
fn array(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    header.push_str(&" ".repeat((64 - (10 + header.len() + 1) % 64) % 64));
    header.push('\n');
    let length = (header.len() as u16).to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), data].concat()
}

/// A good file of colour images 2 x 2, after `change`.
fn written(change: impl FnOnce(&mut Vec<(String, Vec<u8>)>)) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut arrays = Vec::new();
    for part in ["train", "test"] {
        let pixels: Vec<u8> = (0..48).collect();
        arrays.push((format!("{part}_images"), array("|u1", "(4, 2, 2, 3)", &pixels)));
        let labels: Vec<u8> = [0i64, 1, 1, 0].iter().flat_map(|l| l.to_be_bytes()).collect();
        arrays.push((format!("{part}_labels"), array(">i8", "(4, 1)", &labels)));
    }
    change(&mut arrays);
    let mut zip = ZipWriter::new(File::create(dir.path().join("x.npz")).unwrap());
    for (name, bytes) in arrays {
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        zip.start_file(format!("{name}.npy"), options).unwrap();
        zip.write_all(&bytes).unwrap();
    }
    zip.finish().unwrap();
    dir
}

#[test]
fn colour_images_and_labels_of_another_width_are_read() {
    let dir = written(|_| {});
    let data = Dataset::open(&dir.path().join("x.npz")).unwrap();
    assert_eq!((data.classes.len(), data.items[1].label, data.items[3].label), (2, 1, 0));
    let size = Size { height: 2, width: 2 };
    let images =
        Images::load(&data, &[1], &Preprocessing { resize: Resize::Exact(size), ..as_they_are() })
            .unwrap();
    assert_eq!(images.pixels(0), (12..24).collect::<Vec<u8>>());
}

/// What opening and loading say.
fn refusal(change: impl FnOnce(&mut Vec<(String, Vec<u8>)>)) -> String {
    let dir = written(change);
    let loaded = Dataset::open(&dir.path().join("x.npz")).and_then(|data| {
        let all: Vec<usize> = (0..data.items.len()).collect();
        Images::load(&data, &all, &as_they_are())
    });
    loaded.err().expect("the file is refused").to_string()
}

#[test]
fn files_that_are_no_medmnist_are_refused_in_a_sentence() {
    let with = |at: usize, bytes: Vec<u8>| refusal(|arrays| arrays[at].1 = bytes);
    for (said, words) in [
        (refusal(|arrays| drop(arrays.remove(2))), "has no array test_images"),
        (refusal(|arrays| drop(arrays.remove(1))), "has no array train_labels"),
        (with(0, array("<f4", "(4, 2, 2)", &[0; 64])), "train_images has the type"),
        (with(0, array("|u1", "(4, 2, 2, 2)", &[0; 32])), "volumes are not"),
        (with(0, array("|u1", "(4, 9000, 2)", &[0; 32])), "out of range"),
        (with(0, array("|u1", "(4, 2, 2, 3)", &[0; 47])), "train_images ends after 3 of 4 images"),
        (with(1, array("|u1", "(4, 14)", &[0; 56])), "one label an image"),
        (with(1, array("|u1", "(3,)", &[0; 3])), "4 images and train_labels 3 labels"),
        (with(1, array("|i1", "(4,)", &[0, 255, 0, 0])), "label 1 is negative"),
        (with(1, array("<f4", "(4,)", &[0; 16])), "labels are whole numbers"),
        (with(1, array("<i8", "(4,)", &[0; 31])), "train_labels ends after 3 of 4 labels"),
        (with(1, b"something else".to_vec()), "train_labels is no array"),
        (
            with(3, array("|u1", "(4,)", &[7; 4])),
            "test_images, image 0: class 7 is in the test split",
        ),
    ] {
        assert!(said.contains("x.npz") && said.contains(words), "{words}: {said}");
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.npz");
    std::fs::write(&path, b"no archive").unwrap();
    let said = Dataset::open(&path).unwrap_err().to_string();
    assert!(said.contains("is not a whole .npz"), "{said}");
}
