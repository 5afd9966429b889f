//! Predictions beside the truth, and their metrics.
//!
//! Refused: probabilities that are no distribution.

use super::curve::Curve;
use crate::Error;

/// Bins of the calibration error, equally wide, each open below and closed above.
pub const BINS: usize = 15;
/// How far from 1 the sum of a row of probabilities may be.
const SUM_TOLERANCE: f64 = 1e-3;

/// Sums over the images whose most probable class has about the same probability.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bin {
    pub weight: f64,
    /// The probability of the predicted class.
    pub confidence: f64,
    /// The weight of those that were classified rightly.
    pub hits: f64,
}

/// Predicted probabilities beside the true labels, sorted once so that each metric is one pass.
pub struct Predictions {
    classes: usize,
    labels: Vec<usize>,
    predicted: Vec<usize>,
    /// The probability of each image's predicted class.
    confidence: Vec<f64>,
    /// The curves that the AUC is the mean of.
    curves: Vec<Curve>,
}

impl Predictions {
    /// Takes `probabilities` [N, classes] row by row and the N true `labels`.
    ///
    /// # Errors
    /// [`Error::Evaluation`]: lengths that do not fit, a label outside the classes, a row that is
    /// no probability distribution, fewer than two classes, no image.
    pub fn new(probabilities: &[f32], labels: &[usize], classes: usize) -> Result<Self, Error> {
        check(probabilities, labels, classes).map_err(|what| Error::Evaluation { what })?;
        let rows = || probabilities.chunks_exact(classes);
        let predicted: Vec<usize> = rows().map(largest).collect();
        let confidence = rows().zip(&predicted).map(|(p, &c)| f64::from(p[c])).collect();
        let first = if classes == 2 { 1 } else { 0 };
        let curve = |class: usize| Curve::new(class, rows().map(|p| p[class]));
        let curves = (first..classes).map(curve).collect();
        Ok(Predictions { classes, labels: labels.to_vec(), predicted, confidence, curves })
    }

    /// How often each true class (row) was taken for each class (column), every image counted
    /// `weights` times.
    pub fn confusion(&self, weights: &[u32]) -> Vec<Vec<u64>> {
        let mut counts = vec![vec![0; self.classes]; self.classes];
        for (i, &weight) in weights.iter().enumerate() {
            counts[self.labels[i]][self.predicted[i]] += u64::from(weight);
        }
        counts
    }

    /// Every metric in the order of [`Metric::ALL`](super::Metric::ALL), every image counted
    /// `weights` times; the AUC is `None` when only one class has weight.
    pub fn metrics(&self, weights: &[u32]) -> [Option<f64>; 7] {
        let confusion = self.confusion(weights);
        let total: u64 = confusion.iter().flatten().sum();
        let hits: u64 = (0..self.classes).map(|c| confusion[c][c]).sum();
        let (mut present, mut recall, mut precision, mut f1) = (0.0, 0.0, 0.0, 0.0);
        for c in 0..self.classes {
            let truth: u64 = confusion[c].iter().sum();
            if truth == 0 {
                continue;
            }
            let taken: u64 = confusion.iter().map(|row| row[c]).sum();
            let hit = confusion[c][c] as f64;
            present += 1.0;
            recall += hit / truth as f64;
            precision += if taken == 0 { 0.0 } else { hit / taken as f64 };
            f1 += 2.0 * hit / (truth + taken) as f64;
        }
        [
            Some(hits as f64 / total as f64),
            Some(recall / present),
            self.auc(weights),
            Some(f1 / present),
            Some(precision / present),
            Some(recall / present),
            Some(self.calibration_error(weights, total)),
        ]
    }

    /// The mean area under the curves that some image counts for.
    fn auc(&self, weights: &[u32]) -> Option<f64> {
        let areas = self.curves.iter().filter_map(|curve| curve.area(&self.labels, weights));
        let areas: Vec<f64> = areas.collect();
        (!areas.is_empty()).then(|| areas.iter().sum::<f64>() / areas.len() as f64)
    }

    /// Sensitivity, specificity, precision and area under the ROC curve of `class` against the
    /// rest. Each is `None` where no image that it is a fraction of has weight. Two classes have
    /// one area.
    pub fn of_class(&self, class: usize, weights: &[u32]) -> [Option<f64>; 4] {
        let confusion = self.confusion(weights);
        let total: u64 = confusion.iter().flatten().sum();
        let truth: u64 = confusion[class].iter().sum();
        let taken: u64 = confusion.iter().map(|row| row[class]).sum();
        let hit = confusion[class][class];
        let share = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64);
        [
            share(hit, truth),
            share(total + hit - truth - taken, total - truth),
            share(hit, taken),
            self.curve(class).area(&self.labels, weights),
        ]
    }

    /// The ROC curve of `class` against the rest, every image counted once: 1 - specificity and
    /// sensitivity, from (0, 0) to (1, 1). It has corners only.
    pub fn roc(&self, class: usize) -> Vec<(f64, f64)> {
        self.curve(class).roc(&self.labels)
    }

    /// The curve of `class`; two classes have one.
    fn curve(&self, class: usize) -> &Curve {
        self.curves.iter().find(|curve| curve.class == class).unwrap_or(&self.curves[0])
    }

    /// The bins of the calibration error, the least confident first, every image counted `weights`
    /// times.
    pub fn bins(&self, weights: &[u32]) -> [Bin; BINS] {
        let mut bins = [Bin::default(); BINS];
        for (i, &weight) in weights.iter().enumerate() {
            let bin =
                &mut bins[((self.confidence[i] * BINS as f64).ceil() as usize).clamp(1, BINS) - 1];
            let weight = f64::from(weight);
            bin.weight += weight;
            bin.confidence += weight * self.confidence[i];
            bin.hits += weight * f64::from(u8::from(self.predicted[i] == self.labels[i]));
        }
        bins
    }

    fn calibration_error(&self, weights: &[u32], total: u64) -> f64 {
        self.bins(weights).iter().map(|bin| (bin.hits - bin.confidence).abs()).sum::<f64>()
            / total as f64
    }
}

/// Refuses what [`Predictions::new`] says.
fn check(probabilities: &[f32], labels: &[usize], classes: usize) -> Result<(), String> {
    if classes < 2 || labels.is_empty() {
        return Err(format!(
            "metrics need two classes and an image, not {classes} and {}",
            labels.len()
        ));
    }
    if Some(probabilities.len()) != labels.len().checked_mul(classes) {
        return Err(format!(
            "{} probabilities do not make {} images by {classes} classes",
            probabilities.len(),
            labels.len()
        ));
    }
    if let Some(row) = labels.iter().position(|&label| label >= classes) {
        return Err(format!(
            "image {row} has label {}, but there are {classes} classes",
            labels[row]
        ));
    }
    for (row, p) in probabilities.chunks_exact(classes).enumerate() {
        let sum: f64 = p.iter().map(|&v| f64::from(v)).sum();
        if p.iter().any(|v| !(0.0..=1.0).contains(v)) || (sum - 1.0).abs() > SUM_TOLERANCE {
            return Err(format!(
                "the probabilities of image {row} are no distribution (they sum to {sum}): \
                 {p:?}"
            ));
        }
    }
    Ok(())
}

/// The first of the largest values.
fn largest(row: &[f32]) -> usize {
    (1..row.len()).fold(0, |best, c| if row[c] > row[best] { c } else { best })
}
