//! One linear layer or norm of a network, on rows.

use super::adapter::Branch;
use super::transformer::Vit;
use super::weights::{Linear, Norm, Weight};
use crate::kernel::{self, Activation, Factor, Int8Rows, LowRank, Store};

/// Rows that go into linear layers.
pub(super) struct Input<'a> {
    pub x: &'a [f32],
    /// The same in eight bits, for layers that have eight bits.
    rounded: Option<Int8Rows>,
}

/// What follows a linear layer.
#[derive(Default)]
pub(super) struct After<'a> {
    pub activation: Activation,
    pub layer_scale: Option<&'a [f32]>,
    pub store: Store,
}

impl Vit {
    /// `x` as `linear` takes it.
    pub(super) fn input<'a>(&self, linear: &Linear, x: &'a [f32]) -> Input<'a> {
        let rounded = match &linear.weight {
            Weight::Full(_) | Weight::Half(_) => None,
            Weight::Int8(panels) => Some(Int8Rows::new(self.level, x, panels.k)),
        };
        Input { x, rounded }
    }

    /// `(x W + (x A) B) * s + b` and what comes after.
    pub(super) fn linear(
        &self,
        linear: &Linear,
        branch: Option<&Branch>,
        input: &Input,
        after: After,
        out: &mut [f32],
    ) {
        let (k, n) = linear.widths();
        let (x, rows) = (input.x, input.x.len() / k);
        let low = branch.map(|branch| {
            let mut low = vec![0.0; rows * branch.a.n];
            self.level.run(kernel::Linear::product(x, rows, &branch.a, &mut low));
            low
        });
        let mut room = matches!(linear.weight, Weight::Half(_)).then(|| self.rooms.take());
        let product;
        let weight = match (&linear.weight, &input.rounded) {
            (Weight::Full(panels), _) => Factor::Panels(panels),
            (Weight::Half(panels), _) => Factor::Half(panels),
            (Weight::Int8(_), None) => {
                unreachable!("an input is rounded for the layer that it is made for")
            }
            (Weight::Int8(panels), Some(rounded)) => {
                product = panels.product(self.level, rounded);
                Factor::Product { values: &product, n }
            }
        };
        self.level.run(kernel::Linear {
            x,
            x_stride: k,
            rows,
            weight,
            room: match &mut room {
                Some(room) => room.values(),
                None => &mut [],
            },
            low: low.as_ref().zip(branch).map(|(values, branch)| LowRank { values, b: &branch.b }),
            magnitude_scale: branch.and_then(|branch| branch.magnitude_scale.as_deref()),
            bias: linear.bias.as_deref(),
            activation: after.activation,
            layer_scale: after.layer_scale,
            store: after.store,
            out,
            out_stride: n,
        });
    }

    /// Rows of `x` normalised into `out`.
    pub(super) fn normalise(&self, norm: &Norm, x: &[f32], out: &mut [f32]) {
        let epsilon = self.shape.norms.epsilon as f32;
        kernel::layer_norm(self.level, x, &norm.weight, &norm.bias, epsilon, out);
    }
}
