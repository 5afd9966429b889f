//! Results told apart by an attribute (site, scanner, sex, ...): the metrics of each of its values,
//! and how far the best and the worst are apart.
//!
//! All intervals come of the main metrics' resamples of whole groups. A resample that holds fewer
//! than two classes of a value says nothing of that value and is left out for it. A value with
//! fewer than two groups in a class, or with one class, has no figures. Refused: more than 50
//! values.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use serde::{Deserialize, Serialize};

use super::bootstrap::{Bootstrap, LEVEL, percentile};
use super::metrics::Predictions;
use super::{Estimate, Metric, Results};
use crate::Error;
use crate::data::Dataset;
use crate::report::{Block, Interval, Metrics};

/// An attribute of more values is free text or a number.
const MAX_VALUES: usize = 50;
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
    /// One a metric, if two values have figures.
    pub gaps: Vec<Gap>,
}

/// Results of one value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subgroup {
    /// Empty for images of which none is stated.
    pub value: String,
    /// Images.
    pub n: usize,
    pub groups: usize,
    /// Classes that have an image here; metrics are over these.
    pub classes: usize,
    /// Balanced accuracy and AUC; none where there is too little to say.
    pub metrics: Vec<Estimate>,
    /// Why there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub too_few: Option<String>,
}

/// A metric of the best value minus that of the worst, on the same resamples. Which two these are
/// is taken from the figures themselves, so its interval lies too high, the more values there are;
/// `chance` does not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gap {
    pub best: String,
    pub worst: String,
    pub difference: Estimate,
    /// The gap that equally good values would stay below in 95 % of cases: that percentile of the
    /// largest minus the smallest deviation of a value from its own figure in a resample (Westfall
    /// and Young 1993). None if no resample holds every value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chance: Option<f64>,
}

/// The images of a split by the values of an attribute.
pub struct Division<'a> {
    by: &'a str,
    /// Places in the split.
    values: BTreeMap<&'a str, Vec<usize>>,
}

impl<'a> Division<'a> {
    /// Divides the items `indices` of `data` by the attribute `by`.
    ///
    /// # Errors
    /// [`Error::Option`] for an attribute that is not there, cannot be used or has more than 50
    /// values.
    pub fn new(data: &'a Dataset, indices: &[usize], by: &'a str) -> Result<Self, Error> {
        let refuse = |what: String| Err(Error::Option { name: "the attribute", what });
        let Some(attribute) = data.attributes.iter().find(|attribute| attribute.name == by) else {
            let names: Vec<&str> =
                data.attributes.iter().map(|attribute| attribute.name.as_str()).collect();
            return refuse(if names.is_empty() {
                format!(
                    "{by}: nothing is known of the images of {} but class and group",
                    data.root.display()
                )
            } else {
                format!("{by}: there is no such column; there are {}", names.join(", "))
            });
        };
        if let Some(fault) = &attribute.fault {
            return refuse(fault.clone());
        }
        let mut values: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (place, &index) in indices.iter().enumerate() {
            values.entry(&attribute.values[index]).or_default().push(place);
        }
        if values.len() > MAX_VALUES {
            refuse(format!(
                "{by}: the column has {} values here, and at most {MAX_VALUES} can be told apart; \
                 is it free text or a number? Make a column of ranges",
                values.len()
            ))
        } else {
            Ok(Division { by, values })
        }
    }
}

