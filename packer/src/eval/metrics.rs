//! Classification metrics over predicted probabilities, each image with a whole-number weight so
//! that a bootstrap resample is a list of weights.
//!
//! Macro averages run over the classes that have an image with a weight above zero. Refuses
//! probabilities that are no distribution.

use serde::{Deserialize, Serialize};

use crate::Error;

/// One number that says how good predictions are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    Accuracy,
    BalancedAccuracy,
    /// Area under the ROC curve: of class 1 where there are two classes, else the mean over
    /// classes, each against the rest.
    Auc,
    F1,
    Precision,
    Recall,
    /// Expected calibration error, 15 bins (Guo et al. 2017, section 2): the mean distance between
    /// confidence and accuracy.
    CalibrationError,
}

impl Metric {
    /// Every metric, in the order of reports.
    pub const ALL: [Metric; 7] = [
        Metric::Accuracy,
        Metric::BalancedAccuracy,
        Metric::Auc,
        Metric::F1,
        Metric::Precision,
        Metric::Recall,
        Metric::CalibrationError,
    ];

    /// Its words for people.
    pub fn title(self) -> &'static str {
        match self {
            Metric::Accuracy => "accuracy",
            Metric::BalancedAccuracy => "balanced accuracy",
            Metric::Auc => "AUC",
            Metric::F1 => "F1 (macro)",
            Metric::Precision => "precision (macro)",
            Metric::Recall => "recall (macro)",
            Metric::CalibrationError => "calibration error",
        }
    }
}

/// Bins of the calibration error, equally wide, each open below and closed above.
pub const BINS: usize = 15;
/// How far from 1 a row of probabilities may sum.
const SUM_TOLERANCE: f64 = 1e-3;

/// Images whose most probable class has about the same probability: sums over them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bin {
    pub weight: f64,
    /// The probability of the predicted class.
    pub confidence: f64,
    /// Images that were classified rightly.
    pub hits: f64,
}

/// Predicted probabilities beside the true labels, sorted once so that each metric is one pass.
pub struct Predictions {
    classes: usize,
    labels: Vec<usize>,
    predicted: Vec<usize>,
    confidence: Vec<f64>,
    /// Classes whose curve enters the AUC, each with the runs of equal scores, highest score first.
    curves: Vec<(usize, Vec<Vec<u32>>)>,
}

