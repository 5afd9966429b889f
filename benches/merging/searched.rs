//! Models whose weights are found on condensed sets: mixtures and fusions, as tasks arrive.

use std::collections::BTreeMap;
use std::time::Instant;

use medforge_packer::device::Device;
use medforge_packer::merge::compose;
use medforge_packer::merge::model::Composition;
use medforge_packer::merge::{Task as Judged, fusion, mixture};

use crate::methods::{Bench, EVALUATIONS, Failure, names, word};
use crate::results::Search;
use crate::task::Task;

/// Evaluations of a search with gradients.
const STEPS: usize = 5;

impl<'a, D: Device + 'static> Bench<'a, D> {
    /// One weight vector and one a task, free and shares, one after another and joint.
    pub fn mixtures(&self) -> Result<(), Failure> {
        let variants = [(false, false), (true, false), (false, true), (true, true)];
        for (order, (per_task, shares), all) in products(self.orders(), variants) {
            let settings = mixture::MixtureSettings {
                per_task,
                shares,
                evaluations: EVALUATIONS,
                seed: self.seed,
            };
            let name = |joint: &str| {
                let kind = if shares { "shares" } else { "free" };
                format!("mixture, {kind}{}{joint}", if per_task { ", by task" } else { "" })
            };
            let (mut weights, mut modules) = (BTreeMap::new(), Vec::new());
            for (k, task) in order.iter().enumerate() {
                modules.push(compose::sites(&task.module));
                let seen = if all { &order[..] } else { &order[..=k] };
                let judged: Vec<Judged> = seen.iter().map(|t| t.judge()).collect();
                let begun = Instant::now();
                let (found, _) = self.judge.mix(&weights, &modules, &judged, &settings, false)?;
                weights = found;
                if k >= 2 {
                    let arrived = &order[..=k];
                    let composition =
                        Composition::Mixture { modules: modules.clone(), weights: weights.clone() };
                    self.searched(&name(""), arrived, all, begun, serde_json::to_value(&weights)?)?;
                    let model = self.model(arrived, composition);
                    self.judged(&model, arrived, [&name(""), &names(arrived), word(all), "own"])?;
                    let (joint, _) =
                        self.judge.mix(&BTreeMap::new(), &modules, &judged, &settings, true)?;
                    let composition =
                        Composition::Mixture { modules: modules.clone(), weights: joint };
                    let model = self.model(arrived, composition);
                    self.judged(
                        &model,
                        arrived,
                        [&name(", joint"), &names(arrived), word(all), "own"],
                    )?;
                }
            }
        }
        Ok(())
    }

    /// Weights found on condensed sets, one after another.
    pub fn fusions(&self) -> Result<(), Failure> {
        let whole = fusion::Level::Whole;
        let variants = [
            (whole, fusion::Finder::CmaEs, EVALUATIONS),
            (whole, fusion::Finder::Gradient, STEPS),
            (fusion::Level::Site, fusion::Finder::Gradient, STEPS),
        ];
        let first = names(&self.orders()[0]);
        for (order, (level, finder, evaluations), all) in products(self.orders(), variants) {
            let settings = fusion::FusionSettings { level, finder, evaluations, seed: self.seed };
            let name = format!("fusion, {level:?}, {finder:?}").to_lowercase();
            // The fourth comes after the first order only. The other orders, and all sets, are for
            // one weight a side found with gradients, since every model that is judged costs a pass
            // over all test images.
            let order = if names(&order) == first { &order[..] } else { &order[..3] };
            let plain = level == whole && finder == fusion::Finder::Gradient;
            let left_out = !plain && (order.len() == 3 || all) || order.len() == 3 && all;
            if left_out || self.results.has([&name, &names(order), word(all), "own"], self.seed) {
                continue;
            }
            let mut before = None;
            for (k, task) in order.iter().enumerate() {
                let seen = if all { order } else { &order[..=k] };
                let judged: Vec<Judged> = seen.iter().map(|t| t.judge()).collect();
                let begun = Instant::now();
                let (sites, found) = self.judge.fuse(
                    before.as_ref(),
                    compose::sites(&task.module),
                    &judged,
                    &settings,
                    |_| (),
                )?;
                if k >= 1 {
                    let record = serde_json::json!({"weights": found.weights, "loss": found.loss});
                    self.searched(&name, &order[..=k], all, begun, record)?;
                }
                if k >= 2 {
                    self.with_both_heads(
                        Composition::Fusion(sites.clone()),
                        &order[..=k],
                        [&name, word(all)],
                    )?;
                }
                before = Some(sites);
            }
        }
        Ok(())
    }

    /// All six orders of the first three tasks, each with the others after them.
    fn orders(&self) -> Vec<Vec<&'a Task>> {
        let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
        let of = |order: &[usize; 3]| {
            order.iter().copied().chain(3..self.tasks.len()).map(|i| &self.tasks[i]).collect()
        };
        orders.iter().map(of).collect()
    }

    fn searched(
        &self,
        method: &str,
        arrived: &[&Task],
        all: bool,
        begun: Instant,
        weights: serde_json::Value,
    ) -> Result<(), Failure> {
        self.results.add_search(Search {
            method: method.to_owned(),
            order: names(arrived),
            condensed: word(all).to_owned(),
            seed: self.seed,
            seconds: begun.elapsed().as_secs_f64(),
            weights,
        })
    }
}

fn products<T: Clone, V: Copy>(
    orders: Vec<Vec<T>>,
    variants: impl IntoIterator<Item = V> + Clone,
) -> Vec<(Vec<T>, V, bool)> {
    let mut all = Vec::new();
    for order in orders {
        for variant in variants.clone() {
            all.extend([false, true].map(|sets| (order.clone(), variant, sets)));
        }
    }
    all
}
