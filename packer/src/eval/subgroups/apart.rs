//! Tells an evaluation's results apart by the values of an attribute.

use std::collections::{BTreeMap, BTreeSet};

use super::{Division, Gap, METRICS, Subgroup, Subgroups};
use crate::Error;
use crate::data::Dataset;
use crate::eval::bench::Results;
use crate::eval::bootstrap::{Bootstrap, LEVEL, percentile};
use crate::eval::estimate::Estimate;
use crate::eval::metrics::{Metric, Predictions};

impl Results {
    /// Adds the results by the values of `division`, which must be of the same items.
    ///
    /// # Errors
    /// As [`Predictions::new`].
    pub fn tell_apart(&mut self, data: &Dataset, division: &Division) -> Result<(), Error> {
        let split = SplitImages::of(self, data);
        let (mut values, mut told) = (Vec::new(), Vec::new());
        for (value, places) in &division.values {
            let (subgroup, images) = split.subgroup(value, places)?;
            values.push(subgroup);
            told.extend(images);
        }
        let figures = split.figures(&told);
        let reported = values.iter_mut().filter(|value| value.too_few.is_none());
        for (number, value) in reported.enumerate() {
            value.metrics = figures.estimates(number);
        }
        let names: Vec<&str> = told.iter().map(|images| images.value).collect();
        let gap = |(m, &name): (usize, &Metric)| figures.gap(m, name, &names);
        let gaps = METRICS.iter().enumerate().filter_map(gap).collect();
        self.evaluation.subgroups.push(Subgroups { by: division.by.to_owned(), values, gaps });
        Ok(())
    }
}

/// All images of the split.
struct SplitImages<'a> {
    classes: &'a [String],
    labels: Vec<usize>,
    groups: Vec<usize>,
    probabilities: &'a [f32],
    /// Or the class that allows no resamples.
    bootstrap: Result<Bootstrap, usize>,
}

impl<'a> SplitImages<'a> {
    fn of(results: &'a Results, data: &'a Dataset) -> Self {
        let labels: Vec<usize> = results.indices.iter().map(|&i| data.items[i].label).collect();
        let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
        let number = |&i: &usize| {
            let next = numbers.len();
            *numbers.entry(&data.items[i].group).or_insert(next)
        };
        let groups: Vec<usize> = results.indices.iter().map(number).collect();
        let intervals = &results.evaluation.intervals;
        let bootstrap = Bootstrap::new(&labels, &groups, intervals.resamples, intervals.seed);
        let probabilities = &results.probabilities;
        SplitImages { classes: &data.classes, labels, groups, probabilities, bootstrap }
    }

    /// The value's results without figures, and its images if they are enough for some.
    fn subgroup<'b>(
        &self,
        value: &'b str,
        places: &'b [usize],
    ) -> Result<(Subgroup, Option<SubgroupImages<'b>>), Error> {
        let own =
            |all: &[usize]| -> Vec<usize> { places.iter().map(|&place| all[place]).collect() };
        let (labels, own_groups) = (own(&self.labels), own(&self.groups));
        let count = |all: &[usize]| all.iter().collect::<BTreeSet<_>>().len();
        let (groups, classes) = (count(&own_groups), count(&labels));
        let single =
            |class: usize| format!("class {} has images of one group only", self.classes[class]);
        let alone = Bootstrap::new(&labels, &own_groups, 0, 0);
        let too_few = match (groups, classes, alone, &self.bootstrap) {
            (1, _, _, _) => Some("images of one group only".to_owned()),
            (_, 1, _, _) => Some(format!("images of class {} only", self.classes[labels[0]])),
            (_, _, Err(class), _) => Some(single(class)),
            (_, _, _, Err(class)) => Some(single(*class)),
            _ => None,
        };
        let images = if too_few.is_none() {
            let width = self.classes.len();
            let row = |&place: &usize| &self.probabilities[place * width..][..width];
            let rows: Vec<f32> = places.iter().flat_map(row).copied().collect();
            let predictions = Predictions::new(&rows, &labels, width)?;
            Some(SubgroupImages { value, places, labels, predictions })
        } else {
            None
        };
        let (value, n) = (value.to_owned(), places.len());
        Ok((Subgroup { value, n, groups, classes, metrics: Vec::new(), too_few }, images))
    }

    /// The metrics of `told` on all images and on each resample.
    fn figures(&self, told: &[SubgroupImages]) -> Figures {
        let of = |weights: &[u32]| -> Sample {
            told.iter().map(|images| images.metrics(weights)).collect()
        };
        let draws = self.bootstrap.as_ref().map_or(Vec::new(), |bootstrap| bootstrap.run(of));
        Figures { whole: of(&vec![1; self.labels.len()]), draws }
    }
}

