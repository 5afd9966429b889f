//! What a trained module's answers are worth, from images held out of its training: a temperature for its probabilities, and how far an image may
//! lie from what the module knows.
//!
//! Two temperatures minimise the cross-entropy on the validation part: one with its labels (Guo et al. 2017, section 4.2), which makes a part without a
//! wrong answer certain; and one with the more modest targets of Platt (1999, section 2.2), which makes answers that are nearly always right too unsure.
//! What is taken is 1, or else the one of the two that is nearer to it on the same side. The out-of-distribution score is [`Familiar::score`]; its threshold lets
//! [`KEPT`] of the validation part through.

use std::collections::BTreeSet;

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
    let temperature = temperature(&module.head, &held_out, &labels);
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

/// What logits are divided by to be right as often as they say.
pub fn temperature(head: &Head, features: &[Vec<f32>], labels: &[usize]) -> f64 {
    let rows: Vec<Vec<f64>> = features.iter().map(|feature| logits(head, feature)).collect();
    let mut counts = vec![0.0; head.classes.len()];
    labels.iter().for_each(|&label| counts[label] += 1.0);
    let likeliest = fitted(&rows, labels, |_| 1.0);
    let modest = fitted(&rows, labels, |label| (counts[label] + 1.0) / (counts[label] + 2.0));
    1f64.max(likeliest).min(modest.max(likeliest))
}

/// The temperature that minimises the cross-entropy of `rows` of logits, where each true class's target is `own` of it and the others share the rest.
fn fitted(rows: &[Vec<f64>], labels: &[usize], own: impl Fn(usize) -> f64) -> f64 {
    let loss = |t: f64| -> f64 {
        let of = |(row, &label): (&Vec<f64>, &usize)| {
            let target = |c: usize| if c == label { own(label) } else { (1.0 - own(label)) / (row.len() - 1) as f64 };
            softmax_at(t, row).iter().enumerate().map(|(c, p)| -target(c) * p.max(1e-300).ln()).sum::<f64>()
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
