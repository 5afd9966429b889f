//! A value that is exchanged whole while others use it: a reader keeps the one that it began with, and the last to let go of a value frees it.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// A value, shared and exchanged.
pub(crate) struct Swap<T> {
    current: RwLock<Arc<T>>,
    /// Held while the next value is made, so that no change is lost.
    changing: Mutex<()>,
}

impl<T> Swap<T> {
    /// Begins with `value`.
    pub fn new(value: T) -> Self {
        Swap { current: RwLock::new(Arc::new(value)), changing: Mutex::default() }
    }

    /// The value as it is now.
    pub fn get(&self) -> Arc<T> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes the next value from the current one and goes on with it; an error changes nothing.
    pub fn change<E>(&self, next: impl FnOnce(&T) -> Result<T, E>) -> Result<(), E> {
        let _one_at_a_time = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let next = Arc::new(next(&self.get())?);
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *current, next);
        // The last one frees the value before: not while others wait for the lock.
        drop(current);
        drop(before);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
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

    /// Meant to be run under Miri too, which finds data races, and whose threads interleave otherwise with each seed.
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
}
