//! The forward pass on the tape: images in, features out. What of the last tokens becomes the
//! feature is the base's pooling; of CLIP the visual projection follows. On request the tokens of
//! any block come with it.

use std::collections::BTreeMap;
use std::rc::Rc;

use medforge_runtime::vit::{Layer, Pooling, Shape, Site};

use super::rotary;
use super::weights::Weights;
use crate::device::{AttentionSize, Device, RotarySize};
use crate::tape::{LowRank, Tape, Tensor, Var};

mod ends;
#[cfg(test)]
mod tests;

/// The features [batch, features] of `images` [batch, 3*size*size] under `weights` and the low-rank
/// branches of `sites`.
pub fn forward<D: Device + 'static>(
    tape: &Tape<D>,
    weights: &Weights<D>,
    sites: &BTreeMap<String, LowRank<D>>,
    device: &D,
    images: &Var<D>,
) -> Var<D> {
    forward_with_tokens(tape, weights, sites, device, images, &[]).0
}

/// [`forward`], and all tokens [batch*tokens, hidden] as they leave each block of `blocks`
/// (ascending, counted from 0).
pub fn forward_with_tokens<D: Device + 'static>(
    tape: &Tape<D>,
    weights: &Weights<D>,
    sites: &BTreeMap<String, LowRank<D>>,
    device: &D,
    images: &Var<D>,
    blocks: &[usize],
) -> (Var<D>, Vec<Var<D>>) {
    let wanted = Wanted { blocks, leaf: None, observe: &|_, _| () };
    Pass::new(device, tape, weights, sites).run(device, images, &wanted)
}

/// [`forward`]; `observe` is shown what goes into the linear layer at each site. That is one row an
/// image after pooling, and after the last block's attention where the class token alone is pooled.
pub fn forward_observed<D: Device + 'static>(
    tape: &Tape<D>,
    weights: &Weights<D>,
    sites: &BTreeMap<String, LowRank<D>>,
    device: &D,
    images: &Var<D>,
    observe: &dyn Fn(&str, &Var<D>),
) -> Var<D> {
    let wanted = Wanted { blocks: &[], leaf: None, observe };
    Pass::new(device, tape, weights, sites).run(device, images, &wanted).0
}

/// The features, and the tokens [batch*tokens, hidden] that enter `block` (counted from 0) as a
/// parameter of the tape: the gradient of whatever follows from the features is known there, and
/// nothing before is gone back through.
pub fn forward_from_leaf<D: Device + 'static>(
    tape: &Tape<D>,
    weights: &Weights<D>,
    sites: &BTreeMap<String, LowRank<D>>,
    device: &D,
    images: &Var<D>,
    block: usize,
) -> (Var<D>, Var<D>) {
    let wanted = Wanted { blocks: &[], leaf: Some(block), observe: &|_, _| () };
    let (feature, leaf) = Pass::new(device, tape, weights, sites).run(device, images, &wanted);
    (feature, leaf.into_iter().next().expect("the block is one of the base's"))
}

/// What a caller wants of a forward pass beside the features.
struct Wanted<'a, D: Device> {
    /// Blocks whose tokens are given back as they leave.
    blocks: &'a [usize],
    /// A block whose tokens are given back as they enter, as a parameter.
    leaf: Option<usize>,
    observe: &'a dyn Fn(&str, &Var<D>),
}

/// A forward pass on a tape.
struct Pass<'a, D: Device> {
    tape: &'a Tape<D>,
    weights: &'a Weights<D>,
    sites: &'a BTreeMap<String, LowRank<D>>,
    shape: Shape,
    /// Cosines and sines of rotary positions.
    angles: Option<[Tensor<D>; 2]>,
}

