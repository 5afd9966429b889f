//! Modules: their factors by site, and several fused into one.

use std::collections::BTreeMap;

use super::super::base::Factors;
use super::super::graph::SiteWidths;
use super::take::Take;
use crate::bundle::manifest;
use crate::tensors::Tensor;
use crate::{Class, Error};

/// The factors of a module by site, after checking that they are what the manifest says and fit
/// `sites`.
pub fn module(
    stated: &manifest::Module,
    tensors: BTreeMap<String, Tensor>,
    sites: &BTreeMap<String, SiteWidths>,
) -> Result<BTreeMap<String, Factors>, Error> {
    let mut take = Take::new(&stated.entry, tensors);
    let mut by_site = BTreeMap::new();
    for name in &stated.sites {
        let Some(site) = sites.get(name) else {
            take.refuse(Class::ModuleUnknownSite, format!("site {name} is not in the base"));
            continue;
        };
        let (lora_a, lora_b) = (format!("{name}.lora_a"), format!("{name}.lora_b"));
        let rank =
            take.tensors.get(&lora_a).and_then(|tensor| tensor.shape.last()).copied().unwrap_or(0);
        let a = take.tensor(&lora_a, &[site.inputs, rank]);
        let b = take.tensor(&lora_b, &[rank, site.outputs]);
        let lora_scale = format!("{name}.lora_scale");
        let magnitude_scale = match (take.tensors.contains_key(&lora_scale), site.scalable) {
            (false, _) => None,
            (true, true) => Some(take.tensor(&lora_scale, &[site.outputs])),
            (true, false) => {
                take.tensors.remove(&lora_scale);
                take.refuse(
                    Class::TensorsMisfit,
                    format!("{lora_scale} is there, and the base's graph takes none"),
                );
                None
            }
        };
        by_site.insert(name.clone(), Factors { rank, a, b, magnitude_scale });
    }
    let rank = by_site.values().map(|factors| factors.rank).max().unwrap_or(0);
    if rank != stated.rank as usize {
        take.refuse(
            Class::ModuleWrongShape,
            format!("the largest rank is {rank} and the manifest says {}", stated.rank),
        );
    }
    take.finish(by_site)
}

/// Fusion: at every site the ranks of all parts side by side, each part's weight folded into its
/// `b`, so that the branch computes the sum of `weight * (x A) B` over the parts. None of them has
/// scales, which are no sum.
pub fn fused(
    parts: &[(&BTreeMap<String, Factors>, f64)],
    sites: &BTreeMap<String, SiteWidths>,
) -> BTreeMap<String, Factors> {
    let fuse = |(name, site): (&String, &SiteWidths)| {
        let parts: Vec<(&Factors, f64)> =
            parts.iter().filter_map(|(m, weight)| Some((m.get(name)?, *weight))).collect();
        let rows =
            |input: usize| parts.iter().flat_map(move |(f, _)| &f.a[input * f.rank..][..f.rank]);
        let factors = Factors {
            rank: parts.iter().map(|(factors, _)| factors.rank).sum(),
            a: (0..site.inputs).flat_map(rows).copied().collect(),
            b: parts
                .iter()
                .flat_map(|(f, weight)| f.b.iter().map(move |v| (f64::from(*v) * weight) as f32))
                .collect(),
            magnitude_scale: None,
        };
        (factors.rank > 0).then(|| (name.clone(), factors))
    };
    sites.iter().filter_map(fuse).collect()
}
