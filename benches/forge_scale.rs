//! How a forge grows with 10, 100 and 1,000 contributions in it: time and peak memory of one more
//! push, of the log, of making the next item, of Fusion's weighted sum and of Mixture's search.
//! Modules have the size of ViT-S (rank 16 at q and v of 12 blocks) and random factors.
//!
//!     cargo bench --workspace --bench forge_scale [-- --sizes 10,100,1000 --out DIR]
//!
//! Each measurement is a process of its own, so that its peak memory is its own (Linux). The next
//! item is made without a model. Fusion's sum is of the previous model, whose rank grows until it
//! is the width, and a new module. Mixture's search is for the weight of a new module beside the
//! old ones, on 20 condensed images of each task whose probabilities are known. Prints a table in
//! Markdown.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use clap::Parser;
use ed25519_dalek::SigningKey;
use medforge_packer::Error;
use medforge_packer::base::{Identity, Vit};
use medforge_packer::contribution::{Options, Parts, build};
use medforge_packer::data::{Condensed, Labels, Record, Start};
use medforge_packer::forge::{Forge, ItemModel, Members, Merge};
use medforge_packer::lora::{
    Factors, Head, Module, ModuleCard, Run, Target, Targets, compact, peft, stack,
};
use medforge_packer::merge::mixture::{self, MixtureSettings, TaskPredictions};
use medforge_packer::merge::{Sites, one_rank};
use medforge_packer::random::{Purpose, Stream};
use medforge_runtime::tensors::Tensor;
use serde_json::{Value, json};

#[derive(Parser)]
struct Args {
    #[arg(long, value_delimiter = ',', default_value = "10,100,1000")]
    sizes: Vec<u64>,
    /// Where the forge is made and removed again
    #[arg(long)]
    out: Option<PathBuf>,
    /// One measurement in this process: push, log, merge, fusion or mixture
    #[arg(long, hide = true)]
    measure: Option<String>,
    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

/// Side of the images in pixels.
const SIZE: u32 = 112;
/// What is measured.
const KINDS: [(&str, &str); 5] = [
    ("push", "one more push"),
    ("log", "log"),
    ("merge", "next item"),
    ("fusion", "Fusion's sum"),
    ("mixture", "Mixture's search"),
];
const SEARCH: MixtureSettings =
    MixtureSettings { per_task: false, shares: false, evaluations: 40, seed: 0 };
/// Measurements of which the median is printed.
const REPEATS: usize = 5;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    if let (Some(what), Some(out)) = (&args.measure, &args.out) {
        return measure(what, out, args.sizes[0]);
    }
    let scratch = tempfile::tempdir()?;
    let out = args.out.as_deref().unwrap_or(scratch.path());
    let base = base(out)?;
    let (identity, contributor) = (base.identity(), key(1));
    let contributors = BTreeMap::from([("hospital".to_owned(), contributor.verifying_key())]);
    let place = out.join("F");
    let forge = Forge::init(&place.display().to_string(), &base, &contributors, &key(0))?;
    let contribution = |task: u64| -> Result<Vec<u8>, Error> {
        let options = Options { counter: 1, allow_real_start: false };
        Ok(build(&parts(&identity, task)?, options, &identity, &contributor)?.bytes().to_vec())
    };
    let titles = KINDS.map(|(_, title)| format!(" {title}, s | peak, MB |")).concat();
    println!("| contributions |{titles}\n|{}", "---|".repeat(1 + 2 * KINDS.len()));
    let mut task = 0;
    for size in &args.sizes {
        while task < *size {
            forge.push(Path::new("contribution"), contribution(task)?)?;
            forge.merge(&Nothing, &key(0))?;
            task += 1;
        }
        let mut rows: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
        for _ in 0..REPEATS {
            std::fs::write(out.join("next"), contribution(task)?)?;
            task += 1;
            for (what, _) in KINDS {
                rows.entry(what).or_default().push(apart(what, out, *size)?);
            }
        }
        let median = |what: &str| {
            let mut values = rows[what].clone();
            values.sort_by(|a, b| a.0.total_cmp(&b.0));
            format!(" {:.3} | {:.0} |", values[REPEATS / 2].0, values[REPEATS / 2].1)
        };
        println!("| {size} |{}", KINDS.map(|(what, _)| median(what)).concat());
    }
    if args.out.is_some() {
        std::fs::remove_dir_all(place)?;
    }
    Ok(())
}

