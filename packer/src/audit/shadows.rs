//! Shadows: sets and modules made as the one under audit was, each from a random half of the
//! patients, and what each says of every training image.

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

/// Makes `shadows` sets with the settings of `set` and asks each about all training images: how
/// sure the linear head that it trains is of their class, and how near its nearest image of their
/// class lies, in features and in pixels. `observer` sees the steps of each, `step` is told how
/// many shadows are done.
pub fn set_scores<D: Device + 'static>(
    device: &D,
    source: Source,
    set: &Condensed,
    shadows: usize,
    seed: u64,
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
    for shadow in 0..shadows {
        let inside = half(images, seed, shadow);
        let members: Vec<usize> =
            (0..bank.images().len()).filter(|&m| inside[bank.images()[m]]).collect();
        if let Some(a) = &accounting {
            // Half the patients may be fewer than a release for others would need.
            let budget =
                Budget { epsilon: a.epsilon, delta: a.delta, least_groups: 1, counts: a.counts };
            bank.release(&members, classes, budget)?;
        }
        let seed = settings.seed + 1 + shadow as u64;
        let settings = CondenseSettings { seed, ..settings.clone() };
        let made = Condensation::new(device, source, "shadow", &settings)
            .run_from(&bank, &members, observer)?;
        let [sure, near, like] = ask(&predictor, &made, images, &features)?;
        scores.statistics[0].push(sure);
        scores.statistics[1].push(near);
        scores.statistics[2].push(like);
        scores.inside.push(inside);
        step(shadow + 1);
    }
    Ok(scores)
}

/// Trains `shadows` modules as the source's was, with its `settings` (and under its head, where
/// that is of texts), and asks each how sure it is of the class of every training image. `observer`
/// and `step` as for [`set_scores`].
pub fn module_scores<D: Device + 'static>(
    device: &D,
    source: Source,
    settings: &TrainSettings,
    shadows: usize,
    seed: u64,
    observer: &mut dyn Observer,
    mut step: impl FnMut(usize),
) -> Result<Scores, Error> {
    let Source { vit, classes, images, module } = source;
    let head = module.map(|module| &module.head).filter(|head| head.logit_scale.is_some());
    let all: Vec<usize> = (0..images.len()).collect();
    let mut scores = Scores { inside: vec![], statistics: vec![vec![]] };
    for shadow in 0..shadows {
        let inside = half(images, seed, shadow);
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

/// Which images a shadow has: those of a random half of the groups of each class.
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

/// What a set says of each image: log odds of its class, and minus the distance to the nearest
/// synthetic image of its class in features and in pixels.
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

/// ln(p / (1 - p)), with p kept off 0 and 1 by what an f32 can tell.
fn log_odds(p: f64) -> f64 {
    let p = p.clamp(1e-7, 1.0 - 1e-7);
    (p / (1.0 - p)).ln()
}
