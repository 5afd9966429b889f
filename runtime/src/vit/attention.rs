//! Attention over the tokens of streams, a head at a time.

use super::stream::{Stream, spread};
use super::transformer::Vit;
use crate::kernel::{Attend, Panels};

impl Vit {
    /// What `heads` heads mix of each stream's values for its first `queries` queries, into its
    /// `mixed`.
    pub(super) fn attend(
        &self,
        streams: &mut [Stream],
        heads: usize,
        queries: usize,
        threads: usize,
    ) {
        let (level, shape) = (self.level, &self.shape);
        let (hidden, tokens, width) = (shape.hidden, shape.tokens(), shape.hidden / heads);
        let scale = shape.scale_of(heads) as f32;
        let mut work = Vec::new();
        for stream in streams.iter_mut() {
            let [q, k, v] = &stream.qkv;
            let heads = stream.mixed.chunks_mut(tokens * width).enumerate();
            work.extend(heads.map(|(head, out)| {
                (&q[head * width..], &k[head * width..], &v[head * width..], out)
            }));
        }
        spread(threads, work, |(q, k, v, out)| {
            let mut keys = Panels::zeros(level, width, tokens);
            let mut values = Panels::zeros(level, tokens, width);
            keys.fill_transposed(k, hidden);
            values.fill(v, hidden);
            let (keys, values) = (&keys, &values);
            level.run(Attend { q, q_stride: hidden, queries, scale, keys, values, out });
        });
    }

    /// The parts that `heads` heads mixed side by side: rows of `y`, from token `first` on.
    pub(super) fn merge(&self, mixed: &[f32], heads: usize, first: usize, y: &mut [f32]) {
        let (tokens, width) = (self.shape.tokens(), self.shape.hidden / heads);
        for (row, y) in y.chunks_exact_mut(self.shape.hidden).enumerate() {
            for (head, y) in y.chunks_exact_mut(width).enumerate() {
                y.copy_from_slice(&mixed[(head * tokens + first + row) * width..][..width]);
            }
        }
    }
}
