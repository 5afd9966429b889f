//! Every class of refusal by its code, and a state file that keeps older bundles away.

use std::ffi::{CStr, CString};
use std::path::{Path, PathBuf};
use std::ptr::{null, null_mut};

use medforge::*;

use crate::last_error;

/// Every folder of `tests/corpus`: its class's code, under its name.
#[test]
fn c_refuses_every_class_by_its_code() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus");
    let mut seen = 0;
    for entry in std::fs::read_dir(&corpus).unwrap() {
        let folder = entry.unwrap().path();
        let Ok(case) = std::fs::read(folder.join("case.json")) else { continue };
        let case: serde_json::Value = serde_json::from_slice(&case).unwrap();
        let scratch = tempfile::tempdir().unwrap();
        // Copies, since a state file may be written.
        let file = |key: &str| {
            let name = case[key].as_str()?;
            let to = scratch.path().join(Path::new(name).file_name().unwrap());
            std::fs::copy(folder.join(name), &to).unwrap();
            Some(CString::new(to.to_str().unwrap()).unwrap())
        };
        let [bundle, trust, state, next, signatures] =
            ["bundle", "trust", "state", "next", "signatures"].map(file);
        let (bundle, trust) = (bundle.unwrap(), trust.unwrap());
        let now = CString::new(case["now"].as_str().unwrap()).unwrap();
        let mut classifier = null_mut();
        // SAFETY: strings and a struct that outlive the call, and a local output.
        let status = unsafe {
            match (&next, &signatures) {
                (Some(next), Some(signatures)) => medforge_trust_follows(
                    trust.as_ptr(),
                    next.as_ptr(),
                    signatures.as_ptr(),
                    now.as_ptr(),
                ),
                _ => {
                    let options = OpenOptions {
                        trust_path: trust.as_ptr(),
                        state_path: state.as_ref().map_or(null(), |path| path.as_ptr()),
                        now: now.as_ptr(),
                        ..OpenOptions::new()
                    };
                    let source = Source { path: bundle.as_ptr(), ..Source::new() };
                    medforge_open_with(&source, &options, &mut classifier)
                }
            }
        };
        let expected = case["refused_as"].as_str().unwrap();
        // SAFETY: never NULL, and static.
        let name = unsafe { CStr::from_ptr(medforge_result_name(status as u32)) }.to_str().unwrap();
        assert_eq!(name, expected.to_uppercase(), "{}", last_error());
        assert!(classifier.is_null(), "{expected}: an output was written");
        seen += 1;
    }
    assert!(seen >= 90, "only {seen} classes");
}

/// What was opened is remembered, and an older bundle is refused after it.
#[test]
fn a_state_file_keeps_older_bundles_away() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus");
    let scratch = tempfile::tempdir().unwrap();
    let string = |path: PathBuf| CString::new(path.to_str().unwrap()).unwrap();
    let (bundle, trust) = (string(corpus.join("good.medforge")), string(corpus.join("trust.toml")));
    let state = string(scratch.path().join("state.json"));
    let mut options = OpenOptions {
        trust_path: trust.as_ptr(),
        state_path: state.as_ptr(),
        now: c"2026-06-01T00:00:00Z".as_ptr(),
        ..OpenOptions::new()
    };
    let open = |options: &OpenOptions| {
        let mut classifier = null_mut();
        // SAFETY: strings and a struct that outlive the call, and a local output; what was opened
        // is closed once.
        unsafe {
            let source = Source { path: bundle.as_ptr(), ..Source::new() };
            let status = medforge_open_with(&source, options, &mut classifier);
            medforge_close(classifier);
            status
        }
    };
    assert_eq!(open(&options), Status::Ok, "{}", last_error());
    let kept = std::fs::read_to_string(scratch.path().join("state.json")).unwrap();
    assert!(kept.contains("\"counter\":3"), "{kept}");
    let folder = string(scratch.path().to_owned());
    options.state_path = folder.as_ptr();
    assert_eq!(
        open(&options),
        Status::Io,
        "what cannot be read is not a device that remembers nothing"
    );
    options.state_path = state.as_ptr();
    options.now = c"2026-05-31T23:59:59Z".as_ptr();
    assert_eq!(open(&options), Status::ClockBackwards);
    options.now = c"soon".as_ptr();
    assert_eq!(open(&options), Status::OutOfRange);
    options.struct_size = 8;
    assert_eq!(open(&options), Status::OutOfRange);
}
