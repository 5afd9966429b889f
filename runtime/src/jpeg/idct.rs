//! The inverse cosine transform of an 8 x 8 block, in integers: the fast algorithm of Loeffler,
//! Ligtenberg and Moschytz. Constants have 13 bits, values in between 1 or 2 more. The result is
//! that of libjpeg's accurate transform (`islow`), to the last bit.

use std::num::Wrapping;

/// What a sample is kept in: a byte for 8 bits, two for 12.
pub trait Sample: Copy + Default + Into<i32> {
    /// Bits of a sample.
    const BITS: u8;
    /// Further bits that the first pass keeps.
    const KEPT: usize;

    /// From a value that fits.
    fn from_value(value: i32) -> Self;

    /// From a value around 0, which is half of the range; what is beyond the range is its end.
    fn from_level(value: i32) -> Self {
        let half = 1 << (Self::BITS - 1);
        Self::from_value((value + half).clamp(0, 2 * half - 1))
    }
}

impl Sample for u8 {
    const BITS: u8 = 8;
    const KEPT: usize = 2;

    fn from_value(value: i32) -> Self {
        value as u8
    }
}

impl Sample for u16 {
    const BITS: u8 = 12;
    const KEPT: usize = 1;

    fn from_value(value: i32) -> Self {
        value as u16
    }
}

type Lane = Wrapping<i32>;
type Lanes = [Lane; 8];

/// Bits of the constants.
const BITS: usize = 13;

/// The samples of a block, row by row, of its coefficients times their steps. What overflows,
/// wraps.
pub(super) fn samples<S: Sample>(coefficients: &[i32; 64]) -> [S; 64] {
    if coefficients[1..].iter().all(|&coefficient| coefficient == 0) {
        return [S::from_level(coefficients[0].wrapping_add(4) >> 3); 64];
    }
    let mut rows = [[Wrapping(0); 8]; 8];
    for (row, from) in rows.iter_mut().zip(coefficients.as_chunks::<8>().0) {
        *row = from.map(Wrapping);
    }
    let columns = transposed(&pass(&rows, BITS - S::KEPT));
    let rows = transposed(&pass(&columns, BITS + S::KEPT + 3));
    let mut samples = [S::default(); 64];
    for (to, row) in samples.as_chunks_mut::<8>().0.iter_mut().zip(&rows) {
        *to = row.map(|value| S::from_level(value.0));
    }
    samples
}

/// The transform of eight columns side by side, moved down by `shift` with rounding.
fn pass(rows: &[Lanes; 8], shift: usize) -> [Lanes; 8] {
    let mut out = [[Wrapping(0); 8]; 8];
    for lane in 0..8 {
        let [i0, i1, i2, i3, i4, i5, i6, i7] =
            [0, 1, 2, 3, 4, 5, 6, 7].map(|row: usize| rows[row][lane]);
        let times = |value: Lane, constant: i32| value * Wrapping(constant);

        let turned = times(i2 + i6, 4433);
        let (low, high) = (turned - times(i6, 15_137), turned + times(i2, 6270));
        let (sum, difference) = ((i0 + i4) << BITS, (i0 - i4) << BITS);
        let even = [sum + high, difference + low, difference - low, sum - high];

        let both = times(i7 + i3 + i5 + i1, 9633);
        let (a, b) = (times(i7 + i1, -7373), times(i5 + i3, -20_995));
        let (c, d) = (both + times(i7 + i3, -16_069), both + times(i5 + i1, -3196));
        let odd = [
            times(i1, 12_299) + a + d,
            times(i3, 25_172) + b + c,
            times(i5, 16_819) + b + d,
            times(i7, 2446) + a + c,
        ];
        let half = Wrapping(1 << (shift - 1));
        for at in 0..4 {
            out[at][lane] = (even[at] + odd[at] + half) >> shift;
            out[7 - at][lane] = (even[at] - odd[at] + half) >> shift;
        }
    }
    out
}

fn transposed(rows: &[Lanes; 8]) -> [Lanes; 8] {
    std::array::from_fn(|column| std::array::from_fn(|row| rows[row][column]))
}
