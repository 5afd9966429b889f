//! An evaluation as a page. Names of tasks and classes are whatever somebody chose;
//! [`crate::report`] escapes every text.

use super::details::Details;
use super::estimate::Estimate;
use super::evaluation::Evaluation;
use super::explain::Explained;
use super::metrics::Metric;
use crate::lora::Module;
use crate::report::{Block, Chart, Confusion, Interval, Line, Metrics, Report};

mod calibration;
mod saliency;

/// The range of fractions and of areas under curves.
const BARS: Option<(f64, f64)> = Some((0.0, 1.0));

/// All that the page shows.
pub struct Evaluated<'a> {
    pub evaluation: &'a Evaluation,
    pub details: &'a Details,
    pub explained: &'a [Explained],
    /// Whether the explained images are shown themselves.
    pub with_images: bool,
    pub module: &'a Module,
    /// What was evaluated on, such as `test split of data/breast`.
    pub images: &'a str,
}

impl Evaluated<'_> {
    /// The evaluation as one page that loads nothing.
    pub fn page(&self) -> Report {
        let sections = [
            self.metrics(),
            self.classes(),
            self.subgroups(),
            calibration::section(self.evaluation, &self.details.bins),
            saliency::section(self.explained, self.with_images),
        ];
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
                 regression on six colour statistics. Both are fitted on the training part."
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
                "The figures themselves say which two values are furthest apart, so a gap's \
                 interval lies too high, the more so the more values there are. The gap that \
                 chance makes of equally good values has no such fault. A gap may have \
                 many causes, such as harder images."
                    .into(),
            ),
        ];
        blocks.extend(
            all.iter().flat_map(|subgroups| subgroups.blocks(self.evaluation.classes.len())),
        );
        blocks
    }
}
