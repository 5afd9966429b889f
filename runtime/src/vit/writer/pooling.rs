//! From the last block's tokens to the feature.

use super::layers::{Heads, Writer};
use super::messages::{integer, integers};
use crate::vit::shape::Pooling;
use crate::vit::site::{Layer, Site};

impl Writer<'_> {
    /// The feature `[N, D]` of what the last block leaves.
    pub fn feature(&mut self, x: &str) -> String {
        let flat = [self.flat(), "shape.feature"];
        if self.shape.pooling == Pooling::Class && self.shape.projection.is_none() {
            let x = self.out.node("Reshape", flat[0], &[x, flat[1]], vec![]);
            return self.layer_norm(&x, "norm");
        }
        // Factors of each image need a dimension of tokens, though there is one token.
        let mut x = self.pooled(x);
        if self.shape.projection.is_some() {
            x = self.linear(&x, Site::Projection);
        }
        self.out.node("Reshape", flat[0], &[&x, flat[1]], vec![])
    }

    fn flat(&self) -> &'static str {
        if self.shape.pooling == Pooling::Class { "cls.flat" } else { "pool.flat" }
    }

    /// One row an image, `[N, 1, D]`.
    fn pooled(&mut self, x: &str) -> String {
        match self.shape.pooling {
            Pooling::Class => self.layer_norm(x, "norm"),
            Pooling::Mean => {
                let x = self.layer_norm(x, "norm");
                self.mean(&x)
            }
            Pooling::NormOfMean => {
                let x = self.mean(x);
                self.layer_norm(&x, "norm")
            }
            Pooling::ClassMean => {
                let x = self.layer_norm(x, "norm");
                let [class, mean] = [self.class_row(&x, "pool.cls"), self.mean(&x)];
                let axis = vec![integer("axis", 2)];
                self.out.node("Concat", "pool.cls_and_mean", &[&class, &mean], axis)
            }
            Pooling::Attention { heads, .. } => {
                let x = self.layer_norm(x, "norm");
                self.attended(&x, heads)
            }
        }
    }

    /// The mean of the patches.
    fn mean(&mut self, x: &str) -> String {
        let (mut x, patches) = (x.to_owned(), self.shape.patches());
        if patches.start > 0 {
            self.out.integers("pool.first", &[patches.start as i64]);
            self.out.integers("pool.end", &[patches.end as i64]);
            let rows = [&x, "pool.first", "pool.end", "one"];
            x = self.out.node("Slice", "pool.patches", &rows, vec![]);
        }
        let one = vec![integers("axes", &[1]), integer("keepdims", 1)];
        self.out.node("ReduceMean", "pool.mean", &[&x], one)
    }

    /// What one learned query mixes of all tokens, and the MLP beside it.
    fn attended(&mut self, x: &str, heads: usize) -> String {
        let hidden = self.shape.hidden;
        let width = hidden / heads;
        self.out.weight("pool.probe", &[1, 1, hidden]);
        self.out.integers("shape.probe", &[1, hidden as i64]);
        self.out.integers("pool.split", &[0, 0, heads as i64, width as i64]);
        self.out.number("pool.scale", self.shape.scale_of(heads));
        let probe = self.repeated("pool.probe", "shape.probe");
        let q = self.linear(&probe, Site::Pool(Layer::Q));
        let k = self.linear(x, Site::Pool(Layer::K));
        let v = self.linear(x, Site::Pool(Layer::V));
        let heads = Heads {
            name: "pool.attn".into(),
            split: "pool.split",
            scale: "pool.scale",
            normalised: false,
            rotated: [false; 2],
        };
        let y = self.attention([&q, &k, &v], &heads);
        let y = self.linear(&y, Site::Pool(Layer::O));
        let z = self.layer_norm(&y, "pool.norm");
        let z = self.linear(&z, Site::Pool(Layer::Fc1));
        let z = self.activation(&z, "pool.mlp.activation");
        let z = self.linear(&z, Site::Pool(Layer::Fc2));
        self.out.node("Add", "pool", &[&y, &z], vec![])
    }
}
