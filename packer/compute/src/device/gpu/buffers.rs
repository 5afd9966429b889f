//! The buffers of an engine: taken from its pool, filled, or made anew where memory allows.

use std::sync::Arc;

use medforge_shaders::Element;

use super::engine::Engine;
use super::fault::Fault;
use super::pool::{Chunk, lock};

impl Engine {
    /// A buffer for `len` values of no particular content (NaN when poisoned).
    pub fn allocate(&self, len: usize, element: Element) -> Arc<Chunk> {
        let chunk = self.bare(len, element);
        if self.poison {
            self.fill(&chunk, f32::NAN);
        }
        chunk
    }

    /// A buffer that holds `bytes`, which are values of `element` or, for indices, of four bytes
    /// each.
    pub fn upload(&self, bytes: &[u8], len: usize, element: Element) -> Arc<Chunk> {
        // Never from the pool: the bytes are there before anything recorded so far has run.
        let size = padded(bytes.len() as u64);
        let buffer =
            self.create(size, wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC, true);
        let buffer = buffer.filter(|buffer| match buffer.get_mapped_range_mut(..) {
            Ok(mut view) => {
                view.slice(..bytes.len()).copy_from_slice(bytes);
                true
            }
            Err(_) => false,
        });
        if let Some(buffer) = &buffer {
            buffer.unmap();
        }
        Arc::new(Chunk::new(self.pool.clone(), buffer, len, element, size, false))
    }

    /// Bytes held now and at most so far.
    pub fn memory(&self) -> (u64, u64) {
        let pool = lock(&self.pool);
        (pool.held, pool.peak)
    }

    /// Lowers the budget.
    pub fn bound(&self, bytes: u64) {
        lock(&self.pool).bound(bytes);
    }

    /// Bytes of the budget, if there is one, that nothing uses.
    pub fn memory_left(&self) -> Option<u64> {
        lock(&self.pool).left()
    }

    fn bare(&self, len: usize, element: Element) -> Arc<Chunk> {
        let size = padded((len * element.size()) as u64);
        let reused = lock(&self.pool).take(size);
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC;
        let buffer = reused.or_else(|| self.create(size, usage, false));
        Arc::new(Chunk::new(self.pool.clone(), buffer, len, element, size, true))
    }

    /// A new buffer; none where memory ends, which is noted.
    pub(super) fn create(
        &self,
        size: u64,
        usage: wgpu::BufferUsages,
        mapped: bool,
    ) -> Option<wgpu::Buffer> {
        if self.fault.any() {
            return None;
        }
        let held = {
            let mut pool = lock(&self.pool);
            if !pool.admit(size)
                || size > self.adapter.largest_buffer.min(self.adapter.largest_binding)
            {
                let held = pool.held;
                drop(pool);
                self.fault.note(Fault::Memory { held, wanted: size });
                return None;
            }
            pool.held
        };
        let descriptor =
            wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: mapped };
        let buffer = self.device.create_buffer(&descriptor);
        self.fault.complete(held, size);
        (!self.fault.any()).then_some(buffer)
    }
}

/// Sizes in bytes are multiples of this: whole vec4s, and few enough different ones for the pool to
/// find them again.
pub(super) const PADDING: u64 = 256;

pub(super) fn padded(bytes: u64) -> u64 {
    bytes.max(1).next_multiple_of(PADDING)
}
