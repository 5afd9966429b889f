//! One block of the forward pass, for several streams at a time.
//!
//! Threads share a stream's tokens in the linear layers, and its heads in attention.

use super::adapter::Branch;
use super::linear::{After, Input};
use super::site::{ByLayer, Layer};
use super::stream::{Stream, spread};
use super::transformer::Vit;
use super::weights::Block;
use crate::kernel::{self, Attend, Panels};

/// What streams go through a block with.
pub(super) struct Pass<'a> {
    pub vit: &'a Vit,
    pub block: &'a Block,
    /// By stream.
    pub adapters: &'a [&'a ByLayer<Option<Branch>>],
    /// Whether it is the last block, in which only the pooled token asks.
    pub last: bool,
    pub threads: usize,
}

impl Pass<'_> {
    /// Takes the streams through the block. In the last one their other tokens stay as they were.
    pub fn run(&self, streams: &mut [Stream]) {
        let shape = &self.vit.shape;
        let each = shape.tokens().div_ceil(self.vit.pieces(streams.len(), self.threads));
        self.project(streams, each);
        self.attend(streams);
        self.finish(streams, each);
    }

    /// Tokens that ask.
    pub fn asked(&self) -> usize {
        if self.last { self.vit.shape.pooled() + 1 } else { self.vit.shape.tokens() }
    }

    /// The first norm, and queries, keys and values of `each` tokens at a time.
    fn project(&self, streams: &mut [Stream], each: usize) {
        let each = each * self.vit.shape.hidden;
        let mut work = Vec::new();
        for (stream, adapter) in streams.iter_mut().zip(self.adapters) {
            let [q, k, v] = &mut stream.qkv;
            let keys = k.chunks_mut(each).zip(v.chunks_mut(each));
            let rows = stream.x.chunks(each).zip(stream.y.chunks_mut(each));
            let pieces = rows.zip(q.chunks_mut(each)).zip(keys).enumerate();
            work.extend(pieces.map(|(piece, (((x, y), q), (k, v)))| {
                (*adapter, piece, x, y, [(Layer::Q, q), (Layer::K, k), (Layer::V, v)])
            }));
        }
        let (vit, asked) = (self.vit, self.asked() * self.vit.shape.hidden);
        let first = &self.block.linears[Layer::Q];
        spread(self.threads, work, |(adapter, piece, x, y, qkv)| {
            vit.normalise(&self.block.norm1, x, y);
            let all = vit.input(first, y);
            for (layer, out) in qkv {
                if self.last && layer == Layer::Q {
                    if piece == 0 {
                        self.layer(adapter, layer, &vit.input(first, &y[..asked]), out);
                    }
                } else {
                    self.layer(adapter, layer, &all, out);
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

    /// Attention, a head at a time.
    fn attend(&self, streams: &mut [Stream]) {
        let (level, shape) = (self.vit.level, &self.vit.shape);
        let (hidden, tokens, width) = (shape.hidden, shape.tokens(), shape.head_width());
        let (scale, queries) = (shape.attention_scale() as f32, self.asked());
        let mut work = Vec::new();
        for stream in streams.iter_mut() {
            let [q, k, v] = &stream.qkv;
            let heads = stream.mixed.chunks_mut(tokens * width).enumerate();
            work.extend(heads.map(|(head, out)| {
                (&q[head * width..], &k[head * width..], &v[head * width..], out)
            }));
        }
        spread(self.threads, work, |(q, k, v, out)| {
            let mut keys = Panels::zeros(level, width, tokens);
            let mut values = Panels::zeros(level, tokens, width);
            keys.fill_transposed(k, hidden);
            values.fill(v, hidden);
            let (keys, values) = (&keys, &values);
            level.run(Attend { q, q_stride: hidden, queries, scale, keys, values, out });
        });
    }

    /// What follows attention, and the MLP, of `each` tokens at a time.
    fn finish(&self, streams: &mut [Stream], each: usize) {
        let (vit, block) = (self.vit, self.block);
        let (hidden, inner) = (vit.shape.hidden, vit.shape.mlp.width);
        let asked = self.asked() * hidden;
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
            self.merge(mixed, first, y);
            let linear = |layer: Layer, x: &[f32], after: After, out: &mut [f32]| {
                let linear = &block.linears[layer];
                vit.linear(linear, adapter[layer].as_ref(), &vit.input(linear, x), after, out);
            };
            let add = |scale| After { layer_scale: scale, add: true, ..After::default() };
            linear(Layer::O, y, add(block.scale1.as_deref()), x);
            vit.normalise(&block.norm2, x, y);
            let activation = vit.shape.mlp.activation.into();
            linear(Layer::Fc1, y, After { activation, ..After::default() }, buffer);
            linear(Layer::Fc2, buffer, add(block.scale2.as_deref()), x);
        });
    }

    /// The heads' parts side by side: rows of `y`, from token `first` on.
    fn merge(&self, mixed: &[f32], first: usize, y: &mut [f32]) {
        let shape = &self.vit.shape;
        let (tokens, width) = (shape.tokens(), shape.head_width());
        for (row, y) in y.chunks_exact_mut(shape.hidden).enumerate() {
            for (head, y) in y.chunks_exact_mut(width).enumerate() {
                y.copy_from_slice(&mixed[(head * tokens + first + row) * width..][..width]);
            }
        }
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
