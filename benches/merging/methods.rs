//! The models that are judged: single modules, merges without data, fusions, mixtures, routed ones.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use medforge_packer::base::Vit;
use medforge_packer::device::Device;
use medforge_packer::lora::{Head, Module};
use medforge_packer::merge::compose::{self, Judge};
use medforge_packer::merge::model::{Composition, Model};
use medforge_packer::merge::{self, Method, Options, Sites, Task as Judged, fusion, mixture};

use crate::results::{Results, Search};
use crate::task::Task;

type Failure = Box<dyn std::error::Error>;

pub struct Bench<'a, D: Device> {
    device: &'a D,
    vit: &'a Vit,
    tasks: &'a [Task],
    results: &'a Results,
    judge: Judge<'a, D>,
    seed: u64,
}

/// What every task reaches alone, which merges are compared with.
pub const ALONE: &str = "each its own module";

/// Evaluations of a search without gradients, and with.
const EVALUATIONS: usize = 40;
const STEPS: usize = 5;

impl<'a, D: Device + 'static> Bench<'a, D> {
    pub fn new(
        device: &'a D,
        vit: &'a Vit,
        tasks: &'a [Task],
        results: &'a Results,
        seed: u64,
    ) -> Self {
        Bench { device, vit, tasks, results, judge: Judge::new(device, vit), seed }
    }

    /// Every module for every task, the frozen base with heads of all real images and of the
    /// condensed ones.
    pub fn single(&self) -> Result<(), Failure> {
        let everyone: Vec<&Task> = self.tasks.iter().collect();
        for task in self.tasks {
            let model = self.model(&everyone, Composition::Fusion(compose::sites(&task.module)));
            self.judged(&model, &everyone, [&format!("module of {}", task.name), "", "-", "own"])?;
        }
        let modules = self.tasks.iter().map(|t| compose::sites(&t.module)).collect();
        let alone = |t: usize| {
            (0..self.tasks.len()).map(|j| f64::from(u8::from(t == j))).collect::<Vec<_>>()
        };
        let weights =
            self.tasks.iter().enumerate().map(|(t, task)| (task.name.clone(), alone(t))).collect();
        let model = self.model(&everyone, Composition::Mixture { modules, weights });
        self.judged(&model, &everyone, [ALONE, "", "-", "own"])?;
        let mut base = self.model(&everyone, Composition::Fusion(Sites::new()));
        if !self.results.has(["frozen base", "", "-", "all real images"], self.seed) {
            let probe =
                |t: &Task| Ok::<_, Failure>((t.name.clone(), t.probe(self.device, self.vit)?));
            base.heads = self.tasks.iter().map(probe).collect::<Result<_, _>>()?;
            self.judged(&base, &everyone, ["frozen base", "", "-", "all real images"])?;
        }
        let judged: Vec<Judged> = everyone.iter().map(|t| t.judge()).collect();
        base.heads = self.judge.refit(&base, &judged)?;
        self.judged(&base, &everyone, ["frozen base", "", "all", "refitted"])
    }

    /// Merges without condensed sets, of three and of all modules.
    pub fn free(&self) -> Result<(), Failure> {
        for count in [3, self.tasks.len()] {
            let tasks: Vec<&Task> = self.tasks[..count].iter().collect();
            let modules: Vec<_> = tasks.iter().map(|t| &t.module).collect();
            for method in Method::ALL {
                let known = [&method.to_string(), &names(&tasks), "-", "refitted"];
                if self.results.has(known, self.seed) {
                    continue;
                }
                let options = Options { seed: self.seed, ..Options::new(method) };
                let grams = match method {
                    Method::RegMean => tasks
                        .iter()
                        .map(|t| t.grams(self.device, self.vit))
                        .collect::<Result<_, _>>()?,
                    _ => Vec::new(),
                };
                let begun = Instant::now();
                let merged = merge::merge(&modules, &options, &grams.iter().collect::<Vec<_>>())?;
                let seconds = begun.elapsed().as_secs_f64();
                println!(
                    "{method} of {count}: {seconds:.2} s, {:.4} of the norm kept",
                    merged.kept
                );
                self.with_both_heads(
                    Composition::Fusion(merged.sites),
                    &tasks,
                    [&method.to_string(), "-"],
                )?;
            }
        }
        Ok(())
    }

    /// What PEFT made of the same modules: folders NAME-COUNT, of the first COUNT tasks.
    pub fn peers(&self, dir: &Path) -> Result<(), Failure> {
        let mut folders: Vec<_> =
            std::fs::read_dir(dir)?.map(|e| Ok(e?.path())).collect::<Result<_, Failure>>()?;
        folders.sort();
        for folder in folders {
            let name = folder.file_name().and_then(|n| n.to_str()).and_then(|n| n.rsplit_once('-'));
            let Some((name, count)) =
                name.and_then(|(name, count)| Some((name, count.parse::<usize>().ok()?)))
            else {
                continue;
            };
            let tasks: Vec<&Task> = self.tasks.iter().take(count).collect();
            let merged = compose::sites(&Module::open(&folder, self.vit)?);
            self.with_both_heads(Composition::Fusion(merged), &tasks, [name, "-"])?;
        }
        Ok(())
    }

    /// One weight vector and one a task, free and shares, one after another and joint.
    pub fn mixtures(&self) -> Result<(), Failure> {
        let variants = [(false, false), (true, false), (false, true), (true, true)];
        for (order, (per_task, shares), all) in products(self.orders(), variants) {
            let settings =
                mixture::Settings { per_task, shares, evaluations: EVALUATIONS, seed: self.seed };
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

    /// Modules weighted for each image by the frozen base; and the mixture whose task the base
    /// tells.
    pub fn routed(&self) -> Result<(), Failure> {
        for count in [3, self.tasks.len()] {
            // Networks stand in the order of the heads, which is that of the names.
            let mut tasks: Vec<&Task> = self.tasks[..count].iter().collect();
            tasks.sort_by(|a, b| a.name.cmp(&b.name));
            let judged: Vec<Judged> = tasks.iter().map(|t| t.judge()).collect();
            let prototypes = self.judge.prototypes(&judged)?;
            let modules: Vec<Sites> = tasks.iter().map(|t| compose::sites(&t.module)).collect();
            let mut model = self.model(&tasks, Composition::Routed { modules: modules.clone() });
            model.routing = Some(prototypes);
            self.judged(&model, &tasks, ["routed", &names(&tasks), "all", "own"])?;
            let settings = mixture::Settings {
                per_task: true,
                shares: true,
                evaluations: EVALUATIONS,
                seed: self.seed,
            };
            let (weights, _) =
                self.judge.mix(&BTreeMap::new(), &modules, &judged, &settings, true)?;
            model.composition = Composition::Mixture { modules, weights };
            self.judged(
                &model,
                &tasks,
                ["mixture, shares, by task, joint, routing", &names(&tasks), "all", "own"],
            )?;
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
            let settings = fusion::Settings { level, finder, evaluations, seed: self.seed };
            let name = format!("fusion, {level:?}, {finder:?}").to_lowercase();
            // The fourth comes after the first order only. The other orders, and all sets, are for
            // one weight a side found with gradients: every model that is judged costs a pass over
            // all test images.
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

    fn model(&self, tasks: &[&Task], composition: Composition) -> Model {
        let head = |t: &&Task| -> (String, Head) { (t.name.clone(), t.module.head.clone()) };
        Model { heads: tasks.iter().map(head).collect(), composition, routing: None }
    }

    fn with_both_heads(
        &self,
        composition: Composition,
        tasks: &[&Task],
        [name, condensed]: [&str; 2],
    ) -> Result<(), Failure> {
        let mut model = self.model(tasks, composition);
        let order = names(tasks);
        self.judged(&model, tasks, [name, &order, condensed, "own"])?;
        let judged: Vec<Judged> = tasks.iter().map(|t| t.judge()).collect();
        model.heads = self.judge.refit(&model, &judged)?;
        self.judged(&model, tasks, [name, &order, condensed, "refitted"])
    }

    fn judged(&self, model: &Model, tasks: &[&Task], called: [&str; 4]) -> Result<(), Failure> {
        if self.results.has(called, self.seed) {
            return Ok(());
        }
        let mut all = Vec::new();
        for task in tasks {
            all.extend(task.ask(self.device, self.vit, model, called, self.seed)?);
        }
        self.results.add(all)
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

fn names(tasks: &[&Task]) -> String {
    tasks.iter().map(|t| t.name.as_str()).collect::<Vec<_>>().join(",")
}

fn word(all: bool) -> &'static str {
    if all { "all" } else { "so-far" }
}