impl Predictions {
    /// Takes `probabilities` [N, classes] row by row and the N true `labels`.
    ///
    /// # Errors
    /// Lengths that do not fit, a label outside the classes, a row that is no probability
    /// distribution, fewer than two classes or no image.
    pub fn new(probabilities: &[f32], labels: &[usize], classes: usize) -> Result<Self, Error> {
        let refuse = |what: String| Err(Error::Evaluation { what });
        if classes < 2 || labels.is_empty() {
            return refuse(format!(
                "metrics need two classes and an image, not {classes} and {}",
                labels.len()
            ));
        }
        if Some(probabilities.len()) != labels.len().checked_mul(classes) {
            return refuse(format!(
                "{} probabilities do not make {} images by {classes} classes",
                probabilities.len(),
                labels.len()
            ));
        }
        if let Some(row) = labels.iter().position(|&label| label >= classes) {
            return refuse(format!(
                "image {row} has label {}, but there are {classes} classes",
                labels[row]
            ));
        }
        let rows = || probabilities.chunks_exact(classes);
        for (row, p) in rows().enumerate() {
            let sum: f64 = p.iter().map(|&v| f64::from(v)).sum();
            if p.iter().any(|v| !(0.0..=1.0).contains(v)) || (sum - 1.0).abs() > SUM_TOLERANCE {
                return refuse(format!(
                    "the probabilities of image {row} are no distribution (they sum to {sum}): \
                     {p:?}"
                ));
            }
        }
        let predicted: Vec<usize> = rows().map(largest).collect();
        let confidence = rows().zip(&predicted).map(|(p, &c)| f64::from(p[c])).collect();
        let first = if classes == 2 { 1 } else { 0 };
        let curves =
            (first..classes).map(|class| (class, runs(rows().map(|p| p[class])))).collect();
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

    /// Every metric in the order of [`Metric::ALL`], every image counted `weights` times; the AUC
    /// is `None` when only one class has weight.
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

    fn auc(&self, weights: &[u32]) -> Option<f64> {
        let areas: Vec<f64> = self
            .curves
            .iter()
            .filter_map(|(class, runs)| self.area(*class, runs, weights))
            .collect();
        (!areas.is_empty()).then(|| areas.iter().sum::<f64>() / areas.len() as f64)
    }

    /// The Mann-Whitney statistic: how often an image of the class scores above one of another
    /// class, ties counted half.
    fn area(&self, class: usize, runs: &[Vec<u32>], weights: &[u32]) -> Option<f64> {
        let (mut above, mut others, mut area) = (0.0, 0.0, 0.0);
        for run in runs {
            let (mut ours, mut theirs) = (0.0, 0.0);
            for &i in run {
                let i = i as usize;
                let weight = f64::from(weights[i]);
                if self.labels[i] == class { ours += weight } else { theirs += weight }
            }
            area += theirs * (above + 0.5 * ours);
            above += ours;
            others += theirs;
        }
        (above > 0.0 && others > 0.0).then(|| area / (above * others))
    }

    /// Sensitivity, specificity, precision and area under the ROC curve of `class` against the
    /// rest, each `None` where nothing has weight that it is a share of. Of two classes both have
    /// one area.
    pub fn of_class(&self, class: usize, weights: &[u32]) -> [Option<f64>; 4] {
        let confusion = self.confusion(weights);
        let total: u64 = confusion.iter().flatten().sum();
        let truth: u64 = confusion[class].iter().sum();
        let taken: u64 = confusion.iter().map(|row| row[class]).sum();
        let hit = confusion[class][class];
        let share = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64);
        let (own, runs) = self.curve(class);
        [
            share(hit, truth),
            share(total + hit - truth - taken, total - truth),
            share(hit, taken),
            self.area(own, runs, weights),
        ]
    }

    /// The ROC curve of `class` against the rest, every image counted once: 1 - specificity and
    /// sensitivity, from (0, 0) to (1, 1); corners only.
    pub fn roc(&self, class: usize) -> Vec<(f64, f64)> {
        let (own, runs) = self.curve(class);
        let mut counts = vec![(0u32, 0u32)];
        for run in runs {
            let ours = run.iter().filter(|&&i| self.labels[i as usize] == own).count() as u32;
            let (theirs, (x, y)) = (run.len() as u32 - ours, counts[counts.len() - 1]);
            let next = (x + theirs, y + ours);
            // A point on the way straight on is no corner.
            if let [.., before, last] = counts[..]
                && ((before.0 == last.0 && last.0 == next.0)
                    || (before.1 == last.1 && last.1 == next.1))
            {
                counts.pop();
            }
            counts.push(next);
        }
        let (x, y) = counts[counts.len() - 1];
        let share = |part: u32, whole: u32| f64::from(part) / f64::from(whole.max(1));
        counts.into_iter().map(|(theirs, ours)| (share(theirs, x), share(ours, y))).collect()
    }