impl Results {
    /// Adds the results by the values of `division`, which must be of the same items.
    ///
    /// # Errors
    /// As [`Predictions::new`].
    pub fn tell_apart(&mut self, data: &Dataset, division: &Division) -> Result<(), Error> {
        let names = &data.classes;
        let labels: Vec<usize> = self.indices.iter().map(|&i| data.items[i].label).collect();
        let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
        let number = |&i: &usize| {
            let next = numbers.len();
            *numbers.entry(&data.items[i].group).or_insert(next)
        };
        let groups: Vec<usize> = self.indices.iter().map(number).collect();
        let (resamples, seed) =
            (self.evaluation.intervals.resamples, self.evaluation.intervals.seed);
        let bootstrap = Bootstrap::new(&labels, &groups, resamples, seed);
        let single = |class: usize| format!("class {} has images of one group only", names[class]);

        let (mut values, mut parts) = (Vec::new(), Vec::new());
        for (value, places) in &division.values {
            let own =
                |all: &[usize]| -> Vec<usize> { places.iter().map(|&place| all[place]).collect() };
            let (own_labels, own_groups) = (own(&labels), own(&groups));
            let count = |all: &[usize]| all.iter().collect::<BTreeSet<_>>().len();
            let (groups, classes) = (count(&own_groups), count(&own_labels));
            let too_few =
                match (groups, classes, Bootstrap::new(&own_labels, &own_groups, 0, 0), &bootstrap)
                {
                    (1, _, _, _) => Some("images of one group only".to_owned()),
                    (_, 1, _, _) => Some(format!("images of class {} only", names[own_labels[0]])),
                    (_, _, Err(class), _) => Some(single(class)),
                    (_, _, _, Err(class)) => Some(single(*class)),
                    _ => None,
                };
            if too_few.is_none() {
                let rows = places
                    .iter()
                    .flat_map(|&place| &self.probabilities[place * names.len()..][..names.len()]);
                let rows: Vec<f32> = rows.copied().collect();
                let predictions = Predictions::new(&rows, &own_labels, names.len())?;
                parts.push(Part { value, places, labels: own_labels, predictions });
            }
            let value = (*value).to_owned();
            values.push(Subgroup {
                value,
                n: places.len(),
                groups,
                classes,
                metrics: Vec::new(),
                too_few,
            });
        }

        let once = vec![1; labels.len()];
        let whole: Vec<Option<[f64; 2]>> = parts.iter().map(|part| part.metrics(&once)).collect();
        let draws: Vec<Vec<Option<[f64; 2]>>> = match &bootstrap {
            Ok(bootstrap) => {
                bootstrap.run(|weights| parts.iter().map(|part| part.metrics(weights)).collect())
            }
            Err(_) => Vec::new(),
        };
        let reported = values.iter_mut().filter(|value| value.too_few.is_none());
        for (part, value) in reported.enumerate() {
            let estimate = |m: usize, name: Metric| {
                Some(Estimate::new(
                    name,
                    whole[part]?[m],
                    draws.iter().filter_map(|d| Some(d[part]?[m])).collect(),
                ))
            };
            value.metrics =
                METRICS.iter().enumerate().filter_map(|(m, &name)| estimate(m, name)).collect();
        }
        let gap = |m: usize, name: Metric| {
            let figure = |part: &usize| whole[*part].map_or(f64::NAN, |metrics| metrics[m]);
            let order = |a: &usize, b: &usize| figure(a).total_cmp(&figure(b));
            let best = (0..parts.len()).rev().max_by(order)?;
            let worst = (0..parts.len()).filter(|part| *part != best).min_by(order)?;
            let minus = |all: &Vec<Option<[f64; 2]>>| Some(all[best]?[m] - all[worst]?[m]);
            let difference =
                Estimate::new(name, minus(&whole)?, draws.iter().filter_map(minus).collect());
            let spread = |draw: &Vec<Option<[f64; 2]>>| {
                let deviations =
                    draw.iter().zip(&whole).map(|(drawn, own)| Some((*drawn)?[m] - (*own)?[m]));
                let deviations: Option<Vec<f64>> = deviations.collect();
                let (low, high) = (f64::INFINITY, f64::NEG_INFINITY);
                let (low, high) = deviations?
                    .iter()
                    .fold((low, high), |(low, high), v| (low.min(*v), high.max(*v)));
                Some(high - low)
            };
            let chance = percentile(draws.iter().filter_map(spread).collect(), LEVEL);
            Some(Gap {
                best: parts[best].value.to_owned(),
                worst: parts[worst].value.to_owned(),
                difference,
                chance,
            })
        };
        let gaps = METRICS.iter().enumerate().filter_map(|(m, &name)| gap(m, name)).collect();
        self.evaluation.subgroups.push(Subgroups { by: division.by.to_owned(), values, gaps });
        Ok(())
    }
}

/// The images of one value.
struct Part<'a> {
    value: &'a str,
    places: &'a [usize],
    labels: Vec<usize>,
    predictions: Predictions,
}

