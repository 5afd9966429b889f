//! Defaults that are swapped while threads classify: every result is of one module, and memory
//! stays where it is.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use medforge_runtime::classify::{Classification, Classifier, Selection};

use super::common::*;

/// Resident memory in bytes.
#[cfg(target_os = "linux")]
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

#[cfg(not(target_os = "linux"))]
fn resident() -> usize {
    0
}

#[test]
fn eight_threads_classify_while_defaults_are_swapped_ten_thousand_times() {
    let _turn = turn();
    const SWAPS: usize = 10_000;
    let vit = vit();
    let bundle = verified(packed(&vit, "five", &five(&vit)));
    let ids = ids(&bundle);
    let classifier = Classifier::load(bundle).unwrap();
    let by_module: BTreeMap<String, Classification> = ids
        .iter()
        .map(|id| (id.clone(), with(&classifier, &Selection::module(id)).unwrap()))
        .collect();
    let (done, classified) = (AtomicBool::new(false), AtomicUsize::new(0));
    let (mut warm, mut seen) = (0, Vec::new());
    std::thread::scope(|scope| {
        let classify = || {
            let mut seen = std::collections::BTreeSet::new();
            while !done.load(Ordering::Relaxed) {
                let found = classifier.classify(picture(0).view(), Some("task0")).unwrap();
                let id = &found.modules[0].id;
                assert_eq!(found, by_module[id], "a result is exactly what its record says");
                seen.insert(id.clone());
                classified.fetch_add(1, Ordering::Relaxed);
            }
            seen
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(classify)).collect();
        for swap in 0..SWAPS {
            classifier.set_default("task0", &Selection::module(&ids[swap % 5])).unwrap();
            // Threads get their turns between some swaps, so that every module is met.
            if swap % 50 == 0 {
                let before = classified.load(Ordering::Relaxed);
                while classified.load(Ordering::Relaxed) < before + 8
                    && !threads.iter().any(|t| t.is_finished())
                {
                    std::thread::yield_now();
                }
            }
            if swap == SWAPS / 5 {
                warm = resident();
            }
        }
        done.store(true, Ordering::Relaxed);
        seen = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    });
    let grown = resident().saturating_sub(warm);
    assert!(grown <= 2 << 20, "memory grew by {grown} bytes");
    let met: std::collections::BTreeSet<_> = seen.into_iter().flatten().collect();
    assert_eq!(met.len(), 5, "every module was met by some call");
    assert!(classified.into_inner() > 1000);
}
