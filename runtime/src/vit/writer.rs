//! The ONNX graph of a network, with LoRA branches as inputs: the one place that writes it.
//!
//! Inputs are `pixels` f32 `[N, 3, S, S]`, and three for each site: `SITE.lora_a` `[N, in, R]`,
//! `SITE.lora_b` `[N, R, out]` and `SITE.lora_scale` `[N, 1, out]`. Every batch row has its own
//! module, and every site its own rank. A site computes `(x W + (x A) B) * s + b`; the magnitude
//! scale s is 1 but for DoRA. The output is `feature` f32 `[N, D]`.
//!
//! Weights are initialisers marked as external, without a place. So the graph alone loads nowhere,
//! and no engine can run it with wrong weights.

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

use super::shape::{Activation, Pooling, Positions, Shape};
use super::site::{Layer, Site};
use crate::onnx::{DataLocation, GraphProto};
use layers::{Heads, Writer};
use messages::{Dim, Messages};

mod embed;
mod layers;
mod messages;
mod pooling;

/// The operator set that graphs are written in; LayerNormalization came with 17.
pub const OPSET: i64 = 17;

/// What the cube counts in the GELU by the hyperbolic tangent.
const GELU_CUBIC: f64 = 0.044_715;

/// The graph of a network.
pub fn graph(shape: &Shape) -> GraphProto {
    let mut writer = Writer { shape, out: Messages::default() };
    writer.network();
    writer.out.graph
}

impl Shape {
    /// The weights of its graph: names and dimensions. Those of linear layers are `[inputs,
    /// outputs]`.
    pub fn weights(&self) -> Vec<(String, Vec<usize>)> {
        let external = Some(DataLocation::External as i32);
        let tensors = graph(self).initializer.into_iter();
        let weights = tensors.filter(|tensor| tensor.data_location == external);
        let dims = |dims: Vec<i64>| dims.into_iter().map(|side| side as usize).collect();
        weights.map(|tensor| (tensor.name, dims(tensor.dims))).collect()
    }
}

impl Writer<'_> {
    fn network(&mut self) {
        self.constants();
        let mut x = self.embed();
        for block in 0..self.shape.blocks {
            x = self.block(&x, block);
        }
        let feature = self.feature(&x);
        self.out.node_to("Identity", "output", &[&feature], vec![], "feature");
        self.out.output("feature", &[Dim::batch(), Dim::Size(self.shape.feature())]);
    }

    /// The pixels, and the numbers that nodes refer to.
    fn constants(&mut self) {
        let shape = self.shape;
        let side = || Dim::Size(shape.side());
        self.out.input("pixels", &[Dim::batch(), Dim::Size(3), side(), side()]);
        let [patch, grid, hidden] = [shape.patch, shape.grid, shape.hidden].map(|n| n as i64);
        let heads = [shape.heads, shape.head_width()].map(|n| n as i64);
        self.out.integers("shape.cut", &[0, 3, grid, patch, grid, patch]);
        let patches = [shape.patches().len(), shape.patch_values()].map(|n| n as i64);
        self.out.integers("shape.patches", &[0, patches[0], patches[1]]);
        self.out.integers("shape.feature", &[0, shape.feature() as i64]);
        self.out.integers("shape.split", &[0, 0, heads[0], heads[1]]);
        self.out.integers("shape.merge", &[0, 0, hidden]);
        for (kind, count) in shape.leading() {
            self.out.integers(&format!("shape.{kind}"), &[count as i64, hidden]);
        }
        self.out.integers("zero", &[0]);
        self.out.integers("one", &[1]);
        self.out.number("attention.scale", shape.attention_scale());
        match shape.mlp.activation {
            Activation::Gelu => {
                self.out.number("gelu.sqrt_half", FRAC_1_SQRT_2);
                self.out.number("gelu.half", 0.5);
                self.out.number("gelu.one", 1.0);
            }
            Activation::QuickGelu => self.out.number("gelu.slope", 1.702),
            Activation::GeluTanh => {
                self.out.number("gelu.cubic", GELU_CUBIC);
                self.out.number("gelu.slope_of_tanh", 2.0 * FRAC_2_SQRT_PI * FRAC_1_SQRT_2);
            }
            Activation::Silu => {}
        }
    }

    /// One block. In the last one only the class token goes on where it alone is pooled, since no
    /// other row reaches the feature.
    fn block(&mut self, x: &str, number: usize) -> String {
        let name = |part: &str| format!("blocks.{number}.{part}");
        let site = |layer| Site::Block(number, layer);
        let alone = number + 1 == self.shape.blocks && self.shape.pooling == Pooling::Class;
        let y = self.layer_norm(x, &name("norm1"));
        let (rows, x) = if alone {
            (self.class_row(&y, &name("norm1.cls")), self.class_row(x, &name("cls")))
        } else {
            (y.clone(), x.to_owned())
        };
        let q = self.linear(&rows, site(Layer::Q));
        let k = self.linear(&y, site(Layer::K));
        let v = self.linear(&y, site(Layer::V));
        let rotary = self.shape.positions == Positions::Rotary;
        let heads = Heads {
            name: name("attn"),
            split: "shape.split",
            scale: "attention.scale",
            normalised: self.shape.norms.queries_and_keys,
            rotated: [rotary && !alone, rotary],
        };
        let y = self.attention([&q, &k, &v], &heads);
        let y = self.linear(&y, site(Layer::O));
        let y = self.layer_scale(y, &name("scale1"));
        let x = self.out.node("Add", &name("attn"), &[&x, &y], vec![]);
        let y = self.layer_norm(&x, &name("norm2"));
        let y = self.mlp(&y, number);
        let y = self.layer_scale(y, &name("scale2"));
        self.out.node("Add", &name("mlp"), &[&x, &y], vec![])
    }

    /// The MLP of a block. The activation is the gate's where there is one.
    fn mlp(&mut self, x: &str, block: usize) -> String {
        let name = |part: &str| format!("blocks.{block}.mlp.{part}");
        let site = |layer| Site::Block(block, layer);
        let y = if self.shape.mlp.gated {
            let gate = self.linear(x, site(Layer::Gate));
            let gate = self.activation(&gate, &name("activation"));
            let y = self.linear(x, site(Layer::Fc1));
            self.out.node("Mul", &name("gated"), &[&gate, &y], vec![])
        } else {
            let y = self.linear(x, site(Layer::Fc1));
            self.activation(&y, &name("activation"))
        };
        self.linear(&y, site(Layer::Fc2))
    }
}

#[cfg(test)]
mod tests;
