//! Layer normalisation of rows.

use pulp::{Simd, WithSimd};

use super::Level;

/// `out = (x - mean) / sqrt(variance + epsilon) * weight + bias`, row by row, all `[rows, width]`
/// with `width` the length of `weight`.
pub(crate) fn layer_norm(
    level: Level,
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
    epsilon: f32,
    out: &mut [f32],
) {
    level.run(LayerNorm { x, weight, bias, epsilon, out });
}

struct LayerNorm<'a> {
    x: &'a [f32],
    weight: &'a [f32],
    bias: &'a [f32],
    epsilon: f32,
    out: &'a mut [f32],
}

impl WithSimd for LayerNorm<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let width = self.weight.len();
        for (x, out) in self.x.chunks_exact(width).zip(self.out.chunks_exact_mut(width)) {
            let centre = sum(simd, x, |value| value) / width as f32;
            let mean = simd.splat_f32s(centre);
            let square = |value| {
                let distance = simd.sub_f32s(value, mean);
                simd.mul_f32s(distance, distance)
            };
            // Zeros that fill the last register are not part of the row.
            let filled = (width.next_multiple_of(S::F32_LANES) - width) as f32;
            let variance =
                (sum(simd, x, square) - filled * centre * centre).max(0.0) / width as f32;
            let scale = simd.splat_f32s(1.0 / (variance + self.epsilon).sqrt());
            let lanes = S::F32_LANES;
            let parts = x.chunks(lanes).zip(self.weight.chunks(lanes)).zip(self.bias.chunks(lanes));
            for (((x, weight), bias), out) in parts.zip(out.chunks_mut(lanes)) {
                let value = simd.mul_f32s(simd.sub_f32s(simd.partial_load_f32s(x), mean), scale);
                let value = simd.mul_add_e_f32s(
                    value,
                    simd.partial_load_f32s(weight),
                    simd.partial_load_f32s(bias),
                );
                simd.partial_store_f32s(out, value);
            }
        }
    }
}

/// The sum of `f` over a row and the zeros that fill its last register.
#[inline(always)]
fn sum<S: Simd>(simd: S, row: &[f32], f: impl Fn(S::f32s) -> S::f32s) -> f32 {
    let (whole, rest) = S::as_simd_f32s(row);
    let mut sums = [simd.splat_f32s(0.0); 4];
    for (index, &value) in whole.iter().enumerate() {
        sums[index % 4] = simd.add_f32s(sums[index % 4], f(value));
    }
    if !rest.is_empty() {
        sums[0] = simd.add_f32s(sums[0], f(simd.partial_load_f32s(rest)));
    }
    simd.reduce_sum_f32s(
        simd.add_f32s(simd.add_f32s(sums[0], sums[1]), simd.add_f32s(sums[2], sums[3])),
    )
}
