//! Many threads while bundles and defaults change.

use std::ffi::CString;
use std::ptr::null;
use std::sync::atomic::{AtomicBool, Ordering};

use medforge::*;

use crate::fixture::*;

/// What a classifier is to several threads.
struct Shared(*mut Classifier);
// SAFETY: the library promises that a classifier may be used by several threads.
unsafe impl Sync for Shared {}

#[test]
fn eight_threads_classify_while_a_ninth_changes_what_runs() {
    let fixture = Fixture::new();
    let (shared, done) = (&Shared(fixture.open()), &AtomicBool::new(false));
    let ids = [0, 1].map(|index| {
        let mut id = null();
        // SAFETY: open, and a local.
        assert_eq!(unsafe { medforge_module_id(shared.0, index, &mut id) }, Status::Ok);
        CString::new(text(id)).unwrap()
    });
    let expected: Vec<_> =
        ids.iter().map(|id| (id.to_str().unwrap().to_owned(), with(shared, id))).collect();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            let expected = &expected;
            scope.spawn(move || {
                let data = pixels(0);
                while !done.load(Ordering::Relaxed) {
                    classify(shared, &data, expected);
                }
            });
        }
        for round in 0..200 {
            let modules = [ids[round % 2].as_ptr()];
            let selection =
                Selection { kind: 2, count: 1, modules: modules.as_ptr(), weights: null() };
            // SAFETY: open, strings and structs that outlive the call.
            let status = unsafe { medforge_set_default(shared.0, c"task0".as_ptr(), &selection) };
            assert_eq!(status, Status::Ok);
            if round % 50 == 0 {
                add_and_unload(&fixture, shared);
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    // SAFETY: every thread is done.
    unsafe { medforge_close(shared.0) };
}

/// The probabilities with this module.
fn with(shared: &Shared, id: &CString) -> Vec<f32> {
    let modules = [id.as_ptr()];
    let selection = Selection { kind: 2, count: 1, modules: modules.as_ptr(), weights: null() };
    let options = ClassifyOptions {
        task: c"task0".as_ptr(),
        selection: &selection,
        ..ClassifyOptions::new()
    };
    let results = classified(shared.0, &[rgb(&pixels(0))], &options).unwrap();
    let found = result(results, 0);
    // SAFETY: as many as there are, and freed once.
    unsafe {
        let all = std::slice::from_raw_parts(found.probabilities, found.class_count).to_vec();
        medforge_results_free(results);
        all
    }
}

/// The answer must be that of the module which the result names.
fn classify(shared: &Shared, data: &[u8], expected: &[(String, Vec<f32>)]) {
    let options = ClassifyOptions { task: c"task0".as_ptr(), ..ClassifyOptions::new() };
    let results = classified(shared.0, &[rgb(data)], &options).unwrap();
    let found = result(results, 0);
    // SAFETY: what the library lends until the results are freed.
    unsafe {
        let module = text(*found.module_ids);
        let all = std::slice::from_raw_parts(found.probabilities, found.class_count);
        let (_, known) = expected.iter().find(|(id, _)| *id == module).unwrap();
        assert_eq!(all, known);
        medforge_results_free(results);
    }
}

/// Adds the second bundle, and unloads it again.
fn add_and_unload(fixture: &Fixture, shared: &Shared) {
    let (source, options) = (Fixture::source(&fixture.b), fixture.options());
    // SAFETY: open, strings and structs that outlive the calls.
    unsafe {
        assert_eq!(medforge_add(shared.0, &source, &options), Status::Ok);
        let mut id = null();
        for index in 0..2 {
            assert_eq!(medforge_bundle_id(shared.0, index, &mut id), Status::Ok);
            let mut manifest = null();
            assert_eq!(medforge_manifest(shared.0, id, &mut manifest), Status::Ok);
            if text(manifest).contains("\"name\":\"b\"") {
                assert_eq!(medforge_unload(shared.0, id), Status::Ok);
                break;
            }
        }
    }
}
