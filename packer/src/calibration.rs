//! What a trained module's answers are worth, from images held out of its training: a temperature
//! for its probabilities, and how far an image may lie from what the module knows.
//!
//! Two temperatures minimise the cross-entropy on the validation part: one with its labels (Guo et
//! al. 2017, section 4.2), which makes a part without a wrong answer certain; and one with the more
//! modest targets of Platt (1999, section 2.2), which makes answers that are nearly always right
//! too unsure. What is taken is 1, or else the one of the two that is nearer to it on the same
//! side, and that only if it is shown to help: in cross-validation over groups both the calibration
//! error and the cross-entropy must be smaller with it than without. The out-of-distribution score
//! is [`Familiar::score`]; its threshold lets [`KEPT`] of the validation part through.
//!
//! A part with fewer than [`LEAST_GROUPS`] groups in some class calibrates nothing, and the
//! module's card says so.

use std::collections::{BTreeMap, BTreeSet};

use indicatif::ProgressBar;

use crate::Error;
use crate::base::Vit;
use crate::data::Images;
use crate::device::Device;
use crate::eval::bootstrap::{Bootstrap, RESAMPLES, interval};
use crate::eval::metrics::{Metric, Predictions};
use crate::lora::{Calibration, Familiar, Interval, Module, ModuleCard};
use crate::predict::{Predictor, logits};
use crate::softmax::softmax_at;

/// The share of the validation images whose score lies below the threshold.
pub const KEPT: f64 = 0.95;

/// Groups that each class must have in the validation part unless told otherwise: two for each of
/// the five folds of the cross-validation, and with two classes twenty in all, the fewest of which
/// one in twenty can lie above the threshold.
pub const LEAST_GROUPS: usize = 10;

/// Parts that groups are dealt to for cross-validation.
const FOLDS: usize = 5;

/// Measures `module` on the `training` and the `validation` images of `images`, no more than
/// `at_once` together, and calibrates it: sets what its head and its card say of that. Where a
/// class has fewer than `least_groups` validation groups it is left as it is, and its card says
/// why. Returns the features of the validation images, in their order.
///
/// # Errors
/// [`Error::Evaluation`]: features that are not finite or all alike.
pub fn calibrate<D: Device + 'static>(
    device: &D,
    vit: &Vit,
    module: &mut Module,
    images: &Images,
    [training, validation]: [&[usize]; 2],
    at_once: usize,
    least_groups: usize,
) -> Result<Vec<Vec<f32>>, Error> {
    let of = |indices: &[usize], values: &[usize]| {
        indices.iter().map(|&i| values[i]).collect::<Vec<_>>()
    };
    let (labels, groups) = (of(validation, images.labels()), of(validation, images.groups()));
    module.card.uncalibrated = too_few(&module.head.classes, &labels, &groups, least_groups);
    let training: &[usize] = if module.card.uncalibrated.is_some() { &[] } else { training };
    let bar =
        ProgressBar::new((training.len() + validation.len()) as u64).with_message("calibration");
    let predictor = Predictor::new(device, vit, Some(module), module.card.image_size as usize);
    let features = |indices: &[usize]| -> Result<Vec<Vec<f32>>, Error> {
        let mut rows = Vec::new();
        for part in indices.chunks(at_once) {
            rows.extend(predictor.features_of(images, part, |_| {})?);
            bar.inc(part.len() as u64);
        }
        Ok(rows)
    };
    let (known, held_out) = (features(training)?, features(validation)?);
    bar.finish_and_clear();
    if module.card.uncalibrated.is_some() {
        return Ok(held_out);
    }
    let familiar =
        Familiar::fit(&known, &of(training, images.labels()), module.head.classes.len())?;
    let rows: Vec<Vec<f64>> =
        held_out.iter().map(|feature| logits(&module.head, feature)).collect();
    let (temperature, [error_before, error_after]) = shown(&rows, &labels, &groups)?;
    let mut scores: Vec<f64> = held_out.iter().map(|feature| familiar.score(feature)).collect();
    scores.sort_by(f64::total_cmp);
    let place = (KEPT * scores.len() as f64).ceil() as usize;
    module.card.calibration = Some(Calibration {
        temperature,
        error_before,
        error_after,
        threshold: scores[place.clamp(1, scores.len()) - 1],
        images: labels.len(),
        groups: groups.iter().collect::<BTreeSet<_>>().len(),
    });
    module.head.temperature = temperature;
    module.head.familiar = Some(familiar);
    Ok(held_out)
}

/// What a module's card says of its calibration, in words.
pub fn words(card: &ModuleCard) -> String {
    let Some(c) = &card.calibration else {
        return format!(
            "not calibrated: {}",
            card.uncalibrated.as_deref().unwrap_or("nothing was held out for it")
        );
    };
    let (temperature, before, after) = (c.temperature, c.error_before, c.error_after);
    let how = if temperature == 1.0 {
        format!("no temperature was shown to help, calibration error {before}")
    } else {
        format!(
            "temperature {temperature:.2}, calibration error {before} before and {after} after, \
             each group with a temperature fitted on others"
        )
    };
    let (images, groups, threshold, percent) = (c.images, c.groups, c.threshold, 100.0 * KEPT);
    format!(
        "calibrated on {images} validation images of {groups} groups: {how}; out-of-distribution \
         threshold {threshold:.2} ({percent:.0} % of them \
         are below)"
    )
}

/// Why these images are too few to calibrate on, if so: the class with the fewest groups has fewer
/// than `least`.
fn too_few(classes: &[String], labels: &[usize], groups: &[usize], least: usize) -> Option<String> {
    let held: BTreeSet<(usize, usize)> =
        labels.iter().copied().zip(groups.iter().copied()).collect();
    let count = |class: usize| held.iter().filter(|(label, _)| *label == class).count();
    let (class, count) =
        (0..classes.len()).map(|class| (class, count(class))).min_by_key(|(_, count)| *count)?;
    (count < least).then(|| {
        let class = &classes[class];
        format!(
            "of class {class} {count} groups were held out, and {least} are the least \
                 (--min-calibration-groups)"
        )
    })
}

/// The temperature that is shown to help on these `rows` of logits, or 1; and the calibration error
/// without it and with it. With it each group is judged by a temperature fitted on other groups.
fn shown(
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

/// For each image the temperature that the groups of the other folds give. Groups are dealt to
/// folds class by class, so that each fold has its share of each.
fn crossed(rows: &[Vec<f64>], labels: &[usize], groups: &[usize]) -> Vec<f64> {
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

/// What `rows` of logits are divided by to be right as often as they say.
fn temperature(rows: &[Vec<f64>], labels: &[usize]) -> f64 {
    let mut counts = vec![0.0; rows.first().map_or(0, Vec::len)];
    labels.iter().for_each(|&label| counts[label] += 1.0);
    let likeliest = fitted(rows, labels, |_| 1.0);
    let modest = fitted(rows, labels, |label| (counts[label] + 1.0) / (counts[label] + 2.0));
    1f64.max(likeliest).min(modest.max(likeliest))
}

/// The temperature that minimises the cross-entropy of `rows` of logits, where each true class's
/// target is `own` of it and the others share the rest.
fn fitted(rows: &[Vec<f64>], labels: &[usize], own: impl Fn(usize) -> f64) -> f64 {
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

/// Between these a temperature is looked for.
const COLDEST_AND_HOTTEST: (f64, f64) = (0.05, 20.0);

/// The expected calibration error with each image at its own temperature, with its 95 % interval
/// over groups where the images allow one.
fn error(
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

#[cfg(test)]
mod tests;
