//! Readers and writers of one value, counted while it lives.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::*;

/// Two numbers that belong together, counted while they live.
struct Pair<'a>(usize, Vec<usize>, &'a AtomicUsize);

impl<'a> Pair<'a> {
    fn new(number: usize, alive: &'a AtomicUsize) -> Self {
        alive.fetch_add(1, Ordering::SeqCst);
        Pair(number, vec![number; 3], alive)
    }
}

impl Drop for Pair<'_> {
    fn drop(&mut self) {
        self.2.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Meant to be run under Miri too, which finds data races, and whose threads interleave otherwise
/// with each seed.
#[test]
fn readers_see_whole_values_in_order_and_no_change_is_lost() {
    let (alive, done) = (AtomicUsize::new(0), AtomicBool::new(false));
    let swap = Swap::new(Pair::new(0, &alive));
    let changes = if cfg!(miri) { 20 } else { 10_000 };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut last = 0;
                while !done.load(Ordering::Relaxed) {
                    let value = swap.get();
                    assert!(value.1.iter().all(|number| *number == value.0) && value.0 >= last);
                    last = value.0;
                }
            });
        }
        let writers = [(); 2].map(|()| {
            scope.spawn(|| {
                for _ in 0..changes {
                    swap.change(|before| Ok::<_, ()>(Pair::new(before.0 + 1, &alive))).unwrap();
                    assert!(swap.change(|_| Err(())).is_err());
                }
            })
        });
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!((swap.get().0, alive.load(Ordering::SeqCst)), (2 * changes, 1));
    drop(swap);
    assert_eq!(alive.load(Ordering::SeqCst), 0);
}

#[test]
fn a_change_that_panics_leaves_the_value_and_the_next_change_works() {
    let swap = Swap::new(1);
    let change = || swap.change(|_| -> Result<i32, ()> { panic!("on purpose") });
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(change)).is_err());
    assert_eq!(*swap.get(), 1);
    swap.change(|before| Ok::<_, ()>(before + 1)).unwrap();
    assert_eq!(*swap.get(), 2);
}
