//! One task ready to run: its networks, how they act together, and its head.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::base::{Adapter, Base, Factors};
use super::parts;
use crate::Error;
use crate::bundle::manifest::{self, Composition, Mode};

/// A task of a bundle.
pub(super) struct Task {
    mode: Mode,
    /// One for a fusion, else one a module.
    networks: Vec<Adapter>,
    /// Ids.
    pub modules: Vec<String>,
    /// By module: its weight, and the task whose share of an image it is multiplied with where the task is routed.
    parts: Vec<(f64, String)>,
    weight: Vec<f32>,
    bias: Vec<f32>,
    pub classes: Arc<[String]>,
}

impl Task {
    /// The task of `composition`, whose modules are in `by_id`, with a head of `weight` `[classes, feature]` and `bias`.
    pub fn new(
        base: &Base,
        composition: &Composition,
        by_id: &BTreeMap<&str, (&manifest::Module, BTreeMap<String, Factors>)>,
        classes: Vec<String>,
        weight: Vec<f32>,
        bias: Vec<f32>,
    ) -> Result<Self, Error> {
        let sites = &base.signature.sites;
        let known = composition.parts.iter().filter_map(|part| Some((by_id.get(part.module.as_str())?, part.weight)));
        let known: Vec<_> = known.map(|((stated, factors), weight)| (*stated, factors, weight)).collect();
        let networks = match composition.mode {
            Mode::Fusion => {
                let all: Vec<_> = known.iter().map(|(_, factors, weight)| (*factors, *weight)).collect();
                vec![base.adapter(&parts::fused(&all, sites))?]
            }
            Mode::Mixture | Mode::Routed => {
                known.iter().map(|(_, factors, _)| base.adapter(factors)).collect::<Result<_, _>>()?
            }
        };
        Ok(Task {
            mode: composition.mode,
            networks,
            modules: known.iter().map(|(stated, ..)| stated.id.clone()).collect(),
            parts: known.iter().map(|(stated, _, weight)| (*weight, stated.task.clone())).collect(),
            weight,
            bias,
            classes: classes.into(),
        })
    }

    /// Bytes of its networks.
    pub fn bytes(&self) -> usize {
        self.networks.iter().map(Adapter::bytes).sum()
    }

    /// Whether modules are weighted by what the frozen base sees.
    pub fn routed(&self) -> bool {
        self.mode == Mode::Routed
    }

    /// The features of an image under each network.
    pub fn features(&self, base: &Base, pixels: &[f32]) -> Result<Vec<Vec<f32>>, Error> {
        let rows: Vec<_> = self.networks.iter().map(|adapter| (0, adapter)).collect();
        base.features(&[pixels.to_vec()], &rows, &|| false)
    }

    /// Each module's weight for an image with these shares of the tasks.
    pub fn weights(&self, shares: Option<&BTreeMap<&str, f64>>) -> Vec<f64> {
        let share = |task: &String| {
            shares.filter(|_| self.routed()).map_or(1.0, |s| s.get(task.as_str()).copied().unwrap_or(0.0))
        };
        self.parts.iter().map(|(weight, task)| weight * share(task)).collect()
    }

    /// The probabilities of the classes from the features under each network, computed in f64: the head's softmax; of several networks the
    /// sum with `weights`, negative sums counted as zero, brought to one (even where nothing is left).
    pub fn probabilities(&self, features: &[Vec<f32>], weights: &[f64]) -> Result<Vec<f32>, Error> {
        let mut sum = match (self.mode, features) {
            (Mode::Fusion, [feature]) => self.softmax(feature),
            _ => {
                let mut sum = vec![0.0; self.bias.len()];
                for (feature, weight) in features.iter().zip(weights) {
                    sum.iter_mut().zip(self.softmax(feature)).for_each(|(s, p)| *s += weight * p);
                }
                sum
            }
        };
        if sum.iter().any(|p| !p.is_finite()) {
            return Err(Error::Device { what: "the head gave probabilities that are not finite".into() });
        }
        sum.iter_mut().for_each(|p| *p = p.max(0.0));
        let total: f64 = sum.iter().sum();
        let even = 1.0 / sum.len() as f64;
        Ok(sum.iter().map(|p| if total > LEAST { p / total } else { even } as f32).collect())
    }

    fn softmax(&self, feature: &[f32]) -> Vec<f64> {
        let rows = self.weight.chunks_exact(feature.len()).zip(&self.bias);
        let logits: Vec<f64> = rows
            .map(|(row, &bias)| {
                f64::from(bias) + row.iter().zip(feature).map(|(&w, &x)| f64::from(w) * f64::from(x)).sum::<f64>()
            })
            .collect();
        let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let shares: Vec<f64> = logits.iter().map(|logit| (logit - largest).exp()).collect();
        let total: f64 = shares.iter().sum();
        shares.iter().map(|share| share / total).collect()
    }
}

/// A sum of probabilities below this is nothing.
const LEAST: f64 = 1e-12;