    fn curve(&self, class: usize) -> (usize, &Vec<Vec<u32>>) {
        let (own, runs) =
            self.curves.iter().find(|(own, _)| *own == class).unwrap_or(&self.curves[0]);
        (*own, runs)
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

/// The first of the largest values.
fn largest(row: &[f32]) -> usize {
    (1..row.len()).fold(0, |best, c| if row[c] > row[best] { c } else { best })
}

/// The indices of equal scores together, highest score first.
fn runs(scores: impl Iterator<Item = f32>) -> Vec<Vec<u32>> {
    let mut order: Vec<(f32, u32)> = scores.zip(0..).collect();
    order.sort_by(|a, b| b.0.total_cmp(&a.0));
    order.chunk_by(|a, b| a.0 == b.0).map(|run| run.iter().map(|&(_, i)| i).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Case {
        name: String,
        classes: usize,
        labels: Vec<usize>,
        probabilities: Vec<Vec<f32>>,
        weights: Vec<u32>,
        metrics: [Option<f64>; 7],
        confusion: Vec<Vec<u64>>,
    }

    #[test]
    fn every_metric_is_that_of_scikit_learn() {
        let cases: Vec<Case> =
            serde_json::from_str(include_str!("../../tests/sklearn/metrics.json")).unwrap();
        assert!(cases.len() >= 6);
        for case in cases {
            let predictions =
                Predictions::new(&case.probabilities.concat(), &case.labels, case.classes).unwrap();
            assert_eq!(predictions.confusion(&case.weights), case.confusion, "{}", case.name);
            let found = predictions.metrics(&case.weights);
            for (metric, (found, expected)) in
                Metric::ALL.iter().zip(found.iter().zip(&case.metrics))
            {
                match (found, expected) {
                    (Some(f), Some(e)) => {
                        assert!((f - e).abs() < 1e-9, "{} {metric:?}: {f} is not {e}", case.name)
                    }
                    _ => assert_eq!(found, expected, "{} {metric:?}", case.name),
                }
            }
        }
    }

    #[test]
    fn a_class_by_itself_is_what_can_be_counted_by_hand() {
        let labels = [0, 0, 0, 1, 1];
        let ones = [0.1, 0.38, 0.62, 0.62, 0.9f32];
        let rows: Vec<f32> = ones.iter().flat_map(|p| [1.0 - p, *p]).collect();
        let predictions = Predictions::new(&rows, &labels, 2).unwrap();
        let [sensitivity, specificity, precision, area] =
            predictions.of_class(1, &[1; 5]).map(Option::unwrap);
        assert_eq!((sensitivity, specificity, precision), (1.0, 2.0 / 3.0, 2.0 / 3.0));
        assert!((area - 5.5 / 6.0).abs() < 1e-12, "{area}");
        assert_eq!(predictions.of_class(0, &[1; 5])[..2], [Some(2.0 / 3.0), Some(1.0)]);
        assert_eq!(
            predictions.of_class(1, &[1, 1, 1, 0, 0]),
            [None, Some(2.0 / 3.0), Some(0.0), None]
        );
        let third = 1.0 / 3.0;
        assert_eq!(predictions.roc(1), [(0.0, 0.0), (0.0, 0.5), (third, 1.0), (1.0, 1.0)]);
        let bins = predictions.bins(&[1, 1, 2, 1, 1]);
        let of = |p: f64| bins[(p * 15.0).ceil() as usize - 1];
        assert_eq!((of(0.9).weight, of(0.9).hits), (2.0, 2.0));
        assert_eq!((of(0.62).weight, of(0.62).hits), (4.0, 2.0));
        assert!((of(0.62).confidence - 2.48).abs() < 1e-6);
    }

    #[test]
    fn what_is_no_prediction_is_refused() {
        let text = |p: &[f32], l: &[usize], c| {
            Predictions::new(p, l, c).err().expect("refused").to_string()
        };
        assert!(text(&[0.5, 0.6], &[0], 2).contains("image 0 are no distribution"));
        assert!(text(&[f32::NAN, 0.5], &[0], 2).contains("no distribution"));
        assert!(text(&[-0.5, 1.5], &[0], 2).contains("no distribution"));
        assert!(text(&[0.5, 0.5], &[2], 2).contains("label 2"));
        assert!(text(&[0.5, 0.5, 1.0], &[0], 2).contains("do not make"));
        assert!(text(&[1.0], &[0], 1).contains("two classes"));
    }
}
