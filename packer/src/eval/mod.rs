//! Evaluation of a module on images it never saw: metrics with 95 % intervals, the confusion
//! matrix, two floors beside them, and results told apart by what else is known of the images.
//!
//! Refuses predictions that are no probabilities; says so where the data allow no interval.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use crate::Error;

mod bench;
pub mod bootstrap;
mod details;
mod explain;
pub mod floors;
pub mod measured;
pub mod metrics;
mod page;
mod subgroups;

pub use bench::{Bench, Results, check_classes};
use bootstrap::{Bootstrap, interval};
pub use details::Details;
pub use explain::{Explained, GREY};
pub use metrics::Metric;
use metrics::Predictions;
pub use page::Evaluated;
pub use subgroups::{Division, Gap, Subgroup, Subgroups};

/// What is evaluated: N images, their truth, and the probabilities [N, classes] that the module and
/// each floor gives them, row by row.
pub struct Subject<'a> {
    pub classes: &'a [String],
    pub labels: &'a [usize],
    /// The group (patient) of each image.
    pub groups: &'a [usize],
    pub module: &'a [f32],
    /// From [`floors::linear_probe`].
    pub linear_probe: &'a [f32],
    /// From [`floors::colour`].
    pub colour: &'a [f32],
}

/// How a module did. Serialises as what `packer eval --json` prints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evaluation {
    /// Images.
    pub n: usize,
    pub groups: usize,
    pub classes: Vec<String>,
    pub metrics: Vec<Estimate>,
    /// Images of each true class (row) that were taken for each class (column).
    pub confusion: Vec<Vec<u64>>,
    pub floors: Vec<Floor>,
    pub intervals: Intervals,
    /// Results told apart by attributes, where that was asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subgroups: Vec<Subgroups>,
}

/// A metric with its interval. Without `low` and `high` where the data allow none.
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

/// What a classifier without trained features reaches on the same images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Floor {
    pub name: FloorName,
    pub metrics: Vec<Estimate>,
    /// Balanced accuracy of the module minus that of the floor, compared on the same resamples.
    pub difference: Estimate,
    /// Whether the whole interval of the difference lies above zero.
    pub beaten: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FloorName {
    LinearProbe,
    Colour,
}

impl FloorName {
    /// Its words for people.
    pub fn title(self) -> &'static str {
        match self {
            FloorName::LinearProbe => "linear probe",
            FloorName::Colour => "colour alone",
        }
    }

    fn meaning(self) -> &'static str {
        match self {
            FloorName::LinearProbe => "the linear probe on the frozen base",
            FloorName::Colour => "logistic regression on colour alone",
        }
    }

    /// What it means when this floor is not beaten.
    fn warning(self) -> &'static str {
        match self {
            FloorName::LinearProbe => "the module adds nothing shown here to the base",
            FloorName::Colour => "what it does may be a stain or scanner shortcut",
        }
    }
}

/// How the intervals came about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intervals {
    pub level: f64,
    /// Bootstrap resamples of whole groups.
    pub resamples: usize,
    pub seed: u64,
    /// Why there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
}

impl Evaluation {
    /// Computes every metric and `resamples` bootstrap resamples of it from `seed`.
    ///
    /// # Errors
    /// Probabilities that are no distribution, or lengths that do not fit together.
    pub fn new(subject: &Subject, resamples: usize, seed: u64) -> Result<Self, Error> {
        let Subject { classes, labels, groups, .. } = *subject;
        if groups.len() != labels.len() {
            return Err(Error::Evaluation {
                what: format!("{} groups do not fit {} images", groups.len(), labels.len()),
            });
        }
        let read = |probabilities| Predictions::new(probabilities, labels, classes.len());
        let predictions =
            [read(subject.module)?, read(subject.linear_probe)?, read(subject.colour)?];
        let once = vec![1; labels.len()];
        let whole = predictions.each_ref().map(|p| p.metrics(&once));
        let (draws, missing) = match Bootstrap::new(labels, groups, resamples, seed) {
            Ok(bootstrap) => {
                (bootstrap.run(|weights| predictions.each_ref().map(|p| p.metrics(weights))), None)
            }
            Err(class) => {
                (vec![], Some(format!("class {} has images of one group only", classes[class])))
            }
        };
        let estimates = |which: usize| -> Vec<Estimate> {
            let column = |m: usize| draws.iter().filter_map(|d| d[which][m]).collect();
            let metrics = Metric::ALL.iter().enumerate();
            metrics
                .filter_map(|(m, &name)| Some(Estimate::new(name, whole[which][m]?, column(m))))
                .collect()
        };
        let floor = |which: usize, name: FloorName| {
            let balanced =
                Metric::ALL.iter().position(|&m| m == Metric::BalancedAccuracy).expect("a metric");
            let minus = |sample: &[[Option<f64>; 7]; 3]| {
                Some(sample[0][balanced]? - sample[which][balanced]?)
            };
            let value = minus(&whole).expect("balanced accuracy always exists");
            let difference = Estimate::new(
                Metric::BalancedAccuracy,
                value,
                draws.iter().filter_map(minus).collect(),
            );
            let beaten = difference.low.is_some_and(|low| low > 0.0);
            Floor { name, metrics: estimates(which), difference, beaten }
        };
        let distinct: std::collections::BTreeSet<&usize> = groups.iter().collect();
        Ok(Evaluation {
            n: labels.len(),
            groups: distinct.len(),
            classes: classes.to_vec(),
            metrics: estimates(0),
            confusion: predictions[0].confusion(&once),
            floors: vec![floor(1, FloorName::LinearProbe), floor(2, FloorName::Colour)],
            intervals: Intervals { level: bootstrap::LEVEL, resamples, seed, missing },
            subgroups: Vec::new(),
        })
    }

