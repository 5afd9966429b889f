//! Rotation of queries and keys by where their patch is (rotary position embedding, Su et al. 2021,
//! arXiv 2104.09864).

use pulp::{Simd, WithSimd};

/// Rows of heads side by side, rotated where they are: `x cos + turned x sin` of each head. Turned,
/// a head's second half is in front, with its sign changed.
pub(crate) struct Rotate<'a> {
    /// `[rows, heads, width]`
    pub x: &'a mut [f32],
    /// Width of a head, an even number.
    pub width: usize,
    /// `[rows, width]`
    pub cos: &'a [f32],
    /// `[rows, width]`
    pub sin: &'a [f32],
}

impl WithSimd for Rotate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (width, half) = (self.width, self.width / 2);
        let rows = self.cos.chunks_exact(width).zip(self.sin.chunks_exact(width));
        let row = self.x.len() / (self.cos.len() / width).max(1);
        for (x, (cos, sin)) in self.x.chunks_exact_mut(row.max(1)).zip(rows) {
            let ((cos, cos_of_second), (sin, sin_of_second)) =
                (cos.split_at(half), sin.split_at(half));
            for head in x.chunks_exact_mut(width) {
                let (first, second) = head.split_at_mut(half);
                let mut from = 0;
                while from < half {
                    let to = (from + S::F32_LANES).min(half);
                    let part = |values: &[f32]| simd.partial_load_f32s(&values[from..to]);
                    let (a, b) = (part(first), part(second));
                    let turned = simd.neg_f32s(simd.mul_f32s(b, part(sin)));
                    let a_new = simd.mul_add_e_f32s(a, part(cos), turned);
                    let turned = simd.mul_f32s(a, part(sin_of_second));
                    let b_new = simd.mul_add_e_f32s(b, part(cos_of_second), turned);
                    simd.partial_store_f32s(&mut first[from..to], a_new);
                    simd.partial_store_f32s(&mut second[from..to], b_new);
                    from = to;
                }
            }
        }
    }
}
