//! What an evaluation's table does not show: each class against the rest, and how far probabilities
//! can be believed.

use super::bootstrap::{Bootstrap, interval};
use super::metrics::{BINS, Bin, Metric, Predictions};
use crate::Error;
use crate::report::Interval;

/// Predictions looked at class by class and bin by bin.
#[derive(Clone, Debug)]
pub struct Details {
    /// Those that the images define.
    pub metrics: Vec<(Metric, Interval)>,
    /// Images of each true class (row) that were taken for each class (column).
    pub confusion: Vec<Vec<u64>>,
    /// One for each class that has images, in the classes' order.
    pub classes: Vec<OfClass>,
    /// The bins that have images, the least confident first.
    pub bins: Vec<Confidence>,
}

/// A class against the rest.
#[derive(Clone, Debug)]
pub struct OfClass {
    pub class: usize,
    pub images: u64,
    pub sensitivity: Option<Interval>,
    pub specificity: Option<Interval>,
    pub precision: Option<Interval>,
    pub auc: Option<Interval>,
    /// As [`Predictions::roc`].
    pub roc: Vec<(f64, f64)>,
}

/// Images of about the same probability of the predicted class.
#[derive(Clone, Copy, Debug)]
pub struct Confidence {
    pub images: u64,
    /// The mean probability of the predicted class.
    pub confidence: f64,
    /// The fraction of them that was classified rightly.
    pub right: Interval,
}

impl Details {
    /// The details of N images with `labels`, `groups` and `probabilities` [N, classes]. Intervals
    /// come from `resamples` resamples of whole groups, drawn as in
    /// [`Evaluation::new`](super::Evaluation::new).
    ///
    /// # Errors
    /// As there.
    pub fn new(
        classes: usize,
        labels: &[usize],
        groups: &[usize],
        probabilities: &[f32],
        resamples: usize,
        seed: u64,
    ) -> Result<Self, Error> {
        let predictions = Predictions::new(probabilities, labels, classes)?;
        let once = vec![1; labels.len()];
        let sample = |weights: &[u32]| Sample {
            classes: (0..classes).map(|class| predictions.of_class(class, weights)).collect(),
            bins: predictions.bins(weights),
            metrics: predictions.metrics(weights),
        };
        let draws = Bootstrap::new(labels, groups, resamples, seed)
            .map_or(vec![], |bootstrap| bootstrap.run(sample));
        let figures = Figures { whole: sample(&once), draws };
        let of_class = |class: usize| {
            let images = labels.iter().filter(|&&label| label == class).count() as u64;
            figures.of_class(class, images, predictions.roc(class))
        };
        Ok(Details {
            metrics: (0..)
                .zip(Metric::ALL)
                .filter_map(|(m, name)| figures.metric(m, name))
                .collect(),
            confusion: predictions.confusion(&once),
            classes: (0..classes).map(of_class).filter(|class| class.images > 0).collect(),
            bins: (0..BINS).filter_map(|bin| figures.confidence(bin)).collect(),
        })
    }
}

/// What is computed on all images, and on each resample.
struct Sample {
    /// As [`Predictions::of_class`].
    classes: Vec<[Option<f64>; 4]>,
    bins: [Bin; BINS],
    metrics: [Option<f64>; Metric::ALL.len()],
}

struct Figures {
    whole: Sample,
    draws: Vec<Sample>,
}

impl Figures {
    /// A value of a sample, with its interval.
    fn interval(&self, value: impl Fn(&Sample) -> Option<f64>) -> Option<Interval> {
        let draws = self.draws.iter().filter_map(&value).collect();
        Some(Interval { value: value(&self.whole)?, interval: interval(draws) })
    }

    fn metric(&self, m: usize, name: Metric) -> Option<(Metric, Interval)> {
        Some((name, self.interval(|sample| sample.metrics[m])?))
    }

    fn of_class(&self, class: usize, images: u64, roc: Vec<(f64, f64)>) -> OfClass {
        let estimate = |which: usize| self.interval(|sample| sample.classes[class][which]);
        let [sensitivity, specificity, precision, auc] = [0, 1, 2, 3].map(estimate);
        OfClass { class, images, sensitivity, specificity, precision, auc, roc }
    }

    /// The bin, if it has images.
    fn confidence(&self, bin: usize) -> Option<Confidence> {
        let share = |bin: &Bin| (bin.weight > 0.0).then(|| bin.hits / bin.weight);
        let right = self.interval(|sample| share(&sample.bins[bin]))?;
        let Bin { weight, confidence, .. } = self.whole.bins[bin];
        Some(Confidence { images: weight as u64, confidence: confidence / weight, right })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hundred patients of two images; eight of ten images right, at a probability of .9.
    #[test]
    fn classes_and_bins_have_their_intervals() {
        let labels: Vec<usize> = (0..200).map(|i| i % 2).collect();
        let groups: Vec<usize> = (0..200).map(|i| i / 2).collect();
        let row = |i: usize| if (i % 10 < 8) == (i % 2 == 1) { [0.1, 0.9] } else { [0.9, 0.1] };
        let probabilities: Vec<f32> = (0..200).flat_map(row).collect();
        let details = Details::new(2, &labels, &groups, &probabilities, 300, 1).unwrap();
        assert_eq!(
            (details.metrics.len(), &details.confusion),
            (7, &vec![vec![80, 20], vec![20, 80]])
        );
        let [_, one] = &details.classes[..] else { panic!("two classes") };
        let sensitivity = one.sensitivity.unwrap();
        let (low, high) = sensitivity.interval.unwrap();
        assert!(
            (sensitivity.value - 0.8).abs() < 1e-9 && low < 0.8 && 0.8 < high && high - low < 0.3
        );
        let [bin] = details.bins[..] else { panic!("one bin") };
        assert_eq!((bin.images, bin.right.value), (200, 0.8));
        assert!(
            (bin.confidence - 0.9).abs() < 1e-6 && bin.right.interval.unwrap().1 < 0.9,
            "{bin:?}"
        );
        // One group a class allows no interval, and says nothing false.
        let alone = Details::new(2, &labels, &labels, &probabilities, 300, 1).unwrap();
        assert!(alone.classes.iter().all(|class| class.auc.unwrap().interval.is_none()));
        assert!(alone.bins[0].right.interval.is_none());
    }
}
