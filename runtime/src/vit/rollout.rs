//! Attention rollout (Abnar & Zuidema 2020, arXiv 2005.00928, section 3) over the last blocks: of
//! which patches what was pooled in the end was mixed.
//!
//! It is computed beside the forward pass, from the queries and keys that this leaves in its
//! buffers. It takes no part in the pass.

use std::ops::Range;
use std::sync::Arc;

use super::shape::{Pooling, Shape};
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
    patches: Range<usize>,
    blocks: Vec<Arc<Vec<f32>>>,
}

impl Rollout {
    /// Of no block yet.
    pub fn new(shape: &Shape) -> Self {
        Rollout { tokens: shape.tokens(), patches: shape.patches(), blocks: Vec::new() }
    }

    /// Goes on with a block's attention weights `[tokens, tokens]`, the mean over its heads. Of the
    /// last block only the rows of tokens that are pooled may be there.
    pub fn push(&mut self, attention: Vec<f32>) {
        self.blocks.push(Arc::new(attention));
    }

    /// What of each token was `pooled`, taken back through `M = (A + I) / 2` of each block's
    /// attention A, the last block first: the patches of that row, brought to a sum of one. `[grid,
    /// grid]`, rows from the top. Even where nothing of the patches is left.
    pub fn map(&self, pooled: Vec<f64>) -> Vec<f32> {
        let mut row = pooled;
        for attention in self.blocks.iter().rev() {
            let mut next: Vec<f64> = row.iter().map(|weight| 0.5 * weight).collect();
            // The last block may have fewer rows, and of the others nothing is in the row there.
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
    /// How much of each token's last state is in the feature: `[tokens]`, 1 together.
    pub(super) fn pooled_from(&self, stream: &Stream, threads: usize) -> Result<Vec<f64>, Error> {
        let mut pooled = vec![0.0; self.shape.tokens()];
        let patches = self.shape.patches();
        let even = 1.0 / patches.len() as f64;
        match self.shape.pooling {
            Pooling::Class => pooled[0] = 1.0,
            Pooling::Mean | Pooling::NormOfMean => pooled[patches].fill(even),
            Pooling::ClassMean => {
                pooled[patches].fill(even / 2.0);
                pooled[0] = 0.5;
            }
            Pooling::Attention { heads, .. } => {
                let attention = self.attended(stream, heads, 1, threads)?;
                pooled = attention.into_iter().map(f64::from).collect();
            }
        }
        Ok(pooled)
    }

    /// How much the first `asked` queries of the attention that `stream` went through last attended
    /// to each token: `[asked, tokens]`, the mean over its `heads`.
    pub(super) fn attended(
        &self,
        stream: &Stream,
        heads: usize,
        asked: usize,
        threads: usize,
    ) -> Result<Vec<f32>, Error> {
        let (hidden, tokens) = (self.shape.hidden, self.shape.tokens());
        let (width, scale) = (hidden / heads, self.shape.scale_of(heads) as f32);
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
