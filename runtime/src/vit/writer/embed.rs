//! From pixels to tokens, and the tables that patches are rotated by.

use super::layers::Writer;
use super::messages::integer;
use crate::vit::shape::{Pooling, Positions, Shape};

impl Writer<'_> {
    /// Tokens with their positions: `[N, tokens, hidden]`. Patches are cut out by reshaping and go
    /// through a product, not a convolution. After one, a general engine would keep the channels
    /// before the tokens in every block, at half the speed.
    pub fn embed(&mut self) -> String {
        self.embedding();
        let mut x = self.patches();
        let leading = self.shape.leading().next().is_some();
        if leading || matches!(self.shape.pooling, Pooling::Attention { .. }) {
            let batch = self.out.node("Shape", "embed.shape", &["pixels"], vec![]);
            self.out.node("Gather", "embed.batch", &[&batch, "zero"], vec![integer("axis", 0)]);
        }
        let mut tokens = Vec::new();
        for (kind, _) in self.shape.leading() {
            tokens.push(self.repeated(&format!("embed.{kind}"), &format!("shape.{kind}")));
        }
        x = match self.shape.positions {
            Positions::Learned => self.positioned(tokens, x),
            Positions::Rotary => {
                tokens.push(x);
                self.tables();
                self.joined(tokens, "embed.tokens")
            }
        };
        if self.shape.norms.first { self.layer_norm(&x, "embed.norm") } else { x }
    }

    /// The weights of tokens.
    fn embedding(&mut self) {
        let Shape { hidden, patch_bias, positions, .. } = *self.shape;
        self.out.weight("embed.patch.weight", &[self.shape.patch_values(), hidden]);
        if patch_bias {
            self.out.weight("embed.patch.bias", &[hidden]);
        }
        for (kind, count) in self.shape.leading() {
            self.out.weight(&format!("embed.{kind}"), &[1, count, hidden]);
        }
        if positions == Positions::Learned {
            self.out.weight("embed.positions", &[1, self.shape.position_rows(), hidden]);
        }
    }

    fn patches(&mut self) -> String {
        let x = self.out.node("Reshape", "embed.patch.cut", &["pixels", "shape.cut"], vec![]);
        let x = self.transposed(&x, "embed.patch.rows", &[0, 2, 4, 1, 3, 5]);
        let x = self.out.node("Reshape", "embed.patch.flat", &[&x, "shape.patches"], vec![]);
        let weight = "embed.patch.weight";
        let x = self.out.node("MatMul", "embed.patch.product", &[&x, weight], vec![]);
        if !self.shape.patch_bias {
            return x;
        }
        self.out.node("Add", "embed.patch", &[&x, "embed.patch.bias"], vec![])
    }

    /// The class token and the patches with their rows of the table, and between them the
    /// registers, which have none.
    fn positioned(&mut self, mut leading: Vec<String>, patches: String) -> String {
        let registers = leading.split_off(usize::from(self.shape.class_token)).pop();
        leading.push(patches);
        let x = self.joined(leading, "embed.tokens");
        let x = self.out.node("Add", "embed", &[&x, "embed.positions"], vec![]);
        let Some(registers) = registers else { return x };
        if !self.shape.class_token {
            return self.joined(vec![registers, x], "embed.registered");
        }
        self.out.integers("shape.positioned", &[self.shape.position_rows() as i64]);
        let first = self.class_row(&x, "embed.first");
        let rest = [&x, "one", "shape.positioned", "one"];
        let rest = self.out.node("Slice", "embed.rest", &rest, vec![]);
        self.joined(vec![first, registers, rest], "embed.registered")
    }

    /// Rows one below the other.
    fn joined(&mut self, parts: Vec<String>, name: &str) -> String {
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        match parts[..] {
            [one] => one.to_owned(),
            _ => self.out.node("Concat", name, &parts, vec![integer("axis", 1)]),
        }
    }

    /// Cosines and sines `[tokens, head width]`. Tokens before the patches have those of no
    /// rotation.
    fn tables(&mut self) {
        let (patches, width) = (self.shape.patches(), self.shape.head_width());
        self.out.integers("rotary.before", &[patches.start as i64, 0, 0, 0]);
        self.out.integers("rotary.half", &[width as i64 / 2]);
        self.out.integers("rotary.width", &[width as i64]);
        self.out.integers("rotary.axis", &[3]);
        for (table, without) in [("rotary.cos", 1.0), ("rotary.sin", 0.0)] {
            let fill = format!("{table}.before");
            self.out.number(&fill, without);
            self.out.weight(table, &[patches.len(), width]);
            let inputs = [table, "rotary.before", &fill];
            self.out.node("Pad", &format!("{table}.rows"), &inputs, vec![]);
        }
    }
}
