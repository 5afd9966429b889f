//! What may be said to have been measured.

use super::{Estimate, Measured, Subgroups};
use crate::bundle::rules::{check_count, require};
use crate::bundle::texts::{check_length, check_text};
use crate::error::Error;

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

    /// Whether each estimate lies in its own interval, as packer writes it today. Earlier packers
    /// wrote the interval of the resamples, which may miss the estimate.
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

    /// The same for a difference of two metrics of that name.
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

/// Numbers may lie this far beyond their bounds: sums in another order round differently.
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

/// Refuses values that are not finite, and an interval whose ends are exchanged.
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
