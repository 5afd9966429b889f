//! A merge without data: the method at every site.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::delta::Delta;
use super::options::{Method, Options, Space};
use super::site::{self, Site};
use super::sites::{Sites, of_module, one_rank};
use super::{
    Grams, average, breadcrumbs, core_space, dare, della, factors, iso_c, knots, regmean, svd,
    task_arithmetic, ties, tsv,
};
use crate::Error;
use crate::lora::{Head, Module, ModuleCard, compact, dora};

/// A merged change of a base's weights.
#[derive(Clone, Debug)]
pub struct Merged {
    /// By site. The delta is B * A without a further scale. Ranks may differ from site to site.
    pub sites: Sites,
    /// The fraction of the deltas' squared norm that the rank kept.
    pub kept: f64,
}

/// Merges `modules` of one base. `grams` are for RegMean, one for each module; other methods do not
/// read them.
///
/// # Errors
/// [`Error::Merge`], naming the option or the module and the site.
pub fn merge(modules: &[&Module], options: &Options, grams: &[&Grams]) -> Result<Merged, Error> {
    if let [alone] = modules
        && dora::has_magnitudes(&alone.sites)
        && options.keeps_one()
    {
        options.check(1)?;
        return Ok(Merged { sites: of_module(alone), kept: 1.0 });
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

    /// The merge as a module with `head`. Every site is padded with zeros to one rank. Alpha equals
    /// that rank, so that the scale is 1.
    ///
    /// # Errors
    /// [`Error::Merge`] if the rank is more than a module's file may have.
    pub fn into_module(self, head: Head, card: ModuleCard) -> Result<Module, Error> {
        let (rank, sites) = one_rank(self.sites)?;
        Ok(Module { rank, alpha: rank as f64, sites, head, card })
    }
}
