//! Buffers on the adapter, and those that are free to be used again. A training step asks for the
//! same sizes as the last one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use medforge_shaders::Element;

/// A buffer that goes back to its pool when its last owner drops it. It may be written again at
/// once: what was recorded with it runs before what its next owner records.
pub struct Chunk {
    pub(super) buffer: Option<wgpu::Buffer>,
    /// Number of values.
    pub(super) len: usize,
    pub(super) element: Element,
    size: u64,
    pooled: bool,
    pool: Arc<Mutex<Pool>>,
}

/// Free buffers by size, and the count of bytes.
pub struct Pool {
    free: HashMap<u64, Vec<(wgpu::Buffer, u64)>>,
    /// Bytes in use and free.
    pub(super) held: u64,
    pub(super) peak: u64,
    unused: u64,
    budget: Option<u64>,
    /// Submissions so far.
    clock: u64,
}

/// A buffer that was not wanted for so many submissions is given back.
const KEPT: u64 = 24;

impl Chunk {
    pub fn new(
        pool: Arc<Mutex<Pool>>,
        buffer: Option<wgpu::Buffer>,
        len: usize,
        element: Element,
        size: u64,
        pooled: bool,
    ) -> Self {
        Chunk { buffer, len, element, size, pooled, pool }
    }

    /// The number of vec4s that hold the values.
    pub fn quads(&self) -> u32 {
        self.len.div_ceil(4) as u32
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        let Some(buffer) = self.buffer.take() else { return };
        let mut pool = lock(&self.pool);
        if self.pooled {
            pool.give(self.size, buffer)
        } else {
            pool.held = pool.held.saturating_sub(self.size)
        }
    }
}

impl Pool {
    pub fn new(budget: Option<u64>) -> Self {
        Pool { free: HashMap::new(), held: 0, peak: 0, unused: 0, budget, clock: 0 }
    }

    /// A free buffer of exactly this size.
    pub fn take(&mut self, size: u64) -> Option<wgpu::Buffer> {
        let (buffer, _) = self.free.get_mut(&size)?.pop()?;
        self.unused -= size;
        Some(buffer)
    }

    /// Counts a new buffer; false if the budget does not allow it even after every free buffer is
    /// given back.
    pub fn admit(&mut self, size: u64) -> bool {
        if let Some(budget) = self.budget {
            if self.held + size > budget {
                self.free.clear();
                self.held -= std::mem::take(&mut self.unused);
            }
            if self.held + size > budget {
                return false;
            }
        }
        self.held += size;
        self.peak = self.peak.max(self.held);
        true
    }

    pub fn bound(&mut self, bytes: u64) {
        self.budget = Some(self.budget.map_or(bytes, |budget| budget.min(bytes)));
    }

    /// Bytes of the budget that nothing uses.
    pub fn left(&self) -> Option<u64> {
        Some(self.budget?.saturating_sub(self.held - self.unused))
    }

    /// Gives back what has not been wanted for long.
    pub fn age(&mut self) {
        self.clock += 1;
        let oldest = self.clock.saturating_sub(KEPT);
        for (size, list) in &mut self.free {
            let before = list.len();
            list.retain(|(_, since)| *since >= oldest);
            let gone = (before - list.len()) as u64 * size;
            self.unused -= gone;
            self.held -= gone;
        }
    }

    fn give(&mut self, size: u64, buffer: wgpu::Buffer) {
        self.unused += size;
        let clock = self.clock;
        self.free.entry(size).or_default().push((buffer, clock));
    }
}

/// The value behind a lock, also where a thread panicked while it held it.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}
