//! Merging of weight changes: trimming by magnitude, sign election with the disjoint mean. All in
//! f32.

use medforge_shaders::{AGREE, Element, SHARE, TRIM, TRIM_COUNT, TRIM_SELECT};

use super::engine::Call;
use super::{Buffer, Gpu};

/// Values that one group counts.
const COUNTED: usize = 1024;

impl Gpu {
    pub(super) fn trimmed(&self, x: &Buffer, keep: usize) -> Buffer {
        let x = self.wide(x);
        if keep == 0 {
            let y = self.engine.allocate(x.len, Element::F32);
            self.engine.fill(&y, 0.0);
            return y;
        }
        let state = self.words(&[0u32, keep.min(x.len) as u32]);
        let counts = self.words(&[0u32; 256]);
        for shift in [24, 16, 8, 0] {
            self.engine.run(Call {
                kernel: &TRIM_COUNT,
                settings: &[],
                params: &[x.len as u32, shift],
                buffers: &[&x, &state, &counts],
                groups: self.engine.spread(x.len.div_ceil(COUNTED)),
                operations: 0,
            });
            self.engine.run(Call {
                kernel: &TRIM_SELECT,
                settings: &[],
                params: &[],
                buffers: &[&counts, &state],
                groups: [1, 1, 1],
                operations: 0,
            });
        }
        let y = self.engine.allocate(x.len, Element::F32);
        self.engine.run(Call {
            kernel: &TRIM,
            settings: &[],
            params: &[x.len as u32],
            buffers: &[&x, &state, &y],
            groups: self.engine.over(x.len),
            operations: 0,
        });
        y
    }

    pub(super) fn elected(&self, deltas: &[(&Buffer, f64)]) -> Buffer {
        let len = deltas.first().expect("something to merge").0.len;
        let deltas: Vec<_> =
            deltas.iter().map(|(x, weight)| (self.wide(x), *weight as f32)).collect();
        assert!(deltas.iter().all(|(x, _)| x.len == len));
        let [sum, total, count] = [0; 3].map(|_| {
            let buffer = self.engine.allocate(len, Element::F32);
            self.engine.fill(&buffer, 0.0);
            buffer
        });
        for (x, weight) in &deltas {
            self.engine.add_scaled(&sum, *weight, x);
        }
        let (quads, groups) = (sum.quads(), self.engine.over(sum.quads() as usize));
        for (x, weight) in &deltas {
            self.engine.run(Call {
                kernel: &AGREE,
                settings: &[],
                params: &[quads, weight.to_bits()],
                buffers: &[&sum, x, &total, &count],
                groups,
                operations: 3 * len as u64,
            });
        }
        let y = self.engine.allocate(len, Element::F32);
        self.engine.run(Call {
            kernel: &SHARE,
            settings: &[],
            params: &[quads],
            buffers: &[&total, &count, &y],
            groups,
            operations: len as u64,
        });
        y
    }
}
