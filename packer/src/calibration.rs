//! What a trained module's answers are worth, from images held out of its training: a temperature for its probabilities, and how far an image may
//! lie from what the module knows.
//!
//! The temperature (Guo et al. 2017, section 4.2) minimises the cross-entropy on the validation part, whose targets are Platt's (1999, section 2.2),
//! so that a part without a wrong answer does not make probabilities certain. It stays 1 where nothing shows that it helps: where temperatures fitted
//! without some of the patients make the right answers of these less likely, as hotter ones do wherever all answers are right. The out-of-distribution score is [`Familiar::score`]; its threshold lets
//! [`KEPT`] of the validation part through.

use std::collections::{BTreeMap, BTreeSet};

use indicatif::ProgressBar;

use crate::Error;
use crate::base::Vit;
use crate::data::Images;
use crate::device::Device;
use crate::eval::bootstrap::{Bootstrap, RESAMPLES, interval};
use crate::eval::metrics::{Metric, Predictions};
use crate::lora::{Calibration, Familiar, Head, Interval, Module};
use crate::predict::{Predictor, logits, softmax_at};

/// The share of the validation images whose score lies below the threshold.
pub const KEPT: f64 = 0.95;

/// Measures `module` on the `training` and the `validation` images of `images`, no more than `at_once` together, and calibrates it: sets what its
/// head and its card say of that. Returns the features of the validation images, in their order.
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
) -> Result<Vec<Vec<f32>>, Error> {
    let bar = ProgressBar::new((training.len() + validation.len()) as u64).with_message("calibration");
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
    let of = |indices: &[usize], values: &[usize]| indices.iter().map(|&i| values[i]).collect::<Vec<_>>();
    let familiar = Familiar::fit(&known, &of(training, images.labels()), module.head.classes.len())?;
    let (labels, groups) = (of(validation, images.labels()), of(validation, images.groups()));
    let temperature = temperature(&module.head, &held_out, &labels, &groups);
    let mut scores: Vec<f64> = held_out.iter().map(|feature| familiar.score(feature)).collect();
    scores.sort_by(f64::total_cmp);
    let place = (KEPT * scores.len() as f64).ceil() as usize;
    let [before, after] = [1.0, temperature].map(|t| error(&module.head, &held_out, &labels, &groups, t));
    module.card.calibration = Some(Calibration {
        temperature,
        error_before: before?,
        error_after: after?,
        threshold: scores[place.clamp(1, scores.len()) - 1],
        images: labels.len(),
        groups: groups.iter().collect::<BTreeSet<_>>().len(),
    });
    module.head.temperature = temperature;
    module.head.familiar = Some(familiar);
    Ok(held_out)
}

/// What logits are divided by to be right as often as they say; 1 unless cross-validation over two groups or more shows that it makes true classes more
/// likely.
pub fn temperature(head: &Head, features: &[Vec<f32>], labels: &[usize], groups: &[usize]) -> f64 {
    let all: Vec<(Vec<f32>, usize)> = features.iter().map(|f| logits(head, f)).zip(labels.iter().copied()).collect();
    let distinct: BTreeSet<usize> = groups.iter().copied().collect();
    let fold: BTreeMap<usize, usize> = distinct.into_iter().zip((0..FOLDS).cycle()).collect();
    if fold.len() < 2 {
        return 1.0;
    }
    let (mut kept, mut changed) = (0.0, 0.0);
    for part in 0..FOLDS.min(fold.len()) {
        let (out, rest): (Vec<_>, Vec<_>) = all.iter().zip(groups).partition(|(_, group)| fold[group] == part);
        let rows =
            |part: Vec<(&(Vec<f32>, usize), &usize)>| part.into_iter().map(|(row, _)| row.clone()).collect::<Vec<_>>();
        let (out, rest) = (rows(out), rows(rest));
        let t = fitted(&rest, head.classes.len());
        let loss =
            |t: f64| -> f64 { out.iter().map(|(row, label)| -softmax_at(t, row)[*label].max(1e-300).ln()).sum() };
        kept += loss(1.0);
        changed += loss(t);
    }
    if changed < kept { fitted(&all, head.classes.len()) } else { 1.0 }
}

/// The temperature that minimises the cross-entropy of `rows`, logits and labels of `classes` classes, with Platt's targets.
fn fitted(rows: &[(Vec<f32>, usize)], classes: usize) -> f64 {
    let mut counts = vec![0.0; classes];
    rows.iter().for_each(|(_, label)| counts[*label] += 1.0);
    let loss = |t: f64| -> f64 {
        let of = |(row, label): &(Vec<f32>, usize)| {
            let own = (counts[*label] + 1.0) / (counts[*label] + 2.0);
            let target = |c: usize| if c == *label { own } else { (1.0 - own) / (classes - 1) as f64 };
            softmax_at(t, row).iter().enumerate().map(|(c, p)| -target(c) * p.max(1e-300).ln()).sum::<f64>()
        };
        rows.iter().map(of).sum()
    };
    // The loss is convex in 1/t, so it has one minimum in t.
    let (mut low, mut high) = COLDEST_AND_HOTTEST;
    for _ in 0..80 {
        let (a, b) = (low * (high / low).cbrt(), high / (high / low).cbrt());
        if loss(a) < loss(b) { high = b } else { low = a }
    }
    (low * high).sqrt()
}

/// Parts of the cross-validation.
const FOLDS: usize = 10;
/// Between these a temperature is looked for.
const COLDEST_AND_HOTTEST: (f64, f64) = (0.05, 20.0);

/// The expected calibration error at temperature `t`, with its 95 % interval over groups where the images allow one.
fn error(head: &Head, features: &[Vec<f32>], labels: &[usize], groups: &[usize], t: f64) -> Result<Interval, Error> {
    let rows: Vec<f32> = features.iter().flat_map(|f| softmax_at(t, &logits(head, f))).map(|p| p as f32).collect();
    let predictions = Predictions::new(&rows, labels, head.classes.len())?;
    let value = |weights: &[u32]| predictions.metrics(weights)[Metric::CalibrationError as usize];
    let whole = value(&vec![1; labels.len()]).expect("the calibration error always exists");
    let draws = Bootstrap::new(labels, groups, RESAMPLES, 0).map(|b| b.run(value).into_iter().flatten().collect());
    let ends = draws.ok().and_then(interval);
    Ok(Interval { value: whole, low: ends.map(|(low, _)| low), high: ends.map(|(_, high)| high) })
}

#[cfg(test)]
mod tests;
