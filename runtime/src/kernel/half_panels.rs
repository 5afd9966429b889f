//! Weights that are stored in 16 bits and kept so: f16 or bf16, in panels as [`Panels`] has them.
//!
//! A product widens them a panel at a time, into room that its caller has, and once for all of its
//! rows. What it gives is what the same weights in f32 give, to the last bit.
//!
//! [`Panels`]: super::Panels

use std::io;

use memmap2::MmapMut;
use pulp::{Simd, WithSimd};

use super::Level;
use super::panels::{LINE, spans};
use crate::{Error, memory};

/// A type of 16 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Half {
    /// IEEE 754 binary16.
    F16,
    /// The upper half of a binary32.
    Bf16,
}

/// `[k, n]` in panels of 16-bit values, all of them finite. Columns beyond `n` are zeros.
#[derive(Debug)]
pub(crate) struct HalfPanels {
    pub k: usize,
    pub n: usize,
    half: Half,
    lanes: usize,
    /// Registers of a panel in f32, most of them first.
    vectors: usize,
    map: MmapMut,
}

/// Where a panel of 16 bits stands in f32 while it is multiplied.
pub(crate) struct Room(Vec<f32>);

impl HalfPanels {
    /// Room for weights `[k, n]`, all zeros.
    pub fn weights(level: Level, half: Half, k: usize, n: usize) -> io::Result<Self> {
        let (lanes, vectors) = level.widths();
        let map = memory::filled(k * n.next_multiple_of(lanes) * size_of::<u16>())?;
        Ok(HalfPanels { k, n, half, lanes, vectors, map })
    }

    /// Takes the bits of row `row`.
    pub fn set_row(&mut self, row: usize, bits: &[u16]) {
        let (k, n) = (self.k, self.n);
        let data: &mut [u16] = bytemuck::cast_slice_mut(&mut self.map);
        for (first, width) in spans(n, self.lanes, self.vectors) {
            let taken = width.min(n - first);
            data[first * k + row * width..][..taken].copy_from_slice(&bits[first..][..taken]);
        }
    }

    /// Values of the widest panel: what a [`Room`] for a product with these must hold.
    pub fn widest(&self) -> usize {
        spans(self.n, self.lanes, self.vectors).map(|(_, width)| width * self.k).max().unwrap_or(0)
    }

    /// The panel that begins at column `first`, `[k, width]`, in f32 at the beginning of `room`.
    #[inline(always)]
    pub fn widened<'a, S: Simd>(
        &self,
        simd: S,
        first: usize,
        width: usize,
        room: &'a mut [f32],
    ) -> &'a [f32] {
        let data: &[u16] = bytemuck::cast_slice(&self.map);
        let bits = &data[first * self.k..][..width * self.k];
        let wide = &mut room[..bits.len()];
        // Each is a function of its own, so that it is compiled once.
        match self.half {
            Half::F16 => simd.vectorize(WidenF16 { bits, wide: &mut *wide }),
            Half::Bf16 => simd.vectorize(WidenBf16 { bits, wide: &mut *wide }),
        }
        wide
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        self.map.len()
    }
}

impl Room {
    /// Room for a panel of so many values.
    ///
    /// # Errors
    /// [`Error::Memory`].
    pub fn new(values: usize) -> Result<Self, Error> {
        Ok(Room(memory::floats(values + LINE, "a layer's weights in f32")?))
    }

    /// From a cache line on.
    pub fn values(&mut self) -> &mut [f32] {
        let start = self.0.as_ptr().align_offset(LINE * size_of::<f32>()).min(LINE);
        &mut self.0[start..]
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.0)
    }
}

struct WidenF16<'a> {
    bits: &'a [u16],
    wide: &'a mut [f32],
}

impl WithSimd for WidenF16<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (wide, bits) in self.wide.iter_mut().zip(self.bits) {
            *wide = f16_to_f32(*bits);
        }
    }
}

struct WidenBf16<'a> {
    bits: &'a [u16],
    wide: &'a mut [f32],
}

impl WithSimd for WidenBf16<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (wide, bits) in self.wide.iter_mut().zip(self.bits) {
            *wide = f32::from_bits(u32::from(*bits) << 16);
        }
    }
}

/// A finite f16 in f32: no branch, so that it is compiled for vectors, and no subnormal f32, which
/// some processors are slow with.
///
/// With exponent and fraction in their places, and the exponent's other bias, a normal number is
/// right. A subnormal one `v` comes out as `(v + s) / 2`, where `s` is the smallest normal number:
/// twice that, less `s`, is `v`. Only for subnormal numbers that is less than what it is made from,
/// so that the lesser one is right for all.
#[inline(always)]
fn f16_to_f32(bits: u16) -> f32 {
    /// 2^-14
    const SMALLEST: f32 = 1.0 / 16_384.0;
    // The sign at the top, and copies of it below.
    let bits = (i32::from(bits.cast_signed()) << 13).cast_unsigned();
    let normal = f32::from_bits((bits & 0x0fff_e000) + (112 << 23));
    let subnormal = normal + normal - SMALLEST;
    let size = if subnormal < normal { subnormal } else { normal };
    f32::from_bits(size.to_bits() | (bits & 0x8000_0000))
}
