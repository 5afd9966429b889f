//! Results told apart by an attribute (site, scanner, sex, ...): the metrics of each of its values,
//! and how far the best and the worst are apart.
//!
//! All intervals come from the main metrics' resamples of whole groups. A resample that holds fewer
//! than two classes of a value is left out for that value. A value with one class, or with fewer
//! than two groups in a class, has no figures. Refused: more than 50 values.

use serde::{Deserialize, Serialize};

use super::estimate::Estimate;
use super::metrics::Metric;

mod apart;
mod division;
#[cfg(test)]
mod tests;
mod words;

pub use division::Division;

/// What is reported of each value.
const METRICS: [Metric; 2] = [Metric::BalancedAccuracy, Metric::Auc];

/// Results by one attribute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subgroups {
    /// The attribute's name.
    pub by: String,
    /// Sorted by value.
    pub values: Vec<Subgroup>,
    /// One for each metric, if two values have figures.
    pub gaps: Vec<Gap>,
}

/// Results of one value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subgroup {
    /// Empty for images of which no value is stated.
    pub value: String,
    /// Images.
    pub n: usize,
    pub groups: usize,
    /// Classes that have an image here; metrics are over these.
    pub classes: usize,
    /// Balanced accuracy and AUC; empty where there are too few images.
    pub metrics: Vec<Estimate>,
    /// Why there are no metrics, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub too_few: Option<String>,
}

/// A metric of the best value minus that of the worst, on the same resamples.
///
/// The figures themselves say which two values these are. So the interval lies too high, the more
/// so the more values there are; `chance` does not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gap {
    pub best: String,
    pub worst: String,
    pub difference: Estimate,
    /// Equally good values would stay below this gap in 95 % of cases (Westfall and Young 1993). In
    /// each resample, every value deviates from its own figure; this is the percentile of the
    /// largest minus the smallest deviation. None if no resample holds every value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chance: Option<f64>,
}

/// A value in messages.
pub(super) fn named(value: &str) -> &str {
    if value.is_empty() { "(not stated)" } else { value }
}
