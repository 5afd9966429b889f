//! Classification metrics over predicted probabilities. Each image has a whole number as weight, so
//! that a bootstrap resample is a list of weights.
//!
//! Macro averages run over the classes that have an image with a weight above zero.

use serde::{Deserialize, Serialize};

mod curve;
mod predictions;
#[cfg(test)]
mod tests;

pub use predictions::{BINS, Bin, Predictions};

/// One number that says how good predictions are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    Accuracy,
    BalancedAccuracy,
    /// Area under the ROC curve. Of two classes it is that of class 1; of more, the mean over
    /// classes, each against the rest.
    Auc,
    F1,
    Precision,
    Recall,
    /// Expected calibration error with 15 bins (Guo et al. 2017, section 2): the mean distance
    /// between confidence and accuracy.
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

    /// Its name in tables.
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

    /// Its name in files.
    pub(super) fn key(self) -> &'static str {
        match self {
            Metric::Accuracy => "accuracy",
            Metric::BalancedAccuracy => "balanced_accuracy",
            Metric::Auc => "auc",
            Metric::F1 => "f1",
            Metric::Precision => "precision",
            Metric::Recall => "recall",
            Metric::CalibrationError => "calibration_error",
        }
    }
}
