//! Merging of LoRA modules: several modules of one base become one change of its weights, or a
//! model of several networks.
//!
//! Without data, here and in a file for each method; with condensed sets in [`compose`] (fusion,
//! mixture, routed).
//!
//! Every method without data works on the deltas s*B*A (s = alpha/rank) times the module's weight,
//! site by site; a site that a module does not have is a zero delta. With [`Space::Factors`] A and
//! B are merged apart, as PEFT does, for comparison with published figures. Modules are put in the
//! order of their factors' digests first, so no merge depends on the order in which they are given.
//! All of it is linear algebra on small matrices (rank x rank, hidden x hidden) in f64 and runs on
//! the host, whatever the device.
//!
//! DoRA modules mix but do not fuse: their rows' lengths are no sum. One alone with weight 1 comes
//! out as it is.
//!
//! Refused, naming module and site: DoRA modules beside others, another base, image size or
//! preprocessing, shapes that do not fit, values and weights that are not finite, numbers out of
//! range.

use std::collections::BTreeMap;

use rayon::prelude::*;

use crate::Error;
use crate::lora::{Factors, Head, Module, ModuleCard, compact, dora};

mod average;
mod breadcrumbs;
pub mod cma_es;
pub mod compose;
#[cfg(test)]
pub(crate) mod composition_tests;
mod core_space;
mod dare;
mod della;
mod delta;
mod factors;
pub mod folder;
pub mod fusion;
mod grams;
mod iso_c;
mod judged;
mod knots;
pub mod mixture;
pub mod model;
mod options;
pub mod overlap;
mod page;
mod regmean;
pub mod routed;
mod site;
mod svd;
mod task_arithmetic;
#[cfg(test)]
mod tests;
mod ties;
mod tsv;

pub use grams::Grams;
pub(crate) use judged::LEAST;
pub use judged::Task;
pub use options::{Method, Options, Rank, Space};
pub use page::page;

use delta::Delta;
use site::Site;

/// By site, factors of a change B * A (scale 1).
pub type Sites = BTreeMap<String, Factors>;

/// A merged change of the base's weights.
#[derive(Clone, Debug)]
pub struct Merged {
    /// By site; the delta is B * A, with no further scale. Ranks may differ from site to site.
    pub sites: Sites,
    /// The share of the deltas' squared norm that the rank kept.
    pub kept: f64,
}

/// Merges `modules` of one base. `grams` are RegMean's, one for each module; the other methods do
/// not read them.
///
/// # Errors
/// [`Error::Merge`], naming the option or the module and the site.
pub fn merge(modules: &[&Module], options: &Options, grams: &[&Grams]) -> Result<Merged, Error> {
    if let [alone] = modules
        && dora::has_magnitudes(&alone.sites)
        && options.keeps_one()
    {
        options.check(1)?;
        return Ok(Merged { sites: compose::sites(alone), kept: 1.0 });
    }
    let sites = site::gather(modules, options, grams)?;
    let merged: Vec<_> =
        sites.par_iter().map(|site| at(site, options)?.keep(options.rank)).collect();
    let mut result = Merged { sites: BTreeMap::new(), kept: 1.0 };
    let (mut kept, mut total) = (0.0, 0.0);
    for (site, merged) in sites.iter().zip(merged) {
        let merged =
            merged.map_err(|what| Error::Merge { what: format!("site {}: {what}", site.name) })?;
        kept += merged.kept;
        total += merged.total;
        result.sites.insert(site.name.to_owned(), compact(merged.factors));
    }
    if total > 0.0 {
        result.kept = kept / total;
    }
    Ok(result)
}

/// The merged delta of one site.
fn at(site: &Site, options: &Options) -> Result<Delta, String> {
    if options.space == Space::Factors {
        return factors::merge(site, options);
    }
    match options.method {
        Method::Average => average::merge(site),
        Method::TaskArithmetic => task_arithmetic::merge(site),
        Method::Ties => ties::merge(site, options),
        Method::DareLinear => dare::linear(site, options),
        Method::DareTies => dare::ties(site, options),
        Method::Della => della::merge(site, options),
        Method::Breadcrumbs => breadcrumbs::merge(site, options),
        Method::Svd => svd::merge(site),
        Method::Knots => knots::merge(site, options),
        Method::CoreSpace => core_space::merge(site, options),
        Method::Tsv => tsv::merge(site),
        Method::IsoC => iso_c::merge(site),
        Method::RegMean => regmean::merge(site, options),
    }
}

impl Merged {
    /// The largest rank of a site, at least 1.
    pub fn rank(&self) -> usize {
        self.sites.values().map(|f| f.a.shape[0]).max().unwrap_or(1)
    }

    /// The merge as a module with `head`: every site padded with zeros to one rank, alpha equal to
    /// it, so that its scale is 1.
    ///
    /// # Errors
    /// [`Error::Merge`] if the rank is more than a module's file may have.
    pub fn into_module(self, head: Head, card: ModuleCard) -> Result<Module, Error> {
        let (rank, sites) = one_rank(self.sites)?;
        Ok(Module { rank, alpha: rank as f64, sites, head, card })
    }
}

/// The same changes with one rank for all sites, as a file has it: that of the largest, padded with
/// zeros.
///
/// # Errors
/// [`Error::Merge`] if it is more than a file may have.
pub fn one_rank(sites: Sites) -> Result<(usize, Sites), Error> {
    let rank = sites.values().map(|f| f.a.shape[0]).max().unwrap_or(1);
    if rank > options::MAX_RANK {
        let most = options::MAX_RANK;
        return Err(Error::Merge {
            what: format!("the result has rank {rank}, more than {most}; merge to a smaller rank"),
        });
    }
    Ok((rank, sites.into_iter().map(|(site, factors)| (site, factors.padded(rank))).collect()))
}
