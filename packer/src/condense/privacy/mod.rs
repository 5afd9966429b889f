//! The one thing that a private set reads from patients: per class the mean of clipped feature
//! rows, released once with noise.
//!
//! Refused: a class with fewer groups than asked for; epsilon or delta out of range. The noise
//! comes from the operating system, never from a seed: whoever knows the seed could take it off
//! again. Sums are exact (integers on a fixed grid), so that no rounding makes one patient count
//! for more than the clip.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::random::Stream;

mod gaussian;

pub use gaussian::{delta_of, noise};

/// What may be spent, and how.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    pub epsilon: f64,
    pub delta: f64,
    /// The fewest groups (patients) that a class may have.
    pub least_groups: usize,
    pub counts: Counts,
}

/// What is said of the number of groups in each class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Counts {
    /// Declared as public: used as they are.
    Public,
    /// Released with noise, within the same budget.
    Noised,
}

/// How a private release was made: everything needed to check the claim.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accounting {
    pub epsilon: f64,
    pub delta: f64,
    /// Whose presence is hidden: the groups of the data set.
    pub unit: String,
    /// What two neighbouring data sets differ in.
    pub neighbours: String,
    pub mechanism: String,
    /// The largest norm of what one group adds to the sums of all classes together.
    pub clip: f64,
    /// The largest L2 distance of what is released between neighbours: the clip, and the counts'
    /// share if they are noised.
    pub sensitivity: f64,
    /// Standard deviation of the noise on each released value.
    pub sigma: f64,
    pub counts: Counts,
    /// By class: as declared, or as released.
    pub groups_per_class: Vec<f64>,
    /// Values released in the one use of the mechanism: every part of the feature row of every
    /// class, and counts if noised.
    pub released_values: usize,
    pub least_groups: usize,
    /// What the numbers cover and what they do not.
    pub statement: String,
}

/// What was released: all that a private set knows of its patients.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Release {
    /// By class, the noisy mean.
    pub means: Vec<Vec<f32>>,
    pub accounting: Accounting,
}

/// One image's contribution to the release.
pub struct Contribution<'a> {
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
    images: &[Contribution],
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
    let mut groups: BTreeMap<usize, BTreeMap<usize, (Vec<f64>, f64)>> = BTreeMap::new();
    for image in images {
        let empty = || (vec![0.0; width], 0.0);
        let (sum, count) =
            groups.entry(image.group).or_default().entry(image.class).or_insert_with(empty);
        sum.iter_mut().zip(image.row).for_each(|(s, v)| *s += f64::from(*v));
        *count += 1.0;
    }
    enough_groups(images.iter().map(|i| (i.class, i.group)), classes, budget)?;
    let multiplier = noise(budget.epsilon, budget.delta)?;

    let mut sums = vec![vec![0i64; width]; classes.len()];
    let mut weights = vec![0f64; classes.len()];
    for group in groups.values() {
        let share = 1.0 / (group.len() as f64).sqrt();
        for (&class, (sum, count)) in group {
            weights[class] += share;
            add_clipped(&mut sums[class], sum, *count, clip, share);
        }
    }
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

