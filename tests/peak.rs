//! How much memory loading a bundle and classifying take at most, against what was counted before.

#[path = "small.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod small;

use std::alloc::{GlobalAlloc, Layout, System};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use ed25519_dalek::SigningKey;
use half::f16;
use medforge_packer::export::build_bundle;
use medforge_runtime::bundle::{self, Trust, VerifiedBundle};
use medforge_runtime::classify::{Classifier, Cost, Options, Precision, Threads};
use medforge_runtime::image::RgbImage8;

/// The system's memory, counted.
struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: it is the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        PEAK.fetch_max(NOW.fetch_add(layout.size(), SeqCst) + layout.size(), SeqCst);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), SeqCst);
        // SAFETY: the caller's promise; alloc is the system's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// One block with wide layers, its weights stored in 32 or in 16 bits.
fn wide(half: bool) -> VerifiedBundle {
    let dir = tempfile::tempdir().unwrap();
    let mut vit = small::one_block(dir.path(), 128, 16384, 64);
    for stored in vit.tensors.values_mut().filter(|_| half) {
        let mut tensor = stored.read();
        tensor.data.iter_mut().for_each(|value| *value = f16::from_f32(*value).to_f32());
        *stored = tensor.into();
    }
    let key = SigningKey::from_bytes(&[1; 32]);
    let options = small::options("b");
    let bytes =
        build_bundle(&vit, &[small::module(&vit)], &options, std::slice::from_ref(&key)).unwrap();
    bundle::verify(bytes, &Trust::new(vec![key.verifying_key()], 1).unwrap()).unwrap()
}

#[test]
fn the_peak_of_loading_and_classifying_was_counted() {
    let [wide, narrow] = [false, true].map(wide);
    // What is not weights takes a third of a megabyte in both.
    assert!(2 * narrow.bytes().len() < wide.bytes().len() + 500_000);
    let picture = RgbImage8::new(vec![90; 64 * 64 * 3], 64, 64).unwrap();
    for (bundle, precision) in
        [(&wide, Precision::F32), (&wide, Precision::Int8), (&narrow, Precision::F32)]
    {
        for threads in [1, 2] {
            let threads = if threads == 1 {
                Threads::Caller
            } else {
                Threads::Own(NonZeroUsize::new(2).unwrap())
            };
            let options = |bytes| {
                let most = Cost { bytes, ..Cost::default() };
                Options { precision, threads: threads.clone(), most, ..Options::default() }
            };
            // In eight bits there are no golden vectors here: they are computed, not compared.
            let load = |bytes| {
                Classifier::rehearse(bundle, options(bytes)).map(|(classifier, _)| classifier)
            };
            let (mut refused, mut counted) = (0, 1 << 32);
            while counted - refused > 1 << 10 {
                let middle = (refused + counted) / 2;
                if load(middle).is_ok() { counted = middle } else { refused = middle }
            }
            let before = NOW.load(SeqCst);
            PEAK.store(before, SeqCst);
            let classifier = load(counted).unwrap();
            classifier.classify(picture.view(), None).unwrap();
            let own = PEAK.load(SeqCst) - before;
            // Weights in floating point are mapped, beside what is allocated; the bundle was there
            // before.
            let mapped = if precision == Precision::F32 { classifier.memory().base } else { 0 };
            let peak = (own + mapped + bundle.bytes().len()) as u64;
            assert!(peak <= counted, "{precision:?}, {threads:?}: {peak} of {counted}");
            assert!(counted < 4 * peak, "{precision:?}, {threads:?}: {peak} of {counted}");
        }
    }
}