/// The images of one value.
struct SubgroupImages<'a> {
    value: &'a str,
    /// Their places in the split.
    places: &'a [usize],
    labels: Vec<usize>,
    predictions: Predictions,
}

impl SubgroupImages<'_> {
    /// Those of [`METRICS`], unless `weights`, of the whole split, leave fewer than two classes
    /// here.
    fn metrics(&self, weights: &[u32]) -> Option<[f64; 2]> {
        let weights: Vec<u32> = self.places.iter().map(|&place| weights[place]).collect();
        let weighted = self.labels.iter().zip(&weights).filter(|&(_, &weight)| weight > 0);
        let mut labels = weighted.map(|(label, _)| label);
        let first = labels.next()?;
        if !labels.any(|label| label != first) {
            return None;
        }
        let all = self.predictions.metrics(&weights);
        let [balanced, auc] = METRICS.map(|metric| all[metric as usize]);
        Some([balanced?, auc?])
    }
}

/// The metrics of each value with figures, on one sample.
type Sample = Vec<Option<[f64; 2]>>;

struct Figures {
    whole: Sample,
    draws: Vec<Sample>,
}

impl Figures {
    /// The metrics of value `number`, with intervals.
    fn estimates(&self, number: usize) -> Vec<Estimate> {
        let estimate = |(m, &name): (usize, &Metric)| {
            let draws = self.draws.iter().filter_map(|draw| Some(draw[number]?[m])).collect();
            Some(Estimate::new(name, self.whole[number]?[m], draws))
        };
        METRICS.iter().enumerate().filter_map(estimate).collect()
    }

    /// The gap in metric `m` between the best and the worst of the values, which `names` names.
    fn gap(&self, m: usize, name: Metric, names: &[&str]) -> Option<Gap> {
        let figure = |value: &usize| self.whole[*value].map_or(f64::NAN, |metrics| metrics[m]);
        let order = |a: &usize, b: &usize| figure(a).total_cmp(&figure(b));
        let best = (0..names.len()).rev().max_by(order)?;
        let worst = (0..names.len()).filter(|value| *value != best).min_by(order)?;
        let minus = |all: &Sample| Some(all[best]?[m] - all[worst]?[m]);
        let draws = self.draws.iter().filter_map(minus).collect();
        let difference = Estimate::new(name, minus(&self.whole)?, draws);
        let spreads = self.draws.iter().filter_map(|draw| self.spread(draw, m)).collect();
        Some(Gap {
            best: names[best].to_owned(),
            worst: names[worst].to_owned(),
            difference,
            chance: percentile(spreads, LEVEL),
        })
    }

    /// The largest minus the smallest deviation of a value from its own figure in `draw`, if it
    /// holds every value.
    fn spread(&self, draw: &[Option<[f64; 2]>], m: usize) -> Option<f64> {
        let deviations = draw.iter().zip(&self.whole);
        let deviations = deviations.map(|(drawn, own)| Some((*drawn)?[m] - (*own)?[m]));
        let deviations: Option<Vec<f64>> = deviations.collect();
        let (low, high) = (f64::INFINITY, f64::NEG_INFINITY);
        let (low, high) =
            deviations?.iter().fold((low, high), |(low, high), v| (low.min(*v), high.max(*v)));
        Some(high - low)
    }
}
