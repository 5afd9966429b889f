//! A comparison as a page. Names of tasks and contributors may hold any text, so
//! [`crate::report`] escapes it.

use std::collections::BTreeMap;

use super::table::{NO_DATA, SEARCHED, SPENT};
use super::{Comparison, OWN_MODULES, Outcome, Scores};
use crate::eval::Estimate;
use crate::report::{Block, Interval, Metrics, Report};

/// Bars of accuracies and areas under curves.
const BARS: Option<(f64, f64)> = Some((0.0, 1.0));

/// A column of a table: its title, and the score that it shows.
type Column = (&'static str, fn(&Scores) -> Option<&Estimate>);

const COLUMNS: [Column; 4] = [
    ("balanced accuracy, task given", |scores| Some(&scores.balanced_accuracy)),
    ("AUC, task given", |scores| scores.auc.as_ref()),
    ("balanced accuracy, task unknown", |scores| scores.task_unknown.as_ref()),
    ("balanced accuracy, task unknown, --routing", |scores| scores.task_unknown_routing.as_ref()),
];

impl Comparison {
    /// The comparison as one page that loads nothing.
    pub fn page(&self) -> Report {
        let mut blocks = vec![Block::Facts(self.facts()), Block::Heading("Real images".into())];
        if self.tests.is_empty() {
            blocks.push(Block::Note(NO_DATA.into()))
        } else {
            blocks.extend([Block::Note(SPENT.into()), Block::Text(self.intervals())])
        }
        for (caption, rows) in self.sections() {
            let values =
                |scores: &Scores| COLUMNS.map(|(_, of)| of(scores).map(Interval::from)).into();
            let rows = rows.into_iter().map(|(name, scores)| (name.to_owned(), values(scores)));
            let columns = COLUMNS.map(|(name, _)| name.to_owned()).into();
            blocks.push(Block::Metrics(Metrics {
                caption,
                columns,
                rows: rows.collect(),
                bars: BARS,
            }));
        }
        blocks.extend([Block::Heading("Condensed sets".into()), Block::Note(SEARCHED.into())]);
        blocks.extend(self.condensed());
        Report {
            title: format!("Methods of merging, compared on v{}", self.item),
            summary: format!(
                "Each method on the same {} members. \"{OWN_MODULES}\" is the reference: the \
                 module that the task's contributor model, on its \
                 own task.",
                self.members.len()
            ),
            blocks,
        }
    }

    fn facts(&self) -> Vec<(String, String)> {
        let fact = |name: &str, value: String| (name.to_owned(), value);
        let mut facts = vec![
            fact("This item", format!("v{}, {}", self.item, self.id)),
            fact("Made by", self.made_by.clone()),
            fact("Base", self.base_digest.clone()),
        ];
        facts.extend(self.members.iter().map(|member| fact("Member", member.clone())));
        facts.push(fact("Seed", self.seed.to_string()));
        facts
    }

    fn condensed(&self) -> Vec<Block> {
        let one = |value| Some(Interval { value, interval: None });
        let (mut accuracies, mut losses, mut refused) = (Vec::new(), Vec::new(), Vec::new());
        let mut networks: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
        for row in &self.rows {
            match &row.outcome {
                Outcome::Figures(figures) => {
                    accuracies
                        .push((row.name.clone(), vec![one(figures.condensed.balanced_accuracy)]));
                    losses.push((row.name.clone(), vec![one(figures.condensed.cross_entropy)]));
                    networks.entry(figures.networks).or_default().push(&row.name);
                }
                Outcome::Refused(why) => refused.push((row.name.clone(), why.clone())),
            }
        }
        let most = losses
            .iter()
            .filter_map(|(_, values)| values[0])
            .map(|loss| loss.value)
            .fold(0.0, f64::max);
        let table = |caption: &str, column: &str, rows, bars| {
            Block::Metrics(Metrics {
                caption: caption.into(),
                columns: vec![column.into()],
                rows,
                bars,
            })
        };
        let mut blocks = vec![
            table("Means over tasks, the task given", "balanced accuracy", accuracies, BARS),
            table(
                "Means over tasks, the task given; less is better",
                "cross-entropy",
                losses,
                Some((0.0, most.max(f64::MIN_POSITIVE))),
            ),
            Block::Heading("Networks that a device runs for one image, the task given".into()),
            Block::Facts(
                networks
                    .into_iter()
                    .map(|(count, names)| (count.to_string(), names.join(", ")))
                    .collect(),
            ),
        ];
        if !refused.is_empty() {
            blocks.extend([
                Block::Heading("Methods that these members do not allow".into()),
                Block::Facts(refused),
            ]);
        }
        blocks
    }
}