    /// The module's `metric`, if the data define it.
    pub fn metric(&self, metric: Metric) -> Option<&Estimate> {
        self.metrics.iter().find(|e| e.name == metric)
    }

    /// The report as plain text.
    pub fn table(&self) -> String {
        let mut out = String::new();
        let _ = write!(
            out,
            "{} images of {} groups, {} classes; ",
            self.n,
            self.groups,
            self.classes.len()
        );
        let _ = match &self.intervals.missing {
            None => {
                writeln!(
                    out,
                    "95 % intervals from {} bootstrap resamples of whole groups\n",
                    self.intervals.resamples
                )
            }
            Some(why) => writeln!(out, "no intervals: {why}\n"),
        };
        let _ = write!(out, "{:<19}{:>7}  {:<16}", "metric", "module", "95 % interval");
        self.floors.iter().for_each(|floor| out.push_str(&format!("{:>14}", floor.name.title())));
        out.push('\n');
        for estimate in &self.metrics {
            let _ = write!(
                out,
                "{:<19}{:>7.3}  {:<16}",
                estimate.name.title(),
                estimate.value,
                estimate.range("")
            );
            for floor in &self.floors {
                let same = floor.metrics.iter().find(|e| e.name == estimate.name);
                let _ = write!(
                    out,
                    "{:>14}",
                    same.map_or(String::new(), |e| format!("{:.3}", e.value))
                );
            }
            out.push('\n');
        }
        out.push_str("\nconfusion (row: true class, column: predicted)\n");
        let counts = self.confusion.iter().flatten().map(|n| n.to_string().len());
        let width =
            self.classes.iter().map(|c| c.chars().count()).chain(counts).max().unwrap_or(0) + 2;
        let mut line = |head: &str, cells: Vec<String>| {
            let _ = write!(out, "{head:<width$}");
            cells.iter().for_each(|cell| out.push_str(&format!("{cell:>width$}")));
            out.push('\n');
        };
        line("", self.classes.clone());
        for (class, row) in self.classes.iter().zip(&self.confusion) {
            line(class, row.iter().map(u64::to_string).collect());
        }
        out.push('\n');
        self.floors.iter().for_each(|floor| out.push_str(&floor.sentence()));
        self.subgroups
            .iter()
            .for_each(|subgroups| out.push_str(&subgroups.table(self.classes.len())));
        out
    }
}

impl Estimate {
    /// With the interval of `draws`, which is widened to hold the estimate where resamples all lie
    /// to one side of it, as those of a calibration error do.
    pub(crate) fn new(name: Metric, value: f64, draws: Vec<f64>) -> Self {
        let range = interval(draws).map(|(low, high)| (low.min(value), high.max(value)));
        Estimate { name, value, low: range.map(|r| r.0), high: range.map(|r| r.1) }
    }

    pub(crate) fn range(&self, sign: &str) -> String {
        match (self.low, self.high) {
            (Some(low), Some(high)) if sign == "+" => format!("{low:+.3} to {high:+.3}"),
            (Some(low), Some(high)) => format!("{low:.3} to {high:.3}"),
            _ => "none".to_owned(),
        }
    }
}

