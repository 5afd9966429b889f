//! Products in eight bits: weights with a scale for each column, activations with a scale for each
//! row, sums in whole numbers.
//!
//! A row is scaled so that its largest value is 127, rounded, and shifted by 128 into unsigned
//! bytes, as the processor's instruction wants it; what the shift adds is taken away with the sum
//! of each column's weights. Sums of whole numbers are the same on every processor. A row with a
//! value that is not finite gives NaN.

use pulp::{Simd, WithSimd};

use super::Level;
use super::math::ROUND;
use super::panels::spans;
use super::vnni;

/// `[k, n]` in signed bytes.
#[derive(Clone, Debug)]
pub(crate) struct Int8Panels {
    pub k: usize,
    pub n: usize,
    /// Rows that lie together: as many as an instruction multiplies at once.
    group: usize,
    /// By panel of columns, by group of rows, by column: a byte for each row of the group.
    data: Vec<i8>,
    /// By column: what a step of its weights is worth.
    scales: Vec<f32>,
    /// By column: the sum of its weights, times the shift.
    shifts: Vec<i32>,
}

/// Rows of activations in unsigned bytes.
pub(crate) struct Int8Rows {
    /// Bytes of a row: the depth, filled up to whole fours.
    stride: usize,
    data: Vec<u8>,
    scales: Vec<f32>,
}

/// Columns whose sums are taken together: sums of one register, and registers of a panel.
const LANES: usize = 16;
const VECTORS: usize = 3;
/// Rows whose sums are taken together.
const ROWS: usize = 8;
/// What is added to a signed value.
const SHIFT: i32 = 128;
const LARGEST: f32 = 127.0;

impl Int8Panels {
    /// Rounds `values`, `[k, n]` row by row.
    #[cfg(test)]
    pub fn new(level: Level, k: usize, n: usize, values: &[f32]) -> Self {
        let rows = |each: &mut dyn FnMut(usize, &[f32])| {
            values.chunks_exact(n).enumerate().for_each(|(row, values)| each(row, values));
            Ok::<_, std::convert::Infallible>(())
        };
        let Ok(panels) = Self::of(level, k, n, rows);
        panels
    }

    /// Rounds `[k, n]`, whose rows are read twice, one after the other: they are never whole in
    /// memory.
    pub fn of<E>(
        level: Level,
        k: usize,
        n: usize,
        rows: impl Fn(&mut dyn FnMut(usize, &[f32])) -> Result<(), E>,
    ) -> Result<Self, E> {
        let group = if level.vnni { 4 } else { 2 };
        let mut largest = vec![0.0_f32; n];
        rows(&mut |_, row| {
            largest
                .iter_mut()
                .zip(row)
                .for_each(|(largest, value)| *largest = largest.max(value.abs()));
        })?;
        let scales: Vec<f32> = largest.iter().map(|largest| largest / LARGEST).collect();
        let mut shifts = vec![0; n];
        let deep = k.next_multiple_of(4);
        let mut data = vec![0; deep * n.next_multiple_of(LANES)];
        let spans: Vec<_> = spans(n, LANES, VECTORS).collect();
        rows(&mut |row, values| {
            for &(first, width) in &spans {
                let panel = &mut data[first * deep..][..width * deep];
                for column in 0..width.min(n - first) {
                    let scale = scales[first + column];
                    let step = if scale > 0.0 {
                        (values[first + column] / scale).round_ties_even()
                    } else {
                        0.0
                    };
                    let step = step.clamp(-LARGEST, LARGEST) as i8;
                    panel[(row / group * width + column) * group + row % group] = step;
                    shifts[first + column] += SHIFT * i32::from(step);
                }
            }
        })?;
        Ok(Int8Panels { k, n, group, data, scales, shifts })
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        self.data.len() + (self.scales.len() + self.shifts.len()) * size_of::<f32>()
    }

    /// The product of `rows` with this, `[rows, n]`.
    pub fn product(&self, level: Level, rows: &Int8Rows) -> Vec<f32> {
        let count = rows.scales.len();
        let mut out = vec![0.0; count * self.n];
        for (first, width) in spans(self.n, LANES, VECTORS) {
            let panel = &self.data[first * rows.stride..][..width * rows.stride];
            for row in (0..count).step_by(ROWS) {
                let taken = (count - row).min(ROWS);
                let bytes = &rows.data[row * rows.stride..][..taken * rows.stride];
                let mut sums = [0; ROWS * VECTORS * LANES];
                let sums = &mut sums[..taken * width];
                match self.group {
                    4 => vnni::sums(bytes, taken, panel, sums),
                    _ => level.run(Sums { rows: bytes, count: taken, panel, sums }),
                }
                let columns = first..(first + width).min(self.n);
                level.run(Scale {
                    sums,
                    width,
                    shifts: &self.shifts[columns.clone()],
                    steps: &self.scales[columns],
                    scales: &rows.scales[row..][..taken],
                    out: &mut out[row * self.n + first..],
                    stride: self.n,
                });
            }
        }
        out
    }
}

