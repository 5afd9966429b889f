//! The temperature of a module's probabilities, from logits of held-out images.
//!
//! Two temperatures minimise the cross-entropy. One takes the labels as they are (Guo et al. 2017,
//! section 4.2); where no answer is wrong, it makes probabilities certain. The other takes the more
//! modest targets of Platt (1999, section 2.2); where answers are nearly always right, it makes
//! probabilities too unsure.
//!
//! The result is the one of the two that is nearer to 1, or 1 where they lie on different sides of
//! it. It is used only where it is shown to help: in cross-validation over groups, both the
//! calibration error and the cross-entropy must be smaller with it than without.

use std::collections::{BTreeMap, BTreeSet};

use crate::Error;
use crate::eval::bootstrap::{Bootstrap, RESAMPLES, interval};
use crate::eval::metrics::{Metric, Predictions};
use crate::lora::Interval;
use crate::softmax::softmax_at;

/// The parts that groups are dealt to for cross-validation.
const FOLDS: usize = 5;
/// The search for a temperature stays between these.
const COLDEST_AND_HOTTEST: (f64, f64) = (0.05, 20.0);

/// The temperature that is shown to help on these `rows` of logits, or 1; and the calibration
/// errors without it and with it. For the second, each group's temperature is fitted on other
/// groups.
///
/// # Errors
/// [`Error::Evaluation`] for logits that are not finite.
pub(super) fn shown(
    rows: &[Vec<f64>],
    labels: &[usize],
    groups: &[usize],
) -> Result<(f64, [Interval; 2]), Error> {
    let (none, crossed) = (vec![1.0; labels.len()], crossed(rows, labels, groups));
    let [before, after] = [&none, &crossed].map(|t| error(rows, labels, groups, t));
    let (before, after) = (before?, after?);
    let [loss_before, loss_after] = [&none, &crossed].map(|t| cross_entropy(rows, labels, t));
    let fitted = temperature(rows, labels);
    if fitted != 1.0 && after.value < before.value && loss_after < loss_before {
        Ok((fitted, [before, after]))
    } else {
        Ok((1.0, [before, before]))
    }
}

/// For each image, the temperature that the groups of the other folds give. Groups are dealt to
/// folds class by class, so that each fold has about as many of each.
pub(super) fn crossed(rows: &[Vec<f64>], labels: &[usize], groups: &[usize]) -> Vec<f64> {
    let mut classes = BTreeMap::new();
    for (&group, &label) in groups.iter().zip(labels) {
        let class = classes.entry(group).or_insert(label);
        *class = label.min(*class);
    }
    let order: BTreeSet<(usize, usize)> =
        classes.into_iter().map(|(group, class)| (class, group)).collect();
    let fold: BTreeMap<usize, usize> =
        order.into_iter().enumerate().map(|(n, (_, group))| (group, n % FOLDS)).collect();
    let fitted: Vec<f64> = (0..FOLDS)
        .map(|own| {
            let others = (0..labels.len()).filter(|&i| fold[&groups[i]] != own);
            let (rows, labels): (Vec<_>, Vec<_>) =
                others.map(|i| (rows[i].clone(), labels[i])).unzip();
            temperature(&rows, &labels)
        })
        .collect();
    groups.iter().map(|group| fitted[fold[group]]).collect()
}

/// The mean cross-entropy with each image at its own temperature.
fn cross_entropy(rows: &[Vec<f64>], labels: &[usize], temperatures: &[f64]) -> f64 {
    let each = rows.iter().zip(labels).zip(temperatures);
    let of = |((row, &label), &t): ((&Vec<f64>, &usize), &f64)| {
        -softmax_at(t, row)[label].max(1e-300).ln()
    };
    each.map(of).sum::<f64>() / labels.len() as f64
}

/// The temperature that makes the probabilities of `rows` of logits right as often as they say.
pub(super) fn temperature(rows: &[Vec<f64>], labels: &[usize]) -> f64 {
    let mut counts = vec![0.0; rows.first().map_or(0, Vec::len)];
    labels.iter().for_each(|&label| counts[label] += 1.0);
    let likeliest = fitted(rows, labels, |_| 1.0);
    let modest = fitted(rows, labels, |label| (counts[label] + 1.0) / (counts[label] + 2.0));
    1f64.max(likeliest).min(modest.max(likeliest))
}

/// The temperature that minimises the cross-entropy of `rows` of logits. The target of a true class
/// is `own` of it; the other classes share the rest.
pub(super) fn fitted(rows: &[Vec<f64>], labels: &[usize], own: impl Fn(usize) -> f64) -> f64 {
    let loss = |t: f64| -> f64 {
        let of = |(row, &label): (&Vec<f64>, &usize)| {
            let target = |c: usize| {
                if c == label { own(label) } else { (1.0 - own(label)) / (row.len() - 1) as f64 }
            };
            softmax_at(t, row)
                .iter()
                .enumerate()
                .map(|(c, p)| -target(c) * p.max(1e-300).ln())
                .sum::<f64>()
        };
        rows.iter().zip(labels).map(of).sum()
    };
    // The loss is convex in 1/t, so it has one minimum in t.
    let (mut low, mut high) = COLDEST_AND_HOTTEST;
    for _ in 0..80 {
        let (a, b) = (low * (high / low).cbrt(), high / (high / low).cbrt());
        if loss(a) < loss(b) { high = b } else { low = a }
    }
    (low * high).sqrt()
}

/// The expected calibration error with each image at its own temperature. It has a 95 % interval
/// over groups where the images allow one.
pub(super) fn error(
    rows: &[Vec<f64>],
    labels: &[usize],
    groups: &[usize],
    temperatures: &[f64],
) -> Result<Interval, Error> {
    let each = rows.iter().zip(temperatures);
    let probabilities: Vec<f32> =
        each.flat_map(|(row, &t)| softmax_at(t, row)).map(|p| p as f32).collect();
    let predictions = Predictions::new(&probabilities, labels, rows.first().map_or(0, Vec::len))?;
    let value = |weights: &[u32]| predictions.metrics(weights)[Metric::CalibrationError as usize];
    let whole = value(&vec![1; labels.len()]).expect("the calibration error always exists");
    let draws = Bootstrap::new(labels, groups, RESAMPLES, 0)
        .map(|b| b.run(value).into_iter().flatten().collect());
    let ends = draws.ok().and_then(interval);
    Ok(Interval { value: whole, low: ends.map(|(low, _)| low), high: ends.map(|(_, high)| high) })
}
