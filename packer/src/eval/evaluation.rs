//! How a module did on images: its metrics and those of both floors, with intervals.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::bootstrap::{self, Bootstrap};
use super::estimate::Estimate;
use super::floor::{Floor, FloorName};
use super::metrics::{Metric, Predictions};
use super::subgroups::Subgroups;
use crate::Error;

/// What is evaluated: N images with their true classes, and the probabilities [N, classes] that the
/// module and each floor give them, row by row.
pub struct Subject<'a> {
    pub classes: &'a [String],
    pub labels: &'a [usize],
    /// The group (patient) of each image.
    pub groups: &'a [usize],
    /// From the module.
    pub module: &'a [f32],
    /// From [`floors::linear_probe`](super::floors::linear_probe).
    pub linear_probe: &'a [f32],
    /// From [`floors::colour`](super::floors::colour).
    pub colour: &'a [f32],
}

/// How a module did. Its JSON is what `packer eval --json` prints.
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

/// How the intervals were made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intervals {
    pub level: f64,
    /// Bootstrap resamples of whole groups.
    pub resamples: usize,
    pub seed: u64,
    /// Why there are no intervals, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
}

impl Evaluation {
    /// Computes every metric, with intervals from `resamples` bootstrap resamples, which `seed`
    /// determines.
    ///
    /// # Errors
    /// [`Error::Evaluation`]: probabilities that are no distribution, or lengths that do not fit
    /// together.
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
        let figures = Figures { whole, draws };
        Ok(Evaluation {
            n: labels.len(),
            groups: groups.iter().collect::<BTreeSet<_>>().len(),
            classes: classes.to_vec(),
            metrics: figures.estimates(0),
            confusion: predictions[0].confusion(&once),
            floors: vec![
                figures.floor(1, FloorName::LinearProbe),
                figures.floor(2, FloorName::Colour),
            ],
            intervals: Intervals { level: bootstrap::LEVEL, resamples, seed, missing },
            subgroups: Vec::new(),
        })
    }

    /// The module's `metric`, if the data define it.
    pub fn metric(&self, metric: Metric) -> Option<&Estimate> {
        self.metrics.iter().find(|e| e.name == metric)
    }
}

/// The metrics of the module and of both floors, in this order.
type Sample = [[Option<f64>; Metric::ALL.len()]; 3];

/// The metrics on all images, and on each resample.
struct Figures {
    whole: Sample,
    draws: Vec<Sample>,
}

impl Figures {
    /// The metrics of the module (0) or of a floor.
    fn estimates(&self, which: usize) -> Vec<Estimate> {
        let column = |m: usize| self.draws.iter().filter_map(|draw| draw[which][m]).collect();
        let metrics = Metric::ALL.iter().enumerate();
        metrics
            .filter_map(|(m, &name)| Some(Estimate::new(name, self.whole[which][m]?, column(m))))
            .collect()
    }

    /// The floor `which`, and whether the module beats it.
    fn floor(&self, which: usize, name: FloorName) -> Floor {
        let balanced = Metric::BalancedAccuracy as usize;
        let minus = |sample: &Sample| Some(sample[0][balanced]? - sample[which][balanced]?);
        let value = minus(&self.whole).expect("balanced accuracy always exists");
        let draws = self.draws.iter().filter_map(minus).collect();
        let difference = Estimate::new(Metric::BalancedAccuracy, value, draws);
        let beaten = difference.low.is_some_and(|low| low > 0.0);
        Floor { name, metrics: self.estimates(which), difference, beaten }
    }
}
