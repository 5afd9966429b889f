//! Bundles that come and go, defaults that change, and the log; verifying and opening.

use std::ffi::{CStr, CString, c_char, c_void};
use std::path::PathBuf;
use std::ptr::{null, null_mut};
use std::sync::Mutex;

use medforge::*;

use crate::fixture::*;

#[test]
fn bundles_come_and_go_defaults_change_and_the_log_tells() {
    let fixture = Fixture::new();
    // SAFETY: handles that are open, locals, strings and what the library lends.
    unsafe {
        medforge_set_log(Some(keep), 42 as *mut c_void);
        let classifier = fixture.open();
        let mut id = null();
        assert_eq!(medforge_bundle_id(classifier, 0, &mut id), Status::Ok);
        let first = text(id);
        described(classifier, &first);
        codes(classifier);
        defaults(classifier);
        come_and_go(&fixture, classifier, &first);
        medforge_set_log(None, null_mut());
        medforge_close(classifier);
        logged(&first);
    }
}

/// Its only bundle says what it is.
///
/// # Safety
/// `classifier` is open.
unsafe fn described(classifier: *const Classifier, first: &str) {
    // SAFETY: open handles, locals, strings and what the library lends.
    unsafe {
        let (mut count, mut id) = (0, null());
        assert_eq!(medforge_bundle_count(classifier, &mut count), Status::Ok);
        let name = CString::new(first).unwrap();
        assert_eq!(medforge_manifest(classifier, name.as_ptr(), &mut id), Status::Ok);
        assert!(text(id).contains("\"name\":\"a\""));
        assert_eq!(medforge_manifest(classifier, c"none".as_ptr(), &mut id), Status::OutOfRange);
    }
}

/// What classes are in a coding scheme.
///
/// # Safety
/// `classifier` is open.
unsafe fn codes(classifier: *const Classifier) {
    // SAFETY: open handles, locals, strings and what the library lends.
    unsafe {
        let (mut scheme, mut value, mut meaning) = (null(), null(), null());
        let mut code = |task: &CStr, index| {
            let status = medforge_class_code(
                classifier,
                task.as_ptr(),
                index,
                &mut scheme,
                &mut value,
                &mut meaning,
            );
            (status, text(scheme), text(value), text(meaning))
        };
        assert_eq!(
            code(c"task0", 0),
            (Status::Ok, "SCT".into(), "00001".into(), "Meaning 0".into())
        );
        assert_eq!(code(c"task1", 0), (Status::Ok, "NULL".into(), "NULL".into(), "NULL".into()));
        assert_eq!(code(c"task1", 99).0, Status::OutOfRange);
    }
}

/// What a task runs with, before and after its default is changed.
///
/// # Safety
/// `classifier` is open.
unsafe fn defaults(classifier: *const Classifier) {
    // SAFETY: open handles, locals, strings and what the library lends.
    unsafe {
        let (mut count, mut id, mut kind, mut weight) = (0, null(), 0, 0.0);
        assert_eq!(
            medforge_default(classifier, c"task1".as_ptr(), &mut kind, &mut count),
            Status::Ok
        );
        assert_eq!((kind, count), (SelectionKind::Fusion as u32, 1));
        assert_eq!(
            medforge_default_module(classifier, c"task1".as_ptr(), 0, &mut id, &mut weight),
            Status::Ok
        );
        assert_eq!((text(id).len(), weight), (64, 1.0));
        assert_eq!(
            medforge_default_module(classifier, c"task1".as_ptr(), 1, &mut id, &mut weight),
            Status::OutOfRange
        );

        assert_eq!(
            medforge_set_default(
                classifier,
                c"task1".as_ptr(),
                &Selection { kind: 1, count: 0, modules: null(), weights: null() }
            ),
            Status::Ok
        );
        assert_eq!(
            medforge_default(classifier, c"task1".as_ptr(), &mut kind, &mut count),
            Status::Ok
        );
        assert_eq!((kind, count), (SelectionKind::Frozen as u32, 0));
    }
}

/// Another bundle is added, the first one unloaded, and put in the place of the other.
///
/// # Safety
/// `classifier` is open.
unsafe fn come_and_go(fixture: &Fixture, classifier: *const Classifier, first: &str) {
    // SAFETY: open handles, locals, strings and what the library lends.
    unsafe {
        let (mut count, mut id) = (0, null());
        let name = CString::new(first).unwrap();
        let (second, options) = (Fixture::source(&fixture.b), fixture.options());
        let before = memory(classifier);
        assert_eq!(medforge_add(classifier, &second, &options), Status::Ok, "{}", last_error());
        let after = memory(classifier);
        assert!(after.base == before.base && after.modules > before.modules);
        assert_eq!(medforge_add(classifier, &second, &options), Status::Unchanged);
        assert_eq!(medforge_task_count(classifier, &mut count), Status::Ok);
        assert_eq!(count, 3);
        assert_eq!(medforge_unload(classifier, name.as_ptr()), Status::Ok);
        assert_eq!(medforge_unload(classifier, name.as_ptr()), Status::Unchanged);
        assert_eq!(medforge_module_count(classifier, &mut count), Status::Ok);
        assert_eq!(count, 1);
        assert_eq!(
            medforge_replace(classifier, &Fixture::source(&fixture.a), &options),
            Status::Ok
        );
        assert_eq!(medforge_bundle_count(classifier, &mut count), Status::Ok);
        assert_eq!(medforge_bundle_id(classifier, 0, &mut id), Status::Ok);
        assert_eq!((count, text(id)), (1, first.to_owned()));
    }
}

