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

use super::shape::{Activation, Shape};
use super::site::{Layer, Site};
use crate::onnx::{DataLocation, GraphProto};
use messages::{Dim, Messages, integer, integers, number};

mod messages;

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

struct Writer<'a> {
    shape: &'a Shape,
    out: Messages,
}

impl Writer<'_> {
    fn network(&mut self) {
        let Shape { blocks, projection, .. } = *self.shape;
        self.constants();
        let mut x = self.embed();
        for block in 0..blocks {
            x = self.block(&x, block, block + 1 == blocks);
        }
        let flat = ["cls.flat", "shape.feature"];
        let feature = if projection.is_some() {
            // Factors of each image need a dimension of tokens, though there is one token.
            let x = self.layer_norm(&x, "norm");
            let x = self.linear(&x, Site::Projection);
            self.out.node("Reshape", flat[0], &[&x, flat[1]], vec![])
        } else {
            let x = self.out.node("Reshape", flat[0], &[&x, flat[1]], vec![]);
            self.layer_norm(&x, "norm")
        };
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

    /// Tokens with their positions: `[N, tokens, hidden]`. Patches are cut out by reshaping and go
    /// through a product, not a convolution. After one, a general engine would keep the channels
    /// before the tokens in every block, at half the speed.
    fn embed(&mut self) -> String {
        let Shape { hidden, patch_bias, norms, .. } = *self.shape;
        self.out.weight("embed.patch.weight", &[self.shape.patch_values(), hidden]);
        if patch_bias {
            self.out.weight("embed.patch.bias", &[hidden]);
        }
        for (kind, count) in self.shape.leading() {
            self.out.weight(&format!("embed.{kind}"), &[1, count, hidden]);
        }
        self.out.weight("embed.positions", &[1, self.shape.tokens(), hidden]);
        let x = self.out.node("Reshape", "embed.patch.cut", &["pixels", "shape.cut"], vec![]);
        let order = vec![integers("perm", &[0, 2, 4, 1, 3, 5])];
        let x = self.out.node("Transpose", "embed.patch.rows", &[&x], order);
        let x = self.out.node("Reshape", "embed.patch.flat", &[&x, "shape.patches"], vec![]);
        let weight = "embed.patch.weight";
        let mut x = self.out.node("MatMul", "embed.patch.product", &[&x, weight], vec![]);
        if patch_bias {
            x = self.out.node("Add", "embed.patch", &[&x, "embed.patch.bias"], vec![]);
        }
        let axis = |axis| vec![integer("axis", axis)];
        let batch = self.out.node("Shape", "embed.shape", &["pixels"], vec![]);
        let batch = self.out.node("Gather", "embed.batch", &[&batch, "zero"], axis(0));
        let mut tokens = Vec::new();
        for (kind, _) in self.shape.leading() {
            let [size, own] = [format!("shape.{kind}"), format!("embed.{kind}")];
            let size = self.out.node("Concat", &format!("{own}.shape"), &[&batch, &size], axis(0));
            tokens.push(self.out.node("Expand", &format!("{own}.rows"), &[&own, &size], vec![]));
        }
        tokens.push(x);
        let tokens: Vec<&str> = tokens.iter().map(String::as_str).collect();
        let x = self.out.node("Concat", "embed.tokens", &tokens, axis(1));
        let x = self.out.node("Add", "embed", &[&x, "embed.positions"], vec![]);
        if norms.first { self.layer_norm(&x, "embed.norm") } else { x }
    }

    /// One block. In the last one only the class token goes on, since no other row reaches the
    /// feature.
    fn block(&mut self, x: &str, number: usize, last: bool) -> String {
        let name = |part: &str| format!("blocks.{number}.{part}");
        let site = |layer| Site::Block(number, layer);
        let y = self.layer_norm(x, &name("norm1"));
        let (rows, x) = if last {
            (self.class_row(&y, &name("norm1.cls")), self.class_row(x, &name("cls")))
        } else {
            (y.clone(), x.to_owned())
        };
        let q = self.linear(&rows, site(Layer::Q));
        let k = self.linear(&y, site(Layer::K));
        let v = self.linear(&y, site(Layer::V));
        let y = self.attention([&q, &k, &v], number);
        let y = self.linear(&y, site(Layer::O));
        let y = self.layer_scale(y, &name("scale1"));
        let x = self.out.node("Add", &name("attn"), &[&x, &y], vec![]);
        let y = self.layer_norm(&x, &name("norm2"));
        let y = self.linear(&y, site(Layer::Fc1));
        let y = self.activation(&y, &name("mlp.activation"));
        let y = self.linear(&y, site(Layer::Fc2));
        let y = self.layer_scale(y, &name("scale2"));
        self.out.node("Add", &name("mlp"), &[&x, &y], vec![])
    }

    /// What the heads of a block mix: `softmax(q k^T * scale) v`.
    fn attention(&mut self, [q, k, v]: [&str; 3], block: usize) -> String {
        let name = |part: &str| format!("blocks.{block}.attn.{part}");
        let q = self.out.node("Mul", &name("q.scaled"), &[q, "attention.scale"], vec![]);
        let q = self.heads(&q, &name("q"), &[0, 2, 1, 3]);
        let k = self.heads(k, &name("k"), &[0, 2, 3, 1]);
        let v = self.heads(v, &name("v"), &[0, 2, 1, 3]);
        let scores = self.out.node("MatMul", &name("scores"), &[&q, &k], vec![]);
        let last = vec![integer("axis", -1)];
        let weights = self.out.node("Softmax", &name("softmax"), &[&scores], last);
        let y = self.out.node("MatMul", &name("mixed"), &[&weights, &v], vec![]);
        let order = vec![integers("perm", &[0, 2, 1, 3])];
        let y = self.out.node("Transpose", &name("rows"), &[&y], order);
        self.out.node("Reshape", &name("merged"), &[&y, "shape.merge"], vec![])
    }

    fn heads(&mut self, x: &str, site: &str, order: &[i64]) -> String {
        let x = self.out.node("Reshape", &format!("{site}.split"), &[x, "shape.split"], vec![]);
        let order = vec![integers("perm", order)];
        self.out.node("Transpose", &format!("{site}.heads"), &[&x], order)
    }

    fn class_row(&mut self, x: &str, name: &str) -> String {
        self.out.node("Slice", name, &[x, "zero", "one", "one"], vec![])
    }

    /// `(x W + (x A) B) * s + b`, or of the first packers `x W + b + (x A) B`.
    fn linear(&mut self, x: &str, site: Site) -> String {
        let ((inputs, outputs), biased) = (self.shape.widths(site), self.shape.biased(site));
        let [a, b, weight] = [site.lora_a(), site.lora_b(), site.weight()];
        self.out.weight(&weight, &[inputs, outputs]);
        let mut y = self.out.node("MatMul", &format!("{site}.product"), &[x, &weight], vec![]);
        if biased && !self.shape.magnitude_scales {
            y = self.bias(&y, site);
        }
        let rank = || Dim::Symbol(format!("rank_{}", site.to_string().replace('.', "_")));
        self.out.input(&a, &[Dim::batch(), Dim::Size(inputs), rank()]);
        self.out.input(&b, &[Dim::batch(), rank(), Dim::Size(outputs)]);
        let low = self.out.node("MatMul", &format!("{site}.lora_down"), &[x, &a], vec![]);
        let delta = self.out.node("MatMul", &format!("{site}.lora_up"), &[&low, &b], vec![]);
        let y = self.out.node("Add", &format!("{site}.adapted"), &[&y, &delta], vec![]);
        if !self.shape.magnitude_scales {
            return y;
        }
        let scale = site.magnitude_scale();
        self.out.input(&scale, &[Dim::batch(), Dim::Size(1), Dim::Size(outputs)]);
        let y = self.out.node("Mul", &format!("{site}.lora_scaled"), &[&y, &scale], vec![]);
        if biased { self.bias(&y, site) } else { y }
    }

    fn bias(&mut self, y: &str, site: Site) -> String {
        self.out.weight(&site.bias(), &[self.shape.widths(site).1]);
        self.out.node("Add", &format!("{site}.biased"), &[y, &site.bias()], vec![])
    }

    fn layer_norm(&mut self, x: &str, name: &str) -> String {
        let [weight, bias] = ["weight", "bias"].map(|part| format!("{name}.{part}"));
        for part in [&weight, &bias] {
            self.out.weight(part, &[self.shape.hidden]);
        }
        let attributes = vec![integer("axis", -1), number("epsilon", self.shape.norms.epsilon)];
        self.out.node("LayerNormalization", name, &[x, &weight, &bias], attributes)
    }

    fn layer_scale(&mut self, x: String, name: &str) -> String {
        if !self.shape.norms.layer_scale {
            return x;
        }
        self.out.weight(name, &[self.shape.hidden]);
        self.out.node("Mul", &format!("{name}.product"), &[&x, name], vec![])
    }

    /// GELU as `(x / 2) (1 + erf(x / sqrt 2))`, the form that engines run as one operation, or `x
    /// sigmoid(1.702 x)`.
    fn activation(&mut self, x: &str, name: &str) -> String {
        let part = |part: &str| format!("{name}.{part}");
        match self.shape.mlp.activation {
            Activation::Gelu => {
                let e = self.out.node("Mul", &part("scaled"), &[x, "gelu.sqrt_half"], vec![]);
                let e = self.out.node("Erf", &part("erf"), &[&e], vec![]);
                let e = self.out.node("Add", &part("shifted"), &[&e, "gelu.one"], vec![]);
                let half = self.out.node("Mul", &part("half"), &[x, "gelu.half"], vec![]);
                self.out.node("Mul", name, &[&half, &e], vec![])
            }
            Activation::QuickGelu => {
                let e = self.out.node("Mul", &part("scaled"), &[x, "gelu.slope"], vec![]);
                let e = self.out.node("Sigmoid", &part("sigmoid"), &[&e], vec![]);
                self.out.node("Mul", name, &[x, &e], vec![])
            }
            Activation::GeluTanh => {
                let square = self.out.node("Mul", &part("square"), &[x, x], vec![]);
                let cube = self.out.node("Mul", &part("cube"), &[&square, x], vec![]);
                let e = self.out.node("Mul", &part("cubic"), &[&cube, "gelu.cubic"], vec![]);
                let e = self.out.node("Add", &part("inner"), &[x, &e], vec![]);
                let e = self.out.node("Mul", &part("scaled"), &[&e, "gelu.slope_of_tanh"], vec![]);
                let e = self.out.node("Sigmoid", &part("sigmoid"), &[&e], vec![]);
                self.out.node("Mul", name, &[x, &e], vec![])
            }
            Activation::Silu => {
                let e = self.out.node("Sigmoid", &part("sigmoid"), &[x], vec![]);
                self.out.node("Mul", name, &[x, &e], vec![])
            }
        }
    }
}

#[cfg(test)]
mod tests;
