//! A tensor in a file of weights.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use medforge_runtime::tensors::{Place, Tensor, View};
use safetensors::Dtype;

use super::source::Source;
use crate::Error;

/// A tensor in a file that has been looked through: its values are read when they are asked for,
/// and only they.
#[derive(Clone, Debug)]
pub struct WeightView {
    /// Dimensions; empty for a scalar.
    pub shape: Vec<usize>,
    /// How the values are stored.
    pub dtype: Dtype,
    /// What the file calls it.
    name: String,
    source: Arc<Source>,
    /// From its first value to its last.
    range: Range<u64>,
    /// Values from one to the next, by dimension, where they do not lie one after the other.
    strides: Option<Vec<usize>>,
}

impl WeightView {
    /// The tensor `name` of `source`, whose values lie one after the other.
    pub(super) fn new(name: &str, source: &Arc<Source>, place: Place) -> Self {
        let Place { shape, dtype, range } = place;
        let (name, source) = (name.to_owned(), source.clone());
        WeightView { shape, dtype, name, source, range, strides: None }
    }

    /// The same, with the values `strides` apart by dimension. Those between the first and the last
    /// are within the place.
    pub(super) fn strided(
        name: &str,
        source: &Arc<Source>,
        place: Place,
        strides: Vec<usize>,
    ) -> Self {
        let strides = (!row_major(&place.shape, &strides)).then_some(strides);
        WeightView { strides, ..Self::new(name, source, place) }
    }

    /// `count` of its rows, the first being `first`; none beyond its last.
    pub fn rows(&self, first: usize, count: usize) -> Self {
        let (rows, row) = match &self.shape[..] {
            [] => (1, 1),
            [rows, row @ ..] => (*rows, row.iter().product::<usize>()),
        };
        let first = first.min(rows);
        let count = count.min(rows - first);
        let mut shape = self.shape.clone();
        if let Some(rows) = shape.first_mut() {
            *rows = count;
        }
        let apart = self.strides.as_ref().and_then(|strides| strides.first());
        let bytes = |values: usize| (values * self.dtype.bitsize() / 8) as u64;
        let start = self.range.start + bytes(first * apart.copied().unwrap_or(row));
        let strides = self.strides.clone().filter(|_| count > 0);
        let end = if strides.is_some() { self.range.end } else { start + bytes(count * row) };
        WeightView { shape, range: start..end, strides, ..self.clone() }
    }

    /// The values.
    ///
    /// # Errors
    /// [`Error::Runtime`] for a type that is not read, for values that are not finite and where
    /// there are none; [`Error::Io`].
    pub fn read(&self) -> Result<Tensor, Error> {
        let bytes = self.source.read(self.range.start, self.range.end - self.range.start)?;
        let bytes = match &self.strides {
            Some(strides) => {
                Cow::Owned(gathered(&bytes, &self.shape, strides, self.dtype.bitsize() / 8))
            }
            None => bytes,
        };
        let file = self.source.name();
        Ok(View::new(&self.name, &file, self.shape.clone(), self.dtype, &bytes)?.read()?)
    }
}

/// Whether the values lie one after the other, the last dimension fastest.
fn row_major(shape: &[usize], strides: &[usize]) -> bool {
    let mut expected = Some(1usize);
    shape.contains(&0)
        || shape.iter().zip(strides).rev().filter(|(side, _)| **side != 1).all(|(side, stride)| {
            let fits = expected == Some(*stride);
            expected = expected.and_then(|n| n.checked_mul(*side));
            fits
        })
}

/// Values of `size` bytes that lie `strides` apart in `bytes`, one after the other.
fn gathered(bytes: &[u8], shape: &[usize], strides: &[usize], size: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(shape.iter().product::<usize>() * size);
    let (mut place, mut at) = (vec![0; shape.len()], 0);
    loop {
        out.extend_from_slice(&bytes[at * size..][..size]);
        let next = (0..shape.len()).rev().find(|&side| {
            place[side] += 1;
            at += strides[side];
            if place[side] == shape[side] {
                at -= strides[side] * shape[side];
                place[side] = 0;
            }
            place[side] != 0
        });
        if next.is_none() {
            return out;
        }
    }
}