impl<'a, D: Device + 'static> Pass<'a, D> {
    fn new(
        device: &D,
        tape: &'a Tape<D>,
        weights: &'a Weights<D>,
        sites: &'a BTreeMap<String, LowRank<D>>,
    ) -> Self {
        let shape = weights.shape();
        let (rows, columns) = (shape.patches().len(), shape.head_width() / 2);
        let angles = rotary::tables(&weights.config, weights.image_size)
            .map(|tables| tables.map(|table| Tensor::new(device, &table, rows, columns)));
        Pass { tape, weights, sites, shape, angles }
    }

    fn run(&self, device: &D, images: &Var<D>, wanted: &Wanted<D>) -> (Var<D>, Vec<Var<D>>) {
        let Pass { tape, weights, sites, ref shape, ref angles } = *self;
        let mut x = self.embed(device, images);
        let mut given = Vec::with_capacity(wanted.blocks.len());
        let shared = weights.recompute.then(|| Rc::new((weights.clone(), sites.clone())));
        for n in 0..shape.blocks {
            if wanted.leaf == Some(n) {
                x = tape.parameter(x.value);
                given.push(x.clone());
            }
            let last = n + 1 == shape.blocks;
            let asked = wanted.blocks.contains(&n);
            // Where the class token alone is pooled only its row is asked of the last block:
            // nothing after its attention mixes tokens.
            let alone = last && shape.pooling == Pooling::Class;
            x = match shared.clone() {
                Some(shared) => {
                    let (shape, angles) = (shape.clone(), angles.clone());
                    tape.recomputed(move |tape| {
                        let (weights, sites) = &*shared;
                        let (shape, angles) = (shape.clone(), angles.clone());
                        let pass = Pass { tape, weights, sites, shape, angles };
                        pass.block(n, x.clone(), alone && !asked, &|_, _| ())
                    })
                }
                None => self.block(n, x, alone && !asked, wanted.observe),
            };
            if asked {
                given.push(x.clone());
                if alone {
                    x = self.class_rows(&x);
                }
            }
        }
        (self.feature(device, &x, wanted.observe), given)
    }

    /// Block `n` of `x` [batch*tokens, hidden]: the result has x's shape, or with `alone` the class
    /// token's row of each image.
    fn block(
        &self,
        n: usize,
        mut x: Var<D>,
        alone: bool,
        observe: &dyn Fn(&str, &Var<D>),
    ) -> Var<D> {
        let Pass { tape, weights, ref shape, .. } = *self;
        let name = |part: &str| format!("blocks.{n}.{part}");
        let linear = |x: &Var<D>, layer| self.linear(x, Site::Block(n, layer), observe);
        let scale = |part| shape.norms.layer_scale.then(|| weights.get(&name(part)));
        let y = self.norm(&x, &name("norm1"));
        let (q, k, v) = (linear(&y, Layer::Q), linear(&y, Layer::K), linear(&y, Layer::V));
        let q = self.placed(q, &name("attn.q_norm"));
        let k = self.placed(k, &name("attn.k_norm"));
        let (tokens, heads, width) = (shape.tokens(), shape.heads, shape.head_width());
        let batch = x.value.rows / tokens;
        let size = AttentionSize { batch, queries: tokens, tokens, heads, width };
        let mut y = tape.attention(&q, &k, &v, size);
        drop((q, k, v));
        if alone {
            (x, y) = (self.class_rows(&x), self.class_rows(&y));
        }
        x = tape.residual(&x, &linear(&y, Layer::O), scale("scale1"));
        let y = self.norm(&x, &name("norm2"));
        let y = self.mlp(&y, |layer| Site::Block(n, layer), observe);
        tape.residual(&x, &y, scale("scale2"))
    }

    /// Queries or keys x [batch*tokens, hidden] as they are compared: each head normalised by the
    /// norm of this name, and rotated by its patch's place, where the base does that.
    fn placed(&self, x: Var<D>, norm: &str) -> Var<D> {
        let Pass { tape, ref shape, ref angles, .. } = *self;
        let (rows, columns) = (x.value.rows, x.value.columns);
        let (heads, width) = (shape.heads, shape.head_width());
        let x = if shape.norms.queries_and_keys {
            self.norm(&x.reshaped(rows * heads, width), norm).reshaped(rows, columns)
        } else {
            x
        };
        let Some(angles) = angles else { return x };
        let (tokens, leading) = (shape.tokens(), shape.patches().start);
        tape.rotate(&x, RotarySize { tokens, leading, heads, width }, angles)
    }

    /// The MLP whose layers are at these sites.
    fn mlp(
        &self,
        y: &Var<D>,
        site: impl Fn(Layer) -> Site,
        observe: &dyn Fn(&str, &Var<D>),
    ) -> Var<D> {
        let Pass { tape, weights, sites, .. } = *self;
        let kind = weights.config.activation;
        let (gate, fc1) = (site(Layer::Gate), site(Layer::Fc1));
        let y = if weights.optional(&gate.weight()).is_some() {
            tape.gated(kind, &self.linear(y, gate, observe), &self.linear(y, fc1, observe))
        } else {
            let name = fc1.to_string();
            observe(&name, y);
            let (weight, bias) = (weights.get(&fc1.weight()), weights.optional(&fc1.bias()));
            tape.linear_activation(kind, y, weight, bias, sites.get(&name))
        };
        self.linear(&y, site(Layer::Fc2), observe)
    }

    fn linear(&self, x: &Var<D>, site: Site, observe: &dyn Fn(&str, &Var<D>)) -> Var<D> {
        let name = site.to_string();
        observe(&name, x);
        let (weight, bias) =
            (self.weights.get(&site.weight()), self.weights.optional(&site.bias()));
        self.tape.linear(x, weight, bias, self.sites.get(&name))
    }

    fn norm(&self, x: &Var<D>, name: &str) -> Var<D> {
        let [weight, bias] =
            ["weight", "bias"].map(|part| self.weights.get(&format!("{name}.{part}")));
        self.tape.layer_norm(x, weight, bias, self.shape.norms.epsilon)
    }

    /// The class token of each image: the first.
    fn class_rows(&self, x: &Var<D>) -> Var<D> {
        self.tape.first_rows(x, self.shape.tokens())
    }
}
