//! What was measured of a task: on how many patients, beside which floors, and how it differs by
//! attributes of the images. Bundles, contributions and module cards state it in this form.
//!
//! Refused:
//!
//! - numbers that are not finite, and shares beyond 0 and 1,
//! - an interval with one end, or with its ends exchanged,
//! - a verdict that the interval does not give,
//! - lists longer than any evaluation makes.
//!
//! An interval beside its estimate is refused only when packing.

use serde::{Deserialize, Serialize};

mod check;

pub use check::{check_bounds, check_differences, check_interval};

/// Results on images that training never saw. Intervals are of 95 %, over groups.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// Images.
    pub images: u64,
    /// Groups (patients) of these; left out where that was not recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<u64>,
    /// The model's metrics; [`main`](Self::main) says which is the main one.
    pub metrics: Vec<Estimate>,
    /// What classifiers without trained features reach on the same images.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub floors: Vec<Floor>,
    /// The same by attribute, one entry each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subgroups: Vec<Subgroups>,
    /// Why there are no intervals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_intervals: Option<String>,
}

/// A metric with its interval: both ends, or none where the images allow none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Estimate {
    /// For example `balanced_accuracy`.
    pub name: String,
    /// The estimate.
    pub value: f64,
    /// The interval's lower end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    /// The interval's upper end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
}

/// A classifier without trained features.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Floor {
    /// `linear_probe` (of the frozen base) or `colour` (alone).
    pub name: String,
    /// What it reaches.
    pub metrics: Vec<Estimate>,
    /// The model's metric minus the floor's, on the same resamples.
    pub difference: Estimate,
    /// The verdict: whether the whole interval of the difference lies above zero.
    pub beaten: bool,
}

/// Results by the values of one attribute (site, scanner, sex).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subgroups {
    /// The attribute.
    pub by: String,
    /// One entry for each value.
    pub values: Vec<Subgroup>,
    /// One for each metric, where two values have figures.
    pub gaps: Vec<Gap>,
}

/// Results of one value of an attribute.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subgroup {
    /// The value; empty for images without one.
    pub value: String,
    /// Images.
    pub n: u64,
    /// Groups (patients) of these.
    pub groups: u64,
    /// Classes that have an image here.
    pub classes: u64,
    /// None where there is too little to say.
    pub metrics: Vec<Estimate>,
    /// Why there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub too_few: Option<String>,
}

/// How far the best value of an attribute and the worst are apart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gap {
    /// The value with the best figure.
    pub best: String,
    /// The value with the worst.
    pub worst: String,
    /// The best minus the worst.
    pub difference: Estimate,
    /// What chance alone makes of equally good values in 95 % of cases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chance: Option<f64>,
}

impl Measured {
    /// The main result: balanced accuracy, else the first metric.
    pub fn main(&self) -> Option<&Estimate> {
        self.metrics
            .iter()
            .find(|metric| metric.name == "balanced_accuracy")
            .or(self.metrics.first())
    }
}

#[cfg(test)]
pub(crate) mod tests;
