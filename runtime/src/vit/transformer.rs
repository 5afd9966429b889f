//! A transformer ready to run: its weights, its threads, and buffers for the next calls.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use rayon::ThreadPool;

use super::rooms::Rooms;
use super::shape::Shape;
use super::stream::{STREAMS, Spread, Stream};
use super::weights::{Precision, Weights};
use crate::Error;
use crate::kernel::Level;
use crate::tensors::View;

/// A transformer ready to run.
pub(crate) struct Vit {
    pub(super) level: Level,
    pub(super) shape: Shape,
    pub(super) weights: Weights,
    pub(super) threads: Option<(Arc<ThreadPool>, Spread)>,
    /// Buffers of calls that have ended, for the next ones.
    spare: Mutex<Vec<Stream>>,
    /// Where weights of 16 bits are widened.
    pub(super) rooms: Rooms,
}

impl Vit {
    /// Reads and packs the weights of `shape`. That and calls use `threads`, or the caller's own
    /// thread.
    pub fn new(
        level: Level,
        shape: Shape,
        views: &BTreeMap<String, View>,
        precision: Precision,
        threads: Option<(Arc<ThreadPool>, Spread)>,
    ) -> Result<Self, Error> {
        let pool = threads.as_ref().map(|(pool, _)| &**pool);
        let weights = Weights::read(level, &shape, views, precision, pool)?;
        let rooms = Rooms::new(weights.widest());
        Ok(Vit { level, shape, weights, threads, spare: Mutex::default(), rooms })
    }

    /// Lets go of the pool without ending its threads.
    pub fn forget_threads(&mut self) {
        std::mem::forget(self.threads.take());
    }

    /// What it is.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Bytes of weights in memory.
    pub fn bytes(&self) -> usize {
        self.weights.bytes()
    }

    /// Bytes of buffers that wait for the next call.
    pub fn scratch(&self) -> usize {
        let streams = |spare: &[Stream]| spare.iter().map(Stream::bytes).sum::<usize>();
        self.spare.lock().map_or(0, |spare| streams(&spare)) + self.rooms.bytes()
    }

    /// Buffers of a call that has ended, or new ones.
    pub(super) fn stream(&self) -> Result<Stream, Error> {
        let spare = self.spare.lock().ok().and_then(|mut spare| spare.pop());
        spare.map_or_else(|| Stream::new(&self.shape), Ok)
    }

    /// Keeps buffers for the next call.
    pub(super) fn keep(&self, streams: Vec<Stream>) {
        if let Ok(mut spare) = self.spare.lock() {
            spare.extend(streams);
            spare.truncate(STREAMS);
        }
    }
}
