//! The outcome of a demonstration.

use std::time::Duration;

use super::pack::Packed;
use super::study::Study;
use crate::eval::{Estimate, Metric, Results};

/// The file that marks a demonstration's folder.
pub const MARKER: &str = "report.html";

/// The studies, results and bundle of a demonstration.
pub struct Demo {
    pub(super) studies: Vec<Study>,
    /// `results[module][hospital]` on held-out patients.
    pub(super) results: Vec<Vec<Results>>,
    pub(super) packed: Packed,
    /// Each stage and its time.
    pub(super) stages: Vec<(&'static str, Duration)>,
}

impl Demo {
    /// The results for the terminal, one line for each module.
    pub fn table(&self) -> String {
        let line = |(own, study): (usize, &Study)| {
            let evaluation = &self.results[own][own].evaluation;
            let floors = evaluation.floors.iter().map(|floor| {
                let value = balanced(&floor.metrics).map_or(f64::NAN, |e| e.value);
                format!(", {} {value:.3}", floor.name.title())
            });
            let module = balanced(&evaluation.metrics);
            let range = module
                .and_then(|e| Some(format!(" ({:.3} to {:.3})", e.low?, e.high?)))
                .unwrap_or_default();
            let value = module.map_or(f64::NAN, |e| e.value);
            let floors: String = floors.collect();
            format!("{}: balanced accuracy {value:.3}{range}{floors}\n", study.module.card.task)
        };
        self.studies.iter().enumerate().map(line).collect()
    }
}

/// Balanced accuracy among `metrics`.
pub(super) fn balanced(metrics: &[Estimate]) -> Option<&Estimate> {
    metrics.iter().find(|e| e.name == Metric::BalancedAccuracy)
}
