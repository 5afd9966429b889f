//! The plainest merge: the mean of the members' changes, exact, by stacking their factors.

use std::collections::BTreeMap;

use medforge_runtime::tensors::{self, Tensor};
use serde_json::{Value, json};

use super::{Made, Members, Merge};
use crate::Error;
use crate::lora::{Factors, Module, stack};

/// The mean of the members' changes alpha/rank * B * A; a site that a member does not adapt is a change of zero.
///
/// Files: `adapter_config.json` and `adapter_model.safetensors` as PEFT has them, `heads/TASK.safetensors`.
pub struct Average;

impl Merge for Average {
    fn settings(&self) -> Value {
        json!({"method": "average"})
    }

    fn sequential(&self) -> bool {
        false
    }

    fn merge(&self, _: Option<&Made>, members: &dyn Members) -> Result<Made, Error> {
        let modules = (0..members.len()).map(|i| members.module(i)).collect::<Result<Vec<_>, _>>()?;
        let mut files = BTreeMap::new();
        for module in &modules {
            let head = [("bias", &module.head.bias), ("weight", &module.head.weight)];
            let name = format!("heads/{}.safetensors", module.card.task);
            files.insert(name, tensors::write(head, &BTreeMap::new())?);
        }
        let share = 1.0 / modules.len() as f64;
        if let Some(merged) = mean(&modules, share) {
            let adapter = merged.files()?.into_iter().filter(|(name, _)| name.starts_with("adapter_"));
            files.extend(adapter.map(|(name, bytes)| (name.to_owned(), bytes)));
        }
        let weights: BTreeMap<_, _> = (0..members.len()).map(|i| (members.name(i), share)).collect();
        Ok(Made { record: json!({"weights": weights}), files })
    }
}

/// All modules side by side at every site, with `share` each and a scale of 1.
fn mean(modules: &[Module], share: f64) -> Option<Module> {
    let mut parts: BTreeMap<&String, Vec<(f64, &Factors)>> = BTreeMap::new();
    for module in modules {
        for (site, factors) in &module.sites {
            parts.entry(site).or_default().push((share * module.scale(), factors));
        }
    }
    let stacked: BTreeMap<_, _> = parts.into_iter().map(|(site, parts)| (site.clone(), stack(&parts))).collect();
    let rank = stacked.values().map(|factors| factors.a.shape[0]).max()?;
    let sites = stacked.into_iter().map(|(site, factors)| (site, padded(factors, rank))).collect();
    Some(Module { rank, alpha: rank as f64, sites, ..modules.last()?.clone() })
}

/// The same product with zeros up to `rank`, as one rank holds for a whole file.
fn padded(factors: Factors, rank: usize) -> Factors {
    let (own, inputs, outputs) = (factors.a.shape[0], factors.a.shape[1], factors.b.shape[0]);
    let mut a = factors.a.data;
    a.resize(rank * inputs, 0.0);
    let row = |row: &[f32]| row.iter().copied().chain(std::iter::repeat_n(0.0, rank - own)).collect::<Vec<_>>();
    let b = factors.b.data.chunks_exact(own).flat_map(row).collect();
    Factors { a: Tensor::f32(vec![rank, inputs], a), b: Tensor::f32(vec![outputs, rank], b) }
}
