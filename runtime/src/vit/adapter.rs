//! The LoRA factors of one composition, laid out for the transformer.

use std::collections::BTreeMap;

use super::site::{ByLayer, Site};
use super::transformer::Vit;
use crate::kernel::Panels;

/// What one composition adds to the linear layers. Swapping is passing another one.
pub(crate) struct Adapter {
    pub(super) blocks: Vec<ByLayer<Option<Branch>>>,
    /// After the last block, where the base pools by attention.
    pub(super) pool: ByLayer<Option<Branch>>,
    /// After pooling, where the base has a projection.
    pub(super) projection: Option<Branch>,
    /// The first block in which something is added. Blocks before it compute what the base
    /// computes.
    first: usize,
}

/// `(x A) B`, scaling and weights folded into `b`, and the magnitude scale.
pub(super) struct Branch {
    /// `[inputs, rank]`
    pub a: Panels,
    /// `[rank, outputs]`
    pub b: Panels,
    /// `[outputs]`: what the layer's outputs are multiplied with before the bias.
    pub magnitude_scale: Option<Vec<f32>>,
}

/// One site's factors as they come.
#[derive(Clone, Copy)]
pub(crate) struct SiteFactors<'a> {
    pub rank: usize,
    /// `[inputs, rank]`
    pub a: &'a [f32],
    /// `[rank, outputs]`
    pub b: &'a [f32],
    /// `[outputs]`, of DoRA.
    pub magnitude_scale: Option<&'a [f32]>,
}

/// Factors that do not fit their site.
struct Misfit;

impl Vit {
    /// Lays out factors by site. None if they do not have the site's shape, or a magnitude scale
    /// where the graph takes none.
    pub fn adapter(&self, by_site: &BTreeMap<String, SiteFactors>) -> Option<Adapter> {
        let branch = |site: Site| match by_site.get(&site.to_string()) {
            Some(factors) if factors.rank > 0 || factors.magnitude_scale.is_some() => {
                self.branch(site, factors).map(Some)
            }
            _ => Ok(None),
        };
        let numbers = 0..self.shape.blocks;
        let blocks = numbers
            .map(|block| {
                ByLayer::of(self.shape.layers(), |layer| branch(Site::Block(block, layer)))
            })
            .collect::<Result<Vec<_>, Misfit>>()
            .ok()?;
        let pool = ByLayer::of(self.shape.pool_layers(), |layer| branch(Site::Pool(layer))).ok()?;
        let projection = match self.shape.projection {
            Some(_) => branch(Site::Projection).ok()?,
            None => None,
        };
        let adds = |layers: &ByLayer<Option<Branch>>| layers.iter().any(Option::is_some);
        // Rows that part only after the last block part in it.
        let after = blocks.len() - usize::from(adds(&pool) || projection.is_some());
        let first = blocks.iter().position(adds).unwrap_or(after);
        Some(Adapter { blocks, pool, projection, first })
    }

    fn branch(&self, site: Site, factors: &SiteFactors) -> Result<Branch, Misfit> {
        let SiteFactors { rank, a, b, magnitude_scale } = *factors;
        let (inputs, outputs) = self.shape.widths(site);
        let scalable = self.shape.magnitude_scales && rank > 0;
        let scaled = magnitude_scale.is_none_or(|scale| scalable && scale.len() == outputs);
        if !scaled || a.len() != inputs * rank || b.len() != rank * outputs {
            return Err(Misfit);
        }
        Ok(Branch {
            a: Panels::new(self.level, inputs, rank, a),
            b: Panels::new(self.level, rank, outputs, b),
            magnitude_scale: magnitude_scale.map(<[f32]>::to_vec),
        })
    }
}

impl Adapter {
    /// Whether it and `other` have parted in this block at the latest.
    pub(super) fn parts(&self, number: usize, other: &Adapter) -> bool {
        !std::ptr::eq(self, other) && self.first.min(other.first) <= number
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        let layers = self.blocks.iter().chain([&self.pool]).flat_map(ByLayer::iter);
        layers.chain([&self.projection]).flatten().map(Branch::bytes).sum()
    }
}

impl Branch {
    fn bytes(&self) -> usize {
        let scale = self.magnitude_scale.as_deref().map_or(0, size_of_val);
        self.a.bytes() + self.b.bytes() + scale
    }
}
