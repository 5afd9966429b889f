//! A linear layer with everything that follows it: `y = act((x W + l B) * m + b) * s`, or that
//! added to `y` or multiplied with it.
//!
//! A tile of rows and columns keeps its sums in registers over the whole depth, goes on over the
//! low-rank branch `l B` without leaving them, and is finished and stored once. Weights are read
//! from their panels (see Goto and van de Geijn, "Anatomy of high-performance matrix
//! multiplication", 2008, for why).

use pulp::{Simd, WithSimd};

use super::panels::spans;
use super::{HalfPanels, Panels, math, rows, vectors};

/// What is applied to a linear layer's sums.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Activation {
    #[default]
    None,
    /// `x Phi(x)`, Phi being the normal distribution function.
    Gelu,
    /// `x sigmoid(1.702 x)`
    QuickGelu,
    /// `x sigmoid(sqrt(8 / pi) (x + 0.044715 x^3))`, the GELU by the hyperbolic tangent.
    GeluTanh,
    /// `x sigmoid(x)`
    Silu,
}

/// What becomes of a linear layer's result.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Store {
    /// It replaces what is there.
    #[default]
    Replace,
    /// It is added to what is there.
    Add,
    /// It is multiplied with what is there.
    Multiply,
}

/// The second half of a low-rank branch: `values` `[rows, rank]` and `b` `[rank, n]`.
#[derive(Clone, Copy)]
pub(crate) struct LowRank<'a> {
    pub values: &'a [f32],
    pub b: &'a Panels,
}

/// What a linear layer's sums begin with.
#[derive(Clone, Copy)]
pub(crate) enum Factor<'a> {
    /// `x W` with `W` `[k, n]`.
    Panels(&'a Panels),
    /// The same, of 16-bit values.
    Half(&'a HalfPanels),
    /// What was multiplied elsewhere, `[rows, n]`.
    Product { values: &'a [f32], n: usize },
}

/// One product and what follows it.
pub(crate) struct Linear<'a> {
    /// `[rows, k]`, rows `x_stride` apart.
    pub x: &'a [f32],
    pub x_stride: usize,
    pub rows: usize,
    /// `[k, n]`
    pub weight: Factor<'a>,
    /// For weights of 16 bits: as many values as [`HalfPanels::widest`] says.
    pub room: &'a mut [f32],
    pub low: Option<LowRank<'a>>,
    /// `[n]`: what the sums are multiplied with before the bias.
    pub magnitude_scale: Option<&'a [f32]>,
    /// `[n]`
    pub bias: Option<&'a [f32]>,
    pub activation: Activation,
    /// `[n]`: what the activated sums are multiplied with.
    pub layer_scale: Option<&'a [f32]>,
    pub store: Store,
    /// `[rows, n]`, rows `out_stride` apart.
    pub out: &'a mut [f32],
    pub out_stride: usize,
}

impl<'a> Linear<'a> {
    /// `x W` and nothing else, rows without gaps.
    pub fn product(x: &'a [f32], rows: usize, weight: &'a Panels, out: &'a mut [f32]) -> Self {
        let (x_stride, out_stride) = (weight.k, weight.n);
        Linear {
            x,
            x_stride,
            rows,
            weight: Factor::Panels(weight),
            room: &mut [],
            low: None,
            magnitude_scale: None,
            bias: None,
            activation: Activation::None,
            layer_scale: None,
            store: Store::Replace,
            out,
            out_stride,
        }
    }
}

impl WithSimd for Linear<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let (weight, room) = (self.weight, std::mem::take(&mut self.room));
        for (first, width) in spans(self.columns(), S::F32_LANES, vectors::<S>()) {
            let panel = match weight {
                Factor::Panels(panels) => panels.panel(first, width),
                Factor::Half(panels) => panels.widened(simd, first, width, &mut *room),
                Factor::Product { .. } => &[],
            };
            match width / S::F32_LANES {
                1 => self.panel::<S, 1>(simd, first, panel),
                3 if const { vectors::<S>() >= 3 } => self.panel::<S, 3>(simd, first, panel),
                _ => self.panel::<S, 2>(simd, first, panel),
            }
        }
    }
}

