//! The `cpu` device: gemm for products, rayon over rows. The rest is written so that the compiler
//! vectorises it for the processor it meets, with AVX-512 where there is one.
//!
//! Generic over f32 and f64: f32 trains, f64 is what the gradient checks compare with.

use std::ops::Deref;
use std::sync::Arc;

use rayon::prelude::*;

mod activation;
mod attention;
mod colour;
mod device;
mod elementwise;
mod embed;
mod factors;
mod loss;
mod matmul;
mod norm;
mod optimiser;
pub(super) mod pool;
mod real;
mod rotate;
mod tokens;
mod warp;

pub(super) use factors::panel_columns;
pub use pool::Chunk;
pub use real::Real;

use pool::{Content, Pool};

use super::Stored;

/// Values handled by one task at least: below this, starting a task costs more than it saves.
const GRAIN: usize = 16 * 1024;

/// The processor as a device.
#[derive(Clone)]
pub struct Cpu<T: Real = f32> {
    pool: Arc<Pool<T>>,
    poison: bool,
}

impl<T: Real> Cpu<T> {
    pub fn new() -> Self {
        Cpu { pool: Arc::new(Pool::new(1)), poison: false }
    }

    /// A device whose fresh buffers are full of NaN, so that a value left unwritten is seen. For
    /// tests.
    pub fn poisoned() -> Self {
        Cpu { poison: true, ..Self::new() }
    }

    /// The most bytes that buffers took at once, in use or kept for later.
    pub fn peak(&self) -> usize {
        self.pool.held().1 * size_of::<T>()
    }

    /// The values of a buffer in this device's own precision. Panics for frozen ones of another.
    pub fn values<'a>(&self, buffer: &'a Arc<Chunk<T>>) -> &'a [T] {
        here(buffer).expect("these values are frozen in another precision: download them")
    }

    /// The values of a buffer; frozen ones of another precision are widened for as long as they are
    /// read.
    fn read<'a>(&self, buffer: &'a Chunk<T>) -> Values<'a, T> {
        match (&buffer.content, here(buffer)) {
            (Content::Stored(stored), None) => {
                let mut wide = self.take(stored.len());
                wide.par_chunks_mut(GRAIN)
                    .enumerate()
                    .for_each(|(i, out)| T::widen(stored, i * GRAIN, out));
                Values::Widened(Chunk::new(wide, &self.pool))
            }
            (_, values) => Values::Here(values.unwrap_or_default()),
        }
    }

    /// Takes over `values` as a buffer.
    pub fn wrap(&self, values: Vec<T>) -> Arc<Chunk<T>> {
        Arc::new(Chunk::new(values, &self.pool))
    }

    /// A vector of `len` values of no particular content (NaN when poisoned).
    fn take(&self, len: usize) -> Vec<T> {
        let mut values = self.pool.take(len, T::ZERO);
        if self.poison {
            values.fill(T::NAN);
        }
        values
    }

    /// A new buffer filled row by row: `fill(first_row, rows)` sees whole rows of `columns` values,
    /// in parallel.
    fn by_rows(
        &self,
        len: usize,
        columns: usize,
        fill: impl Fn(usize, &mut [T]) + Sync,
    ) -> Arc<Chunk<T>> {
        let mut values = self.take(len);
        rows_mut(&mut values, columns, fill);
        self.wrap(values)
    }
}

impl<T: Real> Default for Cpu<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Real> Cpu<T> {
    /// The values of `buffer` for writing; copied first if somebody else holds them too.
    fn own<'a>(&self, buffer: &'a mut Arc<Chunk<T>>) -> &'a mut Vec<T> {
        if !matches!(Arc::get_mut(buffer), Some(Chunk { content: Content::Own(_), .. })) {
            let values = self.read(buffer);
            let mut copy = self.take(values.len());
            copy.copy_from_slice(&values);
            drop(values);
            *buffer = self.wrap(copy);
        }
        match Arc::get_mut(buffer).map(|chunk| &mut chunk.content) {
            Some(Content::Own(values)) => values,
            _ => unreachable!("just made, so nobody else holds it"),
        }
    }
}

/// Values of a buffer, as they are there or widened.
enum Values<'a, T: Real> {
    Here(&'a [T]),
    Widened(Chunk<T>),
}

impl<T: Real> Deref for Values<'_, T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Values::Here(values) => values,
            Values::Widened(chunk) => here(chunk).unwrap_or_default(),
        }
    }
}

/// The values of a buffer, if they are there in this precision.
fn here<T: Real>(buffer: &Chunk<T>) -> Option<&[T]> {
    match &buffer.content {
        Content::Own(values) => Some(values),
        Content::Stored(Stored::F32(values)) => T::of_f32(values),
        Content::Stored(_) => None,
    }
}

/// Splits `values` into runs of whole rows and calls `fill(first_row, rows)` on each, in parallel.
fn rows_mut<T: Send>(values: &mut [T], columns: usize, fill: impl Fn(usize, &mut [T]) + Sync) {
    assert_eq!(values.len() % columns, 0);
    let rows = (GRAIN / columns).max(1);
    values.par_chunks_mut(rows * columns).enumerate().for_each(|(i, chunk)| fill(i * rows, chunk));
}
