//! How long each data-free method takes on random modules of a transformer's size.
//!
//!     cargo bench --workspace --bench merging_time -- \
//!         --modules 3 --width 384 --layers 12 --rank 16

use std::collections::BTreeMap;
use std::time::Instant;

use clap::Parser;
use medforge_packer::base::Family;
use medforge_packer::lora::{Factors, Head, Module, ModuleCard, Run};
use medforge_packer::merge::{Grams, Method, Options, Rank, merge};
use medforge_packer::random::{Purpose, Stream};
use medforge_runtime::preprocess::{CropOffset, Filter, Preprocessing, Resize};
use medforge_runtime::tensors::Tensor;

#[derive(Parser)]
struct Args {
    #[arg(long, default_value_t = 3)]
    modules: usize,
    /// Of every site, in and out.
    #[arg(long, default_value_t = 384)]
    width: usize,
    /// Each with the sites q and v.
    #[arg(long, default_value_t = 12)]
    layers: usize,
    #[arg(long, default_value_t = 16)]
    rank: usize,
    /// Passed by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let args = Args::parse();
    let modules: Vec<Module> = (0..args.modules).map(|i| module(&args, i as u64)).collect();
    let modules: Vec<&Module> = modules.iter().collect();
    let grams: Vec<Grams> = (0..args.modules).map(|i| grams(&args, i as u64)).collect();
    let grams: Vec<&Grams> = grams.iter().collect();
    println!(
        "| method | exact, s | its rank | to rank {}, s | kept |\n|---|---|---|---|---|",
        args.rank
    );
    for method in Method::ALL {
        let time = |rank: Rank| {
            let begun = Instant::now();
            let merged = merge(&modules, &Options { rank, ..Options::new(method) }, &grams)
                .expect("modules that fit");
            (begun.elapsed().as_secs_f64(), merged)
        };
        let ((exact, whole), (cut, part)) = (time(Rank::Exact), time(Rank::AtMost(args.rank)));
        println!("| {method} | {exact:.3} | {} | {cut:.3} | {:.3} |", whole.rank(), part.kept);
    }
}

fn random(shape: Vec<usize>, stream: &mut Stream) -> Tensor {
    let data = (0..shape.iter().product()).map(|_| stream.normal() as f32).collect();
    Tensor::f32(shape, data)
}

fn sites(args: &Args) -> impl Iterator<Item = String> {
    (0..args.layers).flat_map(|n| ["q", "v"].map(|piece| format!("blocks.{n}.attn.{piece}")))
}

fn module(args: &Args, seed: u64) -> Module {
    let mut stream = Stream::at(seed, Purpose::Initial, 0, 0);
    let sites = sites(args).map(|site| {
        let a = random(vec![args.rank, args.width], &mut stream);
        (site, Factors::plain(a, random(vec![args.width, args.rank], &mut stream)))
    });
    let sites = sites.collect();
    let classes = vec!["a".to_owned(), "b".to_owned()];
    let head = Head {
        classes: classes.clone(),
        weight: random(vec![2, args.width], &mut stream),
        bias: random(vec![2], &mut stream),
        logit_scale: None,
        temperature: 1.0,
        familiar: None,
    };
    let card = ModuleCard {
        format: ModuleCard::FORMAT.into(),
        version: ModuleCard::VERSION,
        task: format!("task-{seed}"),
        contributor: "nobody".into(),
        licence: "none".into(),
        family: Family::Dinov2,
        gated: false,
        base_digest: "none".into(),
        image_size: 112,
        preprocessing: Preprocessing {
            resize: Resize::ShortestEdge(112),
            filter: Filter::Bicubic,
            crop: None,
            crop_offset: CropOffset::Floor,
            rescale: 1.0 / 255.0,
            mean: [0.5; 3],
            std: [0.5; 3],
        },
        created: None,
        run: Run::default(),
        classes,
        class_texts: BTreeMap::new(),
        calibration: None,
        uncalibrated: None,
        training: serde_json::Value::Null,
        metrics: Vec::new(),
        measured: None,
        subgroups: Vec::new(),
    };
    Module { rank: args.rank, alpha: args.rank as f64, sites, head, card }
}

/// Diagonal and a little more.
fn grams(args: &Args, seed: u64) -> Grams {
    let mut stream = Stream::at(seed, Purpose::Initial, 1, 0);
    let width = args.width;
    let gram = |site: String| {
        let direction = random(vec![width], &mut stream).data;
        let at = |i: usize| {
            direction[i / width] * direction[i % width]
                + f32::from(u8::from(i / width == i % width))
        };
        (site, Tensor::f32(vec![width, width], (0..width * width).map(at).collect()))
    };
    Grams { sites: sites(args).map(gram).collect::<BTreeMap<_, _>>() }
}