impl Int8Rows {
    /// Rounds `x`, rows of `k`.
    pub fn new(level: Level, x: &[f32], k: usize) -> Self {
        let (count, stride) = (x.len() / k, k.next_multiple_of(4));
        let mut rows =
            Int8Rows { stride, data: vec![SHIFT as u8; count * stride], scales: vec![0.0; count] };
        level.run(Round { x, k, rows: &mut rows });
        rows
    }
}

/// Whole sums to numbers: the shift taken away, times the steps of row and column.
struct Scale<'a> {
    /// `[rows, width]`
    sums: &'a [i32],
    width: usize,
    /// Of as many columns as are wanted.
    shifts: &'a [i32],
    steps: &'a [f32],
    /// Of rows.
    scales: &'a [f32],
    /// Rows `stride` apart.
    out: &'a mut [f32],
    stride: usize,
}

impl WithSimd for Scale<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (index, (sums, scale)) in
            self.sums.chunks_exact(self.width).zip(self.scales).enumerate()
        {
            let out = &mut self.out[index * self.stride..][..self.steps.len()];
            for (((out, sum), step), shift) in
                out.iter_mut().zip(sums).zip(self.steps).zip(self.shifts)
            {
                *out = sum.wrapping_sub(*shift) as f32 * (scale * step);
            }
        }
    }
}

struct Round<'a> {
    x: &'a [f32],
    k: usize,
    rows: &'a mut Int8Rows,
}

impl WithSimd for Round<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let lanes = S::F32_LANES;
        let Int8Rows { stride, data, scales } = self.rows;
        let mut bits = vec![0; self.k];
        for ((x, row), scale) in
            self.x.chunks_exact(self.k).zip(data.chunks_exact_mut(*stride)).zip(scales)
        {
            let (whole, rest) = S::as_simd_f32s(x);
            // Zero times what is not finite is NaN.
            let (mut largest, mut poison) = (simd.splat_f32s(0.0), simd.splat_f32s(0.0));
            for &value in whole.iter().chain([&simd.partial_load_f32s(rest)]) {
                largest = simd.max_f32s(largest, simd.abs_f32s(value));
                poison = simd.mul_add_e_f32s(value, simd.splat_f32s(0.0), poison);
            }
            let largest = simd.reduce_max_f32s(largest);
            *scale = largest / LARGEST + simd.reduce_sum_f32s(poison);
            let inverse = simd.splat_f32s(if largest > 0.0 { LARGEST / largest } else { 0.0 });
            let round = simd.splat_f32s(ROUND + SHIFT as f32);
            for (bits, values) in bits.chunks_mut(lanes).zip(x.chunks(lanes)) {
                let rounded = simd.mul_add_e_f32s(simd.partial_load_f32s(values), inverse, round);
                simd.partial_store_u32s(bits, simd.transmute_u32s_f32s(rounded));
            }
            row.iter_mut().zip(&bits).for_each(|(byte, bits)| *byte = *bits as u8);
        }
    }
}

/// The portable form of [`vnni::sums`].
struct Sums<'a> {
    rows: &'a [u8],
    count: usize,
    panel: &'a [i8],
    sums: &'a mut [i32],
}

impl WithSimd for Sums<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let (stride, width) = (self.rows.len() / self.count, self.sums.len() / self.count);
        for (row, sums) in self.rows.chunks_exact(stride).zip(self.sums.chunks_exact_mut(width)) {
            for (values, weights) in
                row.as_chunks::<2>().0.iter().zip(self.panel.chunks_exact(width * 2))
            {
                let [one, two] = values.map(i16::from).map(i32::from);
                for (sum, weights) in sums.iter_mut().zip(weights.as_chunks::<2>().0) {
                    let [first, second] = weights.map(i16::from).map(i32::from);
                    *sum = sum.wrapping_add(one * first + two * second);
                }
            }
        }
    }
}
