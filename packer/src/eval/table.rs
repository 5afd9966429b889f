//! An evaluation as plain text.

use std::fmt::Write;

use super::evaluation::Evaluation;

impl Evaluation {
    /// The evaluation as tables and sentences, for a terminal.
    pub fn table(&self) -> String {
        let mut out = self.sample();
        out += &self.metrics_table();
        out += &self.confusion_table();
        out.push('\n');
        self.floors.iter().for_each(|floor| out.push_str(&floor.sentence()));
        self.subgroups
            .iter()
            .for_each(|subgroups| out.push_str(&subgroups.table(self.classes.len())));
        out
    }

    /// On how much it was measured, and how the intervals were made.
    fn sample(&self) -> String {
        let (images, groups, classes) = (self.n, self.groups, self.classes.len());
        let intervals = match &self.intervals.missing {
            None => format!(
                "95 % intervals from {} bootstrap resamples of whole groups",
                self.intervals.resamples
            ),
            Some(why) => format!("no intervals: {why}"),
        };
        format!("{images} images of {groups} groups, {classes} classes; {intervals}\n\n")
    }

    /// Each metric of the module with its interval, and beside it those of the floors.
    fn metrics_table(&self) -> String {
        let mut out = format!("{:<19}{:>7}  {:<16}", "metric", "module", "95 % interval");
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
                let value = same.map_or(String::new(), |e| format!("{:.3}", e.value));
                let _ = write!(out, "{value:>14}");
            }
            out.push('\n');
        }
        out
    }

    fn confusion_table(&self) -> String {
        let mut out = "\nconfusion (row: true class, column: predicted)\n".to_owned();
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
        out
    }
}
