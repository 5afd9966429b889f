//! Figures over seeds with 95 % intervals, for the benchmarks' tables.
//!
//! Intervals: percentile bootstrap that draws test groups (patients) and seeds with replacement,
//! the same groups for everything that is compared on one task, so that differences are paired.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use medforge_packer::data::Dataset;
use medforge_packer::eval::bootstrap::{Bootstrap, interval};
use medforge_packer::random::{Purpose, Stream};

type Failure = Box<dyn std::error::Error>;

const RESAMPLES: usize = 2000;

/// The mean over seeds, and that mean in every resample.
pub struct Figure {
    pub value: f64,
    pub resamples: Vec<f64>,
    pub seeds: usize,
}

/// A task's test images.
pub struct Judge {
    bootstrap: Bootstrap,
    labels: Vec<usize>,
    classes: usize,
}

impl Judge {
    /// The images that `judged` picks, such as the test split's.
    pub fn open(
        root: &Path,
        judged: impl Fn(&Dataset) -> Result<Vec<usize>, medforge_packer::Error>,
    ) -> Result<Self, Failure> {
        let data = Dataset::open(root)?;
        let test = judged(&data)?;
        let labels: Vec<usize> = test.iter().map(|&i| data.items[i].label).collect();
        let names: BTreeSet<&str> = test.iter().map(|&i| data.items[i].group.as_str()).collect();
        let place: BTreeMap<&str, usize> =
            names.into_iter().enumerate().map(|(i, name)| (name, i)).collect();
        let groups: Vec<usize> =
            test.iter().map(|&i| place[data.items[i].group.as_str()]).collect();
        let one_group =
            |class| format!("{}: class {class} has one test group only", root.display());
        let bootstrap = Bootstrap::new(&labels, &groups, RESAMPLES, 0).map_err(one_group)?;
        Ok(Judge { bootstrap, labels, classes: data.classes.len() })
    }

    /// The balanced accuracy of what was said: by seed, a digit an image (`-` where it was taken
    /// for another task's).
    pub fn figure(&self, said: &[&str]) -> Figure {
        let draws = self.bootstrap.run(|weights| {
            said.iter().map(|s| self.balanced_accuracy(s, weights)).collect::<Vec<_>>()
        });
        let resample = |(r, of_seed): (usize, &Vec<f64>)| {
            let mut stream = Stream::at(0, Purpose::Subset, r as u64, said.len() as u64);
            (0..said.len()).map(|_| of_seed[stream.below(said.len())]).sum::<f64>()
                / said.len() as f64
        };
        let resamples = draws.iter().enumerate().map(resample).collect();
        let once = vec![1; self.labels.len()];
        let value =
            said.iter().map(|s| self.balanced_accuracy(s, &once)).sum::<f64>() / said.len() as f64;
        Figure { value, resamples, seeds: said.len() }
    }

    /// Refuses what was said of other images than these.
    pub fn check(&self, said: &str) -> Result<(), Failure> {
        if said.len() == self.labels.len() {
            Ok(())
        } else {
            Err(format!(
                "{} images were judged and {} are there: other images",
                said.len(),
                self.labels.len()
            )
            .into())
        }
    }

    fn balanced_accuracy(&self, said: &str, weights: &[u32]) -> f64 {
        let (mut hit, mut all) = (vec![0u32; self.classes], vec![0u32; self.classes]);
        for ((said, label), weight) in said.bytes().zip(&self.labels).zip(weights) {
            all[*label] += weight;
            hit[*label] += if usize::from(said.wrapping_sub(b'0')) == *label { *weight } else { 0 };
        }
        let present: Vec<f64> = (0..self.classes)
            .filter(|&c| all[c] > 0)
            .map(|c| f64::from(hit[c]) / f64::from(all[c]))
            .collect();
        present.iter().sum::<f64>() / present.len() as f64
    }
}

/// The mean of figures, and in each resample.
pub fn average(figures: &[&Figure]) -> Figure {
    let n = figures.len() as f64;
    let resamples =
        (0..RESAMPLES).map(|r| figures.iter().map(|f| f.resamples[r]).sum::<f64>() / n).collect();
    let seeds = figures.iter().map(|f| f.seeds).min().unwrap_or(0);
    Figure { value: figures.iter().map(|f| f.value).sum::<f64>() / n, resamples, seeds }
}

/// `value (low to high)`.
pub fn show(figure: &Figure) -> String {
    let (low, high) = interval(figure.resamples.clone()).unwrap_or((f64::NAN, f64::NAN));
    format!("{:.3} ({low:.3} to {high:.3})", figure.value)
}

/// One less the other, paired.
pub fn difference(a: &Figure, b: &Figure) -> Figure {
    let resamples = a.resamples.iter().zip(&b.resamples).map(|(a, b)| a - b).collect();
    Figure { value: a.value - b.value, resamples, seeds: a.seeds.min(b.seeds) }
}
