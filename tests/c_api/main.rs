//! The C API's first functions: what they give and what they refuse, every class of refusal by its
//! code.

mod corpus;
#[path = "../small.rs"]
mod small;

use std::ffi::{CStr, CString, c_char};
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
fn what_cannot_be_opened_is_a_code_with_a_sentence() {
    let fixture = Fixture::new();
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
    }
}

#[test]
fn bad_arguments_are_codes_with_a_sentence_and_write_nothing() {
    let fixture = Fixture::new();
    let classifier = fixture.open();
    let pixels = pixels();
    let stride = WIDTH as usize * 3;
    let mut out = [-1.0f32; 2];
    // SAFETY: every pointer is NULL or valid; NULL is what is tried.
    unsafe {
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

#[track_caller]
fn demand(status: Status, expected: Status, word: &str) {
    assert_eq!(status, expected, "{}", last_error());
    assert!(last_error().contains(word), "{word}: {}", last_error());
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