fn statement(Budget { epsilon, delta, counts, least_groups }: Budget) -> String {
    let counts = match counts {
        Counts::Public => {
            "The number of groups in each class is declared as public and is not protected"
        }
        Counts::Noised => "The number of groups in each class was noised within the same budget",
    };
    format!(
        "This set, and whatever is computed from it alone, is ({epsilon}, {delta})-differentially \
         private for the presence \
         of any one group (patient) in the training images, made by this one release; a second set \
         from the same patients \
         spends a second budget. {counts}; that each class has at least {least_groups} groups is \
         not protected either. \
         The statement covers this set only: not a module trained on the same images, not metrics \
         measured on them."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(n: usize) -> Vec<String> {
        (0..n).map(|c| format!("c{c}")).collect()
    }

    fn budget(epsilon: f64, counts: Counts) -> Budget {
        Budget { epsilon, delta: 1e-5, least_groups: 2, counts }
    }

    /// Groups of two images each, class = group % 2, rows of norm about 1.
    fn rows(groups: usize) -> Vec<(usize, usize, Vec<f32>)> {
        let row = |g: usize| (0..8).map(|j| if j == g % 2 { 0.9 } else { 0.1 }).collect();
        (0..2 * groups).map(|i| (i / 2 % 2, i / 2, row(i / 2))).collect()
    }

    fn contributions(rows: &[(usize, usize, Vec<f32>)]) -> Vec<Contribution<'_>> {
        rows.iter()
            .map(|(class, group, row)| Contribution { class: *class, group: *group, row })
            .collect()
    }

    /// The noise on the means has the standard deviation that the accounting states.
    #[test]
    fn the_noise_is_as_large_as_stated() {
        let rows = rows(40);
        let (mut square, mut n) = (0.0, 0.0);
        for counts in [Counts::Public, Counts::Noised] {
            for _ in 0..300 {
                let Release { means, accounting: a } =
                    release(&contributions(&rows), &names(2), 2.0, budget(1.0, counts)).unwrap();
                assert_eq!(a.sigma, noise(1.0, 1e-5).unwrap() * a.sensitivity);
                for (class, mean) in means.iter().enumerate() {
                    for (j, m) in mean.iter().enumerate() {
                        let exact = if j == class { 0.9 } else { 0.1 };
                        if counts == Counts::Public {
                            assert_eq!(a.groups_per_class, [20.0; 2]);
                            square += (f64::from(*m) - exact).powi(2) * (20.0 / a.sigma).powi(2);
                            n += 1.0;
                        }
                    }
                }
            }
        }
        // The mean of n squares of normal numbers: five standard errors.
        assert!((square / n - 1.0).abs() < 5.0 * (2.0f64 / n).sqrt(), "{}", square / n);
    }

    /// Whatever one group holds, adding it moves the exact sums by the clip at most, over all
    /// classes together.
    #[test]
    fn one_group_moves_the_sums_by_the_clip_at_most() {
        for (classes, scale) in [(1usize, 1e-3), (1, 1e6), (2, 1e6), (4, 37.0)] {
            let clip = 1.5;
            let share = 1.0 / (classes as f64).sqrt();
            let mut square = 0f64;
            for class in 0..classes {
                let mut sums = vec![0i64; 5];
                let row: Vec<f64> =
                    (0..5).map(|j| scale * ((class * 5 + j) as f64 * 0.7).sin()).collect();
                add_clipped(&mut sums, &row, 1.0, clip, share);
                square += sums.iter().map(|s| (*s as f64 * clip / GRID).powi(2)).sum::<f64>();
            }
            assert!(square.sqrt() <= clip, "{}", square.sqrt());
            assert!(scale < 1.0 || square.sqrt() > clip * 0.999_999);
        }
    }

    /// A group's images are averaged before they are clipped: ten times the same image count as
    /// one.
    #[test]
    fn a_group_counts_once_however_many_images_it_has() {
        let mut many = rows(40);
        for _ in 0..500 {
            many.push((0, 0, vec![5.0; 8]));
        }
        let wide = Budget { epsilon: 100.0, delta: 0.5, least_groups: 2, counts: Counts::Public };
        let means = release(&contributions(&many), &names(2), 0.1, wide).unwrap().means;
        assert!(means[0].iter().all(|m| m.abs() < 0.1 + 0.1), "{means:?}");
    }

    #[test]
    fn few_groups_and_senseless_budgets_are_refused() {
        let rows = rows(40);
        let images = contributions(&rows);
        let few = Budget { least_groups: 21, ..budget(1.0, Counts::Public) };
        let error = release(&images, &names(2), 1.0, few).unwrap_err().to_string();
        assert!(
            error.contains("c0") && error.contains("20 groups") && error.contains("21"),
            "{error}"
        );
        for epsilon in [0.0, -1.0, f64::NAN] {
            assert!(release(&images, &names(2), 1.0, budget(epsilon, Counts::Public)).is_err());
        }
    }

    #[test]
    fn a_value_that_no_clip_bounds_is_refused() {
        let mut rows = rows(40);
        rows[7].2[3] = f32::NAN;
        let error = release(&contributions(&rows), &names(2), 1.0, budget(1.0, Counts::Public))
            .unwrap_err()
            .to_string();
        assert!(error.contains("image 7"), "{error}");
    }

    #[test]
    fn two_releases_differ() {
        let rows = rows(40);
        let run = || {
            release(&contributions(&rows), &names(2), 1.0, budget(1.0, Counts::Public))
                .unwrap()
                .means
        };
        assert_ne!(run(), run());
    }
}
