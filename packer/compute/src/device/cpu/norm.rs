//! Normalisation of rows, forward and backward: layer normalisation (Ba et al. 2016), and division
//! by the Euclidean norm.

use std::sync::Arc;

use super::real::{sum, sum2, vectorised};
use super::{Chunk, Cpu, Real, rows_mut};

type Buffer<T> = Arc<Chunk<T>>;

pub fn forward<T: Real>(
    cpu: &Cpu<T>,
    x: &[T],
    gain: &[T],
    bias: &[T],
    epsilon: T,
) -> (Buffer<T>, Buffer<T>) {
    let columns = gain.len();
    let statistics = statistics(cpu, x, columns, epsilon);
    let values = cpu.values(&statistics);
    let y = cpu.by_rows(x.len(), columns, |first, out| {
        vectorised(
            #[inline(always)]
            || {
                for (i, out) in out.chunks_exact_mut(columns).enumerate() {
                    let row = first + i;
                    let (mean, scale) = (values[2 * row], values[2 * row + 1]);
                    let x = &x[row * columns..][..columns];
                    for (((out, x), gain), bias) in out.iter_mut().zip(x).zip(gain).zip(bias) {
                        *out = (*x - mean) * scale * *gain + *bias;
                    }
                }
            },
        )
    });
    (y, statistics)
}

pub fn normalised<T: Real>(cpu: &Cpu<T>, x: &[T], statistics: &[T]) -> Buffer<T> {
    let columns = x.len() / (statistics.len() / 2);
    cpu.by_rows(x.len(), columns, |first, out| {
        vectorised(
            #[inline(always)]
            || {
                for (i, out) in out.chunks_exact_mut(columns).enumerate() {
                    let row = first + i;
                    let (mean, scale) = (statistics[2 * row], statistics[2 * row + 1]);
                    for (out, x) in out.iter_mut().zip(&x[row * columns..][..columns]) {
                        *out = (*x - mean) * scale;
                    }
                }
            },
        )
    })
}

/// dx = r * (g - mean(g) - n * mean(g * n)) with g = dy * gain, n the normalised row, r its
/// reciprocal deviation.
pub fn backward<T: Real>(
    cpu: &Cpu<T>,
    dy: &[T],
    x: &[T],
    statistics: &[T],
    gain: &[T],
) -> Buffer<T> {
    let columns = gain.len();
    let inverse_columns = T::ONE / T::from_f64(columns as f64);
    cpu.by_rows(x.len(), columns, |first, out| {
        vectorised(
            #[inline(always)]
            || {
                for (i, out) in out.chunks_exact_mut(columns).enumerate() {
                    let row = first + i;
                    let (mean, scale) = (statistics[2 * row], statistics[2 * row + 1]);
                    let (x, dy) = (&x[row * columns..][..columns], &dy[row * columns..][..columns]);
                    for ((out, dy), gain) in out.iter_mut().zip(dy).zip(gain) {
                        *out = *dy * *gain;
                    }
                    let mean_g = sum(out, |g| g) * inverse_columns;
                    let mean_gn = sum2(out, x, |g, x| g * ((x - mean) * scale)) * inverse_columns;
                    for (out, x) in out.iter_mut().zip(x) {
                        *out = scale * (*out - mean_g - (*x - mean) * scale * mean_gn);
                    }
                }
            },
        )
    })
}

pub fn l2<T: Real>(cpu: &Cpu<T>, x: &[T], columns: usize, epsilon: T) -> (Buffer<T>, Buffer<T>) {
    let divisors = cpu.by_rows(x.len() / columns, 1, |first, out| {
        let rows = x[first * columns..].chunks_exact(columns);
        vectorised(
            #[inline(always)]
            || {
                for (out, x) in out.iter_mut().zip(rows) {
                    let norm = sum(x, |x| x * x).sqrt();
                    *out = if norm < epsilon { epsilon } else { norm };
                }
            },
        )
    });
    let values = cpu.values(&divisors);
    let y = cpu.by_rows(x.len(), columns, |first, out| {
        let rows = x[first * columns..].chunks_exact(columns).zip(&values[first..]);
        for (out, (x, divisor)) in out.chunks_exact_mut(columns).zip(rows) {
            for (out, x) in out.iter_mut().zip(x) {
                *out = *x / *divisor;
            }
        }
    });
    (y, divisors)
}

/// dx = (dy - y * sum(dy * y)) / d with d the row's norm, or dy / epsilon.
pub fn l2_backward<T: Real>(
    cpu: &Cpu<T>,
    dy: &[T],
    y: &[T],
    divisors: &[T],
    epsilon: T,
) -> Buffer<T> {
    assert_eq!(dy.len(), y.len());
    let columns = y.len() / divisors.len();
    cpu.by_rows(y.len(), columns, |first, out| {
        let range = first * columns..first * columns + out.len();
        let rows = dy[range.clone()]
            .chunks_exact(columns)
            .zip(y[range].chunks_exact(columns))
            .zip(&divisors[first..]);
        vectorised(
            #[inline(always)]
            || {
                for (out, ((dy, y), divisor)) in out.chunks_exact_mut(columns).zip(rows) {
                    let along =
                        if *divisor > epsilon { sum2(dy, y, |dy, y| dy * y) } else { T::ZERO };
                    for ((out, dy), y) in out.iter_mut().zip(dy).zip(y) {
                        *out = (*dy - *y * along) / *divisor;
                    }
                }
            },
        )
    })
}

/// Per row: its mean, and 1 / sqrt(variance + epsilon).
fn statistics<T: Real>(cpu: &Cpu<T>, x: &[T], columns: usize, epsilon: T) -> Buffer<T> {
    let inverse_columns = T::ONE / T::from_f64(columns as f64);
    let mut values = cpu.take(x.len() / columns * 2);
    rows_mut(&mut values, 2, |first, out| {
        vectorised(
            #[inline(always)]
            || {
                for (i, out) in out.chunks_exact_mut(2).enumerate() {
                    let x = &x[(first + i) * columns..][..columns];
                    let mean = sum(x, |x| x) * inverse_columns;
                    let variance = sum(x, |x| (x - mean) * (x - mean)) * inverse_columns;
                    out[0] = mean;
                    out[1] = T::ONE / (variance + epsilon).sqrt();
                }
            },
        )
    });
    cpu.wrap(values)
}
