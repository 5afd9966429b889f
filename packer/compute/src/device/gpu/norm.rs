//! Normalisation of rows: layer norm, Euclidean norm.

use medforge_shaders::{Element, L2_NORMALISE, LAYER_NORM, LAYER_NORM_BACKWARD};

use super::call::Call;
use super::{Buffer, Gpu};

impl Gpu {
    pub(super) fn norm(
        &self,
        x: &Buffer,
        gain: &Buffer,
        bias: &Buffer,
        epsilon: f64,
    ) -> (Buffer, Buffer) {
        let columns = gain.len;
        let rows = x.len / columns;
        let y = self.engine.allocate(x.len, x.element);
        let statistics = self.engine.allocate(2 * rows, Element::F32);
        self.engine.run(Call {
            kernel: &LAYER_NORM,
            settings: &[
                ("x", x.element.into()),
                ("weight", gain.element.into()),
                ("y", y.element.into()),
                ("affine", true.into()),
                ("vec", columns.is_multiple_of(4).into()),
                ("lanes", self.engine.tuning.lanes.into()),
            ],
            params: &[rows as u32, columns as u32, (epsilon as f32).to_bits()],
            buffers: &[x, gain, bias, &y, &statistics],
            groups: self.per_row(rows),
            operations: 8 * x.len as u64,
        });
        (y, statistics)
    }

    pub(super) fn norm_only(&self, x: &Buffer, statistics: &Buffer) -> Buffer {
        let rows = statistics.len / 2;
        let columns = x.len / rows;
        let y = self.engine.allocate(x.len, Element::F32);
        self.engine.run(Call {
            kernel: &LAYER_NORM,
            settings: &[
                ("x", x.element.into()),
                ("y", y.element.into()),
                ("affine", false.into()),
                ("vec", columns.is_multiple_of(4).into()),
                ("lanes", self.engine.tuning.lanes.into()),
            ],
            params: &[rows as u32, columns as u32, 0],
            buffers: &[x, statistics, &y],
            groups: self.per_row(rows),
            operations: 2 * x.len as u64,
        });
        y
    }

    pub(super) fn norm_backward(
        &self,
        dy: &Buffer,
        x: &Buffer,
        statistics: &Buffer,
        gain: &Buffer,
    ) -> Buffer {
        let columns = gain.len;
        let rows = x.len / columns;
        let dx = self.engine.allocate(x.len, dy.element);
        self.engine.run(Call {
            kernel: &LAYER_NORM_BACKWARD,
            settings: &[
                ("dy", dy.element.into()),
                ("x", x.element.into()),
                ("gain", gain.element.into()),
                ("vec", columns.is_multiple_of(4).into()),
                ("lanes", self.engine.tuning.lanes.into()),
            ],
            params: &[rows as u32, columns as u32],
            buffers: &[dy, x, statistics, gain, &dx],
            groups: self.per_row(rows),
            operations: 12 * x.len as u64,
        });
        dx
    }

    pub(super) fn l2(&self, x: &Buffer, columns: usize, epsilon: f64) -> (Buffer, Buffer) {
        let y = self.engine.allocate(x.len, x.element);
        let divisors = self.engine.allocate(x.len / columns, Element::F32);
        self.l2_run(&[x, &y, &divisors], x.len, columns, epsilon, false);
        (y, divisors)
    }

    pub(super) fn l2_backward(
        &self,
        dy: &Buffer,
        y: &Buffer,
        divisors: &Buffer,
        epsilon: f64,
    ) -> Buffer {
        let dx = self.engine.allocate(dy.len, dy.element);
        self.l2_run(&[dy, y, divisors, &dx], dy.len, dy.len / divisors.len, epsilon, true);
        dx
    }

    fn l2_run(
        &self,
        buffers: &[&Buffer],
        len: usize,
        columns: usize,
        epsilon: f64,
        backward: bool,
    ) {
        let rows = len / columns;
        self.engine.run(Call {
            kernel: &L2_NORMALISE,
            settings: &[
                ("x", buffers[0].element.into()),
                ("y", buffers[1].element.into()),
                ("vec", columns.is_multiple_of(4).into()),
                ("lanes", self.engine.tuning.lanes.into()),
                ("backward", backward.into()),
            ],
            params: &[rows as u32, columns as u32, (epsilon as f32).to_bits()],
            buffers: &buffers.iter().map(|b| &***b).collect::<Vec<_>>(),
            groups: self.per_row(rows),
            operations: 4 * len as u64,
        });
    }

    /// The groups of a kernel that takes rows: one a row, or 64 rows each.
    pub(super) fn per_row(&self, rows: usize) -> [u32; 3] {
        match self.engine.tuning.lanes {
            1 => self.engine.over(rows),
            _ => self.engine.spread(rows),
        }
    }
}
