//! Tables in Markdown: balanced accuracies, means over seeds with 95 % intervals, and the
//! differences between sets.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use medforge_packer::data::Dataset;

use crate::figure::{Figure, Judge, average, difference, show};
use crate::results::{Measurement, Results};
use crate::task::training_and_judged;

type Failure = Box<dyn std::error::Error>;

/// Learner, network, images a class, set.
type Cell = (String, String, usize, String);

/// `validate`: of the held-out training patients, as the measuring was.
pub fn print(data: &Path, results: &Results, validate: bool) -> Result<(), Failure> {
    let measured = results.measured.borrow();
    let tasks: BTreeSet<&str> = measured.iter().map(|m| m.task.as_str()).collect();
    let mut by_task: BTreeMap<&str, BTreeMap<Cell, Figure>> = BTreeMap::new();
    for task in &tasks {
        let judge = Judge::open(&data.join(task), |data| judged(data, validate))?;
        let mut runs: BTreeMap<Cell, Vec<&str>> = BTreeMap::new();
        for m in measured.iter().filter(|m| m.task == *task) {
            judge.check(&m.predicted)?;
            runs.entry(cell(m)).or_default().push(&m.predicted);
        }
        by_task.insert(
            task,
            runs.into_iter().map(|(cell, said)| (cell, judge.figure(&said))).collect(),
        );
    }
    let cells: BTreeSet<&Cell> = by_task.values().flat_map(BTreeMap::keys).collect();
    println!(
        "| learner | network | a class | set | {} | mean of these | less random |",
        join(tasks.iter())
    );
    println!("|{}", "---|".repeat(6 + tasks.len()));
    for cell @ (learner, network, per_class, set) in &cells {
        let singles = by_task.values().map(|t| match t.get(cell) {
            Some(figure) => format!("{} [{}]", show(figure), figure.seeds),
            None => "-".into(),
        });
        let singles: Vec<String> = singles.collect();
        let random = (learner.clone(), network.clone(), *per_class, "random".to_owned());
        let pairs = by_task.values().filter_map(|t| Some((t.get(*cell)?, t.get(&random)?)));
        let (own, other): (Vec<&Figure>, Vec<&Figure>) = pairs.unzip();
        let less = if set == "random" || other.is_empty() {
            "-".into()
        } else {
            show(&difference(&average(&own), &average(&other)))
        };
        let own: Vec<&Figure> = by_task.values().filter_map(|t| t.get(*cell)).collect();
        let mean = show(&average(&own));
        println!(
            "| {learner} | {network} | {per_class} | {set} | {} | {mean} | {less} |",
            join(singles.iter())
        );
    }
    Ok(())
}

fn judged(data: &Dataset, validate: bool) -> Result<Vec<usize>, medforge_packer::Error> {
    Ok(training_and_judged(data, validate)?.1)
}

fn cell(m: &Measurement) -> Cell {
    (m.learner.clone(), m.network.clone(), m.per_class, m.set.clone())
}

fn join(parts: impl Iterator<Item = impl ToString>) -> String {
    parts.map(|p| p.to_string()).collect::<Vec<_>>().join(" | ")
}
