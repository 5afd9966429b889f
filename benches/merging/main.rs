//! What merges are worth: every method on the same modules, with the task given and not, in every
//! order of arrival.
//!
//!     python3 benches/merging_peft.py --base BASE --modules MODULES --out PEFT
//!     cargo bench --workspace --bench merging -- \
//!         --base BASE --data DATA --modules MODULES --sets SETS --out OUT --peft PEFT
//!     cargo bench --workspace --bench merging -- --data DATA --out OUT --table
//!
//! MODULES/SEED/TASK are modules, SETS/condensed-TASK-10-SEED condensed sets (the benchmark
//! `condensation` makes them). The first three of `--tasks` arrive in all six orders, the fourth
//! after them. OUT keeps `results.jsonl`; what is there already is not done again.

#[path = "../figure.rs"]
mod figure;
mod methods;
mod results;
mod searched;
mod table;
mod task;

use std::path::PathBuf;

use clap::Parser;
use medforge_packer::base::Vit;
use medforge_packer::device::cpu::Cpu;
use results::Results;
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
    sets: Option<PathBuf>,
    #[arg(long)]
    out: PathBuf,
    #[arg(long, value_delimiter = ',', default_value = "breast,lung,colon,chest")]
    tasks: Vec<String>,
    #[arg(long, value_delimiter = ',', default_value = "0,1,2")]
    seeds: Vec<u64>,
    /// Condensed images of a class
    #[arg(long, default_value_t = 10)]
    per_class: usize,
    /// Of what to run: single, free, mixture, routed, fusion, peft
    #[arg(long, value_delimiter = ',', default_value = "single,free,mixture,routed,fusion,peft")]
    parts: Vec<String>,
    /// What benches/merging_peft.py made of the same modules
    #[arg(long)]
    peft: Option<PathBuf>,
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
        return table::print(&args.data, &results);
    }
    let (Some(base), Some(modules), Some(sets)) = (&args.base, &args.modules, &args.sets) else {
        return Err("measuring needs --base, --modules and --sets".into());
    };
    let device = Cpu::<f32>::new();
    let vit = Vit::open(base)?;
    for &seed in &args.seeds {
        let open = |name: &String| {
            let module = modules.join(seed.to_string()).join(name);
            Task::open(
                &vit,
                &args.data,
                &module,
                &sets.join(format!("condensed-{name}-{}-{seed}", args.per_class)),
                name,
            )
        };
        let tasks = args.tasks.iter().map(open).collect::<Result<Vec<_>, _>>()?;
        let bench = methods::Bench::new(&device, &vit, &tasks, &results, seed);
        for part in &args.parts {
            match part.as_str() {
                "single" => bench.single()?,
                "free" => bench.free()?,
                "mixture" => bench.mixtures()?,
                "routed" => bench.routed()?,
                "fusion" => bench.fusions()?,
                "peft" => {
                    if let Some(dir) = &args.peft {
                        bench.peers(&dir.join(seed.to_string()))?;
                    }
                }
                other => return Err(format!("there is no part {other}").into()),
            }
        }
    }
    Ok(())
}
