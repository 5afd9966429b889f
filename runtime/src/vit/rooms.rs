//! Room in which weights of 16 bits are widened. There are as many pieces as calls have threads, so
//! that a product always finds one.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::stream::STREAMS;
use crate::Error;
use crate::kernel::Room;

/// Pieces of room, each for `values` values; none where no weight has 16 bits.
pub(super) struct Rooms {
    values: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    free: Vec<Room>,
    /// Pieces that there are, free or taken, and pieces that calls were promised.
    there: usize,
    promised: usize,
}

/// A call's promise of room for each of its threads, kept until this is dropped.
pub(super) struct Promise<'a> {
    rooms: &'a Rooms,
    count: usize,
}

/// A piece, free again when this is dropped; empty where none was promised.
pub(super) struct Taken<'a> {
    rooms: &'a Rooms,
    room: Option<Room>,
}

impl Rooms {
    /// For panels of up to so many values.
    pub fn new(values: usize) -> Self {
        Rooms { values, state: Mutex::default() }
    }

    /// Makes room for a call on so many threads.
    ///
    /// # Errors
    /// [`Error::Memory`].
    pub fn promise(&self, threads: usize) -> Result<Promise<'_>, Error> {
        let count = if self.values > 0 { threads } else { 0 };
        let mut state = self.state();
        while state.there < state.promised + count {
            state.free.push(Room::new(self.values)?);
            state.there += 1;
        }
        state.promised += count;
        Ok(Promise { rooms: self, count })
    }

    /// One piece, for a thread of a call that has a promise.
    pub fn take(&self) -> Taken<'_> {
        Taken { rooms: self, room: self.state().free.pop() }
    }

    /// Bytes in memory, of pieces that no call uses now.
    pub fn bytes(&self) -> usize {
        self.state().free.iter().map(Room::bytes).sum()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken<'_> {
    /// Its values, from a cache line on.
    pub fn values(&mut self) -> &mut [f32] {
        match &mut self.room {
            Some(room) => room.values(),
            None => &mut [],
        }
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.rooms.state().free.extend(self.room.take());
    }
}

/// Some pieces stay for the next calls.
impl Drop for Promise<'_> {
    fn drop(&mut self) {
        let mut state = self.rooms.state();
        state.promised -= self.count;
        let kept = state.promised.max(self.count).max(STREAMS);
        while state.there > kept && state.free.pop().is_some() {
            state.there -= 1;
        }
    }
}
