//! Confidence intervals by resampling whole groups (patients) with replacement: images of one
//! patient are not independent evidence.
//!
//! These are percentile intervals (Efron and Tibshirani 1993, chapter 13) of the cluster bootstrap.
//! In a resample that lacks a class, the metrics leave that class out. A resample with images of
//! one class alone is drawn again.
//!
//! Refused: data where a class has images of one group only. No resample would say how that class
//! varies.

use std::collections::{BTreeMap, BTreeSet};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// The default number of resamples.
pub const RESAMPLES: usize = 2000;
/// The fraction of resamples that an interval holds.
pub const LEVEL: f64 = 0.95;

/// Draws resamples of groups. Resample i depends on the seed and i alone, so threads do not change
/// a result.
pub struct Bootstrap {
    /// Group of each image.
    group: Vec<u32>,
    groups: usize,
    /// Each group's classes.
    classes: Vec<BTreeSet<usize>>,
    resamples: usize,
    seed: u64,
}

impl Bootstrap {
    /// Prepares `resamples` draws for images with these `labels` and `groups`.
    ///
    /// # Errors
    /// The label of the class that has images of one group only.
    pub fn new(
        labels: &[usize],
        groups: &[usize],
        resamples: usize,
        seed: u64,
    ) -> Result<Self, usize> {
        let mut index = BTreeMap::new();
        let mut classes: Vec<BTreeSet<usize>> = Vec::new();
        let mut group = Vec::with_capacity(groups.len());
        for (&name, &label) in groups.iter().zip(labels) {
            let g = *index.entry(name).or_insert(classes.len());
            if g == classes.len() {
                classes.push(BTreeSet::new());
            }
            classes[g].insert(label);
            group.push(g as u32);
        }
        let mut held: BTreeMap<usize, usize> = BTreeMap::new();
        classes.iter().flatten().for_each(|&class| *held.entry(class).or_default() += 1);
        if let Some((&class, _)) = held.iter().find(|&(_, &groups)| groups < 2) {
            return Err(class);
        }
        Ok(Bootstrap { group, groups: classes.len(), classes, resamples, seed })
    }

    /// Computes `statistic` on every resample, on all threads, and gives the results in order. A
    /// resample is how often each image is in it.
    pub fn run<T: Send>(&self, statistic: impl Fn(&[u32]) -> T + Sync) -> Vec<T> {
        let all: BTreeSet<usize> = self.classes.iter().flatten().copied().collect();
        let one_class = |drawn: &[u32]| {
            let mut seen = self
                .classes
                .iter()
                .zip(drawn)
                .filter(|&(_, &n)| n > 0)
                .flat_map(|(classes, _)| classes);
            let first = seen.next();
            seen.all(|class| Some(class) == first)
        };
        (0..self.resamples as u64)
            .into_par_iter()
            .map(|resample| {
                let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
                rng.set_stream(resample);
                loop {
                    let mut drawn = vec![0; self.groups];
                    for _ in 0..self.groups {
                        drawn[rng.random_range(0..self.groups)] += 1;
                    }
                    // Every class has two groups or more, so most draws have two classes, and the
                    // loop ends.
                    if all.len() < 2 || !one_class(&drawn) {
                        let weights: Vec<u32> =
                            self.group.iter().map(|&g| drawn[g as usize]).collect();
                        return statistic(&weights);
                    }
                }
            })
            .collect()
    }
}

/// The ends of the middle [`LEVEL`] of `values`, or `None` without values. Percentiles are
/// interpolated linearly between order statistics.
pub fn interval(mut values: Vec<f64>) -> Option<(f64, f64)> {
    values.sort_by(f64::total_cmp);
    Some((
        sorted_percentile(&values, (1.0 - LEVEL) / 2.0)?,
        sorted_percentile(&values, (1.0 + LEVEL) / 2.0)?,
    ))
}

/// The value that the fraction `p` of `values` stays below, in the same way.
pub fn percentile(mut values: Vec<f64>, p: f64) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    sorted_percentile(&values, p)
}

fn sorted_percentile(values: &[f64], p: f64) -> Option<f64> {
    let last = values.len().checked_sub(1)?;
    let place = p * last as f64;
    let (below, part) = (place.floor() as usize, place.fract());
    Some(values[below] + part * (values[(below + 1).min(last)] - values[below]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_comes_and_goes_as_a_whole() {
        let groups = [0, 0, 1, 1, 1, 2, 3];
        let labels = [0, 1, 0, 1, 1, 0, 1];
        let bootstrap = Bootstrap::new(&labels, &groups, 500, 7).unwrap();
        let draws = bootstrap.run(|w| w.to_vec());
        for w in &draws {
            assert!(w[0] == w[1] && w[2] == w[3] && w[3] == w[4]);
            assert_eq!(w[0] + w[2] + w[5] + w[6], 4);
        }
        assert!(draws.iter().any(|w| w[5] == 0) && draws.iter().any(|w| w[5] > 1));
    }

    #[test]
    fn threads_do_not_change_a_result() {
        let labels: Vec<usize> = (0..60).map(|i| i % 2).collect();
        let groups: Vec<usize> = (0..60).map(|i| i / 3).collect();
        let draw = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| Bootstrap::new(&labels, &groups, 100, 1).unwrap().run(|w| w.to_vec()))
        };
        assert_eq!(draw(1), draw(3));
        let other = Bootstrap::new(&labels, &groups, 100, 2).unwrap().run(|w| w.to_vec());
        assert_ne!(draw(1), other);
    }

    #[test]
    fn a_class_of_one_group_has_no_interval() {
        assert_eq!(Bootstrap::new(&[0, 0, 1, 1], &[0, 1, 2, 2], 10, 0).err(), Some(1));
        assert_eq!(Bootstrap::new(&[0, 0], &[0, 0], 10, 0).err(), Some(0));
    }

    #[test]
    fn no_resample_holds_one_class_alone() {
        let bootstrap = Bootstrap::new(&[0, 0, 1, 1], &[0, 1, 2, 3], 1000, 0).unwrap();
        assert!(bootstrap.run(|w| w[0] + w[1] > 0 && w[2] + w[3] > 0).into_iter().all(|both| both));
    }

    #[test]
    fn percentiles_interpolate() {
        // numpy.percentile(numpy.arange(101.0) ** 2, [2.5, 97.5])
        let (low, high) = interval((0..=100).rev().map(|v| f64::from(v * v)).collect()).unwrap();
        assert!((low - 6.5).abs() < 1e-9 && (high - 9506.5).abs() < 1e-9, "{low} {high}");
        assert_eq!(interval(vec![]), None);
    }

    /// The interval of a mean over independent groups is about that of the normal distribution:
    /// 1.96 standard errors to either side.
    #[test]
    fn the_interval_of_a_mean_has_its_known_width() {
        let labels: Vec<usize> = (0..400).map(|i| i % 2).collect();
        let bootstrap = Bootstrap::new(&labels, &(0..400).collect::<Vec<_>>(), 4000, 3).unwrap();
        let means = bootstrap.run(|w| {
            w.iter().zip(&labels).map(|(&w, &l)| f64::from(w) * l as f64).sum::<f64>() / 400.0
        });
        let (low, high) = interval(means).unwrap();
        let error = (0.25_f64 / 400.0).sqrt();
        assert!((high - low - 2.0 * 1.96 * error).abs() < 0.15 * error, "{low} {high}");
    }
}
