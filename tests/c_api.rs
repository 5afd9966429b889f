//! The C API's first functions: what they give and what they refuse, every class of refusal by its
//! code.

#[path = "small.rs"]
mod small;

use std::ffi::{CStr, CString, c_char};
use std::path::{Path, PathBuf};
use std::ptr::{null, null_mut};

use medforge::*;
use medforge_packer::export::{self, keys};
use medforge_runtime::bundle::{Trust, verify};
use medforge_runtime::classify::Classifier as Reference;
use medforge_runtime::image::RgbView;

/// A folder with `b.medforge` and `k.pub`, from random weights.
struct Fixture(tempfile::TempDir);

const WIDTH: u32 = 21;
const HEIGHT: u32 = 17;

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let vit = small::base(dir.path());
        let module = small::module(&vit);
        let key = keys::generate().unwrap();
        let options = small::options("b");
        let pem = keys::to_pem(&key);
        let bundle = export::build_bundle(&vit, &[module], &options, &[key]).unwrap();
        std::fs::write(dir.path().join("b.medforge"), &bundle).unwrap();
        std::fs::write(dir.path().join("k.pub"), &pem.public).unwrap();
        Fixture(dir)
    }

    fn path(&self, name: &str) -> CString {
        CString::new(self.0.path().join(name).to_str().unwrap()).unwrap()
    }

    fn open(&self) -> *mut Classifier {
        let mut classifier = null_mut();
        // SAFETY: both paths are strings, the output is a local.
        let status = unsafe {
            medforge_open(
                self.path("b.medforge").as_ptr(),
                self.path("k.pub").as_ptr(),
                &mut classifier,
            )
        };
        assert_eq!(status, Status::Ok, "{}", last_error());
        classifier
    }

    /// What the Rust library says of the same image.
    fn expected(&self) -> Vec<f32> {
        let read = |name: &str| std::fs::read(self.0.path().join(name)).unwrap();
        let trust = Trust::from_pem(std::str::from_utf8(&read("k.pub")).unwrap()).unwrap();
        let classifier = Reference::load(verify(read("b.medforge"), &trust).unwrap()).unwrap();
        let pixels = pixels();
        let view = RgbView::new(&pixels, WIDTH, HEIGHT, WIDTH as usize * 3).unwrap();
        classifier.classify(view, None).unwrap().probabilities
    }
}

fn pixels() -> Vec<u8> {
    (0..WIDTH * HEIGHT * 3).map(|i| (i * 7 % 251) as u8).collect()
}

fn last_error() -> String {
    // SAFETY: never NULL, valid until this thread's next failure.
    unsafe { CStr::from_ptr(medforge_last_error()) }.to_str().unwrap().to_owned()
}

#[test]
fn names_and_probabilities_are_those_of_the_rust_library() {
    let fixture = Fixture::new();
    let classifier = fixture.open();
    let pixels = pixels();
    let mut probabilities = [0.0f32; 3];
    // SAFETY: the classifier is open until the end, every output is a local of the right size.
    unsafe {
        let text = |pointer: *const c_char| CStr::from_ptr(pointer).to_str().unwrap().to_owned();
        let (mut count, mut name) = (0, null());
        assert_eq!(medforge_task_count(classifier, &mut count), Status::Ok);
        assert_eq!(count, 1);
        assert_eq!(medforge_task_name(classifier, 0, &mut name), Status::Ok);
        assert_eq!(text(name), "breast");
        assert_eq!(medforge_class_count(classifier, c"breast".as_ptr(), &mut count), Status::Ok);
        assert_eq!(count, 2);
        assert_eq!(medforge_class_name(classifier, null(), 1, &mut name), Status::Ok);
        assert_eq!(text(name), "malignant");
        assert_eq!(medforge_bundle_id(classifier, 0, &mut name), Status::Ok);
        assert_eq!(text(name).len(), 64);
        let stride = WIDTH as usize * 3;
        let out = probabilities.as_mut_ptr();
        assert_eq!(
            medforge_classify_rgb(
                classifier,
                null(),
                pixels.as_ptr(),
                WIDTH,
                HEIGHT,
                stride,
                3,
                out
            ),
            Status::Ok
        );
        medforge_close(classifier);
    }
    assert_eq!(&probabilities[..2], &fixture.expected()[..]);
    assert_eq!(probabilities[2], 0.0, "written past the classes");
}

#[test]
fn rows_may_be_padded() {
    let fixture = Fixture::new();
    let classifier = fixture.open();
    let (row, stride) = (WIDTH as usize * 3, WIDTH as usize * 3 + 5);
    // The last row has no padding: not one byte past the last pixel may be read.
    let mut padded = vec![0xEE; stride * (HEIGHT as usize - 1) + row];
    for (y, line) in pixels().chunks_exact(row).enumerate() {
        padded[y * stride..][..row].copy_from_slice(line);
    }
    let mut found = [0.0f32; 2];
    // SAFETY: as many bytes as the call may read, room for two values.
    unsafe {
        let out = found.as_mut_ptr();
        assert_eq!(
            medforge_classify_rgb(
                classifier,
                null(),
                padded.as_ptr(),
                WIDTH,
                HEIGHT,
                stride,
                2,
                out
            ),
            Status::Ok
        );
        medforge_close(classifier);
    }
    assert_eq!(found, fixture.expected()[..]);
}