impl Floor {
    /// Whether the module beats this floor, in a sentence and a line feed.
    pub fn sentence(&self) -> String {
        let meaning = self.name.meaning();
        let difference = format!(
            "balanced accuracy {:+.3}, 95 % interval {}",
            self.difference.value,
            self.difference.range("+")
        );
        let worse = self.difference.high.is_some_and(|high| high < 0.0);
        match (self.beaten, worse) {
            (true, _) => format!("The module beats {meaning} ({difference}).\n"),
            (_, true) => format!("The module is WORSE than {meaning} ({difference}).\n"),
            _ => format!(
                "The module is NOT shown to beat {meaning} ({difference}): {}.\n",
                self.name.warning()
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two classes, two images a group; `skill` images of ten are right.
    fn guesses(skill: usize, shift: usize) -> Vec<f32> {
        (0..200)
            .flat_map(|i| {
                if ((i + shift) % 10 < skill) == (i % 2 == 1) { [0.2, 0.8] } else { [0.8, 0.2] }
            })
            .collect()
    }

    fn evaluation_of(module: &[f32], groups: &[usize]) -> Evaluation {
        let classes = ["benign".to_owned(), "malignant".to_owned()];
        let labels: Vec<usize> = (0..200).map(|i| i % 2).collect();
        let (probe, colour) = (guesses(7, 0), guesses(9, 3));
        let subject = Subject {
            classes: &classes,
            labels: &labels,
            groups,
            module,
            linear_probe: &probe,
            colour: &colour,
        };
        Evaluation::new(&subject, 500, 0).unwrap()
    }

    fn pairs() -> Vec<usize> {
        (0..200).map(|i| i / 2).collect()
    }

    #[test]
    fn a_floor_counts_as_beaten_only_when_the_whole_interval_says_so() {
        let evaluation = evaluation_of(&guesses(9, 0), &pairs());
        assert!((evaluation.metric(Metric::Accuracy).unwrap().value - 0.9).abs() < 1e-12);
        let [probe, colour] = &evaluation.floors[..] else { panic!("two floors") };
        assert!(probe.beaten && probe.difference.low > Some(0.0));
        assert!(
            !colour.beaten && colour.difference.value == 0.0 && colour.difference.low < Some(0.0)
        );
        let table = evaluation.table();
        assert!(table.contains("The module beats the linear probe"), "{table}");
        assert!(
            table.contains("The module is NOT shown to beat logistic regression on colour alone"),
            "{table}"
        );
        let worse = evaluation_of(&guesses(5, 0), &pairs()).table();
        assert!(
            worse.contains("The module is WORSE than logistic regression on colour alone"),
            "{worse}"
        );
        for estimate in &evaluation.metrics {
            assert!(
                estimate.low.unwrap() <= estimate.value && estimate.value <= estimate.high.unwrap(),
                "{estimate:?}"
            );
        }
    }

    /// Resampling pairs the two: against itself, a classifier has no difference at all.
    #[test]
    fn a_module_equal_to_a_floor_differs_by_nothing() {
        let floor = &evaluation_of(&guesses(9, 3), &pairs()).floors[1];
        assert_eq!(
            (floor.difference.value, floor.difference.low, floor.difference.high, floor.beaten),
            (0.0, Some(0.0), Some(0.0), false)
        );
    }

    #[test]
    fn groups_that_allow_no_interval_are_named() {
        let groups: Vec<usize> = (0..200).map(|i| if i % 2 == 0 { i / 4 } else { 999 }).collect();
        let evaluation = evaluation_of(&guesses(9, 0), &groups);
        assert_eq!(
            evaluation.intervals.missing.as_deref(),
            Some("class malignant has images of one group only")
        );
        assert!(
            evaluation.metrics.iter().all(|e| e.low.is_none())
                && evaluation.floors.iter().all(|f| !f.beaten)
        );
        assert!(evaluation.table().contains("no intervals: class malignant"));
    }

    #[test]
    fn the_json_form_reads_back() {
        let evaluation = evaluation_of(&guesses(8, 1), &pairs());
        let text = serde_json::to_string(&evaluation).unwrap();
        assert!(
            text.contains(r#"{"name":"balanced_accuracy","value":"#)
                && text.contains(r#""name":"linear_probe""#),
            "{text}"
        );
        assert_eq!(serde_json::from_str::<Evaluation>(&text).unwrap(), evaluation);
    }
}
