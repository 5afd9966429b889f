//! What was measured of a task: on how many patients, beside which floors, and how it differs by
//! what else is known of the images. Bundles, contributions and module cards state it in this form.
//!
//! Refused: numbers that are not finite, shares beyond 0 and 1, an interval with one end or with
//! its ends exchanged, a verdict that the interval does not give, and lists longer than any
//! evaluation makes. An interval beside its estimate is refused when packing alone.

use serde::{Deserialize, Serialize};

use super::description::{check_count, check_length, check_text, require};
use crate::Error;

/// Results on images that training never saw. Intervals are of 95 %, over groups.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// Images.
    pub images: u64,
    /// Groups (patients) of these; left out where it was not recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<u64>,
    /// The model's, the first the main one where nothing says otherwise.
    pub metrics: Vec<Estimate>,
    /// What classifiers without trained features reach on the same images.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub floors: Vec<Floor>,
    /// The same told apart, one entry an attribute.
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
    /// One entry a value.
    pub values: Vec<Subgroup>,
    /// One a metric, where two values have figures.
    pub gaps: Vec<Gap>,
}

/// Results of one value of an attribute.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subgroup {
    /// Empty for images of which none is stated.
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

/// Longest list of metrics, floors, attributes, values or gaps; an evaluation has at most 50 values
/// of an attribute.
const MOST: usize = 64;
/// Longest value of an attribute, in bytes.
const MAX_VALUE: usize = 64;
/// Longest reason, in bytes, which may name a class.
const MAX_REASON: usize = 512;

impl Measured {
    /// Whether these are results that an evaluation gives; messages name them `of`.
    ///
    /// # Errors
    /// [`Class::Contradiction`](crate::Class::Contradiction).
    pub fn check(&self, of: &str) -> Result<(), Error> {
        check_count("images", self.images)?;
        require(self.images > 0, || format!("{of} was measured on no image"))?;
        check_count("groups", self.groups.unwrap_or(0))?;
        require(self.groups.is_none_or(|groups| groups <= self.images), || {
            format!("{of} was measured on more groups than images")
        })?;
        self.no_intervals
            .iter()
            .try_for_each(|why| check_length("no_intervals", why, MAX_REASON))?;
        require(!self.metrics.is_empty(), || format!("{of} was measured, and no metric is there"))?;
        check_estimates(of, &self.metrics)?;
        check_list(of, self.floors.len())?;
        for floor in &self.floors {
            check_text("floor", &floor.name)?;
            check_estimates(of, &floor.metrics)?;
            floor.difference.check_difference(of)?;
            require(floor.beaten == floor.difference.low.is_some_and(|low| low > 0.0), || {
                format!(
                    "{of}: whether the floor {} is beaten is not what the interval says",
                    floor.name
                )
            })?;
        }
        check_list(of, self.subgroups.len())?;
        self.subgroups.iter().try_for_each(|subgroups| subgroups.check(of))
    }

    /// Whether each estimate lies in its own interval: what packer writes does. Packers before it
    /// wrote what resamples gave, which may lie beside what it is of.
    ///
    /// # Errors
    /// [`Class::Contradiction`](crate::Class::Contradiction).
    pub fn check_intervals(&self, of: &str) -> Result<(), Error> {
        let floors =
            self.floors.iter().flat_map(|floor| floor.metrics.iter().chain([&floor.difference]));
        let values = self
            .subgroups
            .iter()
            .flat_map(|subgroups| &subgroups.values)
            .flat_map(|value| &value.metrics);
        let gaps =
            self.subgroups.iter().flat_map(|subgroups| &subgroups.gaps).map(|gap| &gap.difference);
        let all = self.metrics.iter().chain(floors).chain(values).chain(gaps);
        all.into_iter().try_for_each(|estimate| {
            let Estimate { name, value, low, high } = estimate;
            let inside = low.is_none_or(|low| *value >= low - ROUNDING)
                && high.is_none_or(|high| *value <= high + ROUNDING);
            require(inside, || {
                format!("the {name} of {of} is {value}, beside its interval: evaluate it again")
            })
        })
    }

    /// The main result: balanced accuracy, else the first metric.
    pub fn main(&self) -> Option<&Estimate> {
        self.metrics
            .iter()
            .find(|metric| metric.name == "balanced_accuracy")
            .or(self.metrics.first())
    }
}

