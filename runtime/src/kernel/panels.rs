//! A matrix laid out for [`Linear`](super::Linear): panels of a few SIMD registers' columns, each
//! panel's rows one after the other, so that a product reads it from one end to the other.

use std::io;
use std::ops::{Deref, DerefMut};

use memmap2::MmapMut;

use super::Level;
use crate::memory;

/// `[k, n]` in panels. Columns beyond `n` are zeros.
#[derive(Debug)]
pub(crate) struct Panels {
    pub k: usize,
    pub n: usize,
    lanes: usize,
    /// Registers of a panel, most of them first.
    vectors: usize,
    data: Data,
    /// Where the data begins: on a cache line.
    start: usize,
}

/// A call's own, or weights that stay.
#[derive(Debug)]
enum Data {
    Owned(Vec<f32>),
    Mapped(MmapMut),
}

impl Panels {
    /// Room for `[k, n]`, all zeros.
    pub fn zeros(level: Level, k: usize, n: usize) -> Self {
        let data = vec![0.0; k * n.next_multiple_of(level.widths().0) + LINE];
        let start = data.as_ptr().align_offset(LINE * size_of::<f32>()).min(LINE);
        Self::of(level, k, n, Data::Owned(data), start)
    }

    /// The same for weights that stay: large and for long.
    pub fn weights(level: Level, k: usize, n: usize) -> io::Result<Self> {
        let map = memory::filled(k * n.next_multiple_of(level.widths().0) * size_of::<f32>())?;
        Ok(Self::of(level, k, n, Data::Mapped(map), 0))
    }

    fn of(level: Level, k: usize, n: usize, data: Data, start: usize) -> Self {
        let (lanes, vectors) = level.widths();
        Panels { k, n, lanes, vectors, data, start }
    }

    /// From `values`, `[k, n]` row by row.
    pub fn new(level: Level, k: usize, n: usize, values: &[f32]) -> Self {
        let mut panels = Self::zeros(level, k, n);
        panels.fill(values, n);
        panels
    }

    /// Takes the values of `[k, n]`, rows beginning `stride` values apart.
    pub fn fill(&mut self, values: &[f32], stride: usize) {
        let (k, n) = (self.k, self.n);
        for (first, width) in self.spans() {
            let taken = width.min(n - first);
            let panel = &mut self.data[self.start + first * k..][..width * k];
            for (row, line) in panel.chunks_exact_mut(width).enumerate() {
                line[..taken].copy_from_slice(&values[row * stride + first..][..taken]);
            }
        }
    }

    /// Takes the values of row `row`.
    pub fn set_row(&mut self, row: usize, values: &[f32]) {
        let (k, n) = (self.k, self.n);
        for (first, width) in self.spans() {
            let taken = width.min(n - first);
            self.data[self.start + first * k + row * width..][..taken]
                .copy_from_slice(&values[first..][..taken]);
        }
    }

    /// Takes the values of `[n, k]`, rows beginning `stride` values apart.
    pub fn fill_transposed(&mut self, values: &[f32], stride: usize) {
        let (k, n) = (self.k, self.n);
        for (first, width) in self.spans() {
            let panel = &mut self.data[self.start + first * k..][..width * k];
            for column in 0..width.min(n - first) {
                let line = &values[(first + column) * stride..][..k];
                for (place, value) in panel[column..].iter_mut().step_by(width).zip(line) {
                    *place = *value;
                }
            }
        }
    }

    /// First column and width of each panel.
    pub fn spans(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        spans(self.n, self.lanes, self.vectors)
    }

    /// The panel that begins at column `first`: `[k, width]`.
    pub fn panel(&self, first: usize, width: usize) -> &[f32] {
        &self.data[self.start + first * self.k..][..width * self.k]
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        self.data.len() * size_of::<f32>()
    }
}

impl Deref for Data {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match self {
            Data::Owned(values) => values,
            Data::Mapped(map) => bytemuck::cast_slice(map),
        }
    }
}

impl DerefMut for Data {
    fn deref_mut(&mut self) -> &mut [f32] {
        match self {
            Data::Owned(values) => values,
            Data::Mapped(map) => bytemuck::cast_slice_mut(map),
        }
    }
}

/// Values in a cache line.
pub(super) const LINE: usize = 16;

/// First column and width (a multiple of the lanes) of each panel of `n` columns. All are as wide
/// as possible, up to `most` registers, and as equal as possible.
pub(super) fn spans(n: usize, lanes: usize, most: usize) -> impl Iterator<Item = (usize, usize)> {
    let vectors = n.div_ceil(lanes);
    let count = vectors.div_ceil(most).max(1);
    let (each, wider) = (vectors / count, vectors % count);
    (0..count)
        .map(move |i| ((i * each + i.min(wider)) * lanes, (each + usize::from(i < wider)) * lanes))
}
