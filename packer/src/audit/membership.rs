//! The likelihood-ratio attack: how well one can tell which images were used (Carlini et al. 2022,
//! "Membership Inference Attacks From First Principles", section 4, online). All images share one
//! variance, as section 5 advises for few shadows.
//!
//! Every shadow was made from a random half of the patients. Each one is attacked with the help of
//! the others.

use serde::Serialize;

use super::Rate;
use crate::Error;
use crate::eval::bootstrap::{Bootstrap, interval};

/// The statistics of each image under each shadow.
pub struct Scores {
    /// By shadow, by image: whether the image was used.
    pub inside: Vec<Vec<bool>>,
    /// By statistic, by shadow, by image. Larger means that the shadow more likely used the image.
    pub statistics: Vec<Vec<Vec<f64>>>,
}

/// How well members can be told from others.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Membership {
    pub shadows: usize,
    /// The number of pairs of a shadow and an image.
    pub judged: usize,
    /// The true positive rate at false positive rates of 1 % and 0.1 %.
    pub tpr_at_1_percent: Rate,
    pub tpr_at_01_percent: Rate,
    /// The probability that a member scores higher than another; one half is guessing.
    pub auc: Rate,
}

const RESAMPLES: usize = 500;
/// The smallest standard deviation of a statistic, as a fraction of its spread over all images.
const LEAST: f64 = 1e-3;

/// Attacks every shadow. Intervals are over groups (patients).
///
/// # Errors
/// [`Error::Evaluation`] for fewer than four shadows, or a class with images of one group only.
pub fn membership(
    scores: &Scores,
    labels: &[usize],
    groups: &[usize],
    seed: u64,
) -> Result<Membership, Error> {
    let shadows = scores.inside.len();
    let refuse = |what: String| Error::Evaluation { what };
    if shadows < 4 {
        return Err(refuse(format!("a membership test needs four shadows or more, not {shadows}")));
    }
    let mut judged: Vec<(f64, bool, usize)> = Vec::new();
    for target in 0..shadows {
        let ratios = ratios(scores, target);
        let given = ratios.into_iter().enumerate().filter_map(|(i, ratio)| Some((ratio?, i)));
        judged.extend(given.map(|(ratio, i)| (ratio, scores.inside[target][i], i)));
    }
    judged.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
    let bootstrap = Bootstrap::new(labels, groups, RESAMPLES, seed).map_err(|class| {
        refuse(format!("class {class} has images of one group only: no interval can be given"))
    })?;
    let value = curve(&judged, &vec![1; labels.len()]);
    let resampled = bootstrap.run(|weights| curve(&judged, weights));
    let rate = |k: usize| {
        let (low, high) =
            interval(resampled.iter().map(|r| r[k]).collect()).unwrap_or((f64::NAN, f64::NAN));
        Rate { value: value[k], low, high }
    };
    Ok(Membership {
        shadows,
        judged: judged.len(),
        tpr_at_1_percent: rate(0),
        tpr_at_01_percent: rate(1),
        auc: rate(2),
    })
}

/// For each image, the log likelihood ratio of its statistics under `target`: used against not
/// used. None if the other shadows never or always used the image.
fn ratios(scores: &Scores, target: usize) -> Vec<Option<f64>> {
    let images = scores.inside[target].len();
    let others: Vec<usize> = (0..scores.inside.len()).filter(|&s| s != target).collect();
    let mean = |k: usize, image: usize, inside: bool| {
        let of = others
            .iter()
            .filter(|&&s| scores.inside[s][image] == inside)
            .map(|&s| scores.statistics[k][s][image]);
        let (sum, n) = of.fold((0.0, 0.0), |(sum, n), v| (sum + v, n + 1.0));
        (n > 0.0).then(|| sum / n)
    };
    let mut total: Vec<Option<f64>> = vec![Some(0.0); images];
    for k in 0..scores.statistics.len() {
        let means: Vec<[Option<f64>; 2]> =
            (0..images).map(|i| [mean(k, i, false), mean(k, i, true)]).collect();
        let least =
            LEAST * spread(others.iter().flat_map(|&s| scores.statistics[k][s].iter().copied()));
        let deviation = [false, true].map(|inside| {
            let apart = others.iter().flat_map(|&s| {
                let row = &scores.statistics[k][s];
                let means = &means;
                let own = (0..images).filter(move |&i| scores.inside[s][i] == inside);
                own.filter_map(move |i| Some(row[i] - means[i][usize::from(inside)]?))
            });
            let (square, n) = apart.fold((0.0, 0.0), |(s, n), d| (s + d * d, n + 1.0));
            (square / f64::max(n, 1.0)).sqrt().max(least).max(f64::MIN_POSITIVE)
        });
        for (i, total) in total.iter_mut().enumerate() {
            let log = |inside: usize| {
                let z = (scores.statistics[k][target][i] - means[i][inside]?) / deviation[inside];
                Some(-0.5 * z * z - deviation[inside].ln())
            };
            *total = total.and_then(|sum| Some(sum + log(1)? - log(0)?));
        }
    }
    total
}

/// Standard deviation.
fn spread(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let n = values.clone().count().max(1) as f64;
    let mean = values.clone().sum::<f64>() / n;
    (values.map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt()
}

/// The true positive rates at false positive rates of 1 % and 0.1 %, and the area under the curve.
/// Equal scores count as one step, since nobody can tell them apart.
fn curve(judged: &[(f64, bool, usize)], weights: &[u32]) -> [f64; 3] {
    let count = |inside: bool| -> f64 {
        judged
            .iter()
            .filter(|(_, is, _)| *is == inside)
            .map(|(_, _, i)| f64::from(weights[*i]))
            .sum()
    };
    let (members, others) = (count(true), count(false));
    let (mut found, mut taken, mut area) = (0.0, 0.0, 0.0);
    let mut at = [0.0; 2];
    for equal in judged.chunk_by(|a, b| a.0 == b.0) {
        let (before_found, before_taken) = (found, taken);
        for (_, inside, i) in equal {
            *(if *inside { &mut found } else { &mut taken }) += f64::from(weights[*i]);
        }
        area += (taken - before_taken) * 0.5 * (found + before_found);
        for (at, limit) in at.iter_mut().zip([0.01, 0.001]) {
            if taken <= limit * others {
                *at = found / members;
            }
        }
    }
    [at[0], at[1], area / (members * others)]
}
