//! A comparison as plain text, with the sentences that explain its figures.

use std::fmt::Write;

use super::{Comparison, Outcome, Row, Scores};
use crate::eval::Estimate;

/// Said of the figures on condensed sets.
pub const SEARCHED: &str = "Condensed sets are few images, and not unseen ones: fusion and mixture \
                            searched their weights on them, refitted heads \
                            were fitted on them, routing took its prototypes from them, and \
                            modules were trained on images that they stand for. \
                            These figures flatter such methods.";
/// Said of the figures on real images.
pub const SPENT: &str = "No method is recommended here: choosing one by these figures spends the \
                         test split. Measure the chosen one on images that \
                         took no part in the choice.";
/// Said where there are no real images.
pub const NO_DATA: &str = "Nothing was measured on real images; --data TASK=DIR names some that no \
                           module was trained on.";

impl Comparison {
    /// The comparison as plain text.
    pub fn table(&self) -> String {
        let width = self.rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0);
        let mut out = format!(
            "{}\n\nOn the members' condensed sets, means over tasks, the task given\n",
            self.title()
        );
        let _ = writeln!(
            out,
            "{:<width$}{:>10}{:>15}{:>19}",
            "method", "networks", "cross-entropy", "balanced accuracy"
        );
        for Row { name, outcome, .. } in &self.rows {
            let _ = match outcome {
                Outcome::Figures(figures) => {
                    let (networks, on) = (figures.networks, figures.condensed);
                    let (loss, accuracy) = (on.cross_entropy, on.balanced_accuracy);
                    writeln!(out, "{name:<width$}{networks:>10}{loss:>15.3}{accuracy:>19.3}")
                }
                Outcome::Refused(why) => writeln!(out, "{name:<width$}  {why}"),
            };
        }
        let _ = writeln!(out, "{SEARCHED}");
        if self.tests.is_empty() {
            let _ = writeln!(out, "\n{NO_DATA}");
            return out;
        }
        for (title, rows) in self.sections() {
            let _ = writeln!(out, "\n{title}");
            let columns = ["balanced accuracy", "AUC", "task unknown", "unknown, with --routing"]
                .map(|column| format!("  {column:<23}"))
                .concat();
            let _ = writeln!(out, "{:<width$}{}", "method", columns.trim_end());
            for (name, scores) in rows {
                let _ = write!(out, "{name:<width$}");
                let [auc, open, routed] =
                    [&scores.auc, &scores.task_unknown, &scores.task_unknown_routing]
                        .map(Option::as_ref);
                let cells = [Some(&scores.balanced_accuracy), auc, open, routed]
                    .map(|estimate| format!("  {:<23}", estimate.map_or("-".into(), in_words)))
                    .concat();
                let _ = writeln!(out, "{}", cells.trim_end());
            }
        }
        let _ = writeln!(out, "{}\n{SPENT}", self.intervals());
        out
    }

    /// The item that was compared.
    pub(super) fn title(&self) -> String {
        let (item, made_by, members) = (self.item, &self.made_by, self.members.join(", "));
        format!("v{item}, made by {made_by}, of {members}")
    }

    /// The sections on real images: a title, and the scores by row. Means come first if there are
    /// several tasks.
    pub(super) fn sections(&self) -> Vec<(String, Vec<(&str, &Scores)>)> {
        let mut sections = Vec::new();
        if self.tests.len() > 1 {
            let title = format!("On real images, means over {} tasks", self.tests.len());
            let rows = self
                .rows
                .iter()
                .filter_map(|row| Some((row.name.as_str(), row.figures()?.mean.as_ref()?)));
            sections.push((title, rows.collect()));
        }
        for test in &self.tests {
            let (task, images, groups) = (&test.task, test.images, test.groups);
            let without = test
                .no_intervals
                .as_ref()
                .map_or(String::new(), |why| format!("; no intervals: {why}"));
            let title = format!("On {images} real images of {groups} groups for {task}{without}");
            let rows = self
                .rows
                .iter()
                .filter_map(|row| Some((row.name.as_str(), row.figures()?.real.get(task)?)));
            sections.push((title, rows.collect()));
        }
        sections
    }

    /// Explains the intervals.
    pub(super) fn intervals(&self) -> String {
        format!(
            "95 % intervals from {} bootstrap resamples of whole groups. With the task unknown, an \
             image that is taken for another task counts \
             as wrong; --routing lets the base tell the task, where else the class decides that is \
             most probable of all tasks' classes. \"{}\" needs the task and is what its \
             contributor alone has.",
            self.resamples,
            super::OWN_MODULES
        )
    }
}

fn in_words(estimate: &Estimate) -> String {
    match estimate.low {
        Some(_) => format!("{:.3} ({})", estimate.value, estimate.range("")),
        None => format!("{:.3}", estimate.value),
    }
}
