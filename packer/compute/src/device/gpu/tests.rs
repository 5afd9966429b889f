//! One table of cases, run on the processor in f64 and on every adapter in every form of the
//! kernels; fresh memory is NaN.
//!
//! Where there is no adapter the tests say so and pass, unless MEDFORGE_REQUIRE_GPU=1 says that
//! there must be one.

use std::sync::OnceLock;

use super::forms::{self, Variant};
use super::{Gpu, Options};
use crate::device::Activation;
use crate::device::cpu::Cpu;

const KINDS: [Activation; 4] =
    [Activation::Gelu, Activation::QuickGelu, Activation::GeluTanh, Activation::Silu];

/// Every usable adapter in every form that can run on it, opened once.
fn variants() -> &'static [Variant] {
    static VARIANTS: OnceLock<Vec<Variant>> = OnceLock::new();
    VARIANTS.get_or_init(|| {
        let variants = forms::variants().unwrap();
        if variants.is_empty() {
            let required = std::env::var("MEDFORGE_REQUIRE_GPU").is_ok_and(|v| v == "1");
            assert!(!required, "MEDFORGE_REQUIRE_GPU=1, and no usable GPU adapter is here");
            eprintln!("NO GPU ADAPTER IS HERE: the gpu device is NOT tested");
        }
        variants
    })
}

/// Reproducible multiples of 1/256 in [-1, 1): exact in f16.
fn numbers(len: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 8) % 512
    };
    (0..len).map(|_| next() as f32 / 256.0 - 1.0).collect()
}

/// The same computation on the processor in f64 and on every adapter, compared at the tolerance of
/// the result's largest value.
macro_rules! case {
    ($name:expr, $tolerance:expr, |$d:ident| $body:expr) => {{
        let exact = {
            let $d = &Cpu::<f64>::poisoned();
            let buffers: Vec<_> = $body.into_iter().collect();
            buffers.iter().map(|b| $d.download(b).unwrap()).collect::<Vec<_>>()
        };
        for variant in variants() {
            let $d = &variant.gpu;
            let buffers: Vec<_> = $body.into_iter().collect();
            let found: Vec<_> = buffers.iter().map(|b| $d.download(b).unwrap()).collect();
            compare(
                &format!("{}, {}", $name, variant.name),
                variant.half,
                $tolerance,
                &found,
                &exact,
            );
        }
    }};
}

mod faults;
mod images;
mod products;
mod rows;
mod tokens;
mod training;

fn compare(name: &str, half: bool, tolerance: f32, found: &[Vec<f32>], exact: &[Vec<f32>]) {
    assert_eq!(found.len(), exact.len(), "{name}");
    for (output, (found, exact)) in found.iter().zip(exact).enumerate() {
        assert_eq!(found.len(), exact.len(), "{name}: output {output}");
        let largest = exact.iter().filter(|x| x.is_finite()).fold(0.0f32, |m, x| m.max(x.abs()));
        let limit = if half { 6e-3 } else { tolerance } * largest.max(0.05);
        for (i, (found, exact)) in found.iter().zip(exact).enumerate() {
            let same = found.is_nan() == exact.is_nan()
                && (exact.is_nan() || (found - exact).abs() <= limit);
            assert!(
                same,
                "{name}: output {output}, value {i}: {found} where {exact} is right (limit \
                 {limit:e})"
            );
        }
    }
}
