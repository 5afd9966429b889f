//! The forward pass on the tape: images in, features out. The feature is the class token after the
//! last layer norm, and of CLIP after the visual projection. On request the tokens of any block
//! come with it.

use std::collections::BTreeMap;
use std::rc::Rc;

use medforge_runtime::vit::{Layer, Shape, Site};

use super::positions;
use super::weights::Weights;
use crate::device::{AttentionSize, Device, PatchSize};
use crate::tape::{LowRank, Tape, Tensor, Var};

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
    Pass::new(tape, weights, sites).run(device, images, &wanted)
}

/// [`forward`]; `observe` is shown what goes into the linear layer at each site. Of the last
/// block's layers after its attention that is one row an image.
pub fn forward_observed<D: Device + 'static>(
    tape: &Tape<D>,
    weights: &Weights<D>,
    sites: &BTreeMap<String, LowRank<D>>,
    device: &D,
    images: &Var<D>,
    observe: &dyn Fn(&str, &Var<D>),
) -> Var<D> {
    let wanted = Wanted { blocks: &[], leaf: None, observe };
    Pass::new(tape, weights, sites).run(device, images, &wanted).0
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
    let (feature, leaf) = Pass::new(tape, weights, sites).run(device, images, &wanted);
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
}

impl<'a, D: Device + 'static> Pass<'a, D> {
    fn new(
        tape: &'a Tape<D>,
        weights: &'a Weights<D>,
        sites: &'a BTreeMap<String, LowRank<D>>,
    ) -> Self {
        Pass { tape, weights, sites, shape: weights.shape() }
    }

    fn run(&self, device: &D, images: &Var<D>, wanted: &Wanted<D>) -> (Var<D>, Vec<Var<D>>) {
        let Pass { tape, weights, sites, ref shape } = *self;
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
            // Only the pooled token is asked of the last block: nothing after its attention mixes
            // tokens.
            let pooled = last && !asked;
            x = match shared.clone() {
                Some(shared) => tape.recomputed(move |tape| {
                    let (weights, sites) = &*shared;
                    Pass::new(tape, weights, sites).block(n, x.clone(), pooled, &|_, _| ())
                }),
                None => self.block(n, x, pooled, wanted.observe),
            };
            if asked {
                given.push(x.clone());
                if last {
                    x = self.pooled(&x);
                }
            }
        }
        (self.feature(&x, wanted.observe), given)
    }

    /// The tokens [batch*tokens, hidden] of `images`, with their positions.
    fn embed(&self, device: &D, images: &Var<D>) -> Var<D> {
        let Pass { tape, weights, ref shape, .. } = *self;
        let (batch, side) = (images.value.rows, shape.side());
        let size = PatchSize { batch, height: side, width: side, patch: shape.patch };
        let patches = tape.patches(images, size);
        let bias = weights.optional("embed.patch.bias");
        let embedded = tape.linear(&patches, weights.get("embed.patch.weight"), bias, None);
        let table = weights.get("embed.positions");
        let table = if table.value.rows == shape.tokens() {
            table.clone()
        } else {
            let own = weights.config.shape(weights.config.image_size);
            let matrix = positions::matrix(&own, shape);
            let matrix = Tensor::new(device, &matrix, shape.tokens(), own.tokens());
            tape.resample(&matrix, table)
        };
        let x = tape.tokens(&embedded, weights.get("embed.cls"), &table);
        if shape.norms.first { self.norm(&x, "embed.norm") } else { x }
    }

    /// Block `n` of `x` [batch*tokens, hidden]: the result has x's shape, or with `pooled` one row
    /// an image.
    fn block(
        &self,
        n: usize,
        mut x: Var<D>,
        pooled: bool,
        observe: &dyn Fn(&str, &Var<D>),
    ) -> Var<D> {
        let Pass { tape, weights, ref shape, .. } = *self;
        let name = |part: &str| format!("blocks.{n}.{part}");
        let linear = |x: &Var<D>, layer| self.linear(x, Site::Block(n, layer), observe);
        let scale = |part| shape.norms.layer_scale.then(|| weights.get(&name(part)));
        let y = self.norm(&x, &name("norm1"));
        let (q, k, v) = (linear(&y, Layer::Q), linear(&y, Layer::K), linear(&y, Layer::V));
        let (tokens, heads, width) = (shape.tokens(), shape.heads, shape.head_width());
        let batch = x.value.rows / tokens;
        let mut y = tape.attention(&q, &k, &v, AttentionSize { batch, tokens, heads, width });
        if pooled {
            (x, y) = (self.pooled(&x), self.pooled(&y));
        }
        x = tape.residual(&x, &linear(&y, Layer::O), scale("scale1"));
        let y = self.norm(&x, &name("norm2"));
        let fc1 = Site::Block(n, Layer::Fc1);
        observe(&fc1.to_string(), &y);
        let y = tape.linear_activation(
            weights.config.activation,
            &y,
            weights.get(&fc1.weight()),
            weights.optional(&fc1.bias()),
            self.sites.get(&fc1.to_string()),
        );
        tape.residual(&x, &linear(&y, Layer::Fc2), scale("scale2"))
    }

    /// The features of what leaves the last block, one row an image.
    fn feature(&self, x: &Var<D>, observe: &dyn Fn(&str, &Var<D>)) -> Var<D> {
        let feature = self.norm(x, "norm");
        match self.shape.projection {
            Some(_) => self.linear(&feature, Site::Projection, observe),
            None => feature,
        }
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

    /// The pooled token of each image: the first.
    fn pooled(&self, x: &Var<D>) -> Var<D> {
        self.tape.first_rows(x, self.shape.tokens())
    }
}
