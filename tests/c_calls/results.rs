//! What results say, with what they were found, and where in the image.

use std::ptr::{null, null_mut};

use ed25519_dalek::SigningKey;
use medforge::*;
use medforge_runtime::classify::Classification as Expected;
use medforge_runtime::image::RgbImage8;

use crate::fixture::*;

#[test]
fn results_say_what_was_found_and_with_what() {
    let fixture = Fixture::new();
    let (classifier, reference) = (fixture.open(), fixture.reference());
    let (one, two) = (pixels(0), pixels(1));
    let options = ClassifyOptions { task: c"task0".as_ptr(), ..ClassifyOptions::new() };
    let results = classified(classifier, &[rgb(&one), rgb(&two)], &options).unwrap();
    let mut count = 0;
    // SAFETY: handles that are open, locals, and what the library lends.
    unsafe {
        assert_eq!(medforge_results_count(results, &mut count), Status::Ok);
        assert_eq!(count, 2);
        for (index, data) in [&one, &two].into_iter().enumerate() {
            let image = RgbImage8::new(data.clone(), SIDE, SIDE).unwrap();
            let expected = reference.classify(image.view(), Some("task0")).unwrap();
            assert_same(&result(results, index), &expected, data);
        }
        // A caller that was built when the struct was as it is now, and one that never set its
        // size.
        let mut short = Classification { struct_size: 8, ..Classification::new() };
        assert_eq!(medforge_results_get(results, 0, &mut short), Status::OutOfRange);
        assert!(last_error().contains("struct_size"), "{}", last_error());
        assert_eq!(
            medforge_results_get(results, 2, &mut Classification::new()),
            Status::OutOfRange
        );
        medforge_results_free(results);
        medforge_close(classifier);
    }
}

/// A result in C is what the Rust library finds in the same pixels.
///
/// # Safety
/// The results are not freed.
unsafe fn assert_same(found: &Classification, expected: &Expected, data: &[u8]) {
    // SAFETY: what the library lends.
    unsafe {
        let probabilities = std::slice::from_raw_parts(found.probabilities, found.class_count);
        assert_eq!(probabilities, expected.probabilities);
        assert_eq!((text(found.task), found.top), ("task0".into(), expected.top().0));
        let names = std::slice::from_raw_parts(found.class_names, found.class_count);
        assert_eq!(names.iter().map(|name| text(*name)).collect::<Vec<_>>(), &*expected.classes);
        let codes = std::slice::from_raw_parts(found.class_codes, found.class_count);
        assert_eq!((text(codes[1].scheme), text(codes[1].value)), ("SCT".into(), "10001".into()));
        assert_eq!(text(codes[1].meaning), "Meaning 1");
        assert_eq!(
            (text(found.bundle_id), text(found.composition_id)),
            (expected.bundle.to_string(), expected.composition.to_string())
        );
        assert_eq!(
            (found.module_count, text(*found.module_ids)),
            (1, expected.modules[0].id.clone())
        );
        assert_eq!((*found.module_weights, found.signer_count), (1.0, 1));
        assert_eq!(
            text(*found.signers),
            hex::encode(SigningKey::from_bytes(&[1; 32]).verifying_key().as_bytes())
        );
        assert_eq!(text(found.pixels_sha256), medforge_runtime::bundle::sha256_hex(data));
        assert_eq!(text(found.device_uid), expected.device_uid());
        assert!(
            found.base_ns > 0
                && text(found.device_uid).starts_with("2.25.")
                && text(found.device_uid).len() <= 64
        );
        let json: serde_json::Value = serde_json::from_str(&text(found.json)).unwrap();
        assert_eq!(json["classes"][0]["probability"], f64::from(expected.probabilities[0]));
        assert_eq!(json["pixels_sha256"], text(found.pixels_sha256).as_str());
        assert_eq!(json["signers"][0], text(*found.signers).as_str());
    }
}

#[test]
fn another_composition_is_another_device() {
    let fixture = Fixture::new();
    let classifier = fixture.open();
    let one = pixels(0);
    let options = ClassifyOptions { task: c"task0".as_ptr(), ..ClassifyOptions::new() };
    // SAFETY: handles that are open, locals, and what the library lends.
    unsafe {
        let modules = [0, 1].map(|index| {
            let mut id = null();
            assert_eq!(medforge_module_id(classifier, index, &mut id), Status::Ok);
            id
        });
        let weights = [0.25, -0.5];
        let mut uids = Vec::new();
        for kind in [SelectionKind::Frozen, SelectionKind::Fusion, SelectionKind::Mixture] {
            let selection = Selection {
                kind: kind as u32,
                count: 2,
                modules: modules.as_ptr(),
                weights: weights.as_ptr(),
            };
            let options = ClassifyOptions { selection: &selection, ..options };
            let results = classified(classifier, &[rgb(&one)], &options).unwrap();
            uids.push(text(result(results, 0).device_uid));
            medforge_results_free(results);
        }
        uids.push(text(
            result(classified(classifier, &[rgb(&one)], &options).unwrap(), 0).device_uid,
        ));
        uids.sort();
        uids.dedup();
        assert_eq!(uids.len(), 4);
        medforge_close(classifier);
    }
}

