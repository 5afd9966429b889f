//! The LoRA factors of one composition, laid out for the transformer.

use std::collections::BTreeMap;

use super::Vit;
use super::layout::{BlockNames, LinearNames};
use crate::kernel::{Level, Panels};

/// What one composition adds to the linear layers. Swapping is passing another one.
pub(crate) struct Adapter {
    /// By block: q, k, v, o, fc1, fc2.
    pub(super) blocks: Vec<[Option<Branch>; 6]>,
    /// After the last block, where the base has a projection.
    pub(super) projection: Option<Branch>,
    /// The first block in which something is added: blocks before it compute what the base
    /// computes.
    pub(super) first: usize,
}

/// `(x A) B`, scaling and weights folded into `b`; and what the layer's outputs are multiplied with
/// before the bias.
pub(super) struct Branch {
    /// `[inputs, rank]`
    pub a: Panels,
    /// `[rank, outputs]`
    pub b: Panels,
    /// `[outputs]`
    pub magnitude_scale: Option<Vec<f32>>,
}

/// One site's factors as they come: rank, A `[inputs, rank]`, B `[rank, outputs]`, and of DoRA what
/// outputs are multiplied with, `[outputs]`.
#[derive(Clone, Copy)]
pub(crate) struct SiteFactors<'a> {
    pub rank: usize,
    pub a: &'a [f32],
    pub b: &'a [f32],
    pub magnitude_scale: Option<&'a [f32]>,
}

impl Vit {
    /// Lays out factors by site. None if they do not have the site's shape, or a gain where the
    /// graph takes none.
    pub fn adapter(&self, by_site: &BTreeMap<String, SiteFactors>) -> Option<Adapter> {
        let blocks = self.layout.blocks.iter().map(|names| block(self.level, names, by_site));
        let blocks: Vec<_> = blocks.collect::<Option<_>>()?;
        let projection = match &self.layout.projection {
            Some(names) => branch(self.level, names, by_site)?,
            None => None,
        };
        // Rows that part only after the last block part in it.
        let after = blocks.len() - usize::from(projection.is_some());
        let first =
            blocks.iter().position(|block| block.iter().any(Option::is_some)).unwrap_or(after);
        Some(Adapter { blocks, projection, first })
    }
}

impl Adapter {
    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        let branches = self.blocks.iter().flatten().chain([&self.projection]).flatten();
        let scale = |branch: &Branch| branch.magnitude_scale.as_deref().map_or(0, size_of_val);
        branches.map(|branch| branch.a.bytes() + branch.b.bytes() + scale(branch)).sum()
    }
}

fn block(
    level: Level,
    names: &BlockNames,
    by_site: &BTreeMap<String, SiteFactors>,
) -> Option<[Option<Branch>; 6]> {
    let [q, k, v] = &names.qkv;
    let branch = |names| branch(level, names, by_site);
    Some([
        branch(q)?,
        branch(k)?,
        branch(v)?,
        branch(&names.o)?,
        branch(&names.fc1)?,
        branch(&names.fc2)?,
    ])
}

fn branch(
    level: Level,
    names: &LinearNames,
    by_site: &BTreeMap<String, SiteFactors>,
) -> Option<Option<Branch>> {
    match by_site.get(&names.site) {
        Some(&SiteFactors { rank, a, b, magnitude_scale: scale })
            if rank > 0 || scale.is_some() =>
        {
            let fits =
                scale.is_none_or(|scale| names.scaled && rank > 0 && scale.len() == names.outputs);
            (fits && a.len() == names.inputs * rank && b.len() == rank * names.outputs)
                .then_some(())?;
            let (a, b) = (
                Panels::new(level, names.inputs, rank, a),
                Panels::new(level, rank, names.outputs, b),
            );
            Some(Some(Branch { a, b, magnitude_scale: scale.map(<[f32]>::to_vec) }))
        }
        _ => Some(None),
    }
}
