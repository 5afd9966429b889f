//! What networks are written of: linear layers with their branches, norms, activations, attention.

use super::messages::{Dim, Messages, integer, integers, number};
use crate::vit::shape::{Activation, Shape};
use crate::vit::site::Site;

/// A graph that is being written.
pub(super) struct Writer<'a> {
    pub shape: &'a Shape,
    pub out: Messages,
}

/// The heads of an attention, and what becomes of queries and keys before they meet.
pub(super) struct Heads {
    /// What names of nodes begin with.
    pub name: String,
    /// The constant that divides rows into heads, and the one that scores are multiplied with.
    pub split: &'static str,
    pub scale: &'static str,
    /// Whether queries and keys are normalised.
    pub normalised: bool,
    /// Whether queries are rotated, and keys.
    pub rotated: [bool; 2],
}

impl Writer<'_> {
    /// `(x W + (x A) B) * s + b`, or of the first packers `x W + b + (x A) B`.
    pub fn linear(&mut self, x: &str, site: Site) -> String {
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

    /// The norm of tokens.
    pub fn layer_norm(&mut self, x: &str, name: &str) -> String {
        self.norm(x, name, self.shape.hidden)
    }

    /// The norm of rows of `width` values.
    fn norm(&mut self, x: &str, name: &str, width: usize) -> String {
        let [weight, bias] = ["weight", "bias"].map(|part| format!("{name}.{part}"));
        for part in [&weight, &bias] {
            self.out.weight(part, &[width]);
        }
        let attributes = vec![integer("axis", -1), number("epsilon", self.shape.norms.epsilon)];
        self.out.node("LayerNormalization", name, &[x, &weight, &bias], attributes)
    }

    pub fn layer_scale(&mut self, x: String, name: &str) -> String {
        if !self.shape.norms.layer_scale {
            return x;
        }
        self.out.weight(name, &[self.shape.hidden]);
        self.out.node("Mul", &format!("{name}.product"), &[&x, name], vec![])
    }

    /// What heads mix: `softmax(q k^T * scale) v`.
    pub fn attention(&mut self, [q, k, v]: [&str; 3], heads: &Heads) -> String {
        let name = |part: &str| format!("{}.{part}", heads.name);
        let rows = [0, 2, 1, 3];
        let q = if heads.normalised {
            // After the norm, which would take the scale away.
            let q = self.split(q, &name("q"), heads);
            let q = self.norm(&q, &name("q_norm"), self.shape.head_width());
            let q = self.out.node("Mul", &name("q.scaled"), &[&q, heads.scale], vec![]);
            self.transposed(&q, &name("q.heads"), &rows)
        } else {
            let q = self.out.node("Mul", &name("q.scaled"), &[q, heads.scale], vec![]);
            let q = self.split(&q, &name("q"), heads);
            self.transposed(&q, &name("q.heads"), &rows)
        };
        let q = if heads.rotated[0] { self.rotated(&q, &name("q")) } else { q };
        let k = self.keys(k, heads);
        let v = self.split(v, &name("v"), heads);
        let v = self.transposed(&v, &name("v.heads"), &rows);
        let scores = self.out.node("MatMul", &name("scores"), &[&q, &k], vec![]);
        let last = vec![integer("axis", -1)];
        let weights = self.out.node("Softmax", &name("softmax"), &[&scores], last);
        let y = self.out.node("MatMul", &name("mixed"), &[&weights, &v], vec![]);
        let y = self.transposed(&y, &name("rows"), &rows);
        self.out.node("Reshape", &name("merged"), &[&y, "shape.merge"], vec![])
    }

    /// The keys of each head, `[N, heads, width, tokens]`.
    fn keys(&mut self, k: &str, heads: &Heads) -> String {
        let name = |part: &str| format!("{}.{part}", heads.name);
        let mut k = self.split(k, &name("k"), heads);
        if heads.normalised {
            k = self.norm(&k, &name("k_norm"), self.shape.head_width());
        }
        if !heads.rotated[1] {
            return self.transposed(&k, &name("k.heads"), &[0, 2, 3, 1]);
        }
        let k = self.transposed(&k, &name("k.heads"), &[0, 2, 1, 3]);
        let k = self.rotated(&k, &name("k"));
        self.transposed(&k, &name("k.columns"), &[0, 1, 3, 2])
    }

    fn split(&mut self, x: &str, name: &str, heads: &Heads) -> String {
        self.out.node("Reshape", &format!("{name}.split"), &[x, heads.split], vec![])
    }

    pub fn transposed(&mut self, x: &str, name: &str, order: &[i64]) -> String {
        self.out.node("Transpose", name, &[x], vec![integers("perm", order)])
    }

    /// `x cos + turned x sin` of `[N, heads, tokens, width]`, a row of the tables for each token.
    /// Turned, the second half is in front, with its sign changed.
    fn rotated(&mut self, x: &str, name: &str) -> String {
        let part = |part: &str| format!("{name}.{part}");
        let half = ["zero", "rotary.half", "rotary.width"];
        let first = [x, half[0], half[1], "rotary.axis"];
        let first = self.out.node("Slice", &part("first"), &first, vec![]);
        let second = [x, half[1], half[2], "rotary.axis"];
        let second = self.out.node("Slice", &part("second"), &second, vec![]);
        let second = self.out.node("Neg", &part("negated"), &[&second], vec![]);
        let axis = vec![integer("axis", 3)];
        let turned = self.out.node("Concat", &part("turned"), &[&second, &first], axis);
        let [cos, sin] = ["cos", "sin"].map(|table| format!("rotary.{table}.rows.out"));
        let x = self.out.node("Mul", &part("cos"), &[x, &cos], vec![]);
        let turned = self.out.node("Mul", &part("sin"), &[&turned, &sin], vec![]);
        self.out.node("Add", &part("rotated"), &[&x, &turned], vec![])
    }

    /// The first row of each image.
    pub fn class_row(&mut self, x: &str, name: &str) -> String {
        self.out.node("Slice", name, &[x, "zero", "one", "one"], vec![])
    }

    /// `own` `[1, rows, hidden]` once for each image, given the constant that holds its size.
    pub fn repeated(&mut self, own: &str, size: &str) -> String {
        let batch = ["embed.batch.out", size];
        let axis = vec![integer("axis", 0)];
        let size = self.out.node("Concat", &format!("{own}.shape"), &batch, axis);
        self.out.node("Expand", &format!("{own}.rows"), &[own, &size], vec![])
    }

    /// GELU as `(x / 2) (1 + erf(x / sqrt 2))`, the form that engines run as one operation, or `x
    /// sigmoid(..)`.
    pub fn activation(&mut self, x: &str, name: &str) -> String {
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
