//! Rotation of queries and keys by their places, forward and backward.

use std::sync::Arc;

use crate::device::RotarySize;

use super::{Chunk, Cpu, Real};

/// Each pair of values of x rotated by an angle whose cosine and sine `angle` gives, by its place
/// in a table [patches, width/2].
pub fn rotate<T: Real>(
    cpu: &Cpu<T>,
    size: RotarySize,
    x: &[T],
    angle: impl Fn(usize) -> (T, T) + Sync,
) -> Arc<Chunk<T>> {
    let RotarySize { tokens, leading, heads, width } = size;
    let (columns, half) = (heads * width, width / 2);
    cpu.by_rows(x.len(), columns, |first, out| {
        for (i, out) in out.chunks_exact_mut(columns).enumerate() {
            let x = &x[(first + i) * columns..][..columns];
            let Some(patch) = ((first + i) % tokens).checked_sub(leading) else {
                out.copy_from_slice(x);
                continue;
            };
            for (out, x) in out.chunks_exact_mut(width).zip(x.chunks_exact(width)) {
                for j in 0..half {
                    let (cos, sin) = angle(patch * half + j);
                    out[j] = x[j] * cos - x[j + half] * sin;
                    out[j + half] = x[j + half] * cos + x[j] * sin;
                }
            }
        }
    })
}