impl Subgroups {
    fn check(&self, of: &str) -> Result<(), Error> {
        check_text("the attribute of subgroups", &self.by)?;
        check_list(of, self.values.len())?;
        for value in &self.values {
            check_length("the value of an attribute", &value.value, MAX_VALUE)?;
            check_count("images", value.n)?;
            check_count("groups", value.groups)?;
            check_count("classes", value.classes)?;
            value.too_few.iter().try_for_each(|why| check_length("too_few", why, MAX_REASON))?;
            check_estimates(of, &value.metrics)?;
        }
        check_list(of, self.gaps.len())?;
        for gap in &self.gaps {
            check_length("the best value", &gap.best, MAX_VALUE)?;
            check_length("the worst value", &gap.worst, MAX_VALUE)?;
            gap.difference.check_difference(of)?;
            require(gap.chance.is_none_or(f64::is_finite), || {
                format!("a gap of {of} is not a number")
            })?;
        }
        Ok(())
    }
}

impl Estimate {
    fn check(&self, of: &str) -> Result<(), Error> {
        self.check_interval(of)?;
        check_bounds(of, &self.name, [Some(self.value), self.low, self.high].into_iter().flatten())
    }

    /// The same of a difference of two of that name.
    fn check_difference(&self, of: &str) -> Result<(), Error> {
        self.check_interval(of)?;
        check_differences(
            of,
            &self.name,
            [Some(self.value), self.low, self.high].into_iter().flatten(),
        )
    }

    fn check_interval(&self, of: &str) -> Result<(), Error> {
        check_text("metric", &self.name)?;
        require(self.low.is_some() == self.high.is_some(), || {
            format!("the {} of {of} has one end", self.name)
        })?;
        check_interval(of, &self.name, self.value, self.low.zip(self.high))
    }
}

/// Metrics that are shares of one.
const SHARES: [&str; 7] =
    ["accuracy", "balanced_accuracy", "auc", "f1", "precision", "recall", "calibration_error"];

/// Numbers may lie this far beyond their bounds: sums in another order.
const ROUNDING: f64 = 1e-9;

/// Whether a metric of this name is a share of one.
fn is_share(name: &str) -> bool {
    SHARES.contains(&name)
}

/// Refuses shares below 0 and above 1.
///
/// # Errors
/// [`Class::Contradiction`](crate::Class::Contradiction).
pub fn check_bounds(
    of: &str,
    name: &str,
    values: impl IntoIterator<Item = f64>,
) -> Result<(), Error> {
    let beyond = values
        .into_iter()
        .find(|value| is_share(name) && !(-ROUNDING..=1.0 + ROUNDING).contains(value));
    require(beyond.is_none(), || {
        format!("the {name} of {of} is {}, no share of one", beyond.unwrap_or(f64::NAN))
    })
}

/// Refuses differences of two shares below -1 and above 1.
///
/// # Errors
/// [`Class::Contradiction`](crate::Class::Contradiction).
pub fn check_differences(
    of: &str,
    name: &str,
    values: impl IntoIterator<Item = f64>,
) -> Result<(), Error> {
    let wide = values.into_iter().any(|value| value.abs() > 1.0 + ROUNDING);
    require(!is_share(name) || !wide, || {
        format!("a difference in {name} of {of} is no difference of two shares")
    })
}

/// Refuses numbers that are none, and an interval whose ends are exchanged.
///
/// # Errors
/// [`Class::Contradiction`](crate::Class::Contradiction).
pub fn check_interval(
    of: &str,
    name: &str,
    value: f64,
    ends: Option<(f64, f64)>,
) -> Result<(), Error> {
    let (low, high) = ends.unwrap_or((value, value));
    let finite = [value, low, high].iter().all(|value| value.is_finite());
    require(finite && low <= high, || {
        format!("the {name} of {of} is not a number, or its interval is none")
    })
}

fn check_estimates(of: &str, estimates: &[Estimate]) -> Result<(), Error> {
    check_list(of, estimates.len())?;
    estimates.iter().try_for_each(|estimate| estimate.check(of))
}

fn check_list(of: &str, length: usize) -> Result<(), Error> {
    require(length <= MOST, || {
        format!("a list in what was measured of {of} has {length} entries, more than {MOST}")
    })
}

#[cfg(test)]
pub(crate) mod tests;
