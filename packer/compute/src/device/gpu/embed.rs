//! From pixels to tokens, rows taken and laid back, and the loss.

use medforge_shaders::{CROSS_ENTROPY, CROSS_ENTROPY_BACKWARD, Element, PATCHES, ROWS, TOKENS};

use crate::device::{PatchSize, TokenParts, TokenSize};

use super::call::Call;
use super::pool::Chunk;
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

    /// Tokens of images, out of their parts.
    pub(super) fn embed(&self, size: TokenSize, parts: TokenParts<&Buffer>) -> Buffer {
        let TokenSize { registers, patches, columns, .. } = size;
        let x = parts.patches;
        let count = x.len / patches * size.tokens();
        let y = self.engine.allocate(count, x.element);
        let buffers: Vec<&Chunk> = parts.list().chain([&y]).map(|b| &**b).collect();
        let weights = &buffers[1..buffers.len() - 1];
        let weight = weights.first().map_or(Element::F32, |w| w.element);
        assert!(weights.iter().all(|w| w.element == weight), "weights of one type");
        self.engine.run(Call {
            kernel: &TOKENS,
            settings: &[
                ("x", x.element.into()),
                ("weight", weight.into()),
                ("y", y.element.into()),
                ("cls", size.class.into()),
                ("registers", (registers > 0).into()),
                ("positions", size.positions.into()),
                ("backward", false.into()),
            ],
            params: &[count as u32, columns as u32, registers as u32, patches as u32],
            buffers: &buffers,
            groups: self.engine.over(count),
            operations: count as u64,
        });
        y
    }

    pub(super) fn embed_backward(&self, size: TokenSize, dy: &Buffer) -> TokenParts<Buffer> {
        let TokenSize { registers, columns, .. } = size;
        let (tokens, leading) = (size.tokens(), size.leading());
        let rows = dy.len / columns / tokens * size.patches;
        let patches =
            self.rows(dy, dy.element, rows, columns, [size.patches, tokens, leading], false);
        let sums = self.reduce_rows(dy, None, tokens * columns);
        let some = |rows: usize, first: usize| {
            let runs = [rows, rows, first];
            (rows > 0).then(|| self.rows(&sums, Element::F32, rows, columns, runs, false))
        };
        let class = usize::from(size.class);
        TokenParts {
            patches,
            class: some(class, 0),
            registers: some(registers, class),
            positions: size.positions.then(|| self.table(size, &sums)),
        }
    }

    /// The gradient to positions, of the sums over images of that to tokens: all but registers.
    fn table(&self, size: TokenSize, sums: &Buffer) -> Buffer {
        let TokenSize { registers, patches, columns, .. } = size;
        if registers == 0 {
            return sums.clone();
        }
        let count = size.positions() * columns;
        let table = self.engine.allocate(count, Element::F32);
        self.engine.run(Call {
            kernel: &TOKENS,
            settings: &[("cls", size.class.into()), ("backward", true.into())],
            params: &[count as u32, columns as u32, registers as u32, patches as u32],
            buffers: &[sums, &table],
            groups: self.engine.over(count),
            operations: 0,
        });
        table
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
