//! What condensed sets are worth: a linear head and a LoRA module trained on them, on as many real
//! images (random, k-means) and on all real images, under the base, the task's own module and a
//! merge of modules that the sets were not made with.
//!
//!     cargo bench --workspace --bench condensation -- \
//!         --base BASE --data DATA --modules MODULES --out OUT
//!     cargo bench --workspace --bench condensation -- --data DATA --out OUT --table
//!
//! DATA and MODULES hold a folder for each task. OUT keeps every condensed set and `results.jsonl`,
//! one line a measurement with its predictions; what is there already is not done again. `--table`
//! prints means and intervals in Markdown.

#[path = "../figure.rs"]
mod figure;
mod networks;
mod results;
mod sets;
mod table;
mod task;

use std::path::PathBuf;

use clap::Parser;
use medforge_packer::condense::privacy::{Budget, Counts};
use medforge_packer::condense::{CondenseSettings, Matching, Target};
use medforge_packer::data::{Labels, Start};
use medforge_packer::device::cpu::Cpu;
use results::Results;
use sets::Maker;
use task::Task;

#[derive(Parser)]
struct Args {
    #[arg(long)]
    base: Option<PathBuf>,
    #[arg(long)]
    data: PathBuf,
    #[arg(long)]
    modules: Option<PathBuf>,
    #[arg(long)]
    out: PathBuf,
    #[arg(long, value_delimiter = ',', default_value = "breast,lung,colon,chest")]
    tasks: Vec<String>,
    #[arg(long, value_delimiter = ',', default_value = "1,10,50")]
    per_class: Vec<usize>,
    #[arg(long, value_delimiter = ',', default_value = "0,1,2")]
    seeds: Vec<u64>,
    /// condensed, random, kmeans, all
    #[arg(long, value_delimiter = ',', default_value = "random,kmeans,all,condensed")]
    methods: Vec<String>,
    /// linear, lora
    #[arg(long, value_delimiter = ',', default_value = "linear")]
    learners: Vec<String>,
    /// What condensed sets made with these settings are called
    #[arg(long, default_value = "condensed")]
    name: String,
    /// Settings that differ from packer's, as JSON
    #[arg(long, default_value = "{}")]
    settings: String,
    /// Condense with the task's own module too
    #[arg(long)]
    with_module: bool,
    #[arg(long)]
    epsilon: Option<f64>,
    #[arg(long, default_value_t = 1e-5)]
    delta: f64,
    /// Judge on 30 % of the training patients, held out, and leave the test split alone: for
    /// choosing settings
    #[arg(long)]
    validate: bool,
    #[arg(long)]
    table: bool,
    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

/// Side of all images in pixels.
const SIZE: usize = 112;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    let results = Results::open(&args.out)?;
    if args.table {
        return table::print(&args.data, &results, args.validate);
    }
    let (Some(base), Some(modules)) = (&args.base, &args.modules) else {
        return Err("measuring needs --base and --modules".into());
    };
    let device = Cpu::<f32>::new();
    for name in &args.tasks {
        let task = Task::open(&device, base, &args.data, modules, name, args.validate)?;
        let mut maker =
            Maker::new(&args.out, &args.name, args.settings()?, args.budget(), args.with_module);
        for &per_class in &args.per_class {
            for method in &args.methods {
                for &seed in &args.seeds {
                    let called = if method == "condensed" { &args.name } else { method };
                    let Some(set) = maker.make(&device, &task, method, per_class, seed)? else {
                        continue;
                    };
                    for learner in &args.learners {
                        task.measure(&device, &set, [called, learner], per_class, seed, &results)?;
                    }
                }
            }
        }
    }
    Ok(())
}

impl Args {
    /// packer's defaults, with what `--settings` says.
    fn settings(&self) -> Result<CondenseSettings, Box<dyn std::error::Error>> {
        let private = self.epsilon.is_some();
        let defaults = CondenseSettings {
            size: SIZE,
            per_class: 0,
            iterations: 100,
            batch: 32,
            learning_rate: 0.04,
            momentum: 0.9,
            views: 24,
            augment: true,
            blocks: 6,
            matching: if private { Matching::Feature } else { Matching::Moments },
            target: if private { Target::Class } else { Target::Cluster },
            perturbation: 0.0,
            ridge: if private { 0.0 } else { 3.0 },
            start: Start::Noise,
            labels: Labels::Hard,
            real_per_class: 512,
            seed: 0,
        };
        let mut value = serde_json::to_value(defaults)?;
        let changes: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(&self.settings)?;
        value.as_object_mut().expect("settings are an object").extend(changes);
        Ok(serde_json::from_value(value)?)
    }

    fn budget(&self) -> Option<Budget> {
        self.epsilon.map(|epsilon| Budget {
            epsilon,
            delta: self.delta,
            least_groups: 20,
            counts: Counts::Public,
        })
    }
}
