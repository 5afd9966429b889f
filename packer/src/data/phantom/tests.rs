//! Phantoms: the same bytes for the same seed, classes that colour does not give away, folders that
//! data sets are read from.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use super::super::{Colour, Dataset};
use super::*;
use crate::output::Places;

/// SHA-256 of the pixels of image 7 of 30 at each hospital, 64 pixels a side, seed 1.
const DIGESTS: [&str; 3] = [
    "57d75d9115b7bb3313620fd526b2139f0fbd53136f4ac83c00cd7a60e16d8666",
    "e08877f2d19574e6e999a6d1af1c5742f7ccbe992ab898b3101d7423ba5eca47",
    "6d78df972f0e5d39dc4ff99c91fdfd87a59b6fd482dee5bd3850bf34ba029b4e",
];

#[test]
fn the_same_seed_gives_the_same_bytes_on_every_platform_and_another_seed_others() {
    for (hospital, digest) in HOSPITALS.iter().zip(DIGESTS) {
        let specimen = &specimens(hospital, 30).unwrap()[7];
        let once = draw(specimen, 64, 1).unwrap();
        assert_eq!(hex::encode(Sha256::digest(once.data())), digest, "hospital {}", hospital.name);
        assert_ne!(once, draw(specimen, 64, 2).unwrap());
    }
}

#[test]
fn a_written_data_set_opens_and_its_patients_stay_on_one_side() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("phantom");
    let hospitals: Vec<&'static Hospital> = HOSPITALS.iter().collect();
    let folder = Places::default().folder("--out", &out, false, MARKER).unwrap();
    assert_eq!(write(folder, &hospitals, 50, 32, 0).unwrap(), 150);
    let data = Dataset::open(&out).unwrap();
    assert_eq!(data.classes, CLASSES);
    assert_eq!(data.items.len(), 150);
    for split in [Split::Train, Split::Test] {
        assert!(
            data.class_counts(split).iter().all(|&n| n >= 10),
            "{:?}",
            data.class_counts(split)
        );
    }
    let again = Places::default().folder("--out", &out, false, MARKER);
    assert!(matches!(again, Err(Error::OutputExists { .. })));
}

#[test]
fn the_smallest_data_set_has_every_class_on_both_sides() {
    let all = specimens(&HOSPITALS[0], *IMAGES.start()).unwrap();
    let kinds: BTreeSet<(usize, Split)> = all.iter().map(|s| (s.label, s.split)).collect();
    assert_eq!(kinds.len(), 6);
    assert_eq!(all.len(), *IMAGES.start());
}

#[test]
fn hospitals_differ_in_colour_and_classes_hardly_do() {
    // Mean R, G, B of 40 images of each class at each hospital.
    let mean = |hospital: &'static Hospital, label: usize| -> [f64; 3] {
        let all = specimens(hospital, 120).unwrap();
        let chosen: Vec<&Specimen> = all.iter().filter(|s| s.label == label).collect();
        let mut sum = [0.0; 3];
        for specimen in &chosen {
            let colour = Colour::of(draw(specimen, 32, 3).unwrap().data());
            (0..3).for_each(|c| sum[c] += colour.mean[c] / chosen.len() as f64);
        }
        sum
    };
    let means: Vec<Vec<[f64; 3]>> =
        HOSPITALS.iter().map(|h| (0..3).map(|label| mean(h, label)).collect()).collect();
    let distance =
        |a: [f64; 3], b: [f64; 3]| (0..3).map(|c| (a[c] - b[c]).abs()).fold(0.0, f64::max);
    for hospital in 0..3 {
        let other = (hospital + 1) % 3;
        for label in 0..3 {
            let between_classes =
                distance(means[hospital][label], means[hospital][(label + 1) % 3]);
            let between_hospitals = distance(means[hospital][label], means[other][label]);
            assert!(between_classes < 0.06, "{between_classes}");
            assert!(between_hospitals > 0.08, "{between_hospitals}");
        }
    }
}

#[test]
fn sizes_and_numbers_out_of_range_are_refused() {
    let specimen = &specimens(&HOSPITALS[0], 12).unwrap()[0];
    for side in [0, 31, 1025, usize::MAX] {
        assert!(matches!(draw(specimen, side, 0), Err(Error::Phantom { .. })));
    }
    for images in [0, 11, usize::MAX] {
        assert!(matches!(specimens(&HOSPITALS[0], images), Err(Error::Phantom { .. })));
    }
}
