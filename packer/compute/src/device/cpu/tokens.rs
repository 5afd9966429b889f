//! From tokens to what is kept of them: first rows, the mean of patches, moments over patches.

use std::sync::Arc;

use crate::device::PatchRows;

use super::{Chunk, Cpu, Real};

type Buffer<T> = Arc<Chunk<T>>;

pub fn first<T: Real>(cpu: &Cpu<T>, x: &[T], columns: usize, tokens: usize) -> Buffer<T> {
    cpu.by_rows(x.len() / tokens, columns, |first, out| {
        for (i, out) in out.chunks_exact_mut(columns).enumerate() {
            out.copy_from_slice(&x[(first + i) * tokens * columns..][..columns]);
        }
    })
}

pub fn first_backward<T: Real>(cpu: &Cpu<T>, dy: &[T], columns: usize, tokens: usize) -> Buffer<T> {
    cpu.by_rows(dy.len() * tokens, columns, |first, out| {
        for (i, out) in out.chunks_exact_mut(columns).enumerate() {
            match (first + i) % tokens {
                0 => out.copy_from_slice(&dy[(first + i) / tokens * columns..][..columns]),
                _ => out.fill(T::ZERO),
            }
        }
    })
}

pub fn mean<T: Real>(cpu: &Cpu<T>, rows: PatchRows, x: &[T], class: bool) -> Buffer<T> {
    let PatchRows { columns, tokens, leading } = rows;
    let width = columns * (1 + usize::from(class));
    let patches = T::from_f64(rows.patches() as f64);
    cpu.by_rows(x.len() / columns / tokens * width, width, |first, out| {
        for (i, out) in out.chunks_exact_mut(width).enumerate() {
            let image = &x[(first + i) * tokens * columns..][..tokens * columns];
            let (of_class, mean) = out.split_at_mut(width - columns);
            of_class.copy_from_slice(&image[..of_class.len()]);
            mean.fill(T::ZERO);
            for x in image.chunks_exact(columns).skip(leading) {
                mean.iter_mut().zip(x).for_each(|(mean, x)| *mean += *x);
            }
            mean.iter_mut().for_each(|mean| *mean = *mean / patches);
        }
    })
}

pub fn mean_backward<T: Real>(cpu: &Cpu<T>, rows: PatchRows, dy: &[T], class: bool) -> Buffer<T> {
    let PatchRows { columns, tokens, leading } = rows;
    let width = columns * (1 + usize::from(class));
    let patches = T::from_f64(rows.patches() as f64);
    cpu.by_rows(dy.len() / width * tokens * columns, columns, |first, out| {
        for (i, out) in out.chunks_exact_mut(columns).enumerate() {
            let (image, token) = ((first + i) / tokens, (first + i) % tokens);
            let (of_class, mean) = dy[image * width..][..width].split_at(width - columns);
            match token {
                t if t >= leading => {
                    out.iter_mut().zip(mean).for_each(|(out, dy)| *out = *dy / patches);
                }
                0 if class => out.copy_from_slice(of_class),
                _ => out.fill(T::ZERO),
            }
        }
    })
}

/// Two passes over an image's tokens: the variance of values far from zero keeps its digits.
pub fn moments<T: Real>(cpu: &Cpu<T>, rows: PatchRows, x: &[T], epsilon: T) -> Buffer<T> {
    let PatchRows { columns, tokens, leading } = rows;
    let patches = T::from_f64(rows.patches() as f64);
    cpu.by_rows(x.len() / tokens * 2, 2 * columns, |first, out| {
        for (i, out) in out.chunks_exact_mut(2 * columns).enumerate() {
            let x = &x[((first + i) * tokens + leading) * columns..][..rows.patches() * columns];
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

pub fn moments_backward<T: Real>(
    cpu: &Cpu<T>,
    rows: PatchRows,
    [dy, x, y]: [&[T]; 3],
) -> Buffer<T> {
    let PatchRows { columns, tokens, leading } = rows;
    let patches = T::from_f64(rows.patches() as f64);
    cpu.by_rows(x.len(), columns, |first, out| {
        for (i, out) in out.chunks_exact_mut(columns).enumerate() {
            let row = first + i;
            if row % tokens < leading {
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
