//! The arithmetic of a vision transformer in f32, written once and compiled for each set of SIMD
//! instructions that the processor may have: AVX-512, AVX2 or none on x86-64, NEON on 64-bit Arm.
//! The best one is chosen when a base is loaded.
//!
//! Shapes are the callers' to get right: slices that do not fit panic, and `classify::base` turns
//! that into an error.

mod attention;
mod half_panels;
mod int8;
mod linear;
mod math;
mod norm;
mod panels;
mod rotate;
mod vnni;

pub(crate) use attention::{Attend, AttentionWeights};
pub(crate) use half_panels::{Half, HalfPanels, Room};
pub(crate) use int8::{Int8Panels, Int8Rows};
pub(crate) use linear::{Activation, Factor, Linear, LowRank, Store};
pub(crate) use norm::layer_norm;
pub(crate) use panels::Panels;
pub(crate) use rotate::Rotate;

use pulp::{Arch, Simd, WithSimd};

/// A set of SIMD instructions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Level {
    arch: Arch,
    /// Whether products of bytes have an instruction of their own.
    vnni: bool,
}

impl Level {
    /// The best that this processor has.
    pub fn best() -> Self {
        Level { arch: Arch::new(), vnni: vnni::available() }
    }

    /// All that this processor has, the best first.
    #[cfg(test)]
    pub fn all() -> Vec<Self> {
        let mut all = vec![Self::best()];
        #[cfg(target_arch = "x86_64")]
        {
            if let (Arch::V4(_), Some(avx2)) = (Arch::new(), pulp::x86::V3::try_new()) {
                all.push(Level { arch: Arch::V3(avx2), vnni: false });
            }
            if !matches!(Arch::new(), Arch::Scalar) {
                all.push(Level { arch: Arch::Scalar, vnni: false });
            }
        }
        all
    }

    /// Runs `work` with these instructions.
    pub fn run<W: WithSimd>(self, work: W) -> W::Output {
        self.arch.dispatch(work)
    }

    /// Values in one register, and registers in one panel.
    fn widths(self) -> (usize, usize) {
        struct Widths;
        impl WithSimd for Widths {
            type Output = (usize, usize);
            fn with_simd<S: Simd>(self, _: S) -> (usize, usize) {
                (S::F32_LANES, vectors::<S>())
            }
        }
        self.run(Widths)
    }
}

/// Most registers side by side in a tile, and most rows: together they fill the registers that sums
/// may take (8 x 3 of 32, 6 x 2 of 16).
const fn vectors<S: Simd>() -> usize {
    if S::REGISTER_COUNT >= 32 { 3 } else { 2 }
}

const fn rows<S: Simd>() -> usize {
    if S::REGISTER_COUNT >= 32 { 8 } else { 6 }
}

#[cfg(test)]
mod tests;
