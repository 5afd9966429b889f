//! Buffers in memory, and those that are free to be used again. A training step asks for the same
//! lengths again and again. Fresh pages from the system cost more than many of the operations.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::device::Stored;

/// A buffer. What a pool gave goes back to it when its last owner drops it.
pub struct Chunk<T: Copy> {
    pub(in crate::device) content: Content<T>,
    pool: Arc<Pool<T>>,
}

/// What is in a buffer.
pub(in crate::device) enum Content<T> {
    /// Values that the pool gave.
    Own(Vec<T>),
    /// Frozen values, whose memory is somebody else's too. No pool counts them.
    Stored(Stored),
}

/// Free buffers by length, and the count of values.
pub struct Pool<T> {
    state: Mutex<State<T>>,
    /// Lengths are counted in whole multiples of this.
    padding: usize,
}

struct State<T> {
    free: HashMap<usize, Vec<Vec<T>>>,
    /// Values in free buffers.
    unused: usize,
    /// Values in use and free, and the most there ever were.
    held: usize,
    peak: usize,
    limit: usize,
}

impl<T: Copy> Chunk<T> {
    /// Takes over `values`, which `pool` gave.
    pub fn new(values: Vec<T>, pool: &Arc<Pool<T>>) -> Self {
        Chunk { content: Content::Own(values), pool: pool.clone() }
    }

    /// A buffer of frozen values.
    pub fn stored(values: &Stored, pool: &Arc<Pool<T>>) -> Self {
        Chunk { content: Content::Stored(values.clone()), pool: pool.clone() }
    }

    pub(in crate::device) fn len(&self) -> usize {
        match &self.content {
            Content::Own(values) => values.len(),
            Content::Stored(values) => values.len(),
        }
    }
}

impl<T> Pool<T> {
    /// A pool that counts each buffer as a whole multiple of `padding` values.
    pub fn new(padding: usize) -> Self {
        Pool {
            padding,
            state: Mutex::new(State {
                free: HashMap::new(),
                unused: 0,
                held: 0,
                peak: 0,
                limit: usize::MAX,
            }),
        }
    }

    /// Values that are held now, in use or free, and the most that ever were at once.
    pub fn held(&self) -> (usize, usize) {
        let state = self.lock();
        (state.held, state.peak)
    }

    /// Gives the free buffers back to the system and begins to count anew; from now on gives them
    /// back rather than hold more than `limit` values.
    pub fn bound(&self, limit: usize) {
        let mut state = self.lock();
        state.free.clear();
        state.held -= std::mem::take(&mut state.unused);
        (state.peak, state.limit) = (state.held, limit);
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl<T: Copy> Pool<T> {
    /// A vector of `len` values: of no particular content if it was used before, else all `fresh`.
    pub fn take(&self, len: usize, fresh: T) -> Vec<T> {
        let padded = len.next_multiple_of(self.padding);
        let mut state = self.lock();
        if let Some(values) = state.free.get_mut(&len).and_then(Vec::pop) {
            state.unused -= padded;
            return values;
        }
        if state.held + padded > state.limit {
            state.free.clear();
            state.held -= std::mem::take(&mut state.unused);
        }
        state.held += padded;
        state.peak = state.peak.max(state.held);
        drop(state);
        vec![fresh; len]
    }
}

impl<T: Copy> Drop for Chunk<T> {
    fn drop(&mut self) {
        let Content::Own(values) = &mut self.content else { return };
        let values = std::mem::take(values);
        let mut state = self.pool.lock();
        state.unused += values.len().next_multiple_of(self.pool.padding);
        state.free.entry(values.len()).or_default().push(values);
    }
}
