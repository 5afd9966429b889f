//! A training as a page. Names are whatever somebody chose; [`crate::report`] escapes every text.

use super::outcome::Epoch;
use super::settings::TrainSettings;
use crate::calibration;
use crate::eval::{Details, Metric};
use crate::lora::Module;
use crate::report::{Block, Chart, Confusion, Line, Metrics, Report, facts_of};

/// All that the page shows.
pub struct Course<'a> {
    pub module: &'a Module,
    pub settings: &'a TrainSettings,
    pub epochs: &'a [Epoch],
    /// Counted from 1.
    pub kept_epoch: usize,
    /// Images that were trained on.
    pub training: usize,
    /// How the kept epoch does on the validation part, if there is one.
    pub validation: Option<&'a Details>,
}

impl Course<'_> {
    /// The training as one page that loads nothing.
    pub fn page(&self) -> Report {
        let card = &self.module.card;
        let fact = |name: &str, value: String| (name.to_owned(), value);
        let last = self.epochs.last();
        let mut blocks = vec![Block::Facts(vec![
            fact("Task", card.task.clone()),
            fact("Contributor", card.contributor.clone()),
            fact("Licence", card.licence.clone()),
            fact("Classes", card.classes.join(", ")),
            fact("Base", card.base_digest.clone()),
            fact("Training images", self.training.to_string()),
            fact("Kept epoch", format!("{} of {}", self.kept_epoch, self.settings.epochs)),
            fact("Calibration", calibration::words(card)),
            fact(
                "Last training loss",
                last.map_or("none".into(), |epoch| format!("{:.4}", epoch.loss)),
            ),
        ])];
        blocks.extend(self.curves());
        blocks.extend(self.held_out());
        let settings = serde_json::to_value(self.settings).expect("settings are plain data");
        blocks.extend([Block::Heading("Settings".into()), Block::Facts(facts_of(&settings))]);
        Report {
            title: format!("Training of {}", card.task),
            summary:
                "How a module came about. What it can do, only patients that it never saw can \
                      tell: packer eval."
                    .into(),
            blocks,
        }
    }

    fn curves(&self) -> Vec<Block> {
        let line = |name: &str, value: &dyn Fn(&Epoch) -> Option<f64>| Line {
            name: name.into(),
            points: self
                .epochs
                .iter()
                .filter_map(|epoch| Some((epoch.epoch as f64, value(epoch)?)))
                .collect(),
        };
        let chart = |title: &str, y_label: &str, range, mut lines: Vec<Line>| {
            lines.retain(|line| !line.points.is_empty());
            let (title, x_label, y_label) = (title.into(), "epoch".into(), y_label.into());
            (!lines.is_empty()).then_some(Chart { title, x_label, y_label, range, lines })
        };
        let losses = vec![
            line("training", &|epoch| Some(epoch.loss)),
            line("validation", &|epoch| Some(epoch.validation?.loss)),
        ];
        let accuracy = vec![line("validation", &|epoch| Some(epoch.validation?.balanced_accuracy))];
        let rates = vec![line("learning rate", &|epoch| Some(epoch.learning_rate))];
        let charts = [
            chart("Loss", "cross-entropy", None, losses),
            chart("Balanced accuracy", "balanced accuracy", Some((0.0, 1.0)), accuracy),
            chart("Learning rate at the epoch's last step", "learning rate", None, rates),
        ];
        vec![Block::Heading("Course".into()), Block::Charts(charts.into_iter().flatten().collect())]
    }

    fn held_out(&self) -> Vec<Block> {
        let heading = Block::Heading("Validation part".into());
        let Some(details) = self.validation else {
            let what = "No validation part was held out (--validation): the last epoch was kept, \
                        and nothing here says how well it does.";
            return vec![heading, Block::Note(what.into())];
        };
        let images: u64 = details.classes.iter().map(|class| class.images).sum();
        let of = |name: &Metric| {
            details.metrics.iter().find(|(own, _)| own == name).map(|(_, value)| *value)
        };
        vec![
            heading,
            Block::Text(format!(
                "The kept epoch on {images} images of training patients that were held out. It was \
                 chosen by them, so it does better here than it will \
                 elsewhere. Small figures: 95 % intervals from resamples of whole patients, where \
                 there are enough."
            )),
            Block::Metrics(Metrics {
                caption: "Metrics".into(),
                columns: Metric::ALL.iter().map(|m| m.title().to_owned()).collect(),
                rows: vec![("kept epoch".into(), Metric::ALL.iter().map(of).collect())],
                bars: Some((0.0, 1.0)),
            }),
            Block::Confusions(vec![Confusion {
                caption: "Images of each true class by the class they were taken for".into(),
                classes: self.module.card.classes.clone(),
                counts: details.confusion.clone(),
            }]),
        ]
    }
}