#[test]
fn bad_arguments_are_codes_with_a_sentence_and_write_nothing() {
    let fixture = Fixture::new();
    let classifier = fixture.open();
    let pixels = pixels();
    let stride = WIDTH as usize * 3;
    let mut out = [-1.0f32; 2];
    let demand = |status: Status, expected: Status, word: &str| {
        assert_eq!(status, expected, "{}", last_error());
        assert!(last_error().contains(word), "{word}: {}", last_error());
    };
    // SAFETY: every pointer is NULL or valid; NULL is what is tried.
    unsafe {
        let (key, bundle) = (fixture.path("k.pub"), fixture.path("b.medforge"));
        let mut other = null_mut();
        demand(medforge_open(null(), key.as_ptr(), &mut other), Status::NullPointer, "bundle_path");
        demand(
            medforge_open(bundle.as_ptr(), null(), &mut other),
            Status::NullPointer,
            "trust_path",
        );
        demand(
            medforge_open(bundle.as_ptr(), key.as_ptr(), null_mut()),
            Status::NullPointer,
            "classifier",
        );
        demand(medforge_open(c"absent".as_ptr(), key.as_ptr(), &mut other), Status::Io, "absent");
        demand(
            medforge_open(c"\xff".as_ptr(), key.as_ptr(), &mut other),
            Status::StringNotUtf8,
            "bundle_path",
        );
        demand(
            medforge_open(bundle.as_ptr(), bundle.as_ptr(), &mut other),
            Status::BadTrustFile,
            "",
        );
        assert!(other.is_null(), "an output was written on failure");

        let p = pixels.as_ptr();
        let mut classify =
            |task: *const c_char, p: *const u8, w: u32, h: u32, stride: usize, room: usize| {
                medforge_classify_rgb(classifier, task, p, w, h, stride, room, out.as_mut_ptr())
            };
        demand(classify(null(), null(), WIDTH, HEIGHT, stride, 2), Status::NullPointer, "pixels");
        demand(classify(null(), p, 0, HEIGHT, stride, 2), Status::Pixels, "0 x");
        demand(classify(null(), p, WIDTH, 0, stride, 2), Status::Pixels, "x 0");
        demand(classify(null(), p, WIDTH, HEIGHT, stride - 1, 2), Status::Pixels, "rows");
        demand(classify(null(), p, u32::MAX, u32::MAX, usize::MAX, 2), Status::Pixels, "rows");
        demand(classify(null(), p, WIDTH, HEIGHT, stride, 1), Status::BufferTooSmall, "room for 1");
        demand(
            classify(c"lung".as_ptr(), p, WIDTH, HEIGHT, stride, 2),
            Status::UnknownTask,
            "lung",
        );
        demand(
            medforge_classify_rgb(null(), null(), p, WIDTH, HEIGHT, stride, 2, out.as_mut_ptr()),
            Status::NullPointer,
            "classifier",
        );
        demand(
            medforge_classify_rgb(classifier, null(), p, WIDTH, HEIGHT, stride, 2, null_mut()),
            Status::NullPointer,
            "probabilities",
        );
        let mut name = null();
        demand(medforge_task_name(classifier, 1, &mut name), Status::OutOfRange, "task 1");
        demand(
            medforge_class_name(classifier, null(), 2, &mut name),
            Status::OutOfRange,
            "class 2",
        );
        assert!(name.is_null());
        medforge_close(classifier);
        medforge_close(null_mut());
    }
    assert_eq!(out, [-1.0; 2], "an output was written on failure");
}

/// The selection travels with the call and a classifier is immutable, so threads cannot disturb one
/// another.
#[test]
fn threads_may_share_a_classifier() {
    struct Shared(*mut Classifier);
    // SAFETY: the library promises that a classifier may be used by several threads.
    unsafe impl Sync for Shared {}
    let fixture = Fixture::new();
    let (shared, expected) = (&Shared(fixture.open()), &fixture.expected());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(move || {
                let pixels = pixels();
                for _ in 0..20 {
                    let mut found = [0.0f32; 2];
                    let (stride, out) = (WIDTH as usize * 3, found.as_mut_ptr());
                    // SAFETY: open until the scope ends, outputs are locals.
                    let status = unsafe {
                        medforge_classify_rgb(
                            shared.0,
                            null(),
                            pixels.as_ptr(),
                            WIDTH,
                            HEIGHT,
                            stride,
                            2,
                            out,
                        )
                    };
                    assert_eq!(status, Status::Ok);
                    assert_eq!(found, expected[..]);
                }
            });
        }
    });
    // SAFETY: every thread is done.
    unsafe { medforge_close(shared.0) };
}

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
