//! An evaluation as a page. Names of tasks and classes are whatever somebody chose;
//! [`crate::report`] escapes every text.

use super::details::Details;
use super::explain::Explained;
use super::metrics::BINS;
use super::{Estimate, Evaluation, Metric};
use crate::lora::Module;
use crate::report::{
    Block, Chart, Confusion, Gallery, Interval, Line, Metrics, Picture, Prediction, Report,
};

/// Bars of shares and areas under curves.
const BARS: Option<(f64, f64)> = Some((0.0, 1.0));

/// All that the page shows.
pub struct Evaluated<'a> {
    pub evaluation: &'a Evaluation,
    pub details: &'a Details,
    pub explained: &'a [Explained],
    /// Whether what was explained shows the images.
    pub with_images: bool,
    pub module: &'a Module,
    /// What was evaluated on, such as `test split of data/breast`.
    pub images: &'a str,
}

impl Evaluated<'_> {
    /// The evaluation as one page that loads nothing.
    pub fn page(&self) -> Report {
        let sections =
            [self.metrics(), self.classes(), self.subgroups(), self.calibration(), self.saliency()];
        Report {
            title: format!("Evaluation of {}", self.module.card.task),
            summary: format!(
                "{} images of {} patients that the module was measured on. Research software: \
                 nothing here is fit for diagnosis or treatment.",
                self.evaluation.n, self.evaluation.groups
            ),
            blocks: self.facts().into_iter().chain(sections.into_iter().flatten()).collect(),
        }
    }

    fn facts(&self) -> Vec<Block> {
        let (card, intervals) = (&self.module.card, &self.evaluation.intervals);
        let fact = |name: &str, value: String| (name.to_owned(), value);
        let mut blocks = vec![Block::Facts(vec![
            fact("Task", card.task.clone()),
            fact("Contributor", card.contributor.clone()),
            fact("Images", self.images.to_owned()),
            fact("Side", format!("{} pixels", card.image_size)),
            fact("Base", card.base_digest.clone()),
            fact(
                "Intervals",
                format!(
                    "95 %, from {} resamples of whole patients, seed {}",
                    intervals.resamples, intervals.seed
                ),
            ),
        ])];
        blocks.extend(
            intervals
                .missing
                .iter()
                .map(|why| Block::Note(format!("There are no intervals: {why}."))),
        );
        blocks
    }

    fn metrics(&self) -> Vec<Block> {
        let evaluation = self.evaluation;
        let row = |metrics: &[Estimate]| {
            let value =
                |name: &Metric| metrics.iter().find(|e| e.name == *name).map(Interval::from);
            Metric::ALL.iter().map(value).collect::<Vec<_>>()
        };
        let mut rows = vec![("module".to_owned(), row(&evaluation.metrics))];
        rows.extend(
            evaluation
                .floors
                .iter()
                .map(|floor| (floor.name.title().to_owned(), row(&floor.metrics))),
        );
        vec![
            Block::Heading("The module and its floors".into()),
            Block::Text(
                "Floors are what needs no module: a linear probe on the frozen base, and logistic \
                 regression on six colour statistics, both fitted \
                 on the training part."
                    .into(),
            ),
            Block::Metrics(Metrics {
                caption: "Metrics, with 95 % intervals".into(),
                columns: Metric::ALL.iter().map(|m| m.title().to_owned()).collect(),
                rows,
                bars: BARS,
            }),
            Block::Text(evaluation.floors.iter().map(|floor| floor.sentence()).collect()),
            Block::Confusions(vec![Confusion {
                caption: "Images of each true class by the class they were taken for".into(),
                classes: evaluation.classes.clone(),
                counts: evaluation.confusion.clone(),
            }]),
        ]
    }

    fn classes(&self) -> Vec<Block> {
        let classes = &self.details.classes;
        let name = |class: usize| self.evaluation.classes[class].clone();
        let rows = classes.iter().map(|of| {
            let row = format!("{} ({} images)", name(of.class), of.images);
            (row, vec![of.sensitivity, of.specificity, of.precision, of.auc])
        });
        // Of two classes each curve is the other one's, turned over.
        let first = usize::from(self.evaluation.classes.len() == 2);
        let mut lines: Vec<Line> = classes
            .iter()
            .filter(|of| of.class >= first)
            .map(|of| Line { name: name(of.class), points: of.roc.clone() })
            .collect();
        lines.push(Line { name: "chance".into(), points: vec![(0.0, 0.0), (1.0, 1.0)] });
        vec![
            Block::Heading("Each class against the rest".into()),
            Block::Metrics(Metrics {
                caption:
                    "Sensitivity, specificity and precision where the most probable class is taken"
                        .into(),
                columns: ["sensitivity", "specificity", "precision", "AUC"]
                    .map(String::from)
                    .into(),
                rows: rows.collect(),
                bars: BARS,
            }),
            Block::Charts(vec![Chart {
                title: "ROC curves, each class against the rest".into(),
                x_label: "1 \u{2212} specificity".into(),
                y_label: "sensitivity".into(),
                range: BARS,
                lines,
            }]),
        ]
    }

    fn subgroups(&self) -> Vec<Block> {
        let all = &self.evaluation.subgroups;
        if all.is_empty() {
            return vec![];
        }
        let mut blocks = vec![
            Block::Heading("Told apart by what else is known of the images".into()),
            Block::Text(
                "Which two values are furthest apart is taken from the figures themselves, so a \
                 gap's interval lies too high, the more values there are; \
                 what chance makes of equally good values does not. A gap may have many causes, \
                 such as harder images."
                    .into(),
            ),
        ];
        blocks.extend(
            all.iter().flat_map(|subgroups| subgroups.blocks(self.evaluation.classes.len())),
        );
        blocks
    }

    fn calibration(&self) -> Vec<Block> {
        let bins = &self.details.bins;
        let line = |name: &str, value: &dyn Fn(Interval) -> Option<f64>| Line {
            name: name.into(),
            points: bins
                .iter()
                .filter_map(|bin| Some((bin.confidence, value(bin.right)?)))
                .collect(),
        };
        let mut lines = vec![
            line("classified rightly", &|right| Some(right.value)),
            Line { name: "as it should be".into(), points: vec![(0.0, 0.0), (1.0, 1.0)] },
            line("lower end of its interval", &|right| Some(right.interval?.0)),
            line("upper end of its interval", &|right| Some(right.interval?.1)),
        ];
        lines.retain(|line| !line.points.is_empty());
        let rows = bins.iter().map(|bin| {
            let probability = Interval { value: bin.confidence, interval: None };
            (format!("{} images", bin.images), vec![Some(probability), Some(bin.right)])
        });
        let error = self.evaluation.metric(Metric::CalibrationError);
        let error = error.map_or(String::new(), |e| {
            format!(
                "The expected calibration error is {:.3} (95 % interval {}). ",
                e.value,
                e.range("")
            )
        });
        vec![
            Block::Heading("How far probabilities can be believed".into()),
            Block::Text(format!(
                "{error}Images are sorted by the probability of their predicted class into {BINS} \
                 bins of equal width (Guo et al. 2017); of a bin of \
                 probability p, p should be classified rightly. Few images make the error look \
                 larger than it is."
            )),
            Block::Charts(vec![Chart {
                title: "Reliability".into(),
                x_label: "mean probability of the predicted class".into(),
                y_label: "share classified rightly".into(),
                range: BARS,
                lines,
            }]),
            Block::Metrics(Metrics {
                caption: "The bins that have images".into(),
                columns: ["mean probability", "classified rightly"].map(String::from).into(),
                rows: rows.collect(),
                bars: None,
            }),
        ]
    }

    fn saliency(&self) -> Vec<Block> {
        if self.explained.is_empty() {
            return vec![];
        }
        let picture = |one: &Explained| Picture {
            png: one.shown.clone(),
            truth: Some(one.truth.clone()),
            prediction: Some(Prediction {
                class: one.predicted.clone(),
                probability: one.probability,
            }),
            source: one.image.clone(),
        };
        let (what, which) = if self.with_images {
            (
                "Each image as the base sees it, and below it what",
                "The images are patients', as --with-images asked: give this page to nobody who \
                 may not see them.",
            )
        } else {
            (
                "For some images, what",
                "No image is on this page; --with-images would put them here.",
            )
        };
        vec![
            Block::Heading("Where predictions come from".into()),
            Block::Note(format!(
                "{which} An image's name here is the first 16 hex digits of the SHA-256 of its \
                 file (sha256sum finds it again), not the file's name, which \
                 may tell a patient; images in a MedMNIST file have their part and row."
            )),
            Block::Text(format!(
                "{what} speaks for the predicted class (gradient times input, patch by patch): \
                 yellow most, no colour \
                 nothing. Wrong answers come first, those whose truth seemed least likely before \
                 others; then right ones of each class. A map shows \
                 what sways the module. It is no segmentation, says little of a class that is told \
                 by what is missing, and is no evidence that an \
                 answer is right."
            )),
            Block::Gallery(Gallery {
                caption: format!("{} images", self.explained.len()),
                pictures: self.explained.iter().map(picture).collect(),
            }),
        ]
    }
}

impl From<&Estimate> for Interval {
    fn from(estimate: &Estimate) -> Self {
        Interval { value: estimate.value, interval: estimate.low.zip(estimate.high) }
    }
}
