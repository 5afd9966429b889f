//! The two number types of the `cpu` device, and the elementary functions in a form that
//! vectorises.
//!
//! The f32 functions are polynomials without branches; comparisons are written so that NaN stays
//! NaN.

use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub};

use crate::device::Stored;

/// f32 or f64.
pub trait Real:
    Copy
    + Send
    + Sync
    + PartialOrd
    + std::fmt::Debug
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + Sum
    + 'static
{
    const ZERO: Self;
    const ONE: Self;
    const NAN: Self;
    fn from_f64(value: f64) -> Self;
    fn to_f64(self) -> f64;
    fn exp(self) -> Self;
    fn sqrt(self) -> Self;
    /// (Phi(x), phi(x)): the normal distribution function and its density.
    fn normal(self) -> (Self, Self);
    /// The values themselves, where this is their type.
    fn of_f32(values: &[f32]) -> Option<&[Self]>;
    /// Fills `out` with the stored values from `first` on.
    fn widen(stored: &Stored, first: usize, out: &mut [Self]);
}

impl Real for f32 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    const NAN: Self = f32::NAN;

    #[inline(always)]
    fn from_f64(value: f64) -> Self {
        value as f32
    }

    #[inline(always)]
    fn to_f64(self) -> f64 {
        f64::from(self)
    }

    /// 2^n * e^r with |r| <= ln(2)/2, e^r by its Taylor polynomial of degree 7; relative error
    /// under 2e-7.
    #[inline(always)]
    fn exp(self) -> Self {
        // 1.5 * 2^23: adding it rounds to an integer and leaves that in the low bits
        const ROUND: f32 = 12_582_912.0;
        const LN2_HIGH: f32 = 0.693_145_75; // 15 bits of ln 2, so that n * LN2_HIGH is exact
        const LN2_LOW: f32 = 1.428_606_8e-6;
        let x = if self < -87.0 { -87.0 } else { self };
        let x = if x > 88.0 { 88.0 } else { x };
        let shifted = x * std::f32::consts::LOG2_E + ROUND;
        let n = shifted - ROUND;
        let r = x - n * LN2_HIGH - n * LN2_LOW;
        let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000));
        let tail = 1.0 / 120.0 + r * (1.0 / 720.0 + r * (1.0 / 5040.0));
        (1.0 + r * (1.0 + r * (0.5 + r * (1.0 / 6.0 + r * (1.0 / 24.0 + r * tail))))) * power
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        f32::sqrt(self)
    }

    /// The error function by Abramowitz & Stegun, formula 7.1.26 (error 1.5e-7 before rounding):
    /// Phi is within 3e-7.
    #[inline(always)]
    fn normal(self) -> (Self, Self) {
        let gauss = Real::exp(-0.5 * self * self);
        let t = 1.0 / (1.0 + 0.327_591_1 * std::f32::consts::FRAC_1_SQRT_2 * self.abs());
        let poly = t
            * (0.254_829_6
                + t * (-0.284_496_72 + t * (1.421_413_8 + t * (-1.453_152_1 + t * 1.061_405_4))));
        let upper = 0.5 * poly * gauss;
        let below = if self < 0.0 { upper } else { 1.0 - upper };
        (below, gauss * 0.398_942_3)
    }

    fn of_f32(values: &[f32]) -> Option<&[Self]> {
        Some(values)
    }

    fn widen(stored: &Stored, first: usize, out: &mut [Self]) {
        stored.widen(first, out);
    }
}

impl Real for f64 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    const NAN: Self = f64::NAN;

    fn from_f64(value: f64) -> Self {
        value
    }

    fn to_f64(self) -> f64 {
        self
    }

    fn exp(self) -> Self {
        libm::exp(self)
    }

    fn sqrt(self) -> Self {
        f64::sqrt(self)
    }

    fn normal(self) -> (Self, Self) {
        let below = 0.5 * libm::erfc(-self * std::f64::consts::FRAC_1_SQRT_2);
        (below, libm::exp(-0.5 * self * self) / (2.0 * std::f64::consts::PI).sqrt())
    }

    fn of_f32(_: &[f32]) -> Option<&[Self]> {
        None
    }

    fn widen(stored: &Stored, first: usize, out: &mut [Self]) {
        let mut values = vec![0.0; out.len()];
        stored.widen(first, &mut values);
        out.iter_mut().zip(values).for_each(|(out, value)| *out = f64::from(value));
    }
}

/// Runs `work` compiled for the widest vectors that this processor has.
#[inline(always)]
pub fn vectorised<R>(work: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(work)
}

const LANES: usize = 16;

/// The sum of f over the pairs of x and y, in [`LANES`] partial sums.
#[inline(always)]
pub fn sum2<T: Real>(x: &[T], y: &[T], f: impl Fn(T, T) -> T) -> T {
    let mut lanes = [T::ZERO; LANES];
    let (xs, ys) = (x.chunks_exact(LANES), y.chunks_exact(LANES));
    let mut rest = T::ZERO;
    for (x, y) in xs.remainder().iter().zip(ys.remainder()) {
        rest += f(*x, *y);
    }
    for (x, y) in xs.zip(ys) {
        for i in 0..LANES {
            lanes[i] += f(x[i], y[i]);
        }
    }
    lanes.into_iter().sum::<T>() + rest
}

/// The sum of f over x.
#[inline(always)]
pub fn sum<T: Real>(x: &[T], f: impl Fn(T) -> T) -> T {
    sum2(x, x, |x, _| f(x))
}

/// Replaces a row by its softmax.
#[inline(always)]
pub fn softmax<T: Real>(row: &mut [T]) {
    let mut lanes = [row[0]; LANES];
    let chunks = row.chunks_exact(LANES);
    for x in chunks.remainder() {
        lanes[0] = if *x > lanes[0] { *x } else { lanes[0] };
    }
    for chunk in chunks {
        for i in 0..LANES {
            lanes[i] = if chunk[i] > lanes[i] { chunk[i] } else { lanes[i] };
        }
    }
    let max = lanes.into_iter().fold(row[0], |a, b| if b > a { b } else { a });
    for x in row.iter_mut() {
        *x = (*x - max).exp();
    }
    let scale = T::ONE / sum(row, |x| x);
    for x in row.iter_mut() {
        *x = *x * scale;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_within_two_parts_in_ten_million() {
        for i in -86_000..88_000 {
            let x = i as f32 / 1000.0;
            let exact = f64::from(x).exp();
            let error = (f64::from(Real::exp(x)) - exact).abs() / exact;
            assert!(error < 2.5e-7, "exp({x}): relative error {error:e}");
        }
        assert!(Real::exp(f32::NAN).is_nan());
        assert!(Real::exp(-1e30f32) < 2e-38);
    }

    #[test]
    fn normal_is_within_its_stated_error() {
        for i in -8000..8000 {
            let x = i as f32 / 1000.0;
            let (below, density) = x.normal();
            let (exact_below, exact_density) = f64::from(x).normal();
            assert!(
                (f64::from(below) - exact_below).abs() < 3e-7,
                "Phi({x}) = {below}, not {exact_below}"
            );
            assert!((f64::from(density) - exact_density).abs() < 1e-7, "phi({x})");
        }
        assert!(f32::NAN.normal().0.is_nan());
    }

    #[test]
    fn softmax_keeps_nan() {
        for at in [0, 3, 20] {
            let mut row = vec![1.0f32; 21];
            row[at] = f32::NAN;
            softmax(&mut row);
            assert!(row.iter().all(|x| x.is_nan()), "NaN at {at} was swallowed");
        }
    }
}
