//! The models that are judged: single modules, merges without data, routed ones. Fusions and
//! mixtures are in `searched`.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use medforge_packer::base::Vit;
use medforge_packer::device::Device;
use medforge_packer::lora::{Head, Module};
use medforge_packer::merge::compose::{self, Judge};
use medforge_packer::merge::model::{Composition, Model};
use medforge_packer::merge::{self, Method, Options, Sites, Task as Judged, mixture};

use crate::results::Results;
use crate::task::Task;

pub type Failure = Box<dyn std::error::Error>;

pub struct Bench<'a, D: Device> {
    device: &'a D,
    vit: &'a Vit,
    pub tasks: &'a [Task],
    pub results: &'a Results,
    pub judge: Judge<'a, D>,
    pub seed: u64,
}

/// What every task reaches alone, which merges are compared with.
pub const ALONE: &str = "each its own module";

/// Evaluations of a search without gradients.
pub const EVALUATIONS: usize = 40;

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
            let settings = mixture::MixtureSettings {
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

    pub fn model(&self, tasks: &[&Task], composition: Composition) -> Model {
        let head = |t: &&Task| -> (String, Head) { (t.name.clone(), t.module.head.clone()) };
        Model { heads: tasks.iter().map(head).collect(), composition, routing: None }
    }

    pub fn with_both_heads(
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

    pub fn judged(&self, model: &Model, tasks: &[&Task], called: [&str; 4]) -> Result<(), Failure> {
        if self.results.has(called, self.seed) {
            return Ok(());
        }
        let mut all = Vec::new();
        for task in tasks {
            all.extend(task.ask(self.device, self.vit, model, called, self.seed)?);
        }
        self.results.add(all)
    }
}

pub fn names(tasks: &[&Task]) -> String {
    tasks.iter().map(|t| t.name.as_str()).collect::<Vec<_>>().join(",")
}

pub fn word(all: bool) -> &'static str {
    if all { "all" } else { "so-far" }
}
