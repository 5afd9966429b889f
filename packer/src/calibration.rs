//! Calibration: what a trained module's answers are worth, from images that its training never saw.
//! It gives a temperature for probabilities, and a threshold for how far an image may lie from what
//! the module was trained on.
//!
//! The module `temperature` says which temperature is taken. The out-of-distribution score is
//! [`Familiar::score`]; [`KEPT`] of the validation images lie below its threshold.
//!
//! A validation part with too few groups in some class calibrates nothing, and the module's card
//! says so.

use std::collections::BTreeSet;

use indicatif::ProgressBar;

use crate::Error;
use crate::base::Vit;
use crate::data::Images;
use crate::device::Device;
use crate::lora::{Calibration, Familiar, Module, ModuleCard};
use crate::predict::{Predictor, logits};

mod temperature;
#[cfg(test)]
mod tests;

use temperature::shown;

/// The fraction of the validation images whose score lies below the threshold.
pub const KEPT: f64 = 0.95;

/// The groups that each class must have in the validation part, unless told otherwise. That is two
/// for each of the five folds of the cross-validation. With two classes it is twenty in all, the
/// fewest of which one in twenty can lie above the threshold.
pub const LEAST_GROUPS: usize = 10;

/// The images that a module is calibrated on.
pub struct CalibrationImages<'a> {
    pub images: &'a Images,
    /// Indices into `images` that the module was trained on.
    pub training: &'a [usize],
    /// Indices into `images` that it was not trained on.
    pub validation: &'a [usize],
}

/// Measures `module` on images, no more than `at_once` together, and calibrates it: its head and
/// its card get the result. Where a class has fewer than `least_groups` validation groups, the head
/// stays as it is, and the card says why. Returns the features of the validation images, in their
/// order.
///
/// # Errors
/// [`Error::Evaluation`] for features that are not finite or all alike; [`Error::Interrupted`];
/// errors of the device.
pub fn calibrate<D: Device + 'static>(
    device: &D,
    vit: &Vit,
    module: &mut Module,
    on: &CalibrationImages,
    at_once: usize,
    least_groups: usize,
) -> Result<Vec<Vec<f32>>, Error> {
    let CalibrationImages { images, training, validation } = *on;
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
    let (trained_on, held_out) = (features(training)?, features(validation)?);
    bar.finish_and_clear();
    if module.card.uncalibrated.is_some() {
        return Ok(held_out);
    }
    let trained_labels = of(training, images.labels());
    let familiar = Familiar::fit(&trained_on, &trained_labels, module.head.classes.len())?;
    let rows: Vec<Vec<f64>> =
        held_out.iter().map(|feature| logits(&module.head, feature)).collect();
    let (temperature, [error_before, error_after]) = shown(&rows, &labels, &groups)?;
    module.card.calibration = Some(Calibration {
        temperature,
        error_before,
        error_after,
        threshold: threshold(&familiar, &held_out),
        images: labels.len(),
        groups: groups.iter().collect::<BTreeSet<_>>().len(),
    });
    module.head.temperature = temperature;
    module.head.familiar = Some(familiar);
    Ok(held_out)
}

/// The score that [`KEPT`] of the features lie below.
fn threshold(familiar: &Familiar, features: &[Vec<f32>]) -> f64 {
    let mut scores: Vec<f64> = features.iter().map(|feature| familiar.score(feature)).collect();
    scores.sort_by(f64::total_cmp);
    let place = (KEPT * scores.len() as f64).ceil() as usize;
    scores[place.clamp(1, scores.len()) - 1]
}

/// What a module's card says about its calibration, in words.
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

/// Why these images are too few to calibrate on, if so: some class has fewer groups than `least`.
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
