//! From pixels to tokens and from tokens to the feature: patches, CLS token, positions, first rows,
//! moments over tokens.

use std::sync::Arc;

use rayon::prelude::*;

use crate::device::PatchSize;

use super::{Chunk, Cpu, Real};

type Buffer<T> = Arc<Chunk<T>>;

pub fn patches<T: Real>(cpu: &Cpu<T>, size: PatchSize, images: &[T]) -> Buffer<T> {
    let columns = size.columns();
    cpu.by_rows(size.rows() * columns, columns, |first, out| {
        for (i, out) in out.chunks_exact_mut(columns).enumerate() {
            for (line, out) in out.chunks_exact_mut(size.patch).enumerate() {
                let start = pixel(size, first + i, line);
                out.copy_from_slice(&images[start..start + size.patch]);
            }
        }
    })
}

/// Patches do not overlap: each pixel's gradient comes from one place, or is zero beyond the last
/// whole patch.
pub fn patches_backward<T: Real>(cpu: &Cpu<T>, size: PatchSize, dy: &[T]) -> Buffer<T> {
    let image = 3 * size.height * size.width;
    let (columns, grid) = (size.columns(), size.rows() / size.batch);
    let mut out = cpu.take(size.batch * image);
    out.par_chunks_mut(image).enumerate().for_each(|(b, out)| {
        out.fill(T::ZERO);
        for row in 0..grid {
            let dy = &dy[(b * grid + row) * columns..][..columns];
            for (line, dy) in dy.chunks_exact(size.patch).enumerate() {
                let start = pixel(size, row, line);
                out[start..start + size.patch].copy_from_slice(dy);
            }
        }
    });
    cpu.wrap(out)
}

pub fn tokens<T: Real>(cpu: &Cpu<T>, patches: &[T], cls: &[T], positions: &[T]) -> Buffer<T> {
    let columns = cls.len();
    let grid = positions.len() / columns - 1;
    let batch = patches.len() / columns / grid;
    cpu.by_rows(batch * positions.len(), columns, |first, out| {
        for (i, out) in out.chunks_exact_mut(columns).enumerate() {
            let (image, token) = ((first + i) / (grid + 1), (first + i) % (grid + 1));
            let x = match token {
                0 => cls,
                t => &patches[(image * grid + t - 1) * columns..][..columns],
            };
            for ((out, x), position) in out.iter_mut().zip(x).zip(&positions[token * columns..]) {
                *out = *x + *position;
            }
        }
    })
}

pub fn tokens_backward<T: Real>(
    cpu: &Cpu<T>,
    dy: &[T],
    columns: usize,
    tokens: usize,
) -> [Buffer<T>; 3] {
    let batch = dy.len() / columns / tokens;
    let grid = tokens - 1;
    let patches = cpu.by_rows(batch * grid * columns, columns, |first, out| {
        for (i, out) in out.chunks_exact_mut(columns).enumerate() {
            let (image, patch) = ((first + i) / grid, (first + i) % grid);
            out.copy_from_slice(&dy[(image * tokens + 1 + patch) * columns..][..columns]);
        }
    });
    let mut positions = cpu.take(tokens * columns);
    positions.fill(T::ZERO);
    for image in dy.chunks_exact(tokens * columns) {
        for (sum, dy) in positions.iter_mut().zip(image) {
            *sum += *dy;
        }
    }
    let mut cls = cpu.take(columns);
    cls.copy_from_slice(&positions[..columns]);
    [patches, cpu.wrap(cls), cpu.wrap(positions)]
}

pub fn first_rows<T: Real>(cpu: &Cpu<T>, x: &[T], columns: usize, tokens: usize) -> Buffer<T> {
    cpu.by_rows(x.len() / tokens, columns, |first, out| {
        for (i, out) in out.chunks_exact_mut(columns).enumerate() {
            out.copy_from_slice(&x[(first + i) * tokens * columns..][..columns]);
        }
    })
}

pub fn first_rows_backward<T: Real>(
    cpu: &Cpu<T>,
    dy: &[T],
    columns: usize,
    tokens: usize,
) -> Buffer<T> {
    cpu.by_rows(dy.len() * tokens, columns, |first, out| {
        for (i, out) in out.chunks_exact_mut(columns).enumerate() {
            match (first + i) % tokens {
                0 => out.copy_from_slice(&dy[(first + i) / tokens * columns..][..columns]),
                _ => out.fill(T::ZERO),
            }
        }
    })
}

/// Where line `line` (channel-major) of patch `row` begins in the images.
fn pixel(size: PatchSize, row: usize, line: usize) -> usize {
    let (down, across) = size.grid();
    let (image, row) = (row / (down * across), row % (down * across));
    let (channel, y) = (line / size.patch, line % size.patch);
    let (top, left) = (row / across * size.patch, row % across * size.patch);
    ((image * 3 + channel) * size.height + top + y) * size.width + left
}

/// Two passes over an image's tokens: the variance of values far from zero keeps its digits.
pub fn token_moments<T: Real>(
    cpu: &Cpu<T>,
    x: &[T],
    columns: usize,
    tokens: usize,
    epsilon: T,
) -> Buffer<T> {
    let patches = T::from_f64((tokens - 1) as f64);
    cpu.by_rows(x.len() / tokens * 2, 2 * columns, |first, out| {
        for (i, out) in out.chunks_exact_mut(2 * columns).enumerate() {
            let x = &x[((first + i) * tokens + 1) * columns..][..(tokens - 1) * columns];
            out.fill(T::ZERO);
            let (mean, deviation) = out.split_at_mut(columns);
            for x in x.chunks_exact(columns) {
                for (mean, x) in mean.iter_mut().zip(x) {
                    *mean += *x / patches;
                }
            }
            for x in x.chunks_exact(columns) {
                for ((deviation, mean), x) in deviation.iter_mut().zip(&*mean).zip(x) {
                    *deviation += (*x - *mean) * (*x - *mean) / patches;
                }
            }
            for deviation in deviation {
                *deviation = (*deviation + epsilon).sqrt();
            }
        }
    })
}

pub fn token_moments_backward<T: Real>(
    cpu: &Cpu<T>,
    [dy, x, y]: [&[T]; 3],
    columns: usize,
    tokens: usize,
) -> Buffer<T> {
    let patches = T::from_f64((tokens - 1) as f64);
    cpu.by_rows(x.len(), columns, |first, out| {
        for (i, out) in out.chunks_exact_mut(columns).enumerate() {
            let row = first + i;
            if row % tokens == 0 {
                out.fill(T::ZERO);
                continue;
            }
            let image = row / tokens * 2 * columns;
            let (dy, y) = (&dy[image..], &y[image..]);
            for (j, (out, x)) in out.iter_mut().zip(&x[row * columns..]).enumerate() {
                let of_deviation = dy[columns + j] * (*x - y[j]) / y[columns + j];
                *out = (dy[j] + of_deviation) / patches;
            }
        }
    })
}
