//! Classification metrics over predicted probabilities, each image with a whole-number weight so that a bootstrap resample is a list of weights.
//!
//! Macro averages run over the classes that have an image with a weight above zero. Refuses probabilities that are no distribution.

use serde::{Deserialize, Serialize};

use crate::Error;

/// One number that says how good predictions are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    Accuracy,
    BalancedAccuracy,
    /// Area under the ROC curve: of class 1 where there are two classes, else the mean over classes, each against the rest.
    Auc,
    F1,
    Precision,
    Recall,
    /// Expected calibration error, 15 bins (Guo et al. 2017, section 2): the mean distance between confidence and accuracy.
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
const BINS: usize = 15;
/// How far from 1 a row of probabilities may sum.
const SUM_TOLERANCE: f64 = 1e-3;

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
    /// Lengths that do not fit, a label outside the classes, a row that is no probability distribution, fewer than two classes or no image.
    pub fn new(probabilities: &[f32], labels: &[usize], classes: usize) -> Result<Self, Error> {
        let refuse = |what: String| Err(Error::Evaluation { what });
        if classes < 2 || labels.is_empty() {
            return refuse(format!("metrics need two classes and an image, not {classes} and {}", labels.len()));
        }
        if Some(probabilities.len()) != labels.len().checked_mul(classes) {
            return refuse(format!(
                "{} probabilities do not make {} images by {classes} classes",
                probabilities.len(),
                labels.len()
            ));
        }
        if let Some(row) = labels.iter().position(|&label| label >= classes) {
            return refuse(format!("image {row} has label {}, but there are {classes} classes", labels[row]));
        }
        let rows = || probabilities.chunks_exact(classes);
        for (row, p) in rows().enumerate() {
            let sum: f64 = p.iter().map(|&v| f64::from(v)).sum();
            if p.iter().any(|v| !(0.0..=1.0).contains(v)) || (sum - 1.0).abs() > SUM_TOLERANCE {
                return refuse(format!(
                    "the probabilities of image {row} are no distribution (they sum to {sum}): {p:?}"
                ));
            }
        }
        let predicted: Vec<usize> = rows().map(largest).collect();
        let confidence = rows().zip(&predicted).map(|(p, &c)| f64::from(p[c])).collect();
        let first = if classes == 2 { 1 } else { 0 };
        let curves = (first..classes).map(|class| (class, runs(rows().map(|p| p[class])))).collect();
        Ok(Predictions { classes, labels: labels.to_vec(), predicted, confidence, curves })
    }

    /// How often each true class (row) was taken for each class (column), every image counted `weights` times.
    pub fn confusion(&self, weights: &[u32]) -> Vec<Vec<u64>> {
        let mut counts = vec![vec![0; self.classes]; self.classes];
        for (i, &weight) in weights.iter().enumerate() {
            counts[self.labels[i]][self.predicted[i]] += u64::from(weight);
        }
        counts
    }

    /// Every metric in the order of [`Metric::ALL`], every image counted `weights` times; the AUC is `None` when only one class has weight.
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
        let areas: Vec<f64> = self.curves.iter().filter_map(|(class, runs)| self.area(*class, runs, weights)).collect();
        (!areas.is_empty()).then(|| areas.iter().sum::<f64>() / areas.len() as f64)
    }

    /// The Mann-Whitney statistic: how often an image of the class scores above one of another class, ties counted half.
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

    fn calibration_error(&self, weights: &[u32], total: u64) -> f64 {
        let mut gap = [0.0; BINS];
        for (i, &weight) in weights.iter().enumerate() {
            let hit = f64::from(u8::from(self.predicted[i] == self.labels[i]));
            let bin = ((self.confidence[i] * BINS as f64).ceil() as usize).clamp(1, BINS) - 1;
            gap[bin] += f64::from(weight) * (hit - self.confidence[i]);
        }
        gap.iter().map(|g| g.abs()).sum::<f64>() / total as f64
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
        let cases: Vec<Case> = serde_json::from_str(include_str!("../../tests/sklearn/metrics.json")).unwrap();
        assert!(cases.len() >= 6);
        for case in cases {
            let predictions = Predictions::new(&case.probabilities.concat(), &case.labels, case.classes).unwrap();
            assert_eq!(predictions.confusion(&case.weights), case.confusion, "{}", case.name);
            let found = predictions.metrics(&case.weights);
            for (metric, (found, expected)) in Metric::ALL.iter().zip(found.iter().zip(&case.metrics)) {
                match (found, expected) {
                    (Some(f), Some(e)) => assert!((f - e).abs() < 1e-9, "{} {metric:?}: {f} is not {e}", case.name),
                    _ => assert_eq!(found, expected, "{} {metric:?}", case.name),
                }
            }
        }
    }

    #[test]
    fn what_is_no_prediction_is_refused() {
        let text = |p: &[f32], l: &[usize], c| Predictions::new(p, l, c).err().expect("refused").to_string();
        assert!(text(&[0.5, 0.6], &[0], 2).contains("image 0 are no distribution"));
        assert!(text(&[f32::NAN, 0.5], &[0], 2).contains("no distribution"));
        assert!(text(&[-0.5, 1.5], &[0], 2).contains("no distribution"));
        assert!(text(&[0.5, 0.5], &[2], 2).contains("label 2"));
        assert!(text(&[0.5, 0.5, 1.0], &[0], 2).contains("do not make"));
        assert!(text(&[1.0], &[0], 1).contains("two classes"));
    }
}
