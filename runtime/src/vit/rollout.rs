//! Attention rollout (Abnar & Zuidema 2020, arXiv 2005.00928, section 3) over the last blocks: of
//! which patches the pooled token's last state was mixed.
//!
//! It is computed beside the forward pass, from the queries and keys that this leaves in its
//! buffers. It takes no part in the pass.

use std::ops::Range;
use std::sync::Arc;

use super::shape::Shape;
use super::stream::{Stream, spread};
use super::transformer::Vit;
use crate::kernel::{AttentionWeights, Panels};
use crate::{Error, memory};

/// How many of the last blocks are looked at. Over all twelve, maps of a real base came out nearly
/// even.
pub(super) const BLOCKS: usize = 3;

/// The attention of the last [`BLOCKS`] blocks so far. What two streams have in common is there
/// once.
#[derive(Clone)]
pub(super) struct Rollout {
    tokens: usize,
    pooled: usize,
    patches: Range<usize>,
    blocks: Vec<Arc<Vec<f32>>>,
}

impl Rollout {
    /// Of no block yet.
    pub fn new(shape: &Shape) -> Self {
        let (tokens, pooled, patches) = (shape.tokens(), shape.pooled(), shape.patches());
        Rollout { tokens, pooled, patches, blocks: Vec::new() }
    }

    /// Goes on with a block's attention weights `[tokens, tokens]`, the mean over its heads. Of the
    /// last block only the first rows are there, up to the pooled token's.
    pub fn push(&mut self, attention: Vec<f32>) {
        self.blocks.push(Arc::new(attention));
    }

    /// The pooled token's row of the product of `M = (A + I) / 2` of each block's attention A, the
    /// last block first: its patches, brought to a sum of one. `[grid, grid]`, rows from the top.
    /// Even where nothing of the patches is left.
    pub fn map(&self) -> Vec<f32> {
        let mut row = vec![0.0f64; self.tokens];
        row[self.pooled] = 1.0;
        for attention in self.blocks.iter().rev() {
            let mut next: Vec<f64> = row.iter().map(|weight| 0.5 * weight).collect();
            // The last block has fewer rows, and of the others nothing is in the row there.
            for (weight, attention) in row.iter().zip(attention.chunks_exact(self.tokens)) {
                next.iter_mut()
                    .zip(attention)
                    .for_each(|(next, a)| *next += 0.5 * weight * f64::from(*a));
            }
            row = next;
        }
        let patches = &row[self.patches.clone()];
        let (total, even) = (patches.iter().sum::<f64>(), 1.0 / patches.len() as f64);
        let part = |weight: &f64| if total > 0.0 { weight / total } else { even } as f32;
        patches.iter().map(part).collect()
    }
}

impl Vit {
    /// How much the first `asked` tokens attended to each token in the block that `stream` went
    /// through last: `[asked, tokens]`, the mean over heads.
    pub(super) fn attended(
        &self,
        stream: &Stream,
        asked: usize,
        threads: usize,
    ) -> Result<Vec<f32>, Error> {
        let (hidden, heads, tokens) = (self.shape.hidden, self.shape.heads, self.shape.tokens());
        let (width, scale) = (self.shape.head_width(), self.shape.attention_scale() as f32);
        let mut attention = memory::floats(asked * tokens, "an image's attention")?;
        let [q, k, _] = &stream.qkv;
        let each = asked.div_ceil(threads);
        let work: Vec<_> =
            q.chunks(each * hidden).zip(attention.chunks_mut(each * tokens)).collect();
        spread(threads, work, |(q, sum)| {
            let queries = sum.len() / tokens;
            let mut keys = Panels::zeros(self.level, width, tokens);
            let mut weights = vec![0.0; sum.len()];
            for head in 0..heads {
                keys.fill_transposed(&k[head * width..], hidden);
                self.level.run(AttentionWeights {
                    q: &q[head * width..],
                    q_stride: hidden,
                    queries,
                    scale,
                    keys: &keys,
                    out: &mut weights,
                });
                sum.iter_mut().zip(&weights).for_each(|(sum, w)| *sum += w / heads as f32);
            }
        });
        Ok(attention)
    }
}
