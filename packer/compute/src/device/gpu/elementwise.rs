//! Element by element, and sums over rows.

use medforge_shaders::{ACTIVATION, COLUMN_SUM, Element, GATED, RESIDUAL};

use crate::device::Activation;

use super::call::Call;
use super::pool::Chunk;
use super::{Buffer, Gpu};

/// Rows added up by one group at a time.
const BLOCK: usize = 128;

impl Gpu {
    /// f(x), or dy f'(x).
    pub(super) fn activate(&self, kind: Activation, x: &Buffer, dy: Option<&Buffer>) -> Buffer {
        let y = self.engine.allocate(x.len, dy.unwrap_or(x).element);
        let mut buffers = vec![&**x];
        buffers.extend(dy.map(|dy| &**dy));
        buffers.push(&y);
        let quads = x.quads();
        self.engine.run(Call {
            kernel: &ACTIVATION,
            settings: &[
                ("x", x.element.into()),
                ("y", y.element.into()),
                ("activation", setting(kind).into()),
                ("backward", dy.is_some().into()),
            ],
            params: &[quads],
            buffers: &buffers,
            groups: self.engine.over(quads as usize),
            operations: 20 * x.len as u64,
        });
        y
    }

    /// f(g) * u.
    pub(super) fn gate(&self, kind: Activation, g: &Buffer, u: &Buffer) -> Buffer {
        let y = self.engine.allocate(g.len, g.element);
        self.gate_run(kind, [g, u, &y], &[g, u, &y], false);
        y
    }

    /// The gradients to g and u.
    pub(super) fn gate_backward(&self, kind: Activation, [g, u, dy]: [&Buffer; 3]) -> [Buffer; 2] {
        let [dg, du] = [(); 2].map(|()| self.engine.allocate(dy.len, dy.element));
        self.gate_run(kind, [g, u, dy], &[g, u, dy, &dg, &du], true);
        [dg, du]
    }

    fn gate_run(
        &self,
        kind: Activation,
        [g, u, y]: [&Buffer; 3],
        buffers: &[&Chunk],
        backward: bool,
    ) {
        assert_eq!([u.len, y.len], [g.len; 2]);
        let quads = y.quads().min(g.quads()).min(u.quads());
        self.engine.run(Call {
            kernel: &GATED,
            settings: &[
                ("g", g.element.into()),
                ("u", u.element.into()),
                ("y", y.element.into()),
                ("activation", setting(kind).into()),
                ("backward", backward.into()),
            ],
            params: &[quads],
            buffers,
            groups: self.engine.over(quads as usize),
            operations: 25 * g.len as u64,
        });
    }

    /// x + y * scale, each optional but y.
    pub(super) fn sum_scaled(
        &self,
        x: Option<&Buffer>,
        y: &Buffer,
        scale: Option<&Buffer>,
    ) -> Buffer {
        let narrow = x.is_some_and(|x| x.element == Element::F16) || y.element == Element::F16;
        let z = self.engine.allocate(y.len, if narrow { Element::F16 } else { Element::F32 });
        let columns = scale.map_or(4, |s| s.len);
        // Without a scale rows do not matter, and whole vec4s cover the padding.
        let vec = columns.is_multiple_of(4);
        let unit = if vec { 4 } else { 1 };
        let count = y.len.div_ceil(unit);
        let mut settings = vec![
            ("y", y.element.into()),
            ("z", z.element.into()),
            ("sum", x.is_some().into()),
            ("scaled", scale.is_some().into()),
            ("vec", vec.into()),
        ];
        settings.extend(x.map(|x| ("x", x.element.into())));
        settings.extend(scale.map(|s| ("scale", s.element.into())));
        let buffers: Vec<_> =
            x.into_iter().chain([y]).chain(scale).chain([&z]).map(|b| &**b).collect();
        self.engine.run(Call {
            kernel: &RESIDUAL,
            settings: &settings,
            params: &[count as u32, (columns / unit) as u32],
            buffers: &buffers,
            groups: self.engine.over(count),
            operations: (y.len * buffers.len().saturating_sub(2)) as u64,
        });
        z
    }

    /// The sum over rows of x, or of x * y.
    pub(super) fn reduce_rows(&self, x: &Buffer, y: Option<&Buffer>, columns: usize) -> Buffer {
        let rows = x.len / columns;
        assert!(y.is_none_or(|y| y.len == x.len));
        let blocks = rows.div_ceil(BLOCK).max(1);
        let sums = self.engine.allocate(blocks * columns, Element::F32);
        let width = columns.min(64);
        let mut settings = vec![("x", x.element.into()), ("dot", y.is_some().into())];
        settings.extend(y.map(|y| ("y", y.element.into())));
        let most = self.engine.adapter.workgroups_per_dimension as usize;
        // Blocks are one dimension of groups: longer ones where there would be too many.
        let (block, blocks, sums) = if blocks > most {
            let block = rows.div_ceil(most);
            let blocks = rows.div_ceil(block);
            (block, blocks, self.engine.allocate(blocks * columns, Element::F32))
        } else {
            (BLOCK, blocks, sums)
        };
        let [across, lines, _] = self.engine.spread(columns.div_ceil(width));
        let buffers: Vec<_> = [x].into_iter().chain(y).chain([&sums]).map(|b| &**b).collect();
        self.engine.run(Call {
            kernel: &COLUMN_SUM,
            settings: &settings,
            params: &[rows as u32, columns as u32, block as u32, width as u32],
            buffers: &buffers,
            groups: [across, blocks as u32, lines],
            operations: x.len as u64 * if y.is_some() { 2 } else { 1 },
        });
        match blocks {
            1 => sums,
            _ => self.reduce_rows(&sums, None, columns),
        }
    }
}

/// An activation as the kernels' setting.
pub(super) fn setting(kind: Activation) -> u32 {
    match kind {
        Activation::Gelu => 1,
        Activation::QuickGelu => 2,
        Activation::GeluTanh => 3,
        Activation::Silu => 4,
    }
}
