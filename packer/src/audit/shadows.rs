//! Shadows: sets and modules that are made like the one under audit, each from a random half of the
//! patients. Each one is then asked about every training image.

use std::collections::BTreeMap;

use super::membership::Scores;
use crate::condense::privacy::{Accounting, Budget};
use crate::condense::{Bank, Condensation, CondenseSettings, Source};
use crate::data::{Condensed, Images};
use crate::device::Device;
use crate::predict::{Predictor, linear_head, probabilities};
use crate::random::{Purpose, Stream};
use crate::train::{About, Examples, Job, Observer, TrainSettings, Unobserved};
use crate::{Error, interrupt};

/// How many shadows are made, and from which random halves.
#[derive(Clone, Copy, Debug)]
pub struct Shadows {
    pub count: usize,
    pub seed: u64,
}

/// Makes shadow sets with the settings of `set`, and asks each about all training images. The
/// answers are the log odds of an image's class under a linear head trained on the set, and the
/// distances to the nearest synthetic image of its class, in features and in pixels. `observer`
/// follows the steps of each shadow, and `step` is called with the number of shadows done.
///
/// # Errors
/// [`Error::Evaluation`] for settings that do not fit; errors of the condensation.
pub fn set_scores<D: Device + 'static>(
    device: &D,
    source: Source,
    set: &Condensed,
    shadows: Shadows,
    observer: &mut dyn Observer,
    mut step: impl FnMut(usize),
) -> Result<Scores, Error> {
    let Source { vit, classes, images, .. } = source;
    let refuse = |what: String| Error::Evaluation { what };
    let settings: CondenseSettings =
        serde_json::from_value(set.record.settings.clone()).map_err(|e| {
            refuse(format!("the set's settings are of another version of packer ({e})"))
        })?;
    settings.check()?;
    if settings.size != set.record.image_size as usize {
        return Err(refuse(format!(
            "the set's images are of {} pixels, its settings of {}",
            set.record.image_size, settings.size
        )));
    }
    let accounting =
        set.record.privacy.clone().map(serde_json::from_value::<Accounting>).transpose();
    let accounting =
        accounting.map_err(|e| refuse(format!("the set's accounting is not understood ({e})")))?;
    let mut bank = match accounting {
        None => Bank::measure(device, source, &settings, &mut Unobserved)?,
        Some(_) => Bank::private(device, source, &settings, None, &mut Unobserved)?,
    };
    let predictor = Predictor::new(device, vit, None, settings.size);
    let all: Vec<usize> = (0..images.len()).collect();
    let features = predictor.features_of(images, &all, |_| {})?;
    let mut scores = Scores { inside: vec![], statistics: vec![vec![], vec![], vec![]] };
    for shadow in 0..shadows.count {
        let inside = half(images, shadows.seed, shadow);
        let members: Vec<usize> =
            (0..bank.images().len()).filter(|&m| inside[bank.images()[m]]).collect();
        if let Some(a) = &accounting {
            // Half of the patients may be fewer than a real release needs.
            let budget =
                Budget { epsilon: a.epsilon, delta: a.delta, least_groups: 1, counts: a.counts };
            bank.release(&members, classes, budget)?;
        }
        let seed = settings.seed + 1 + shadow as u64;
        let settings = CondenseSettings { seed, ..settings.clone() };
        let condensed = Condensation::new(device, source, "shadow", &settings)
            .run_from(&bank, &members, observer)?;
        let [sure, near, like] = ask(&predictor, &condensed, images, &features)?;
        scores.statistics[0].push(sure);
        scores.statistics[1].push(near);
        scores.statistics[2].push(like);
        scores.inside.push(inside);
        step(shadow + 1);
    }
    Ok(scores)
}

