//! Tables in Markdown: balanced accuracies, means over seeds with 95 % intervals, and the differences between sets.
//!
//! Intervals: percentile bootstrap that draws test groups (patients) and seeds with replacement, the same groups for all sets, so
//! that differences are paired; tasks are averaged within each resample.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use medforge_packer::data::{Dataset, Split};
use medforge_packer::eval::bootstrap::{Bootstrap, interval};
use medforge_packer::random::{Purpose, Stream};

use crate::results::{Measurement, Results};

type Failure = Box<dyn std::error::Error>;

const RESAMPLES: usize = 2000;

/// Learner, network, images a class, set.
type Cell = (String, String, usize, String);

/// The mean over seeds, and that mean in every resample.
struct Figure {
    value: f64,
    resamples: Vec<f64>,
    seeds: usize,
}

pub fn print(data: &Path, results: &Results) -> Result<(), Failure> {
    let measured = results.measured.borrow();
    let tasks: BTreeSet<&str> = measured.iter().map(|m| m.task.as_str()).collect();
    let mut by_task: BTreeMap<&str, BTreeMap<Cell, Figure>> = BTreeMap::new();
    for task in &tasks {
        by_task.insert(task, figures(&data.join(task), measured.iter().filter(|m| m.task == *task))?);
    }
    let cells: BTreeSet<&Cell> = by_task.values().flat_map(BTreeMap::keys).collect();
    println!("| learner | network | a class | set | {} | mean of these | less random |", join(tasks.iter()));
    println!("|{}", "---|".repeat(6 + tasks.len()));
    for cell @ (learner, network, per_class, set) in &cells {
        let of = |cell: &Cell| -> Vec<&Figure> { by_task.values().filter_map(|t| t.get(cell)).collect() };
        let own = of(cell);
        let singles = by_task.values().map(|t| match t.get(cell) {
            Some(figure) => format!("{} [{}]", show(figure.value, &figure.resamples), figure.seeds),
            None => "-".into(),
        });
        let singles: Vec<String> = singles.collect();
        let random = (learner.clone(), network.clone(), *per_class, "random".to_owned());
        let pairs = by_task.values().filter_map(|t| Some((t.get(*cell)?, t.get(&random)?)));
        let (own_paired, random): (Vec<&Figure>, Vec<&Figure>) = pairs.unzip();
        let less = match set.as_str() == "random" || random.is_empty() {
            true => "-".into(),
            false => {
                let (a, b) = (average(&own_paired), average(&random));
                let resamples: Vec<f64> = a.1.iter().zip(&b.1).map(|(a, b)| a - b).collect();
                show(a.0 - b.0, &resamples)
            }
        };
        let (value, resamples) = average(&own);
        let mean = show(value, &resamples);
        println!("| {learner} | {network} | {per_class} | {set} | {} | {mean} | {less} |", join(singles.iter()));
    }
    Ok(())
}

/// The figures of one task.
fn figures<'a>(
    root: &Path,
    measured: impl Iterator<Item = &'a Measurement>,
) -> Result<BTreeMap<Cell, Figure>, Failure> {
    let data = Dataset::open(root)?;
    let test = data.indices(Split::Test);
    let labels: Vec<usize> = test.iter().map(|&i| data.items[i].label).collect();
    let names: BTreeSet<&str> = test.iter().map(|&i| data.items[i].group.as_str()).collect();
    let place: BTreeMap<&str, usize> = names.into_iter().enumerate().map(|(i, name)| (name, i)).collect();
    let groups: Vec<usize> = test.iter().map(|&i| place[data.items[i].group.as_str()]).collect();
    let one_group = |class| format!("{}: class {class} has one test group only", root.display());
    let bootstrap = Bootstrap::new(&labels, &groups, RESAMPLES, 0).map_err(one_group)?;

    let mut runs: BTreeMap<Cell, Vec<&Measurement>> = BTreeMap::new();
    for m in measured {
        let cell = (m.learner.clone(), m.network.clone(), m.per_class, m.set.clone());
        runs.entry(cell).or_default().push(m);
    }
    let figure = |(cell, runs): (Cell, Vec<&Measurement>)| {
        let said: Vec<Vec<usize>> =
            runs.iter().map(|m| m.predicted.bytes().map(|b| usize::from(b - b'0')).collect()).collect();
        let of = |weights: &[u32]| -> Vec<f64> {
            said.iter().map(|said| balanced_accuracy(said, &labels, weights, data.classes.len())).collect()
        };
        let draws = bootstrap.run(of);
        let resample = |(r, of_seed): (usize, &Vec<f64>)| {
            let mut stream = Stream::at(0, Purpose::Subset, r as u64, runs.len() as u64);
            (0..runs.len()).map(|_| of_seed[stream.below(runs.len())]).sum::<f64>() / runs.len() as f64
        };
        let resamples = draws.iter().enumerate().map(resample).collect();
        let value = runs.iter().map(|m| m.balanced_accuracy).sum::<f64>() / runs.len() as f64;
        (cell, Figure { value, resamples, seeds: runs.len() })
    };
    Ok(runs.into_iter().map(figure).collect())
}

fn balanced_accuracy(said: &[usize], labels: &[usize], weights: &[u32], classes: usize) -> f64 {
    let (mut hit, mut all) = (vec![0u32; classes], vec![0u32; classes]);
    for ((said, label), weight) in said.iter().zip(labels).zip(weights) {
        all[*label] += weight;
        hit[*label] += if said == label { *weight } else { 0 };
    }
    let present: Vec<f64> =
        (0..classes).filter(|&c| all[c] > 0).map(|c| f64::from(hit[c]) / f64::from(all[c])).collect();
    present.iter().sum::<f64>() / present.len() as f64
}

/// The mean over tasks, and in each resample.
fn average(figures: &[&Figure]) -> (f64, Vec<f64>) {
    let n = figures.len() as f64;
    let resamples = (0..RESAMPLES).map(|r| figures.iter().map(|f| f.resamples[r]).sum::<f64>() / n).collect();
    (figures.iter().map(|f| f.value).sum::<f64>() / n, resamples)
}

fn show(value: f64, resamples: &[f64]) -> String {
    let (low, high) = interval(resamples.to_vec()).unwrap_or((f64::NAN, f64::NAN));
    format!("{value:.3} ({low:.3} to {high:.3})")
}

fn join(parts: impl Iterator<Item = impl ToString>) -> String {
    parts.map(|p| p.to_string()).collect::<Vec<_>>().join(" | ")
}
