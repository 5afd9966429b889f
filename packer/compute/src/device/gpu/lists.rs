//! What an engine does with whole buffers, value by value: fill, convert, add.

use std::sync::Arc;

use medforge_shaders::{ADD_SCALED, CONVERT, Element, FILL};

use super::call::Call;
use super::engine::Engine;
use super::pool::Chunk;

impl Engine {
    pub fn fill(&self, chunk: &Chunk, value: f32) {
        let quads = chunk.quads();
        self.run(Call {
            kernel: &FILL,
            settings: &[("y", chunk.element.into())],
            params: &[quads, value.to_bits()],
            buffers: &[chunk],
            groups: self.over(quads as usize),
            operations: 0,
        });
    }

    /// `x` in another type, or a copy of it.
    pub fn convert(&self, x: &Chunk, element: Element) -> Arc<Chunk> {
        let y = self.allocate(x.len, element);
        let quads = x.quads().min(y.quads());
        self.run(Call {
            kernel: &CONVERT,
            settings: &[("x", x.element.into()), ("y", element.into())],
            params: &[quads],
            buffers: &[x, &y],
            groups: self.over(quads as usize),
            operations: 0,
        });
        y
    }

    /// into += alpha * x.
    pub fn add_scaled(&self, into: &Chunk, alpha: f32, x: &Chunk) {
        assert_eq!(into.len, x.len);
        let quads = x.quads().min(into.quads());
        self.run(Call {
            kernel: &ADD_SCALED,
            settings: &[("x", x.element.into()), ("y", into.element.into())],
            params: &[quads, alpha.to_bits()],
            buffers: &[x, into],
            groups: self.over(quads as usize),
            operations: 2 * x.len as u64,
        });
    }

    /// The groups of 64 invocations that go over a list of `count`.
    pub fn over(&self, count: usize) -> [u32; 3] {
        self.spread(count.div_ceil(64))
    }

    /// `groups` groups in a line, folded where a dimension is too short for them.
    pub fn spread(&self, groups: usize) -> [u32; 3] {
        let most = self.adapter.workgroups_per_dimension as usize;
        let lines = groups.div_ceil(most).max(1);
        [groups.div_ceil(lines) as u32, lines as u32, 1]
    }
}
