//! Functions of one register of values: the exponential, and the activations.

use std::f32::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

use pulp::Simd;

/// 1.5 * 2^23: added to a number below 2^22, it leaves the nearest whole number in the lowest bits.
pub(super) const ROUND: f32 = 12_582_912.0;

/// `e^x` to 3e-7 of its value; below -87 it is about 1e-38 and above 88 about 1e38. NaN for what is
/// not finite, on every processor.
///
/// `x = n ln 2 + r` with `|r| <= ln 2 / 2`, then Taylor's polynomial of degree 7 for `e^r` and `n`
/// put into the exponent's bits. `n` is rounded by adding [`ROUND`].
#[inline(always)]
pub(super) fn exp<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    // ln 2 in two parts, the first exact in few bits, so that n times it is exact.
    const LN2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    let all = |value: f32| simd.splat_f32s(value);
    // Minimum and maximum may drop a NaN; zero times what is not finite is one.
    let poison = simd.mul_f32s(x, all(0.0));
    let x = simd.min_f32s(all(88.0), simd.max_f32s(all(-87.0), x));
    let shifted = simd.mul_add_e_f32s(x, all(std::f32::consts::LOG2_E), all(ROUND));
    let n = simd.sub_f32s(shifted, all(ROUND));
    let r = simd.mul_add_e_f32s(n, all(-LN2[0]), x);
    let r = simd.mul_add_e_f32s(n, all(-LN2[1]), r);
    let mut sum = all(1.0 / 5040.0);
    for factor in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        sum = simd.mul_add_e_f32s(sum, r, all(factor));
    }
    let exponent =
        simd.wrapping_dyn_shl_u32s(simd.transmute_u32s_f32s(shifted), simd.splat_u32s(23));
    simd.add_f32s(
        simd.transmute_f32s_u32s(simd.add_u32s(simd.transmute_u32s_f32s(sum), exponent)),
        poison,
    )
}

/// `x Phi(x)` to 2e-7 times `|x|`, with the complementary error function as in Abramowitz and
/// Stegun, 7.1.26.
#[inline(always)]
pub(super) fn gelu<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    const P: f32 = 0.327_591_1;
    const A: [f32; 5] = [1.061_405_4, -1.453_152_1, 1.421_413_8, -0.284_496_74, 0.254_829_6];
    let all = |value: f32| simd.splat_f32s(value);
    let z = simd.mul_f32s(simd.abs_f32s(x), all(FRAC_1_SQRT_2));
    let t = simd.div_f32s(all(1.0), simd.mul_add_e_f32s(z, all(P), all(1.0)));
    let mut sum = all(A[0]);
    for factor in &A[1..] {
        sum = simd.mul_add_e_f32s(sum, t, all(*factor));
    }
    let e = exp(simd, simd.mul_f32s(simd.neg_f32s(z), z));
    // Half of erfc(|x| / sqrt 2): the tail of the normal distribution.
    let tail = simd.mul_f32s(all(0.5), simd.mul_f32s(simd.mul_f32s(sum, t), e));
    let below =
        simd.select_f32s(simd.less_than_f32s(x, all(0.0)), tail, simd.sub_f32s(all(1.0), tail));
    simd.mul_f32s(x, below)
}

/// `x sigmoid(1.702 x)`
#[inline(always)]
pub(super) fn quick_gelu<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    gated_by(simd, x, simd.mul_f32s(x, simd.splat_f32s(-1.702)))
}

/// `x sigmoid(sqrt(8 / pi) (x + 0.044715 x^3))`, which is `x (1 + tanh(sqrt(2 / pi) (x + 0.044715
/// x^3))) / 2`.
#[inline(always)]
pub(super) fn gelu_tanh<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    // The square root of 8 / pi.
    const SLOPE: f32 = -2.0 * FRAC_2_SQRT_PI * FRAC_1_SQRT_2;
    let square = simd.mul_f32s(x, x);
    let factor =
        simd.mul_add_e_f32s(square, simd.splat_f32s(SLOPE * 0.044_715), simd.splat_f32s(SLOPE));
    gated_by(simd, x, simd.mul_f32s(x, factor))
}

/// `x sigmoid(x)`
#[inline(always)]
pub(super) fn silu<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    gated_by(simd, x, simd.neg_f32s(x))
}

/// `x / (1 + e^minus)`
#[inline(always)]
fn gated_by<S: Simd>(simd: S, x: S::f32s, minus: S::f32s) -> S::f32s {
    simd.div_f32s(x, simd.add_f32s(simd.splat_f32s(1.0), exp(simd, minus)))
}