/// A measurement in a process of its own: seconds and the peak of resident memory in MB.
fn apart(what: &str, out: &Path, size: u64) -> Result<(f64, f64), Box<dyn std::error::Error>> {
    let mut command = Command::new(std::env::current_exe()?);
    let output = command
        .args(["--measure", what, "--sizes", &size.to_string(), "--out"])
        .arg(out)
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let text = String::from_utf8(output.stdout)?;
    let (seconds, peak) = text.trim().split_once(' ').ok_or("no measurement")?;
    Ok((seconds.parse()?, peak.parse()?))
}

fn measure(what: &str, out: &Path, size: u64) -> Result<(), Box<dyn std::error::Error>> {
    let previous =
        if what == "fusion" { factors(out, 16 * size as usize, 0)? } else { Sites::new() };
    let new = if what == "fusion" { factors(out, 16, 1)? } else { Sites::new() };
    let said: Vec<TaskPredictions> =
        (0..if what == "mixture" { size } else { 0 }).map(probabilities).collect();
    let begun = Instant::now();
    let forge = Forge::open(&out.join("F").display().to_string(), None)?;
    match what {
        "fusion" => {
            let sum = |(site, old): (&String, &Factors)| {
                (site.clone(), compact(stack(&[(0.5, old), (0.5, &new[site])])))
            };
            let (rank, sites) = one_rank(previous.iter().map(sum).collect())?;
            let base = &forge.identity().config;
            drop(peft::write_factors(base.family, base.gated, rank, rank as f64, &sites)?);
        }
        "mixture" => drop(mixture::search(&said, &SEARCH)?),
        "push" => drop(forge.push(Path::new("next"), std::fs::read(out.join("next"))?)?),
        "log" => drop((forge.items()?, forge.pushes_after(0)?.len())),
        _ => drop(forge.merge(&Nothing, &key(0))?.ok_or("nothing was merged")?),
    }
    let seconds = begun.elapsed().as_secs_f64();
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    let kilobytes: f64 = peak.trim().trim_end_matches(" kB").parse()?;
    println!("{seconds} {}", kilobytes / 1000.0);
    Ok(())
}

/// Random factors of `rank`, at most the width, at every site.
fn factors(out: &Path, rank: usize, seed: u64) -> Result<Sites, Box<dyn std::error::Error>> {
    let identity = base(out)?.identity();
    let rank = rank.min(identity.config.hidden);
    let mut stream = Stream::at(seed, Purpose::Initial, 0, 0);
    Ok(random_sites(&identity, rank, &mut stream))
}

/// What the mixture so far and a new module say of 20 condensed images.
fn probabilities(task: u64) -> TaskPredictions {
    const IMAGES: usize = 20;
    let mut stream = Stream::at(task, Purpose::Initial, 1, 0);
    let mut rows =
        || (0..IMAGES).map(|_| stream.range(0.0, 1.0)).flat_map(|p| [p, 1.0 - p]).collect();
    let probabilities = vec![rows(), rows()];
    TaskPredictions { labels: [1.0, 0.0, 0.0, 1.0].repeat(IMAGES / 2), classes: 2, probabilities }
}

fn random_sites(base: &Identity, rank: usize, stream: &mut Stream) -> Sites {
    let mut numbers = |shape: [usize; 2]| {
        let data = (0..shape[0] * shape[1]).map(|_| stream.range(-0.05, 0.05) as f32).collect();
        Tensor::f32(shape.to_vec(), data)
    };
    let targets: Targets = "q,v".parse().expect("both are targets");
    let factors = |(site, target): (String, Target)| {
        let (out, inputs) = target.shape(&base.config);
        (site, Factors::plain(numbers([rank, inputs]), numbers([out, rank])))
    };
    targets
        .sites(&base.config, None)
        .expect("every base has these")
        .into_iter()
        .map(factors)
        .collect()
}

