//! A metric with its interval.

use serde::{Deserialize, Serialize};

use super::bootstrap::interval;
use super::metrics::Metric;
use crate::report::Interval;

/// A metric with its interval; without `low` and `high` where the data allow none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Estimate {
    pub name: Metric,
    pub value: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
}

impl Estimate {
    /// With the interval of `draws`. Where all of them lie to one side of the value, as those of a
    /// calibration error do, the interval is widened to hold it.
    pub(crate) fn new(name: Metric, value: f64, draws: Vec<f64>) -> Self {
        let range = interval(draws).map(|(low, high)| (low.min(value), high.max(value)));
        Estimate { name, value, low: range.map(|r| r.0), high: range.map(|r| r.1) }
    }

    /// Its interval in words; with the `sign` "+", ends have their sign.
    pub(crate) fn range(&self, sign: &str) -> String {
        match (self.low, self.high) {
            (Some(low), Some(high)) if sign == "+" => format!("{low:+.3} to {high:+.3}"),
            (Some(low), Some(high)) => format!("{low:.3} to {high:.3}"),
            _ => "none".to_owned(),
        }
    }
}

impl From<&Estimate> for Interval {
    fn from(estimate: &Estimate) -> Self {
        Interval { value: estimate.value, interval: estimate.low.zip(estimate.high) }
    }
}
