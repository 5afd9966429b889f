//! Per class the mean of clipped feature rows, released once with noise.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::random::Stream;

use super::accounting::{Accounting, Budget, Counts, statement};
use super::gaussian::noise;

/// What was released: all that a private set knows of its patients.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Release {
    /// By class, the noisy mean.
    pub means: Vec<Vec<f32>>,
    pub accounting: Accounting,
}

/// What a release reads of one image.
pub struct FeatureRow<'a> {
    pub class: usize,
    /// The patient.
    pub group: usize,
    pub row: &'a [f32],
}

/// Parts of the clip's unit that sums are counted in.
const GRID: f64 = (1u64 << 30) as f64;
/// What one group adds to a noised count, as a share of the clip.
const COUNT_WEIGHT: f64 = 0.5;

/// Per class the noisy mean of the groups' rows, each group's mean row clipped to norm `clip`. A
/// group in several classes shares its clip among them: it adds 1 / sqrt(classes) of its row, and
/// of a count, to each.
///
/// # Errors
/// [`Error::TooFewGroups`]; a value that is not finite, which no clip bounds; what [`noise`]
/// refuses; no random numbers from the system.
pub fn release(
    images: &[FeatureRow],
    classes: &[String],
    clip: f64,
    budget: Budget,
) -> Result<Release, Error> {
    let width = images.first().map_or(0, |i| i.row.len());
    if let Some(image) = images.iter().position(|i| i.row.iter().any(|v| !v.is_finite())) {
        return Err(Error::Condense {
            what: format!("the feature of training image {image} is not finite"),
        });
    }
    enough_groups(images.iter().map(|i| (i.class, i.group)), classes, budget)?;
    let multiplier = noise(budget.epsilon, budget.delta)?;

    let Sums { sums, mut weights } = Sums::of(images, classes.len(), width, clip);
    let noised = budget.counts == Counts::Noised;
    // Counts are rounded to the grid, which may add a part in 2^30.
    let with_counts = clip * (1.0 + COUNT_WEIGHT * COUNT_WEIGHT).sqrt() * (1.0 + 1e-8);
    let sensitivity = if noised { with_counts } else { clip };
    let sigma = multiplier * sensitivity;
    let mut stream = Stream::from_system()?;
    let unit = clip / GRID;
    // Noise is rounded to the grid of the sums, so that the low digits of a float tell nothing of
    // the sum beneath.
    let mut noisy = |exact: i64| (exact as f64 + (sigma / unit * stream.normal()).round()) * unit;
    let mut means = Vec::with_capacity(classes.len());
    for (sum, weight) in sums.iter().zip(&mut weights) {
        if noised {
            let scaled = (*weight * GRID * COUNT_WEIGHT).round() as i64;
            *weight = (noisy(scaled) / (clip * COUNT_WEIGHT)).max(1.0);
        }
        means.push(sum.iter().map(|s| (noisy(*s) / *weight) as f32).collect());
    }
    let accounting = Accounting {
        epsilon: budget.epsilon,
        delta: budget.delta,
        unit: "group".into(),
        neighbours: "one group added or removed".into(),
        mechanism: "analytic Gaussian (Balle & Wang 2018), one release".into(),
        clip,
        sensitivity,
        sigma,
        counts: budget.counts,
        groups_per_class: weights,
        released_values: classes.len() * (width + usize::from(noised)),
        least_groups: budget.least_groups,
        statement: statement(budget),
    };
    Ok(Release { means, accounting })
}

/// Refuses images, given by class and group, of which a class has fewer groups than the budget asks
/// for.
pub fn enough_groups(
    images: impl Iterator<Item = (usize, usize)>,
    classes: &[String],
    budget: Budget,
) -> Result<(), Error> {
    let members: BTreeSet<(usize, usize)> = images.collect();
    for (class, name) in classes.iter().enumerate() {
        let groups = members.range((class, 0)..(class + 1, 0)).count();
        if groups < budget.least_groups {
            return Err(Error::TooFewGroups {
                class: name.clone(),
                groups,
                least: budget.least_groups,
            });
        }
    }
    Ok(())
}

/// By class, the exact sums of clipped rows, and how many groups they count for.
struct Sums {
    /// In parts of the clip: see [`GRID`].
    sums: Vec<Vec<i64>>,
    weights: Vec<f64>,
}

impl Sums {
    fn of(images: &[FeatureRow], classes: usize, width: usize, clip: f64) -> Sums {
        let mut groups: BTreeMap<usize, BTreeMap<usize, (Vec<f64>, f64)>> = BTreeMap::new();
        for image in images {
            let empty = || (vec![0.0; width], 0.0);
            let (sum, count) =
                groups.entry(image.group).or_default().entry(image.class).or_insert_with(empty);
            sum.iter_mut().zip(image.row).for_each(|(s, v)| *s += f64::from(*v));
            *count += 1.0;
        }
        let mut found =
            Sums { sums: vec![vec![0i64; width]; classes], weights: vec![0f64; classes] };
        for group in groups.values() {
            let share = 1.0 / (group.len() as f64).sqrt();
            for (&class, (sum, count)) in group {
                found.weights[class] += share;
                add_clipped(&mut found.sums[class], sum, *count, clip, share);
            }
        }
        found
    }
}

/// Adds `share` of a group's mean row, clipped, truncated to the grid towards zero so that its norm
/// never grows.
fn add_clipped(into: &mut [i64], sum: &[f64], count: f64, clip: f64, share: f64) {
    let norm = sum.iter().map(|s| (s / count).powi(2)).sum::<f64>().sqrt();
    // A hair below the clip: the norm itself was rounded.
    let factor = share * (clip * (1.0 - 1e-9) / norm).min(1.0) / count;
    for (into, s) in into.iter_mut().zip(sum) {
        *into += (s * factor / clip * GRID).trunc() as i64;
    }
}

#[cfg(test)]
mod tests;
