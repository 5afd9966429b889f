//! Changes of a base's weights, by site.

use std::collections::BTreeMap;

use super::options::MAX_RANK;
use crate::Error;
use crate::lora::{Factors, Module};

/// By site, factors of a change B * A (scale 1).
pub type Sites = BTreeMap<String, Factors>;

/// The change of a module, with its scale folded into B.
pub fn of_module(module: &Module) -> Sites {
    module.sites.iter().map(|(site, f)| (site.clone(), f.scaled(module.scale()))).collect()
}

/// The same changes with one rank for all sites, as a file has it. Smaller ranks are padded with
/// zeros.
///
/// # Errors
/// [`Error::Merge`] if the rank is more than a file may have.
pub fn one_rank(sites: Sites) -> Result<(usize, Sites), Error> {
    let rank = sites.values().map(|f| f.a.shape[0]).max().unwrap_or(1);
    if rank > MAX_RANK {
        return Err(Error::Merge {
            what: format!(
                "the result has rank {rank}, more than {MAX_RANK}; merge to a smaller rank"
            ),
        });
    }
    Ok((rank, sites.into_iter().map(|(site, factors)| (site, factors.padded(rank))).collect()))
}