#[test]
fn selections_that_cannot_run_and_cancelled_calls_are_codes() {
    let fixture = Fixture::new();
    let classifier = fixture.open();
    let one = pixels(0);
    let options = ClassifyOptions { task: c"task0".as_ptr(), ..ClassifyOptions::new() };
    // SAFETY: handles that are open, locals, and what the library lends.
    unsafe {
        let unknown = [c"unknown".as_ptr()];
        let selection = Selection { kind: 2, count: 1, modules: unknown.as_ptr(), weights: null() };
        let asked = ClassifyOptions { selection: &selection, ..options };
        assert_eq!(classified(classifier, &[rgb(&one)], &asked), Err(Status::UnknownModule));
        let selection = Selection { kind: 9, ..selection };
        let asked = ClassifyOptions { selection: &selection, ..options };
        assert_eq!(classified(classifier, &[rgb(&one)], &asked), Err(Status::Selection));
        assert_eq!(
            classified(classifier, &[rgb(&one)], &ClassifyOptions::new()),
            Err(Status::TaskNeeded)
        );

        let mut cancel = null_mut();
        assert_eq!(medforge_cancel_new(&mut cancel), Status::Ok);
        let asked = ClassifyOptions { cancel, timeout_ms: 60_000, ..options };
        medforge_results_free(classified(classifier, &[rgb(&one)], &asked).unwrap());
        assert_eq!(medforge_cancel_set(cancel), Status::Ok);
        assert_eq!(classified(classifier, &[rgb(&one)], &asked), Err(Status::Cancelled));
        medforge_cancel_free(cancel);
        medforge_close(classifier);
    }
}

#[test]
fn maps_come_with_the_same_answers_and_only_when_asked_for() {
    let fixture = Fixture::new();
    let (classifier, reference) = (fixture.open(), fixture.reference());
    let data = [pixels(0), pixels(1)];
    let images = [rgb(&data[0]), rgb(&data[1])];
    let options = ClassifyOptions { task: c"task0".as_ptr(), ..ClassifyOptions::new() };
    let plain = classified(classifier, &images, &options).unwrap();
    let mut explained = null_mut();
    let mut map = Map::new();
    // SAFETY: handles that are open, locals, and what the library lends.
    unsafe {
        assert_eq!(
            medforge_explain(classifier, images.as_ptr(), 2, &options, &mut explained),
            Status::Ok
        );
        for (index, data) in data.iter().enumerate() {
            let [without, with] = [plain, explained].map(|results| {
                let found = result(results, index);
                std::slice::from_raw_parts(found.probabilities, found.class_count)
            });
            assert_eq!(without, with);
            assert_eq!(medforge_results_map(explained, index, &mut map), Status::Ok);
            let image = RgbImage8::new(data.clone(), SIDE, SIDE).unwrap();
            let (selection, cancel) = Default::default();
            let (_, expected) =
                reference.explain(image.view(), Some("task0"), &selection, &cancel).unwrap();
            assert_eq!(
                std::slice::from_raw_parts(map.values, map.grid * map.grid),
                expected.values
            );
            assert_eq!(
                (map.grid, [map.left, map.top, map.width, map.height]),
                (expected.grid, expected.seen)
            );
        }
        assert_eq!(medforge_results_map(explained, 2, &mut map), Status::OutOfRange);
        assert_eq!(medforge_results_map(explained, 0, null_mut()), Status::NullPointer);
        let mut short = Map { struct_size: 8, ..Map::new() };
        assert_eq!(medforge_results_map(explained, 0, &mut short), Status::OutOfRange);
        assert!(last_error().contains("struct_size"), "{}", last_error());
        assert_eq!(medforge_results_map(plain, 0, &mut map), Status::OutOfRange);
        assert!(last_error().contains("medforge_explain"), "{}", last_error());
        let wrong = [rgb(&data[0]), Image { rows: 99, ..rgb(&data[1]) }];
        let mut none = null_mut();
        assert_eq!(
            medforge_explain(classifier, wrong.as_ptr(), 2, &options, &mut none),
            Status::Pixels
        );
        assert!(
            none.is_null() && last_error().starts_with("image 1 of the batch"),
            "{}",
            last_error()
        );
        medforge_results_free(plain);
        medforge_results_free(explained);
        medforge_close(classifier);
    }
}
