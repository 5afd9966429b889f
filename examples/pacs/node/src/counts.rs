//! What the node counts, and the last error, for its status.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;

use crate::locked;
use crate::log::cut;

/// What was counted since the start, and the last error.
#[derive(Default)]
pub struct Counts {
    /// Images that were taken, and images that were known already; both were answered with success.
    pub accepted: AtomicU64,
    pub known: AtomicU64,
    /// Images that were answered with a failure.
    pub not_taken: AtomicU64,
    /// Connections and associations that were turned away.
    pub turned_away: AtomicU64,
    pub classified: AtomicU64,
    pub sent: AtomicU64,
    /// Refusals by the archive.
    pub refused: AtomicU64,
    last: Mutex<Option<(Timestamp, String)>>,
}

impl Counts {
    /// The last error, and when it was.
    pub fn last(&self) -> Option<(Timestamp, String)> {
        locked(&self.last).clone()
    }

    /// Keeps an error for whoever asks for the status.
    pub fn error(&self, text: &str) {
        *locked(&self.last) = Some((Timestamp::now(), cut(text)));
    }
}

/// Adds one to a counter.
pub fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
