//! What calibration is worth on the test splits of several tasks: the calibration error before and
//! after, how two out-of-distribution scores tell the other tasks' images from a module's own, and
//! what abstaining buys.
//!
//!     cargo bench --workspace --bench calibration -- --base BASE --data DATA --modules MODULES
//!
//! DATA and MODULES hold a folder for each task; modules were trained with `packer train
//! --validation`, at the same size. Prints Markdown tables, with 95 % intervals over groups
//! (patients).

use std::path::PathBuf;

use clap::Parser;
use medforge_packer::base::Vit;
use medforge_packer::data::{Dataset, Images, Split};
use medforge_packer::device::cpu::Cpu;
use medforge_packer::eval::Metric;
use medforge_packer::eval::bootstrap::{Bootstrap, RESAMPLES, interval};
use medforge_packer::eval::metrics::Predictions;
use medforge_packer::lora::{Calibration, Familiar, Head, Module};
use medforge_packer::predict::{Predictor, logits, probabilities};

type Failure = Box<dyn std::error::Error>;

#[derive(Parser)]
struct Args {
    #[arg(long)]
    base: PathBuf,
    #[arg(long)]
    data: PathBuf,
    #[arg(long)]
    modules: PathBuf,
    #[arg(long, value_delimiter = ',', default_value = "breast,lung,colon,chest")]
    tasks: Vec<String>,
    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

/// A task's module and its test images.
struct Task {
    name: String,
    module: Module,
    images: Images,
}

fn main() -> Result<(), Failure> {
    let args = Args::parse();
    let (vit, device) = (Vit::open(&args.base)?, Cpu::<f32>::new());
    let mut tasks = Vec::new();
    for name in &args.tasks {
        let module = Module::open(&args.modules.join(name), &vit)?;
        let data = Dataset::open(&args.data.join(name))?;
        let preprocessing = vit.preprocessing_for(module.card.image_size)?;
        let images = Images::load(&data, &data.indices(Split::Test), &preprocessing)?;
        tasks.push(Task { name: name.clone(), module, images });
    }
    // By module, the features of every task's test images.
    let mut features = Vec::new();
    for Task { module, .. } in &tasks {
        let predictor =
            Predictor::new(&device, &vit, Some(module), module.card.image_size as usize);
        let of = |task: &Task| {
            predictor.features_of(&task.images, &(0..task.images.len()).collect::<Vec<_>>(), |_| {})
        };
        features.push(tasks.iter().map(of).collect::<Result<Vec<_>, _>>()?);
    }
    calibrated(&tasks, &features)?;
    unfamiliar(&tasks, &features)?;
    thresholds(&tasks, &features)?;
    abstaining(&tasks, &features)
}

/// The calibration of a module that must have one.
fn calibration(module: &Module) -> Result<(&Calibration, &Familiar), Failure> {
    let both = module.card.calibration.as_ref().zip(module.head.familiar.as_ref());
    both.ok_or_else(|| {
        format!("the module of {} is not calibrated; train it with --validation", module.card.task)
            .into()
    })
}

fn calibrated(tasks: &[Task], features: &[Vec<Vec<Vec<f32>>>]) -> Result<(), Failure> {
    println!(
        "| task | test images | temperature | calibration error before | after | after less before \
         |\n|---|---|---|---|---|---|"
    );
    for (t, Task { name, module, images }) in tasks.iter().enumerate() {
        let (stated, _) = calibration(module)?;
        let cold = Head { temperature: 1.0, ..module.head.clone() };
        let said = |head: &Head| {
            let rows: Vec<f32> = features[t][t]
                .iter()
                .flat_map(|f| probabilities(head, f))
                .map(|p| p as f32)
                .collect();
            Predictions::new(&rows, images.labels(), head.classes.len())
        };
        let (before, after) = (said(&cold)?, said(&module.head)?);
        let error = |of: &Predictions, w: &[u32]| {
            of.metrics(w)[Metric::CalibrationError as usize].unwrap_or(f64::NAN)
        };
        let all =
            |w: &[u32]| [error(&before, w), error(&after, w), error(&after, w) - error(&before, w)];
        let [before, after, difference] = with_intervals(images.labels(), images.groups(), all)?;
        println!(
            "| {name} | {} | {:.2} | {before} | {after} | {difference} |",
            images.len(),
            stated.temperature
        );
    }
    println!();
    Ok(())
}

fn unfamiliar(tasks: &[Task], features: &[Vec<Vec<Vec<f32>>>]) -> Result<(), Failure> {
    println!(
        "| module | images of | AUC, Mahalanobis | AUC, energy | AUC, least confidence | \
         Mahalanobis less energy |\n|---|---|---|---|---|---|"
    );
    for (t, Task { name, module, images }) in tasks.iter().enumerate() {
        let (_, familiar) = calibration(module)?;
        for (o, other) in tasks.iter().enumerate().filter(|(o, _)| *o != t) {
            let both = || features[t][t].iter().chain(&features[t][o]);
            let scores = |score: &dyn Fn(&Vec<f32>) -> f64| both().map(score).collect::<Vec<_>>();
            let scores = [
                scores(&|f| familiar.score(f)),
                // Liu et al. 2020, "Energy-based Out-of-distribution Detection", section 3.1.
                scores(&|f| -log_sum_exp(&logits(&module.head, f))),
                scores(&|f| -probabilities(&module.head, f).into_iter().fold(0.0, f64::max)),
            ];
            let labels: Vec<usize> =
                both().enumerate().map(|(i, _)| usize::from(i >= images.len())).collect();
            let beyond = images.groups().iter().max().map_or(0, |g| g + 1);
            let groups: Vec<usize> = images
                .groups()
                .iter()
                .copied()
                .chain(other.images.groups().iter().map(|g| g + beyond))
                .collect();
            let ranked: Vec<Predictions> =
                scores.iter().map(|s| ranks(s, &labels)).collect::<Result<_, _>>()?;
            let area = |which: usize, w: &[u32]| {
                ranked[which].metrics(w)[Metric::Auc as usize].unwrap_or(f64::NAN)
            };
            let all = |w: &[u32]| [area(0, w), area(1, w), area(2, w), area(0, w) - area(1, w)];
            let [m, e, c, difference] = with_intervals(&labels, &groups, all)?;
            println!("| {name} | {} | {m} | {e} | {c} | {difference} |", other.name);
        }
    }
    println!();
    Ok(())
}

fn thresholds(tasks: &[Task], features: &[Vec<Vec<Vec<f32>>>]) -> Result<(), Failure> {
    print!("| share above the threshold: module |");
    tasks.iter().for_each(|task| print!(" images of {} |", task.name));
    println!("\n|---|{}", "---|".repeat(tasks.len()));
    for (t, Task { name, module, .. }) in tasks.iter().enumerate() {
        let (stated, familiar) = calibration(module)?;
        print!("| {name} |");
        for (o, other) in tasks.iter().enumerate() {
            let above: Vec<f64> = features[t][o]
                .iter()
                .map(|f| f64::from(u8::from(familiar.score(f) > stated.threshold)))
                .collect();
            let share = |w: &[u32]| {
                let total: u32 = w.iter().sum();
                [above.iter().zip(w).map(|(a, w)| a * f64::from(*w)).sum::<f64>()
                    / f64::from(total)]
            };
            let [share] = with_intervals(other.images.labels(), other.images.groups(), share)?;
            print!(" {share} |");
        }
        println!();
    }
    println!();
    Ok(())
}

/// Shares of the images that get no answer.
const ABSTAINED: [f64; 5] = [0.0, 0.1, 0.2, 0.3, 0.5];

fn abstaining(tasks: &[Task], features: &[Vec<Vec<Vec<f32>>>]) -> Result<(), Failure> {
    print!("| accuracy of the rest when no answer is given to the least probable: task |");
    ABSTAINED.iter().for_each(|share| print!(" {:.0} % |", 100.0 * share));
    println!("\n|---|{}", "---|".repeat(ABSTAINED.len()));
    for (t, Task { name, module, images }) in tasks.iter().enumerate() {
        let rows: Vec<Vec<f64>> =
            features[t][t].iter().map(|f| probabilities(&module.head, f)).collect();
        let sure = |i: &usize| rows[*i].iter().copied().fold(0.0, f64::max);
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.sort_by(|a, b| sure(b).total_cmp(&sure(a)));
        let right = |i: usize| medforge_packer::predict::argmax(&rows[i]) == images.labels()[i];
        let curve = |w: &[u32]| {
            let total: u32 = w.iter().sum();
            ABSTAINED.map(|share| {
                let answers = (1.0 - share) * f64::from(total);
                let (mut seen, mut hits) = (0.0, 0.0);
                for &i in &order {
                    let take = f64::from(w[i]).min(answers - seen);
                    (seen, hits) = (seen + take, hits + if right(i) { take } else { 0.0 });
                }
                hits / seen
            })
        };
        let points = with_intervals(images.labels(), images.groups(), curve)?;
        print!("| {name} |");
        points.iter().for_each(|point| print!(" {point} |"));
        println!();
    }
    Ok(())
}

/// Predictions whose AUC is that of `scores`: their ranks as the probability of label 1.
fn ranks(scores: &[f64], labels: &[usize]) -> Result<Predictions, Failure> {
    let mut sorted: Vec<f64> = scores.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = |score: f64| sorted.partition_point(|s| *s < score) as f32 / scores.len() as f32;
    let rows: Vec<f32> = scores.iter().flat_map(|&s| [1.0 - rank(s), rank(s)]).collect();
    Ok(Predictions::new(&rows, labels, 2)?)
}

/// Each number with its 95 % interval over groups, as text.
fn with_intervals<const N: usize>(
    labels: &[usize],
    groups: &[usize],
    of: impl Fn(&[u32]) -> [f64; N] + Sync,
) -> Result<[String; N], Failure> {
    let whole = of(&vec![1; labels.len()]);
    let bootstrap = Bootstrap::new(labels, groups, RESAMPLES, 0)
        .map_err(|class| format!("class {class} has one group"))?;
    let draws = bootstrap.run(of);
    Ok(std::array::from_fn(|n| {
        let ends = interval(draws.iter().map(|draw| draw[n]).filter(|v| v.is_finite()).collect());
        let (low, high) = ends.unwrap_or((f64::NAN, f64::NAN));
        format!("{:.3} ({low:.3} to {high:.3})", whole[n])
    }))
}

fn log_sum_exp(logits: &[f64]) -> f64 {
    let top = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    top + logits.iter().map(|l| (l - top).exp()).sum::<f64>().ln()
}
