//! NULL for every pointer that must not be.

use std::ptr::{null, null_mut};

use medforge::*;

use crate::fixture::*;

#[test]
fn null_is_a_code_everywhere() {
    let fixture = Fixture::new();
    let classifier = fixture.open();
    let (mut index, mut kind, mut weight, mut string) = (0, 0, 0.0, null());
    // SAFETY: NULL is what is tried; everything else is valid.
    unsafe {
        let n = null::<Classifier>();
        assert_null(&[
            medforge_bundle_count(n, &mut index),
            medforge_bundle_count(classifier, null_mut()),
            medforge_bundle_id(n, 0, &mut string),
            medforge_bundle_id(classifier, 0, null_mut()),
            medforge_manifest(n, c"x".as_ptr(), &mut string),
            medforge_manifest(classifier, null(), &mut string),
            medforge_task_count(n, &mut index),
            medforge_task_name(n, 0, &mut string),
            medforge_task_name(classifier, 0, null_mut()),
            medforge_module_count(n, &mut index),
            medforge_module_id(n, 0, &mut string),
            medforge_default(n, null(), &mut kind, &mut index),
            medforge_default(classifier, c"task0".as_ptr(), null_mut(), &mut index),
            medforge_default(classifier, c"task0".as_ptr(), &mut kind, null_mut()),
            medforge_default_module(n, null(), 0, &mut string, &mut weight),
            medforge_default_module(classifier, c"task0".as_ptr(), 0, null_mut(), &mut weight),
            medforge_default_module(classifier, c"task0".as_ptr(), 0, &mut string, null_mut()),
            medforge_class_count(n, null(), &mut index),
            medforge_class_count(classifier, c"task0".as_ptr(), null_mut()),
            medforge_class_name(n, null(), 0, &mut string),
            medforge_class_name(classifier, c"task0".as_ptr(), 0, null_mut()),
            medforge_class_code(n, null(), 0, &mut string, null_mut(), null_mut()),
            medforge_class_code(
                classifier,
                c"task0".as_ptr(),
                0,
                null_mut(),
                null_mut(),
                null_mut(),
            ),
        ]);
        medforge_results_free(null_mut());
        medforge_report_free(null_mut());
        medforge_cancel_free(null_mut());
        medforge_close(classifier);
    }
}

#[test]
fn null_is_a_code_to_what_classifies_and_opens() {
    let fixture = Fixture::new();
    let classifier = fixture.open();
    let (source, options) = (Fixture::source(&fixture.a), fixture.options());
    let mut index = 0;
    let data = pixels(0);
    let image = rgb(&data);
    // SAFETY: NULL is what is tried; everything else is valid.
    unsafe {
        let n = null::<Classifier>();
        assert_null(&[
            medforge_memory_use(n, &mut Memory::new()),
            medforge_memory_use(classifier, null_mut()),
            medforge_classify(n, &image, 1, null(), &mut null_mut()),
            medforge_classify(classifier, null(), 1, null(), &mut null_mut()),
            medforge_classify(classifier, &image, 1, null(), null_mut()),
            medforge_results_count(null(), &mut index),
            medforge_results_get(null(), 0, &mut Classification::new()),
            medforge_results_map(null(), 0, &mut Map::new()),
            medforge_explain(n, &image, 1, null(), &mut null_mut()),
            medforge_explain(classifier, null(), 1, null(), &mut null_mut()),
            medforge_explain(classifier, &image, 1, null(), null_mut()),
            medforge_open_with(null(), &options, &mut null_mut()),
            medforge_open_with(&source, null(), &mut null_mut()),
            medforge_open_with(&source, &options, null_mut()),
            medforge_open_with(&Source::new(), &options, &mut null_mut()),
            medforge_open_with(&source, &OpenOptions::new(), &mut null_mut()),
            medforge_add(n, &source, &options),
            medforge_add(classifier, null(), &options),
            medforge_replace(n, &source, &options),
            medforge_replace(classifier, &source, null()),
            medforge_unload(n, c"x".as_ptr()),
            medforge_unload(classifier, null()),
            medforge_set_default(n, c"task0".as_ptr(), null()),
            medforge_set_default(classifier, null(), null()),
            medforge_set_default(classifier, c"task0".as_ptr(), null()),
            medforge_verify(null(), &options, &mut null_mut()),
            medforge_verify(&source, &options, null_mut()),
            medforge_report_get(null(), &mut ReportView::new()),
            medforge_limits_get(null_mut()),
            medforge_cancel_new(null_mut()),
            medforge_cancel_set(null()),
            medforge_trust_follows(null(), c"x".as_ptr(), c"x".as_ptr(), null()),
        ]);
        medforge_close(classifier);
    }
}

/// Every call must have said that a pointer is NULL.
fn assert_null(calls: &[Status]) {
    for (number, status) in calls.iter().enumerate() {
        assert_eq!(*status, Status::NullPointer, "call {number}");
    }
}
