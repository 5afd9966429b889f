//! Attention of one head: `softmax(q k^T * scale) v`, a few queries at a time, so that their scores never leave the nearest cache.

use pulp::{Simd, WithSimd};

use super::linear::Factor;
use super::{Activation, Level, Linear, Panels, math, rows};

/// Attends with `queries` rows of `q` to the keys `[width, keys]` and the values `[keys, width]`. Rows of `q` and `out` begin `q_stride` and
/// `out_stride` values apart.
#[expect(clippy::too_many_arguments, reason = "one head's matrices and how they lie")]
pub(crate) fn attend(
    level: Level,
    q: &[f32],
    q_stride: usize,
    queries: usize,
    scale: f32,
    keys: &Panels,
    values: &Panels,
    out: &mut [f32],
    out_stride: usize,
) {
    level.run(Attend { q, q_stride, queries, scale, keys, values, out, out_stride });
}

struct Attend<'a> {
    q: &'a [f32],
    q_stride: usize,
    queries: usize,
    scale: f32,
    keys: &'a Panels,
    values: &'a Panels,
    out: &'a mut [f32],
    out_stride: usize,
}

impl WithSimd for Attend<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let keys = self.keys.n;
        let mut scores = vec![0.0; rows::<S>() * keys];
        let mut row = 0;
        while row < self.queries {
            let count = (self.queries - row).min(rows::<S>());
            let scores = &mut scores[..count * keys];
            let product = Linear {
                x_stride: self.q_stride,
                ..Linear::product(&self.q[row * self.q_stride..], count, self.keys, scores)
            };
            product.with_simd(simd);
            scores.chunks_exact_mut(keys).for_each(|scores| softmax(simd, scores, self.scale));
            let mixed = Linear {
                x: scores,
                x_stride: keys,
                rows: count,
                weight: Factor::Panels(self.values),
                bias: None,
                low: None,
                activation: Activation::None,
                scale: None,
                add: false,
                out: &mut self.out[row * self.out_stride..],
                out_stride: self.out_stride,
            };
            mixed.with_simd(simd);
            row += count;
        }
    }
}

/// `e^(scale * s)` of each score over their sum.
#[inline(always)]
fn softmax<S: Simd>(simd: S, scores: &mut [f32], scale: f32) {
    let lanes = S::F32_LANES;
    let scale = simd.splat_f32s(scale);
    let mut largest = simd.splat_f32s(f32::NEG_INFINITY);
    let (whole, rest) = S::as_mut_simd_f32s(scores);
    for value in whole.iter_mut() {
        *value = simd.mul_f32s(*value, scale);
        largest = simd.max_f32s(largest, *value);
    }
    let mut largest = simd.reduce_max_f32s(largest);
    for value in rest.iter_mut() {
        *value *= simd.reduce_max_f32s(scale);
        largest = largest.max(*value);
    }
    let shift = simd.splat_f32s(largest);
    let mut sum = simd.splat_f32s(0.0);
    for value in whole.iter_mut() {
        *value = math::exp(simd, simd.sub_f32s(*value, shift));
        sum = simd.add_f32s(sum, *value);
    }
    let mut sum = simd.reduce_sum_f32s(sum);
    if !rest.is_empty() {
        let last = math::exp(simd, simd.sub_f32s(simd.partial_load_f32s(rest), shift));
        simd.partial_store_f32s(rest, last);
        sum += rest.iter().sum::<f32>();
    }
    let share = simd.splat_f32s(1.0 / sum);
    for part in scores.chunks_mut(lanes) {
        let value = simd.mul_f32s(simd.partial_load_f32s(part), share);
        simd.partial_store_f32s(part, value);
    }
}
