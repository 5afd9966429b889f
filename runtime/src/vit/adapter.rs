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
    /// The first block in which something is added: blocks before it compute what the base computes.
    pub(super) first: usize,
}

/// `(x A) B`, scaling and weights folded into `b`.
pub(super) struct Branch {
    /// `[inputs, rank]`
    pub a: Panels,
    /// `[rank, outputs]`
    pub b: Panels,
}

impl Vit {
    /// Lays out factors by site: rank, A `[inputs, rank]`, B `[rank, outputs]`. None if they do not have the site's shape.
    pub fn adapter<'a>(&self, by_site: &BTreeMap<String, (usize, &'a [f32], &'a [f32])>) -> Option<Adapter> {
        let blocks = self.layout.blocks.iter().map(|names| block(self.level, names, by_site));
        let blocks: Vec<_> = blocks.collect::<Option<_>>()?;
        let projection = match &self.layout.projection {
            Some(names) => branch(self.level, names, by_site)?,
            None => None,
        };
        // Rows that part only after the last block part in it.
        let after = blocks.len() - usize::from(projection.is_some());
        let first = blocks.iter().position(|block| block.iter().any(Option::is_some)).unwrap_or(after);
        Some(Adapter { blocks, projection, first })
    }
}

impl Adapter {
    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        let branches = self.blocks.iter().flatten().chain([&self.projection]).flatten();
        branches.map(|branch| branch.a.bytes() + branch.b.bytes()).sum()
    }
}

fn block(
    level: Level,
    names: &BlockNames,
    by_site: &BTreeMap<String, (usize, &[f32], &[f32])>,
) -> Option<[Option<Branch>; 6]> {
    let [q, k, v] = &names.qkv;
    let branch = |names| branch(level, names, by_site);
    Some([branch(q)?, branch(k)?, branch(v)?, branch(&names.o)?, branch(&names.fc1)?, branch(&names.fc2)?])
}

fn branch(
    level: Level,
    names: &LinearNames,
    by_site: &BTreeMap<String, (usize, &[f32], &[f32])>,
) -> Option<Option<Branch>> {
    match by_site.get(&names.site) {
        Some(&(rank, a, b)) if rank > 0 => {
            (a.len() == names.inputs * rank && b.len() == rank * names.outputs).then_some(())?;
            let (a, b) = (Panels::new(level, names.inputs, rank, a), Panels::new(level, rank, names.outputs, b));
            Some(Some(Branch { a, b }))
        }
        _ => Some(None),
    }
}
