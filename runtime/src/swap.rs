//! A value that is exchanged whole while others use it. A reader keeps the one that it began with.
//! The last to let go of a value frees it.

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
mod tests;
