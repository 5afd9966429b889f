//! Tables in Markdown: balanced accuracies over seeds with 95 % intervals, by method, with the task
//! given and unknown; AUC with the smallest and largest of its seeds and orders; for methods that
//! depend on the order of arrival, the mean over orders and the worst one. The difference is to
//! each task's own module with the task given, paired over patients and seeds. Then what old tasks
//! lose when one more arrives.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use medforge_packer::data::Split;

use crate::figure::{Figure, Judge, average, difference, show};
use crate::methods::ALONE;
use crate::results::{Measurement, Results};

type Failure = Box<dyn std::error::Error>;

/// Number of tasks, whether the task is given, method, condensed sets, heads.
type Row<'a> = (usize, bool, &'a str, &'a str, &'a str);

pub fn print(data: &Path, results: &Results) -> Result<(), Failure> {
    let measured = results.measured.borrow();
    let tasks: BTreeSet<&str> = measured.iter().map(|m| m.task.as_str()).collect();
    let mut rows: BTreeMap<Row, Vec<&Measurement>> = BTreeMap::new();
    for m in measured.iter() {
        let count = if m.order.is_empty() { tasks.len() } else { m.order.split(',').count() };
        rows.entry((count, !m.given, &m.method, &m.condensed, &m.heads)).or_default().push(m);
    }
    let judges: BTreeMap<&str, Judge> = tasks
        .iter()
        .map(|t| Ok((*t, Judge::open(&data.join(t), |data| Ok(data.indices(Split::Test)))?)))
        .collect::<Result<_, Failure>>()?;
    measured.iter().try_for_each(|m| judges[m.task.as_str()].check(&m.predicted))?;
    let alone = by_order(measured.iter().filter(|m| m.method == ALONE && m.given), &judges);
    let names = tasks.iter().copied().collect::<Vec<_>>().join(" | ");
    println!(
        "| tasks | task | method | condensed sets | heads | {names} | mean | less own modules | \
         share | AUC | worst order | seeds |"
    );
    println!("|{}", "---|".repeat(11 + tasks.len()));
    for (row, of_row) in &rows {
        println!("{}", line(row, of_row, &tasks, &alone, &judges));
    }
    forgetting(&rows, &judges);
    Ok(())
}

/// Figures of each task, by the order that modules arrived in.
type ByOrder<'a> = BTreeMap<&'a str, BTreeMap<&'a str, Figure>>;

/// One row of the table.
fn line(
    (count, unknown, method, condensed, heads): &Row,
    of_row: &[&Measurement],
    tasks: &BTreeSet<&str>,
    alone: &ByOrder,
    judges: &BTreeMap<&str, Judge>,
) -> String {
    let figures = by_order(of_row.iter().copied(), judges);
    let single = |task: &&str| {
        let of_task: Vec<_> = figures.values().filter_map(|by_task| by_task.get(task)).collect();
        if of_task.is_empty() { "-".into() } else { show(&average(&of_task)) }
    };
    let singles = tasks.iter().map(single).collect::<Vec<_>>().join(" | ");
    let mean_of = |by_task: &BTreeMap<&str, Figure>| average(&by_task.values().collect::<Vec<_>>());
    let means: Vec<Figure> = figures.values().map(mean_of).collect();
    let mean = average(&means.iter().collect::<Vec<_>>());
    let present: BTreeSet<&str> =
        figures.values().flat_map(|by_task| by_task.keys().copied()).collect();
    let own = alone.values().flatten().filter(|(task, _)| present.contains(*task));
    let own: Vec<&Figure> = own.map(|(_, figure)| figure).collect();
    let [less, share] = if own.is_empty() {
        ["-".into(), "-".into()]
    } else {
        let own = average(&own);
        [show(&difference(&mean, &own)), format!("{:.3}", mean.value / own.value)]
    };
    let worst = means.iter().map(|m| m.value).fold(f64::INFINITY, f64::min);
    let worst = if means.len() > 1 { format!("{worst:.3}") } else { "-".into() };
    let task = if *unknown { "unknown" } else { "given" };
    let (mean_shown, auc, seeds) = (show(&mean), auc(of_row), mean.seeds);
    format!(
        "| {count} | {task} | {method} | {condensed} | {heads} | {singles} | {mean_shown} | \
         {less} | {share} | {auc} | {worst} | {seeds} |"
    )
}

/// What the tasks that were there lose when one more arrives: the same method before and after the
/// arrival, paired.
fn forgetting(rows: &BTreeMap<Row, Vec<&Measurement>>, judges: &BTreeMap<&str, Judge>) {
    println!(
        "\n| method | condensed sets | heads | task | old tasks before | after one more | change \
         |\n|---|---|---|---|---|---|---|"
    );
    for ((count, unknown, method, condensed, heads), after) in rows {
        let Some(before) = rows.get(&(count - 1, *unknown, *method, *condensed, *heads)) else {
            continue;
        };
        let seeds: BTreeSet<u64> = after.iter().map(|m| m.seed).collect();
        let (before, after) = (
            by_order(before.iter().filter(|m| seeds.contains(&m.seed)).copied(), judges),
            by_order(after.iter().copied(), judges),
        );
        let (mut old, mut new) = (Vec::new(), Vec::new());
        for (order, figures) in &after {
            let Some((earlier, _)) = order.rsplit_once(',') else { continue };
            let Some(of_earlier) = before.get(earlier) else { continue };
            old.extend(of_earlier.values());
            new.extend(
                figures
                    .iter()
                    .filter(|(task, _)| of_earlier.contains_key(*task))
                    .map(|(_, figure)| figure),
            );
        }
        if !old.is_empty() {
            let (old, new) = (average(&old), average(&new));
            let (task, change) =
                (if *unknown { "unknown" } else { "given" }, show(&difference(&new, &old)));
            println!(
                "| {method} | {condensed} | {heads} | {task} | {} | {} | {change} |",
                show(&old),
                show(&new)
            );
        }
    }
}

/// By order of arrival, then task: what all seeds said.
fn by_order<'a>(
    measured: impl Iterator<Item = &'a Measurement>,
    judges: &BTreeMap<&str, Judge>,
) -> BTreeMap<&'a str, BTreeMap<&'a str, Figure>> {
    let mut said: BTreeMap<&str, BTreeMap<&str, Vec<&str>>> = BTreeMap::new();
    for m in measured {
        said.entry(&m.order).or_default().entry(&m.task).or_default().push(&m.predicted);
    }
    let figures = |by_task: BTreeMap<&'a str, Vec<&str>>| {
        by_task.into_iter().map(|(task, said)| (task, judges[task].figure(&said))).collect()
    };
    said.into_iter().map(|(order, by_task)| (order, figures(by_task))).collect()
}

/// The mean over tasks, with the smallest and the largest of seeds and orders.
fn auc(measured: &[&Measurement]) -> String {
    let mut by_run: BTreeMap<(&str, u64), Vec<f64>> = BTreeMap::new();
    for m in measured {
        if let Some(auc) = m.auc {
            by_run.entry((&m.order, m.seed)).or_default().push(auc);
        }
    }
    let means: Vec<f64> = by_run
        .values()
        .map(|of_tasks| of_tasks.iter().sum::<f64>() / of_tasks.len() as f64)
        .collect();
    let (low, high) =
        means.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(*v), h.max(*v)));
    if means.is_empty() {
        "-".into()
    } else {
        format!("{:.3} ({low:.3} to {high:.3})", means.iter().sum::<f64>() / means.len() as f64)
    }
}
