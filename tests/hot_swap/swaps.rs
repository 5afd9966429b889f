//! Defaults that are swapped while threads classify: every result is of one module, and memory
//! stays where it is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::ScopedJoinHandle;

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

/// Waits until each thread has done so much more, unless one has failed.
fn wait_for<T>(done: &[AtomicUsize], more: usize, threads: &[ScopedJoinHandle<'_, T>]) {
    let now = || done.iter().map(|one| one.load(Ordering::Relaxed)).collect::<Vec<_>>();
    let before = now();
    while !threads.iter().any(|thread| thread.is_finished())
        && now().iter().zip(&before).any(|(now, before)| *now < before + more)
    {
        std::thread::yield_now();
    }
}

#[test]
fn eight_threads_classify_while_defaults_are_swapped_ten_thousand_times() {
    let _turn = turn();
    let vit = vit();
    let bundle = verified(packed(&vit, "five", &five(&vit)));
    let ids = ids(&bundle);
    let classifier = Classifier::load(bundle).unwrap();
    let by_module: BTreeMap<String, Classification> = ids
        .iter()
        .map(|id| (id.clone(), with(&classifier, &Selection::module(id)).unwrap()))
        .collect();
    let (done, classified) = (AtomicBool::new(false), [(); 8].map(|()| AtomicUsize::new(0)));
    let (mut grown, mut seen) = (0, Vec::new());
    std::thread::scope(|scope| {
        let classify = |classified: &AtomicUsize| {
            let mut seen = BTreeSet::new();
            while !done.load(Ordering::Relaxed) {
                let found = classifier.classify(picture(0).view(), Some("task0")).unwrap();
                let id = &found.modules[0].id;
                assert_eq!(found, by_module[id], "a result is exactly what its record says");
                seen.insert(id.clone());
                classified.fetch_add(1, Ordering::Relaxed);
            }
            seen
        };
        let threads: Vec<_> =
            classified.iter().map(|one| scope.spawn(move || classify(one))).collect();
        let swaps = |count: usize| {
            for swap in 0..count {
                classifier.set_default("task0", &Selection::module(&ids[swap % 5])).unwrap();
                // Threads get their turns after some swaps, to each of the modules: the second of
                // two calls begins after the swap.
                if swap % 99 == 0 {
                    wait_for(&classified, 2, &threads);
                }
            }
        };
        swaps(2000);
        // What grows once, or where the system counts pages late, does not grow again.
        for _ in 0..5 {
            let before = resident();
            swaps(8000);
            grown = resident().saturating_sub(before);
            if grown <= 2 << 20 {
                break;
            }
        }
        done.store(true, Ordering::Relaxed);
        seen = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    });
    assert!(grown <= 2 << 20, "memory grew by {grown} bytes");
    let met: BTreeSet<_> = seen.into_iter().flatten().collect();
    assert_eq!(met.len(), 5, "every module was met by some call");
    assert!(classified.into_iter().all(|one| one.into_inner() > 100));
}