impl Part<'_> {
    /// Those of [`METRICS`], unless `weights`, of the whole split, leave fewer than two classes
    /// here.
    fn metrics(&self, weights: &[u32]) -> Option<[f64; 2]> {
        let weights: Vec<u32> = self.places.iter().map(|&place| weights[place]).collect();
        let mut held = self
            .labels
            .iter()
            .zip(&weights)
            .filter(|&(_, &weight)| weight > 0)
            .map(|(label, _)| label);
        let first = held.next()?;
        if !held.any(|label| label != first) {
            return None;
        }
        let all = self.predictions.metrics(&weights);
        let [balanced, auc] = METRICS.map(|metric| all[metric as usize]);
        Some([balanced?, auc?])
    }
}

impl Subgroups {
    /// The report as plain text; `classes` is the number of all classes.
    pub fn table(&self, classes: usize) -> String {
        let mut out = format!("\nby {}\n", self.by);
        let width =
            self.values.iter().map(|v| named(&v.value).chars().count()).max().unwrap_or(0).max(5);
        let _ = write!(out, "{:<width$}  {:>6}  {:>6}", "value", "images", "groups");
        METRICS.iter().for_each(|metric| {
            out.push_str(&format!("  {:>17}  {:<16}", metric.title(), "95 % interval"))
        });
        out.truncate(out.trim_end().len());
        for value in &self.values {
            let _ = write!(
                out,
                "\n{:<width$}  {:>6}  {:>6}",
                named(&value.value),
                value.n,
                value.groups
            );
            match &value.too_few {
                Some(why) => out.push_str(&format!("  too few: {why}")),
                None => value.metrics.iter().for_each(|estimate| {
                    out.push_str(&format!(
                        "  {:>17.3}  {:<16}",
                        estimate.value,
                        estimate.range("")
                    ));
                }),
            }
            out.truncate(out.trim_end().len());
            if value.too_few.is_none() && value.classes < classes {
                let _ = write!(out, "  ({} of {classes} classes)", value.classes);
            }
        }
        out.push('\n');
        self.gaps.iter().for_each(|gap| out.push_str(&gap.sentence()));
        if self.gaps.is_empty() {
            out.push_str(NO_GAP);
        }
        out
    }

    /// The part of an evaluation's page on this attribute; `classes` is the number of all classes.
    pub fn blocks(&self, classes: usize) -> Vec<Block> {
        let row = |value: &Subgroup| {
            let fewer = if value.classes < classes {
                format!(", {} of {classes} classes", value.classes)
            } else {
                String::new()
            };
            let estimate = |metric: &Metric| {
                value.metrics.iter().find(|e| e.name == *metric).map(Interval::from)
            };
            let name = format!(
                "{} ({} images of {} patients{fewer})",
                named(&value.value),
                value.n,
                value.groups
            );
            (name, METRICS.iter().map(estimate).collect())
        };
        let mut blocks = vec![Block::Metrics(Metrics {
            caption: format!("By {}, with 95 % intervals", self.by),
            columns: METRICS.iter().map(|metric| metric.title().to_owned()).collect(),
            rows: self.values.iter().map(row).collect(),
            bars: Some((0.0, 1.0)),
        })];
        let too_few = |value: &Subgroup| {
            Some(format!("{} has no figures: {}. ", named(&value.value), value.too_few.as_ref()?))
        };
        let gaps: String = self.gaps.iter().map(Gap::sentence).collect();
        let gaps = if gaps.is_empty() { NO_GAP.to_owned() } else { gaps };
        blocks.push(Block::Text(self.values.iter().filter_map(too_few).chain([gaps]).collect()));
        blocks
    }
}

impl Gap {
    /// The gap and whether chance makes as large a one, in a sentence and a line feed.
    fn sentence(&self) -> String {
        let (best, worst, difference) = (named(&self.best), named(&self.worst), &self.difference);
        let end = match self.chance {
            Some(chance) => {
                let more = if difference.value > chance { "more" } else { "NOT more" };
                format!(
                    "; {more} than chance, which is up to {chance:.3} among values that are \
                     equally good"
                )
            }
            None => String::new(),
        };
        let (name, value, range) =
            (difference.name.title(), difference.value, difference.range("+"));
        format!(
            "The gap in {name}, {best} over {worst}: {value:+.3}, 95 % interval {range}{end}.\n"
        )
    }
}

const NO_GAP: &str = "There is no gap to report: fewer than two values have figures.\n";

pub(super) fn named(value: &str) -> &str {
    if value.is_empty() { "(not stated)" } else { value }
}

#[cfg(test)]
mod tests;
