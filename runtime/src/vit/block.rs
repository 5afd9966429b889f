//! One block of the forward pass, for several streams at a time.
//!
//! Threads share a stream's tokens in the linear layers, and its heads in attention.

use super::adapter::Branch;
use super::linear::{After, Input};
use super::site::{ByLayer, Layer};
use super::stream::{Stream, spread};
use super::transformer::Vit;
use super::weights::Block;
use crate::kernel::{self, Rotate, Store};

/// What streams go through a block with.
pub(super) struct Pass<'a> {
    pub vit: &'a Vit,
    pub block: &'a Block,
    /// By stream.
    pub adapters: &'a [&'a ByLayer<Option<Branch>>],
    /// How many tokens ask: the first ones.
    pub asked: usize,
    pub threads: usize,
}

impl Pass<'_> {
    /// Takes the streams through the block. Tokens that do not ask stay as they were.
    pub fn run(&self, streams: &mut [Stream]) {
        let each = self.vit.each(streams.len(), self.threads);
        self.project(streams, each);
        self.vit.attend(streams, self.vit.shape.heads, self.asked, self.threads);
        self.finish(streams, each);
    }

    /// The first norm, and queries, keys and values of `each` tokens at a time.
    fn project(&self, streams: &mut [Stream], each: usize) {
        let hidden = self.vit.shape.hidden;
        let mut work = Vec::new();
        for (stream, adapter) in streams.iter_mut().zip(self.adapters) {
            let [q, k, v] = &mut stream.qkv;
            let keys = k.chunks_mut(each * hidden).zip(v.chunks_mut(each * hidden));
            let rows = stream.x.chunks(each * hidden).zip(stream.y.chunks_mut(each * hidden));
            let pieces = rows.zip(q.chunks_mut(each * hidden)).zip(keys).enumerate();
            work.extend(pieces.map(|(piece, (((x, y), q), (k, v)))| {
                (*adapter, piece * each, x, y, [(Layer::Q, q), (Layer::K, k), (Layer::V, v)])
            }));
        }
        let (vit, all_ask) = (self.vit, self.asked == self.vit.shape.tokens());
        let linear = &self.block.linears[Layer::Q];
        spread(self.threads, work, |(adapter, first, x, y, qkv)| {
            vit.normalise(&self.block.norm1, x, y);
            let all = vit.input(linear, y);
            for (layer, out) in qkv {
                if all_ask || layer != Layer::Q {
                    self.layer(adapter, layer, &all, out);
                    self.turn(layer, first, out);
                } else if first == 0 {
                    let asked = self.asked * hidden;
                    self.layer(adapter, layer, &vit.input(linear, &y[..asked]), out);
                    self.turn(layer, first, &mut out[..asked]);
                }
            }
        });
    }

    fn layer(
        &self,
        adapter: &ByLayer<Option<Branch>>,
        layer: Layer,
        input: &Input,
        out: &mut [f32],
    ) {
        let (linear, branch) = (&self.block.linears[layer], adapter[layer].as_ref());
        self.vit.linear(linear, branch, input, After::default(), &mut out[..input.x.len()]);
    }

    /// What becomes of queries and keys before they meet: the norms of heads, and the rotation of
    /// patches. The first of `rows` is of token `first`.
    fn turn(&self, layer: Layer, first: usize, rows: &mut [f32]) {
        let (vit, shape) = (self.vit, &self.vit.shape);
        let (hidden, width, patches) = (shape.hidden, shape.head_width(), shape.patches());
        let which = match layer {
            Layer::Q => 0,
            Layer::K => 1,
            _ => return,
        };
        if let Some(norms) = &self.block.head_norms {
            let mut before = vec![0.0; hidden];
            for row in rows.chunks_exact_mut(hidden) {
                before.copy_from_slice(row);
                vit.normalise(&norms[which], &before, row);
            }
        }
        let rows = rows.get_mut(patches.start.saturating_sub(first) * hidden..);
        if let (Some(tables), Some(x)) = (&vit.weights.rotary, rows) {
            let from = first.saturating_sub(patches.start) * width;
            let of = from..from + x.len() / hidden * width;
            let (cos, sin) = (&tables.cos[of.clone()], &tables.sin[of]);
            vit.level.run(Rotate { x, width, cos, sin });
        }
    }

    /// What follows attention, and the MLP, of `each` tokens at a time.
    fn finish(&self, streams: &mut [Stream], each: usize) {
        let (vit, block) = (self.vit, self.block);
        let (hidden, inner) = (vit.shape.hidden, vit.shape.mlp.width);
        let asked = self.asked * hidden;
        let mut work = Vec::new();
        for (stream, adapter) in streams.iter_mut().zip(self.adapters) {
            let rows = stream.x[..asked].chunks_mut(each * hidden);
            let rows = rows.zip(stream.y.chunks_mut(each * hidden));
            let pieces = rows.zip(stream.inner.chunks_mut(each * inner)).enumerate();
            work.extend(pieces.map(|(piece, ((x, y), inner))| {
                (*adapter, piece * each, &stream.mixed, x, y, inner)
            }));
        }
        spread(self.threads, work, |(adapter, first, mixed, x, y, buffer)| {
            let rows = x.len() / hidden;
            let (y, buffer) = (&mut y[..rows * hidden], &mut buffer[..rows * inner]);
            vit.merge(mixed, vit.shape.heads, first, y);
            let of = |layer: Layer| &block.linears[layer];
            let linear = |layer: Layer, input: &Input, after: After, out: &mut [f32]| {
                vit.linear(of(layer), adapter[layer].as_ref(), input, after, out);
            };
            let add = |scale| After { layer_scale: scale, store: Store::Add, ..After::default() };
            linear(Layer::O, &vit.input(of(Layer::O), y), add(block.scale1.as_deref()), x);
            vit.normalise(&block.norm2, x, y);
            let y = vit.input(of(Layer::Fc1), y);
            let activated =
                After { activation: vit.shape.mlp.activation.into(), ..After::default() };
            if vit.shape.mlp.gated {
                linear(Layer::Gate, &y, activated, buffer);
                let multiply = After { store: Store::Multiply, ..After::default() };
                linear(Layer::Fc1, &y, multiply, buffer);
            } else {
                linear(Layer::Fc1, &y, activated, buffer);
            }
            linear(Layer::Fc2, &vit.input(of(Layer::Fc2), buffer), add(block.scale2.as_deref()), x);
        });
    }
}

impl From<super::shape::Activation> for kernel::Activation {
    fn from(activation: super::shape::Activation) -> Self {
        match activation {
            super::shape::Activation::Gelu => kernel::Activation::Gelu,
            super::shape::Activation::QuickGelu => kernel::Activation::QuickGelu,
            super::shape::Activation::GeluTanh => kernel::Activation::GeluTanh,
            super::shape::Activation::Silu => kernel::Activation::Silu,
        }
    }
}
