//! What is done with rows of tokens: rotation by their places, mean and moments of patches.

use medforge_shaders::{Element, PATCH_MEAN, ROTATE, TOKEN_MOMENTS};

use crate::device::{PatchRows, RotarySize};

use super::call::Call;
use super::{Buffer, Gpu};

impl Gpu {
    /// x with its pairs rotated, or rotated back.
    pub(super) fn turn(
        &self,
        size: RotarySize,
        x: &Buffer,
        [cos, sin]: [&Buffer; 2],
        back: bool,
    ) -> Buffer {
        let RotarySize { tokens, leading, heads, width } = size;
        let y = self.engine.allocate(x.len, x.element);
        let pairs = x.len / 2;
        let [heads, half, tokens, leading] = [heads, width / 2, tokens, leading].map(|n| n as u32);
        self.engine.run(Call {
            kernel: &ROTATE,
            settings: &[
                ("x", x.element.into()),
                ("table", cos.element.into()),
                ("backward", back.into()),
            ],
            params: &[pairs as u32, heads, half, tokens, leading],
            buffers: &[x, cos, sin, &y],
            groups: self.engine.over(pairs),
            operations: 3 * x.len as u64,
        });
        y
    }

    /// The mean of each image's patches, with `class` beside its first row; or the gradient.
    pub(super) fn mean(&self, rows: PatchRows, x: &Buffer, class: bool, backward: bool) -> Buffer {
        let PatchRows { columns, tokens, leading } = rows;
        let parts = 1 + usize::from(class);
        let count = if backward { x.len / parts * tokens } else { x.len / tokens * parts };
        let y = self.engine.allocate(count, x.element);
        self.engine.run(Call {
            kernel: &PATCH_MEAN,
            settings: &[
                ("x", x.element.into()),
                ("cls", class.into()),
                ("backward", backward.into()),
            ],
            params: &[count as u32, columns as u32, tokens as u32, leading as u32],
            buffers: &[x, &y],
            groups: self.engine.over(count),
            operations: x.len.max(count) as u64,
        });
        y
    }

    pub(super) fn moments(&self, rows: PatchRows, x: &Buffer, epsilon: f64) -> Buffer {
        let count = x.len / rows.tokens;
        let y = self.engine.allocate(2 * count, Element::F32);
        self.engine.run(Call {
            kernel: &TOKEN_MOMENTS,
            settings: &[
                ("x", x.element.into()),
                ("y", y.element.into()),
                ("backward", false.into()),
            ],
            params: &moments_params(count, rows, epsilon),
            buffers: &[x, &y],
            groups: self.engine.over(count),
            operations: 4 * x.len as u64,
        });
        y
    }

    pub(super) fn moments_backward(&self, rows: PatchRows, [dy, x, y]: [&Buffer; 3]) -> Buffer {
        let dx = self.engine.allocate(x.len, x.element);
        self.engine.run(Call {
            kernel: &TOKEN_MOMENTS,
            settings: &[
                ("x", x.element.into()),
                ("y", dy.element.into()),
                ("backward", true.into()),
            ],
            params: &moments_params(x.len, rows, 0.0),
            buffers: &[dy, x, y, &dx],
            groups: self.engine.over(x.len),
            operations: 5 * x.len as u64,
        });
        dx
    }
}

fn moments_params(count: usize, rows: PatchRows, epsilon: f64) -> [u32; 5] {
    let PatchRows { columns, tokens, leading } = rows;
    let [count, columns, tokens, leading] = [count, columns, tokens, leading].map(|n| n as u32);
    [count, columns, tokens, leading, (epsilon as f32).to_bits()]
}
