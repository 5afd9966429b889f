//! Attention of one head: `softmax(q k^T * scale) v`, a few queries at a time, so that their scores
//! never leave the nearest cache.

use pulp::{Simd, WithSimd};

use super::{Linear, Panels, math, rows};

/// One head: `queries` rows of `q`, which begin `q_stride` values apart, attend to the keys
/// `[width, keys]` and the values `[keys, width]`.
pub(crate) struct Attend<'a> {
    pub q: &'a [f32],
    pub q_stride: usize,
    pub queries: usize,
    /// What scores are multiplied with.
    pub scale: f32,
    pub keys: &'a Panels,
    pub values: &'a Panels,
    /// `[queries, width]`
    pub out: &'a mut [f32],
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
            // Each is a function of its own, so that it is compiled once.
            simd.vectorize(AttentionWeights {
                q: &self.q[row * self.q_stride..],
                q_stride: self.q_stride,
                queries: count,
                scale: self.scale,
                keys: self.keys,
                out: &mut *scores,
            });
            let out = &mut self.out[row * self.values.n..];
            simd.vectorize(Linear::product(scores, count, self.values, out));
            row += count;
        }
    }
}

/// How much one head attends to each key: `softmax(q k^T * scale)`, without the values.
pub(crate) struct AttentionWeights<'a> {
    /// As in [`Attend`].
    pub q: &'a [f32],
    pub q_stride: usize,
    pub queries: usize,
    pub scale: f32,
    pub keys: &'a Panels,
    /// `[queries, keys]`
    pub out: &'a mut [f32],
}

impl WithSimd for AttentionWeights<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let AttentionWeights { q, q_stride, queries, scale, keys, out } = self;
        simd.vectorize(Linear { x_stride: q_stride, ..Linear::product(q, queries, keys, out) });
        // A closure would be compiled for no vectors: only what is inlined is compiled for the
        // processor's.
        for scores in out.chunks_exact_mut(keys.n) {
            softmax(simd, scores, scale);
        }
    }
}

/// `e^(scale * s)` of each score over their sum.
#[inline(always)]
fn softmax<S: Simd>(simd: S, scores: &mut [f32], scale: f32) {
    let lanes = S::F32_LANES;
    let scales = simd.splat_f32s(scale);
    let mut largest = simd.splat_f32s(f32::NEG_INFINITY);
    let (whole, rest) = S::as_mut_simd_f32s(scores);
    for value in whole.iter_mut() {
        *value = simd.mul_f32s(*value, scales);
        largest = simd.max_f32s(largest, *value);
    }
    let mut largest = simd.reduce_max_f32s(largest);
    for value in rest.iter_mut() {
        *value *= scale;
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
    let inverse = simd.splat_f32s(1.0 / sum);
    for part in scores.chunks_mut(lanes) {
        let value = simd.mul_f32s(simd.partial_load_f32s(part), inverse);
        simd.partial_store_f32s(part, value);
    }
}
