//! Element by element, and sums over rows.

use std::sync::Arc;

use rayon::prelude::*;

use super::real::vectorised;
use super::{Chunk, Cpu, GRAIN, Real};

type Buffer<T> = Arc<Chunk<T>>;

pub fn add_scaled<T: Real>(into: &mut [T], alpha: T, x: &[T]) {
    assert_eq!(into.len(), x.len());
    into.par_chunks_mut(GRAIN).zip(x.par_chunks(GRAIN)).for_each(|(into, x)| {
        vectorised(
            #[inline(always)]
            || {
                for (into, x) in into.iter_mut().zip(x) {
                    *into += alpha * *x;
                }
            },
        )
    });
}

pub fn column_sum<T: Real>(cpu: &Cpu<T>, x: &[T], columns: usize) -> Buffer<T> {
    reduce_rows(cpu, x.len(), columns, |row, sum| {
        for (sum, x) in sum.iter_mut().zip(&x[row * columns..]) {
            *sum += *x;
        }
    })
}

pub fn column_dot<T: Real>(cpu: &Cpu<T>, x: &[T], y: &[T], columns: usize) -> Buffer<T> {
    assert_eq!(x.len(), y.len());
    reduce_rows(cpu, x.len(), columns, |row, sum| {
        let (x, y) = (&x[row * columns..], &y[row * columns..]);
        for ((sum, x), y) in sum.iter_mut().zip(x).zip(y) {
            *sum += *x * *y;
        }
    })
}

pub fn scale_columns<T: Real>(cpu: &Cpu<T>, x: &[T], scale: &[T]) -> Buffer<T> {
    let columns = scale.len();
    cpu.by_rows(x.len(), columns, |first, out| {
        let x = &x[first * columns..][..out.len()];
        vectorised(
            #[inline(always)]
            || {
                for (out, x) in out.chunks_exact_mut(columns).zip(x.chunks_exact(columns)) {
                    for ((out, x), scale) in out.iter_mut().zip(x).zip(scale) {
                        *out = *x * *scale;
                    }
                }
            },
        )
    })
}

/// x + y, or x + y with y's columns scaled.
pub fn residual<T: Real>(cpu: &Cpu<T>, x: &[T], y: &[T], scale: Option<&[T]>) -> Buffer<T> {
    assert_eq!(x.len(), y.len());
    let columns = scale.map_or(1, <[T]>::len);
    cpu.by_rows(x.len(), columns, |first, out| {
        let x = &x[first * columns..][..out.len()];
        let y = &y[first * columns..][..out.len()];
        vectorised(
            #[inline(always)]
            || match scale {
                Some(scale) => {
                    let rows = out
                        .chunks_exact_mut(columns)
                        .zip(x.chunks_exact(columns))
                        .zip(y.chunks_exact(columns));
                    for ((out, x), y) in rows {
                        for (((out, x), y), scale) in out.iter_mut().zip(x).zip(y).zip(scale) {
                            *out = *x + *y * *scale;
                        }
                    }
                }
                None => {
                    for ((out, x), y) in out.iter_mut().zip(x).zip(y) {
                        *out = *x + *y;
                    }
                }
            },
        )
    })
}

/// Adds up rows with `add(row, sum)`; blocks of a fixed size, so that the result does not
/// depend on the threads.
fn reduce_rows<T: Real>(
    cpu: &Cpu<T>,
    len: usize,
    columns: usize,
    add: impl Fn(usize, &mut [T]) + Sync,
) -> Buffer<T> {
    const BLOCK: usize = 256;
    let rows = len / columns;
    let partial: Vec<Vec<T>> = (0..rows.div_ceil(BLOCK))
        .into_par_iter()
        .map(|block| {
            let mut sum = vec![T::ZERO; columns];
            vectorised(
                #[inline(always)]
                || {
                    for row in block * BLOCK..rows.min((block + 1) * BLOCK) {
                        add(row, &mut sum);
                    }
                },
            );
            sum
        })
        .collect();
    let mut total = cpu.take(columns);
    total.fill(T::ZERO);
    for sum in partial {
        for (total, sum) in total.iter_mut().zip(sum) {
            *total += sum;
        }
    }
    cpu.wrap(total)
}
