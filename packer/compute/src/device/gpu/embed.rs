//! From pixels to tokens, rows taken and laid back, and the loss.

use medforge_shaders::{
    CROSS_ENTROPY, CROSS_ENTROPY_BACKWARD, Element, PATCHES, ROWS, TOKEN_MOMENTS, TOKENS,
};

use crate::device::PatchSize;

use super::call::Call;
use super::{Buffer, Gpu};

impl Gpu {
    /// Images as patches, or patches laid back into images.
    pub(super) fn cut(&self, size: PatchSize, x: &Buffer, backward: bool) -> Buffer {
        let count = if backward {
            size.batch * 3 * size.height * size.width
        } else {
            size.rows() * size.columns()
        };
        let y = self.engine.allocate(count, x.element);
        self.engine.run(Call {
            kernel: &PATCHES,
            settings: &[
                ("x", x.element.into()),
                ("y", y.element.into()),
                ("backward", backward.into()),
            ],
            params: &[count as u32, size.height as u32, size.width as u32, size.patch as u32],
            buffers: &[x, &y],
            groups: self.engine.over(count),
            operations: 0,
        });
        y
    }

    pub(super) fn embed(&self, patches: &Buffer, cls: &Buffer, positions: &Buffer) -> Buffer {
        let columns = cls.len;
        let tokens = positions.len / columns;
        let count = patches.len / (tokens - 1) * tokens;
        let y = self.engine.allocate(count, patches.element);
        self.engine.run(Call {
            kernel: &TOKENS,
            settings: &[
                ("x", patches.element.into()),
                ("weight", cls.element.into()),
                ("y", y.element.into()),
            ],
            params: &[count as u32, tokens as u32, columns as u32],
            buffers: &[patches, cls, positions, &y],
            groups: self.engine.over(count),
            operations: count as u64,
        });
        y
    }

    pub(super) fn embed_backward(&self, dy: &Buffer, columns: usize, tokens: usize) -> [Buffer; 3] {
        let images = dy.len / columns / tokens;
        let patches = self.rows(
            dy,
            dy.element,
            images * (tokens - 1),
            columns,
            [tokens - 1, tokens, 1],
            false,
        );
        let positions = self.reduce_rows(dy, None, tokens * columns);
        let cls = self.rows(&positions, Element::F32, 1, columns, [1, 1, 0], false);
        [patches, cls, positions]
    }

    /// `rows` rows of x by run, stride and first row (see `rows.wgsl`), or with `backward` x's rows
    /// laid `stride` apart.
    pub(super) fn rows(
        &self,
        x: &Buffer,
        element: Element,
        rows: usize,
        columns: usize,
        [run, stride, first]: [usize; 3],
        backward: bool,
    ) -> Buffer {
        let count = rows * columns;
        let y = self.engine.allocate(count, element);
        self.engine.run(Call {
            kernel: &ROWS,
            settings: &[
                ("x", x.element.into()),
                ("y", y.element.into()),
                ("backward", backward.into()),
            ],
            params: &[count as u32, columns as u32, run as u32, stride as u32, first as u32],
            buffers: &[x, &y],
            groups: self.engine.over(count),
            operations: 0,
        });
        y
    }

    pub(super) fn moments(
        &self,
        x: &Buffer,
        columns: usize,
        tokens: usize,
        epsilon: f64,
    ) -> Buffer {
        let count = x.len / tokens;
        let y = self.engine.allocate(2 * count, Element::F32);
        self.engine.run(Call {
            kernel: &TOKEN_MOMENTS,
            settings: &[
                ("x", x.element.into()),
                ("y", y.element.into()),
                ("backward", false.into()),
            ],
            params: &[count as u32, columns as u32, tokens as u32, (epsilon as f32).to_bits()],
            buffers: &[x, &y],
            groups: self.engine.over(count),
            operations: 4 * x.len as u64,
        });
        y
    }

    pub(super) fn moments_backward(
        &self,
        [dy, x, y]: [&Buffer; 3],
        columns: usize,
        tokens: usize,
    ) -> Buffer {
        let dx = self.engine.allocate(x.len, x.element);
        self.engine.run(Call {
            kernel: &TOKEN_MOMENTS,
            settings: &[
                ("x", x.element.into()),
                ("y", dy.element.into()),
                ("backward", true.into()),
            ],
            params: &[x.len as u32, columns as u32, tokens as u32, 0],
            buffers: &[dy, x, y, &dx],
            groups: self.engine.over(x.len),
            operations: 5 * x.len as u64,
        });
        dx
    }

    pub(super) fn likelihood(
        &self,
        logits: &Buffer,
        classes: usize,
        labels: &[u32],
    ) -> (Buffer, Buffer) {
        let rows = labels.len();
        assert_eq!(logits.len, rows * classes);
        let losses = self.engine.allocate(rows, Element::F32);
        let p = self.engine.allocate(logits.len, Element::F32);
        self.engine.run(Call {
            kernel: &CROSS_ENTROPY,
            settings: &[("x", logits.element.into())],
            params: &[rows as u32, classes as u32],
            buffers: &[logits, &self.words(labels), &losses, &p],
            groups: self.engine.over(rows),
            operations: 6 * logits.len as u64,
        });
        let sum = self.reduce_rows(&losses, None, 1);
        let mean = self.engine.allocate(1, Element::F32);
        self.engine.fill(&mean, 0.0);
        self.engine.add_scaled(&mean, 1.0 / rows as f32, &sum);
        (mean, p)
    }

    pub(super) fn likelihood_backward(
        &self,
        dy: &Buffer,
        p: &Buffer,
        classes: usize,
        labels: &[u32],
    ) -> Buffer {
        let dx = self.engine.allocate(p.len, self.engine.precision);
        self.engine.run(Call {
            kernel: &CROSS_ENTROPY_BACKWARD,
            settings: &[("x", dx.element.into())],
            params: &[p.len as u32, classes as u32, labels.len() as u32],
            buffers: &[p, &self.words(labels), dy, &dx],
            groups: self.engine.over(p.len),
            operations: 3 * p.len as u64,
        });
        dx
    }
}