/// Trains shadow modules like the source's, with its `settings`. If its head is of texts, the
/// shadows use the same head. Each is asked for the log odds of the class of every training image.
/// `observer` and `step` are those of [`set_scores`].
///
/// # Errors
/// Those of the training.
pub fn module_scores<D: Device + 'static>(
    device: &D,
    source: Source,
    settings: &TrainSettings,
    shadows: Shadows,
    observer: &mut dyn Observer,
    mut step: impl FnMut(usize),
) -> Result<Scores, Error> {
    let Source { vit, classes, images, module } = source;
    let head = module.map(|module| &module.head).filter(|head| head.logit_scale.is_some());
    let all: Vec<usize> = (0..images.len()).collect();
    let mut scores = Scores { inside: vec![], statistics: vec![vec![]] };
    for shadow in 0..shadows.count {
        let inside = half(images, shadows.seed, shadow);
        let training: Vec<usize> = all.iter().copied().filter(|&i| inside[i]).collect();
        let settings =
            TrainSettings { seed: settings.seed + 1 + shadow as u64, ..settings.clone() };
        let examples = Examples { classes, images, training: &training, validation: &[], head };
        let trained = Job::new(device, vit, examples, &settings).run(observer)?;
        let about =
            About { task: "shadow".into(), contributor: String::new(), licence: String::new() };
        let module = trained.into_module(vit, &settings, about)?;
        let features = Predictor::new(device, vit, Some(&module), settings.size).features_of(
            images,
            &all,
            |_| {},
        )?;
        let sure = features
            .iter()
            .zip(images.labels())
            .map(|(row, &label)| log_odds(probabilities(&module.head, row)[label]));
        scores.statistics[0].push(sure.collect());
        scores.inside.push(inside);
        step(shadow + 1);
    }
    Ok(scores)
}

/// The images of a shadow: those of a random half of the groups of each class.
fn half(images: &Images, seed: u64, shadow: usize) -> Vec<bool> {
    // A group in several classes is drawn with the first of them.
    let mut class_of: BTreeMap<usize, usize> = BTreeMap::new();
    for (group, label) in images.groups().iter().zip(images.labels()) {
        class_of.entry(*group).or_insert(*label);
    }
    let mut inside: BTreeMap<usize, bool> = BTreeMap::new();
    for class in 0..=images.labels().iter().copied().max().unwrap_or(0) {
        let mut own: Vec<usize> =
            class_of.iter().filter(|(_, c)| **c == class).map(|(g, _)| *g).collect();
        Stream::at(seed, Purpose::Subset, shadow as u64, 20 + class as u64).shuffle(&mut own);
        inside.extend(own.iter().enumerate().map(|(place, group)| (*group, place < own.len() / 2)));
    }
    images.groups().iter().map(|g| inside[g]).collect()
}

/// A set's statistics of each image: the log odds of its class, and minus the distance to the
/// nearest synthetic image of its class, in features and in pixels.
fn ask<D: Device + 'static>(
    predictor: &Predictor<D>,
    set: &Condensed,
    images: &Images,
    features: &[Vec<f32>],
) -> Result<[Vec<f64>; 3], Error> {
    interrupt::check()?;
    let synthetic = Images::of(set);
    let own =
        predictor.features_of(&synthetic, &(0..synthetic.len()).collect::<Vec<_>>(), |_| {})?;
    let head = linear_head(&own.concat(), &set.labels, &set.record.classes)?;
    let labels = images.labels();
    let sure = features
        .iter()
        .zip(labels)
        .map(|(row, &label)| log_odds(probabilities(&head, row)[label]))
        .collect();
    let nearest = |distance: &dyn Fn(usize, usize) -> f64| -> Vec<f64> {
        let to = |i: usize| {
            let of_class = (0..synthetic.len()).filter(|&s| synthetic.labels()[s] == labels[i]);
            -of_class.map(|s| distance(i, s)).fold(f64::INFINITY, f64::min)
        };
        (0..images.len()).map(to).collect()
    };
    let near = nearest(&|i, s| {
        features[i].iter().zip(&own[s]).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt()
    });
    let like = nearest(&|i, s| {
        let pairs = images.pixels(i).iter().zip(synthetic.pixels(s));
        let square: u64 = pairs.map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2)).sum();
        (square as f64 / images.pixels(i).len() as f64).sqrt() / 255.0
    });
    Ok([sure, near, like])
}

/// ln(p / (1 - p)). p is kept away from 0 and 1 by the precision of f32.
fn log_odds(p: f64) -> f64 {
    let p = p.clamp(1e-7, 1.0 - 1e-7);
    (p / (1.0 - p)).ln()
}
