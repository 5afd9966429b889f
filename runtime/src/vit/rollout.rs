//! Attention rollout (Abnar & Zuidema 2020, arXiv 2005.00928, section 3) over the last blocks: of
//! which patches the CLS token's last state was mixed.
//!
//! It is computed beside the forward pass from the queries and keys that this leaves in its
//! buffers, and takes no part in it.

use std::sync::Arc;

use super::Vit;
use super::forward::{Stream, spread};
use crate::kernel::{AttentionWeights, Panels};
use crate::{Error, memory};

/// Blocks that are looked at, the last ones: over all twelve, maps of a real base came out nearly
/// even.
pub(super) const BLOCKS: usize = 3;

/// The attention of the last [`BLOCKS`] blocks so far; what two streams have in common is there
/// once.
#[derive(Clone, Default)]
pub(super) struct Rollout(Vec<Arc<Vec<f32>>>);

impl Rollout {
    /// Goes on with a block's attention `[tokens, tokens]`, the mean over its heads; of the last
    /// block `[1, tokens]`, the CLS token's.
    pub fn push(&mut self, attention: Vec<f32>) {
        self.0.push(Arc::new(attention));
    }

    /// The CLS token's row of the product of `M = (A + I) / 2` of each block's attention A, the
    /// last block first, without the CLS token's own share and brought to a sum of one: `[grid,
    /// grid]`, rows from the top. Even where nothing of the patches is left.
    pub fn map(&self) -> Vec<f32> {
        let tokens = self.0.last().map_or(0, |last| last.len());
        let mut row = vec![0.0f64; tokens];
        row[0] = 1.0;
        for attention in self.0.iter().rev() {
            let mut next: Vec<f64> = row.iter().map(|share| 0.5 * share).collect();
            // The CLS token is all that the last block was asked for, and all that the row holds
            // there.
            for (share, attention) in row.iter().zip(attention.chunks_exact(tokens)) {
                next.iter_mut()
                    .zip(attention)
                    .for_each(|(next, a)| *next += 0.5 * share * f64::from(*a));
            }
            row = next;
        }
        let (patches, total) = (&row[1..], row[1..].iter().sum::<f64>());
        let even = 1.0 / patches.len() as f64;
        patches.iter().map(|share| if total > 0.0 { share / total } else { even } as f32).collect()
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
        let (hidden, heads, tokens) = (self.layout.hidden, self.layout.heads, self.tokens());
        let (width, scale) = (hidden / heads, self.layout.scale);
        let mut attention = memory::floats(asked * tokens, "an image's attention")?;
        let [q, k, _] = &stream.qkv;
        let each = asked.div_ceil(threads);
        let work: Vec<_> =
            q.chunks(each * hidden).zip(attention.chunks_mut(each * tokens)).collect();
        spread(threads, work, |(q, sum)| {
            let queries = sum.len() / tokens;
            let mut keys = Panels::zeros(self.level, width, tokens);
            let mut shares = vec![0.0; sum.len()];
            for head in 0..heads {
                keys.fill_transposed(&k[head * width..], hidden);
                let q = &q[head * width..];
                self.level.run(AttentionWeights {
                    q,
                    q_stride: hidden,
                    queries,
                    scale,
                    keys: &keys,
                    out: &mut shares,
                });
                sum.iter_mut().zip(&shares).for_each(|(sum, share)| *sum += share / heads as f32);
            }
        });
        Ok(attention)
    }
}