/// A method that makes no model.
struct Nothing;

impl Merge for Nothing {
    fn settings(&self) -> Value {
        json!({"method": "nothing"})
    }
    fn sequential(&self) -> bool {
        false
    }
    fn merge(&self, _: Option<&ItemModel>, members: &dyn Members) -> Result<ItemModel, Error> {
        let names: Vec<_> = (0..members.len()).map(|i| members.name(i)).collect();
        Ok(ItemModel { record: json!({"weights": names}), files: BTreeMap::new() })
    }
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

/// ViT-S/14 with random weights.
fn base(out: &Path) -> Result<Vit, Box<dyn std::error::Error>> {
    let dir = out.join("shape");
    std::fs::create_dir_all(&dir)?;
    let config = json!({"model_type": "dinov2", "hidden_size": 384, "num_hidden_layers": 12,
        "num_attention_heads": 6,
        "mlp_ratio": 4, "image_size": 518, "patch_size": 14, "hidden_act": "gelu",
            "layer_norm_eps": 1e-6, "qkv_bias": true,
        "use_swiglu_ffn": false});
    std::fs::write(dir.join("config.json"), config.to_string())?;
    let images = json!({"size": {"shortest_edge": 256}, "crop_size": {"height": 224, "width": 224},
        "do_center_crop": true,
        "do_resize": true, "resample": 3, "image_processor_type": "BitImageProcessor",
        "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]});
    std::fs::write(dir.join("preprocessor_config.json"), images.to_string())?;
    Ok(Vit::random(&dir, 0)?)
}

/// A module with random factors, and one grey image for each of its two classes.
fn parts(base: &Identity, number: u64) -> Result<Parts, Error> {
    const RANK: usize = 16;
    let sites = random_sites(base, RANK, &mut Stream::at(number, Purpose::Initial, 0, 0));
    let (task, classes) =
        (format!("task{number}"), vec!["benign".to_owned(), "malignant".to_owned()]);
    let weight = (0..2 * base.config.hidden).map(|i| (i as f32).sin() / 20.0).collect();
    let (weight, bias) =
        (Tensor::f32(vec![2, base.config.hidden], weight), Tensor::f32(vec![2], vec![0.0; 2]));
    let card = ModuleCard {
        format: ModuleCard::FORMAT.into(),
        version: ModuleCard::VERSION,
        task: task.clone(),
        contributor: "hospital".into(),
        licence: "CC0-1.0".into(),
        family: base.config.family,
        gated: base.config.gated,
        base_digest: base.digest.clone(),
        image_size: SIZE,
        preprocessing: base.preprocessing_for(SIZE)?,
        created: None,
        run: Run { created: Some("2026-01-01T00:00:00Z".into()), ..Run::default() },
        classes: classes.clone(),
        class_texts: BTreeMap::new(),
        calibration: None,
        uncalibrated: None,
        training: json!({}),
        metrics: Vec::new(),
        measured: None,
        subgroups: Vec::new(),
    };
    let record = Record {
        format: Record::FORMAT.into(),
        version: Record::VERSION,
        task,
        classes: classes.clone(),
        per_class: 1,
        image_size: SIZE,
        base_digest: base.digest.clone(),
        preprocessing: card.preprocessing.clone(),
        start: Start::Noise,
        labels: Labels::Hard,
        real_images: None,
        real_groups: None,
        module: None,
        settings: json!({}),
        loss: [1.0, 0.0],
        privacy: None,
    };
    let images = vec![0.5; 2 * 3 * (SIZE * SIZE) as usize];
    let condensed = Condensed { record, images, labels: vec![1.0, 0.0, 0.0, 1.0] };
    let head = Head { classes, weight, bias, logit_scale: None, temperature: 1.0, familiar: None };
    let module = Module { rank: RANK, alpha: 16.0, sites, head, card };
    Ok(Parts { module, condensed, card: "Random factors.\n".into(), grams: None })
}
