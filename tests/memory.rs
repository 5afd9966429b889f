//! Memory that runs out in the middle: an error that says so, and the classifier goes on.

#[path = "small.rs"]
mod small;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicIsize, Ordering};

use ed25519_dalek::SigningKey;
use medforge_packer::base::Vit;
use medforge_packer::export::{Options, build_bundle};
use medforge_runtime::Error;
use medforge_runtime::bundle::{self, Trust};
use medforge_runtime::classify::{Cancel, Classifier, Row, Selection};
use medforge_runtime::image::RgbImage8;

/// The system's memory, but for large pieces only as much as is left.
struct Short;

/// Bytes that large pieces may still take.
static LEFT: AtomicIsize = AtomicIsize::new(isize::MAX);
/// What is large: the activations of the smallest base are, the results of two rows are not.
const LARGE: usize = 1500;

// SAFETY: it is the system's allocator but that it says no at times, which every allocator may.
unsafe impl GlobalAlloc for Short {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let large = layout.size() >= LARGE && LEFT.load(Ordering::SeqCst) != isize::MAX;
        if large && LEFT.fetch_sub(layout.size() as isize, Ordering::SeqCst) < layout.size() as isize {
            LEFT.fetch_add(layout.size() as isize, Ordering::SeqCst);
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise; alloc is the system's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Short = Short;

/// What `work` gives while large pieces may take `left` bytes.
fn with_only<T>(left: isize, work: impl FnOnce() -> T) -> T {
    LEFT.store(left, Ordering::SeqCst);
    let result = work();
    LEFT.store(isize::MAX, Ordering::SeqCst);
    result
}

#[test]
fn too_little_memory_is_an_error_and_the_next_call_runs() {
    let dir = tempfile::tempdir().unwrap();
    let vit: Vit = small::base(dir.path());
    let key = SigningKey::from_bytes(&[1; 32]);
    let options = Options {
        name: "b".into(),
        counter: 1,
        predecessor: None,
        intended_use: "tests".into(),
        least_probability: 0.0,
    };
    let bytes = build_bundle(&vit, &[small::module(&vit)], &options, std::slice::from_ref(&key)).unwrap();
    let bundle = bundle::verify(bytes, &Trust::new(vec![key.verifying_key()], 1).unwrap()).unwrap();
    let classifier = Classifier::load(bundle).unwrap();
    let picture = RgbImage8::new((0..16 * 16 * 3).map(|i| (i * 37 % 251) as u8).collect(), 16, 16).unwrap();
    let one = || classifier.classify(picture.view(), None);
    let expected = one().unwrap();

    // A batch whose pixels alone are more than there is.
    let views = vec![picture.view(); 500];
    let result = with_only(1 << 20, || classifier.classify_batch(&views, None).map(|_| ()));
    let said = result.unwrap_err();
    assert!(said.to_string().contains("not enough memory for an image's pixels"), "{said}");
    assert_eq!(one().unwrap(), expected);

    // Two networks over one image: the second needs buffers of its own.
    let rows = [Selection::Default, Selection::Frozen].map(|selection| Row { selection, ..Row::default() });
    let two = || classifier.active().classify_rows(&[picture.view()], &rows, &Cancel::default());
    let mut refused = 0;
    for left in (0..60_000).step_by(500) {
        // What resizing and results take is a library's or small, and never refused here.
        match with_only(7_000 + left, two) {
            Ok(found) => assert_eq!(found[0], expected),
            Err(Error::Memory { what }) => {
                assert!(what.contains("activations") || what.contains("patches"), "{what}");
                refused += 1;
            }
            Err(error) => panic!("{error}"),
        }
        assert_eq!(one().unwrap(), expected, "{left}");
    }
    assert!(refused > 0, "memory was never short");
    assert_eq!(two().unwrap()[0], expected);
}
