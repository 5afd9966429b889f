//! Reading PEFT's two files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use medforge_runtime::tensors::{self, Tensor};

use super::super::{Factors, Saved, site_shape};
use super::config::AdapterConfig;
use super::names::{MAGNITUDE, parse_name};
use crate::Error;
use crate::base::VitConfig;

/// The contents of the two files.
#[derive(Debug)]
pub struct Adapter {
    pub rank: usize,
    pub alpha: f64,
    pub sites: BTreeMap<String, Factors>,
    /// The saved head, if there is one.
    pub saved: Option<Saved>,
}

/// The tensors of a site: A, B and the magnitudes.
type Halves = [Option<Tensor>; 3];

/// Reads the two files, given by name. Errors name them as files of `place`.
///
/// # Errors
/// [`Error::Config`], [`Error::TensorShape`], [`Error::TensorMissing`], [`Error::TensorUnknown`],
/// and those of `file`.
pub fn read(
    place: &Path,
    file: impl Fn(&str) -> Result<Vec<u8>, Error>,
    config: &VitConfig,
) -> Result<Adapter, Error> {
    let mut settings =
        AdapterConfig::read(&place.join("adapter_config.json"), &file("adapter_config.json")?)?;
    let path = place.join("adapter_model.safetensors");
    let bytes = file("adapter_model.safetensors")?;
    let all = tensors::read(&bytes, &path.display().to_string())?;
    let mut saved = settings.saved.take();
    let mut collected = Collected {
        path,
        config,
        settings: &settings,
        halves: BTreeMap::new(),
        scales: BTreeMap::new(),
    };
    let mut unknown = Vec::new();
    for (name, tensor) in all {
        let left = match &mut saved {
            Some(saved) => saved.take(&name, tensor),
            None => Err(tensor),
        };
        let Err(tensor) = left else { continue };
        if !collected.add(&name, tensor)? {
            unknown.push(name);
        }
    }
    if !unknown.is_empty() {
        return Err(Error::TensorUnknown { path: collected.path, tensors: unknown.join(", ") });
    }
    let (sites, scales) = collected.sites()?;
    let (rank, alpha, sites) = one_scale(&settings, &scales, sites);
    Ok(Adapter { rank, alpha, sites, saved })
}

/// The tensors that were read so far, by site.
struct Collected<'a> {
    path: PathBuf,
    config: &'a VitConfig,
    settings: &'a AdapterConfig,
    halves: BTreeMap<String, Halves>,
    scales: BTreeMap<String, f64>,
}

impl Collected<'_> {
    /// Adds a tensor to its sites. False if it matches no site.
    fn add(&mut self, name: &str, tensor: Tensor) -> Result<bool, Error> {
        let Some((sites, layer, half)) = parse_name(self.config, name) else { return Ok(false) };
        let (rank, scale) = self.settings.of(layer)?;
        let Some((out, inputs)) = site_shape(self.config, &sites[0]) else { return Ok(false) };
        let outs = sites.len() * out;
        let expected = [vec![rank, inputs], vec![outs, rank], vec![outs]]
            .into_iter()
            .nth(half)
            .unwrap_or_default();
        let (path, name) = (self.path.clone(), name.to_owned());
        if half == MAGNITUDE && !self.settings.dora {
            let what = format!("holds {name}, and adapter_config.json does not say use_dora");
            return Err(Error::Config { path, what });
        }
        if tensor.shape != expected {
            return Err(Error::TensorShape { path, tensor: name, found: tensor.shape, expected });
        }
        for (n, site) in sites.iter().enumerate() {
            self.scales.insert(site.clone(), scale);
            let own = if half == 0 { tensor.clone() } else { rows(&tensor, n * out, out) };
            if self.halves.entry(site.clone()).or_default()[half].replace(own).is_some() {
                let what = format!("holds two tensors for {site}; one of them is {name}");
                return Err(Error::Config { path, what });
            }
        }
        Ok(true)
    }

    /// The factors of every site, and the scales.
    fn sites(self) -> Result<(BySite<Factors>, BySite<f64>), Error> {
        let mut sites = BTreeMap::new();
        for (site, halves) in self.halves {
            match halves {
                [Some(a), Some(b), magnitude] if magnitude.is_some() == self.settings.dora => {
                    sites.insert(site, Factors { a, b, magnitude })
                }
                [a, b, _] => {
                    let parts = [(a.is_none(), "lora_A"), (b.is_none(), "lora_B")];
                    let missing = parts.into_iter().find(|(missing, _)| *missing);
                    let missing = missing.map_or("lora_magnitude_vector", |(_, name)| name);
                    let tensor = format!("{missing} of {site}");
                    return Err(Error::TensorMissing { path: self.path, tensor });
                }
            };
        }
        Ok((sites, self.scales))
    }
}

type BySite<T> = BTreeMap<String, T>;

/// Rank, alpha and factors, with one scale alpha / rank for all sites.
fn one_scale(
    settings: &AdapterConfig,
    scales: &BTreeMap<String, f64>,
    mut sites: BTreeMap<String, Factors>,
) -> (usize, f64, BTreeMap<String, Factors>) {
    let ranks: BTreeSet<usize> = sites.values().map(|f| f.a.shape[0]).collect();
    let rank = ranks.last().copied().unwrap_or(settings.rank);
    let first = scales.values().next().copied().unwrap_or(settings.alpha / settings.rank as f64);
    if ranks.len() <= 1 && scales.values().all(|scale| *scale == first) {
        let alpha = if settings.rslora || !settings.alphas.is_empty() {
            first * rank as f64
        } else {
            settings.alpha
        };
        return (rank, alpha, sites);
    }
    for (site, factors) in &mut sites {
        factors.b.data.iter_mut().for_each(|b| *b = (f64::from(*b) * scales[site]) as f32);
    }
    let sites = sites.into_iter().map(|(site, factors)| (site, factors.padded(rank))).collect();
    (rank, rank as f64, sites)
}

/// `count` rows of a tensor, starting with the row `first`.
fn rows(tensor: &Tensor, first: usize, count: usize) -> Tensor {
    let width = tensor.data.len() / tensor.shape[0];
    let data = tensor.data[first * width..][..count * width].to_vec();
    let shape = [&[count], &tensor.shape[1..]].concat();
    Tensor { shape, data, dtype: tensor.dtype }
}