/// The log has a line of all of this.
fn logged(first: &str) {
    let lines = std::mem::take(&mut *LINES.lock().unwrap());
    let has =
        |level, words: &str| lines.iter().any(|(l, line)| *l == level && line.contains(words));
    assert!(
        has(Level::Info as u32, &format!("bundle {first}, a version 1, was accepted")),
        "{lines:?}"
    );
    assert!(
        has(Level::Info as u32, "was unloaded")
            && has(Level::Info as u32, "task task1 runs with Frozen"),
        "{lines:?}"
    );
    assert!(has(Level::Error as u32, "UNCHANGED: "), "{lines:?}");
}

/// Lines of the log: level and text.
static LINES: Mutex<Vec<(u32, String)>> = Mutex::new(Vec::new());

unsafe extern "C" fn keep(level: u32, line: *const c_char, user: *mut c_void) {
    assert_eq!(user as usize, 42);
    LINES.lock().unwrap().push((level, text(line)));
}

#[test]
fn verifying_reports_without_loading_and_options_are_carried_out() {
    let fixture = Fixture::new();
    let string = |path: PathBuf| CString::new(path.to_str().unwrap()).unwrap();
    // SAFETY: structs, strings and locals that outlive the calls.
    unsafe {
        let mut report = null_mut();
        let source = Fixture::source(&fixture.a);
        assert_eq!(
            medforge_verify(&source, &fixture.options(), &mut report),
            Status::Ok,
            "{}",
            last_error()
        );
        let mut view = ReportView::new();
        assert_eq!(medforge_report_get(report, &mut view), Status::Ok);
        assert_eq!(
            (text(view.name), view.counter, view.task_count, view.module_count),
            ("a".into(), 1, 2, 2)
        );
        let json: serde_json::Value = serde_json::from_str(&text(view.json)).unwrap();
        assert_eq!((json["id"].as_str(), view.signer_count), (Some(text(view.id).as_str()), 1));
        assert_eq!(json["manifest"]["intended_use"], text(view.intended_use).as_str());
        medforge_report_free(report);

        let path = string(fixture.dir.path().join("a.medforge"));
        std::fs::write(fixture.dir.path().join("a.medforge"), &fixture.a).unwrap();
        let state = string(fixture.dir.path().join("state.json"));
        let file = Source { path: path.as_ptr(), ..Source::new() };
        let remembered = OpenOptions {
            state_path: state.as_ptr(),
            threads: 2,
            spread_images: 1,
            ..fixture.options()
        };
        let mut classifier = null_mut();
        assert_eq!(
            medforge_open_with(&file, &remembered, &mut classifier),
            Status::Ok,
            "{}",
            last_error()
        );
        assert!(fixture.dir.path().join("state.json").exists());
        medforge_close(classifier);
        let int8 = OpenOptions { int8: 1, ..fixture.options() };
        assert_eq!(medforge_open_with(&file, &int8, &mut classifier), Status::Precision);
        for costly in [
            OpenOptions { most_bytes: 1, ..fixture.options() },
            OpenOptions { most_operations: 1, ..fixture.options() },
        ] {
            assert_eq!(medforge_open_with(&file, &costly, &mut classifier), Status::TooCostly);
            assert!(last_error().contains("are allowed"), "{}", last_error());
        }
        let mut limits = Limits::new();
        assert_eq!(medforge_limits_get(&mut limits), Status::Ok);
        assert!(limits.bundle == u64::from(u32::MAX) && limits.pixels > 1 << 20);
        let version =
            format!("{MEDFORGE_VERSION_MAJOR}.{MEDFORGE_VERSION_MINOR}.{MEDFORGE_VERSION_PATCH}");
        assert_eq!(text(medforge_version()), version);
    }
}

#[test]
fn threads_without_measure_are_refused() {
    let fixture = Fixture::new();
    let source = Fixture::source(&fixture.a);
    let most = 4 * std::thread::available_parallelism().unwrap().get() as u32;
    let mut classifier = null_mut();
    for threads in [most + 1, 10_000, u32::MAX] {
        let options = OpenOptions { threads, ..fixture.options() };
        // SAFETY: all of it lives until the end of the test.
        assert_eq!(
            unsafe { medforge_open_with(&source, &options, &mut classifier) },
            Status::OutOfRange
        );
        assert!(
            last_error().contains(&format!("options.threads is {threads}")),
            "{}",
            last_error()
        );
    }
    let options = OpenOptions { threads: most, ..fixture.options() };
    // SAFETY: as above, and it is closed once.
    unsafe {
        assert_eq!(
            medforge_open_with(&source, &options, &mut classifier),
            Status::Ok,
            "{}",
            last_error()
        );
        medforge_close(classifier);
    }
}
