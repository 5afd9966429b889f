//! What was measured of a task: on how many patients, beside which floors, and how it differs by what else is known of the images.
//! Bundles, contributions and module cards state it in this form.
//!
//! Refused: numbers that are not finite, an interval with one end or with its ends exchanged, a verdict that the interval does not give, and
//! lists longer than any evaluation makes.

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

/// Longest list of metrics, floors, attributes, values or gaps; an evaluation has at most 50 values of an attribute.
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
        check_count("groups", self.groups.unwrap_or(0))?;
        require(self.groups.is_none_or(|groups| groups <= self.images), || {
            format!("{of} was measured on more groups than images")
        })?;
        self.no_intervals.iter().try_for_each(|why| check_length("no_intervals", why, MAX_REASON))?;
        require(!self.metrics.is_empty(), || format!("{of} was measured, and no metric is there"))?;
        check_estimates(of, &self.metrics)?;
        check_list(of, self.floors.len())?;
        for floor in &self.floors {
            check_text("floor", &floor.name)?;
            check_estimates(of, &floor.metrics)?;
            floor.difference.check(of)?;
            require(floor.beaten == floor.difference.low.is_some_and(|low| low > 0.0), || {
                format!("{of}: whether the floor {} is beaten is not what the interval says", floor.name)
            })?;
        }
        check_list(of, self.subgroups.len())?;
        self.subgroups.iter().try_for_each(|subgroups| subgroups.check(of))
    }

    /// The main result: balanced accuracy, else the first metric.
    pub fn main(&self) -> Option<&Estimate> {
        self.metrics.iter().find(|metric| metric.name == "balanced_accuracy").or(self.metrics.first())
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
            gap.difference.check(of)?;
            require(gap.chance.is_none_or(f64::is_finite), || format!("a gap of {of} is not a number"))?;
        }
        Ok(())
    }
}

impl Estimate {
    fn check(&self, of: &str) -> Result<(), Error> {
        check_text("metric", &self.name)?;
        let ordered = match (self.low, self.high) {
            (None, None) => true,
            (Some(low), Some(high)) => low.is_finite() && high.is_finite() && low <= high,
            _ => false,
        };
        require(self.value.is_finite() && ordered, || {
            format!("the {} of {of} is not a number, or its interval is none", self.name)
        })
    }
}

fn check_estimates(of: &str, estimates: &[Estimate]) -> Result<(), Error> {
    check_list(of, estimates.len())?;
    estimates.iter().try_for_each(|estimate| estimate.check(of))
}

fn check_list(of: &str, length: usize) -> Result<(), Error> {
    require(length <= MOST, || format!("a list in what was measured of {of} has {length} entries, more than {MOST}"))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    fn estimate(value: f64, range: Option<[f64; 2]>) -> Estimate {
        let [low, high] = [0, 1].map(|end| range.map(|range| range[end]));
        Estimate { name: "balanced_accuracy".into(), value, low, high }
    }

    /// A module that beats the linear probe and not colour alone.
    pub fn example() -> Measured {
        let floor = |name: &str, difference: Estimate, beaten| Floor {
            name: name.into(),
            metrics: vec![estimate(0.7, Some([0.6, 0.8]))],
            difference,
            beaten,
        };
        let whole = estimate(0.9, Some([0.8, 1.0]));
        let value = |value: &str| Subgroup {
            value: value.into(),
            n: 126,
            groups: 20,
            classes: 2,
            metrics: vec![whole.clone()],
            too_few: None,
        };
        let difference = estimate(0.0, Some([0.0, 0.1]));
        let gap = Gap { best: "a".into(), worst: String::new(), difference, chance: Some(0.1) };
        Measured {
            images: 252,
            groups: Some(40),
            metrics: vec![whole.clone()],
            floors: vec![
                floor("linear_probe", estimate(0.2, Some([0.1, 0.3])), true),
                floor("colour", estimate(0.0, Some([-0.1, 0.1])), false),
            ],
            subgroups: vec![Subgroups { by: "site".into(), values: vec![value(""), value("a")], gaps: vec![gap] }],
            no_intervals: None,
        }
    }

    #[test]
    fn what_no_evaluation_gives_is_refused() {
        assert!(example().check("breast").is_ok());
        type Change = fn(&mut Measured);
        let table: &[(&str, Change)] = &[
            ("images", |m| m.images = 1 << 53),
            ("more groups than images", |m| m.groups = Some(253)),
            ("no metric", |m| m.metrics.clear()),
            ("not a number", |m| m.metrics[0].value = f64::NAN),
            ("not a number", |m| m.metrics[0].high = Some(f64::INFINITY)),
            ("not a number", |m| m.metrics[0].low = None),
            ("interval", |m| m.floors[0].metrics[0].low = Some(0.9)),
            ("linear_probe is beaten", |m| m.floors[0].beaten = false),
            ("colour is beaten", |m| m.floors[1].beaten = true),
            ("interval", |m| m.floors[1].difference.low = Some(f64::NEG_INFINITY)),
            ("floor", |m| m.floors[0].name = "\u{1b}[2J".into()),
            ("65 entries", |m| m.metrics = vec![m.metrics[0].clone(); 65]),
            ("65 entries", |m| m.floors = vec![m.floors[0].clone(); 65]),
            ("65 entries", |m| m.subgroups = vec![m.subgroups[0].clone(); 65]),
            ("65 entries", |m| m.subgroups[0].values = vec![m.subgroups[0].values[0].clone(); 65]),
            ("65 entries", |m| m.subgroups[0].gaps = vec![m.subgroups[0].gaps[0].clone(); 65]),
            ("attribute", |m| m.subgroups[0].by.clear()),
            ("more than 64", |m| m.subgroups[0].values[0].value = "x".repeat(65)),
            ("a gap", |m| m.subgroups[0].gaps[0].chance = Some(f64::NAN)),
            ("control characters", |m| m.subgroups[0].values[0].too_few = Some("\n".repeat(3) + "x")),
            ("more than 512", |m| m.no_intervals = Some("x".repeat(513))),
        ];
        for (words, change) in table {
            let mut changed = example();
            change(&mut changed);
            let error = changed.check("breast").unwrap_err();
            assert!(error.is_refusal() && error.to_string().contains(words), "{words}: {error}");
        }
    }
}
