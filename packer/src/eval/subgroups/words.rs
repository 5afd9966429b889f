//! Results by an attribute, as plain text and as blocks of a page.

use std::fmt::Write;

use super::{Gap, METRICS, Subgroup, Subgroups, named};
use crate::eval::metrics::Metric;
use crate::report::{Block, Interval, Metrics};

impl Subgroups {
    /// The results as plain text; `classes` is the number of all classes.
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

    /// The results as blocks of a page; `classes` is the number of all classes.
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
    /// The gap, and whether chance makes one as large: a sentence and a line feed.
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

pub(super) const NO_GAP: &str = "There is no gap to report: fewer than two values have figures.\n";