impl Linear<'_> {
    fn columns(&self) -> usize {
        match self.weight {
            Factor::Panels(panels) => panels.n,
            Factor::Half(panels) => panels.n,
            Factor::Product { n, .. } => n,
        }
    }

    #[inline(always)]
    fn panel<S: Simd, const V: usize>(&mut self, simd: S, first: usize, weights: &[f32]) {
        debug_assert!(V <= vectors::<S>());
        let mut row = 0;
        while row < self.rows {
            let count = (self.rows - row).min(rows::<S>());
            match count {
                1 => self.tile::<S, V, 1>(simd, first, row, weights),
                2 => self.tile::<S, V, 2>(simd, first, row, weights),
                3 => self.tile::<S, V, 3>(simd, first, row, weights),
                4 => self.tile::<S, V, 4>(simd, first, row, weights),
                5 => self.tile::<S, V, 5>(simd, first, row, weights),
                7 if const { rows::<S>() >= 8 } => self.tile::<S, V, 7>(simd, first, row, weights),
                8 if const { rows::<S>() >= 8 } => self.tile::<S, V, 8>(simd, first, row, weights),
                _ => self.tile::<S, V, 6>(simd, first, row, weights),
            }
            row += count;
        }
    }

    /// Loops by index over sums that are never copied whole: the form in which the compiler keeps
    /// 24 of them in registers.
    #[inline(always)]
    fn tile<S: Simd, const V: usize, const M: usize>(
        &mut self,
        simd: S,
        first: usize,
        row: usize,
        weights: &[f32],
    ) {
        let width = V * S::F32_LANES;
        let nothing = (&[][..], 0, 0, &[][..]);
        let mut factors = [nothing; 2];
        let mut sums = [[simd.splat_f32s(0.0); V]; M];
        match self.weight {
            Factor::Panels(Panels { k, .. }) | Factor::Half(HalfPanels { k, .. }) => {
                factors[0] = (self.x, self.x_stride, *k, weights)
            }
            Factor::Product { values, n } => {
                for (index, sums) in sums.iter_mut().enumerate() {
                    let values = &values[(row + index) * n..][..n];
                    for (vector, sum) in sums.iter_mut().enumerate() {
                        let from = first + vector * S::F32_LANES;
                        *sum = simd.partial_load_f32s(&values[from..(from + S::F32_LANES).min(n)]);
                    }
                }
            }
        }
        if let Some(low) = self.low {
            factors[1] = (low.values, low.b.k, low.b.k, low.b.panel(first, width));
        }
        for (x, stride, k, panel) in factors {
            let x = if k == 0 { x } else { &x[row * stride..] };
            let rows: [&[f32]; M] = std::array::from_fn(|row| &x[row * stride..][..k]);
            let panel = &S::as_simd_f32s(panel).0.as_chunks::<V>().0[..k];
            for depth in 0..k {
                let weights = panel[depth];
                for row in 0..M {
                    let value = simd.splat_f32s(rows[row][depth]);
                    for vector in 0..V {
                        sums[row][vector] =
                            simd.mul_add_e_f32s(value, weights[vector], sums[row][vector]);
                    }
                }
            }
        }
        let mut tile = [0.0; TILE];
        let stored = S::as_mut_simd_f32s(&mut tile).0;
        for row in 0..M {
            stored[row * V..][..V].copy_from_slice(&sums[row]);
        }
        simd.vectorize(Finish { linear: self, first, row, sums: &tile[..M * width], width });
    }

    /// Applies to a row's sums, from column `first`, what follows the product.
    #[inline(always)]
    fn finish<S: Simd>(&mut self, simd: S, first: usize, row: usize, sums: &[f32]) {
        let columns = self.columns();
        let out = &mut self.out[row * self.out_stride..][..columns];
        for (vector, sums) in sums.chunks_exact(S::F32_LANES).enumerate() {
            let from = first + vector * S::F32_LANES;
            let to = (from + S::F32_LANES).min(out.len());
            let part = |values: &[f32]| simd.partial_load_f32s(&values[from..to]);
            let mut value = simd.partial_load_f32s(sums);
            if let Some(scale) = self.magnitude_scale {
                value = simd.mul_f32s(value, part(scale));
            }
            if let Some(bias) = self.bias {
                value = simd.add_f32s(value, part(bias));
            }
            value = match self.activation {
                Activation::None => value,
                Activation::Gelu => math::gelu(simd, value),
                Activation::QuickGelu => math::quick_gelu(simd, value),
                Activation::GeluTanh => math::gelu_tanh(simd, value),
                Activation::Silu => math::silu(simd, value),
            };
            if let Some(scale) = self.layer_scale {
                value = simd.mul_f32s(value, part(scale));
            }
            value = match self.store {
                Store::Replace => value,
                Store::Add => simd.add_f32s(value, part(out)),
                Store::Multiply => simd.mul_f32s(value, part(out)),
            };
            simd.partial_store_f32s(&mut out[from..to], value);
        }
    }
}

/// What follows the product of a tile. It is a function of its own: written into every tile, it
/// would be most of what there is to compile.
struct Finish<'t, 'a> {
    linear: &'t mut Linear<'a>,
    first: usize,
    row: usize,
    /// `[rows, width]`
    sums: &'t [f32],
    width: usize,
}

impl WithSimd for Finish<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for (index, sums) in self.sums.chunks_exact(self.width).enumerate() {
            self.linear.finish(simd, self.first, self.row + index, sums);
        }
    }
}

/// Values of the largest tile: 8 rows of 3 registers of 16.
const TILE: usize = 8 * 3 * 16;
