//! What `packer train --dry-run` says, as JSON and in words.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;

use crate::cli::config::Effective;
use crate::cli::cut::{LEAST_CUT, cut_words, passes};
use crate::cli::input::mebibytes;
use crate::train::{Plan, TrainSettings};

/// Steps that are timed, after one that is not.
pub const TIMED: usize = 2;

/// A training that was thought through.
#[derive(Serialize)]
pub struct Report<'a> {
    /// By part: training, validation, test.
    pub images: Vec<PartImages<'a>>,
    pub trained: TrainedValues,
    pub steps: usize,
    #[serde(flatten)]
    pub plan: Plan,
    pub memory_total: u64,
    pub memory_bound: Option<u64>,
    /// The shortest and the longest of the timed steps.
    pub step_seconds: [f64; 2],
    pub training_seconds: [f64; 2],
    /// The share of the training images' area that the crop leaves away.
    pub share_cut: Option<f64>,
    pub options: &'a [Effective],
}

/// Images of one part.
#[derive(Serialize)]
pub struct PartImages<'a> {
    pub name: &'static str,
    pub images: usize,
    pub groups: usize,
    /// How many images each class has.
    pub classes: BTreeMap<&'a str, usize>,
}

/// How many values are trained: in all, of the head, and at each site or of each tensor of the
/// base.
#[derive(Serialize)]
pub struct TrainedValues {
    pub total: usize,
    pub head: usize,
    pub sites: BTreeMap<String, usize>,
}

impl Report<'_> {
    /// The report in words.
    pub fn words(&self, settings: &TrainSettings) -> String {
        let mut out = String::new();
        self.images_and_fit(&mut out);
        self.values(&mut out);
        let (epochs, batch) = (settings.epochs, settings.batch);
        let passes = passes(self.plan.cut, batch);
        let _ = writeln!(out, "steps       {} in {epochs} epochs; {passes}", self.steps);
        self.memory(&mut out);
        let ([low, high], [from, to]) = (self.step_seconds, self.training_seconds);
        let _ = writeln!(
            out,
            "time        {from:.0} to {to:.0} s of training, by {TIMED} steps of {low:.3} to \
             {high:.3} s; reading images and \
             validation come on top"
        );
        let _ = writeln!(out, "settings");
        for option in self.options {
            let (name, values, from) = (&option.name, option.values.join(" "), &option.from);
            let _ = writeln!(out, "            --{name} {values} ({from})");
        }
        out
    }

    fn images_and_fit(&self, out: &mut String) {
        for part in self.images.iter().filter(|part| part.images > 0) {
            let classes: Vec<String> =
                part.classes.iter().map(|(class, images)| format!("{class} {images}")).collect();
            let (name, images, groups) = (part.name, part.images, part.groups);
            let _ = writeln!(
                out,
                "{name:<11} {images} images of {groups} groups: {}",
                classes.join(", ")
            );
        }
        if let Some(cut) = self.share_cut.filter(|cut| *cut >= LEAST_CUT) {
            let _ = writeln!(out, "{:<11} {}", "fit", cut_words(cut));
        }
    }

    fn values(&self, out: &mut String) {
        let TrainedValues { total, head, sites } = &self.trained;
        let _ = writeln!(
            out,
            "trained     {total} values: {head} of the head, {} at {} sites",
            total - head,
            sites.len()
        );
        for (site, values) in sites {
            let _ = writeln!(out, "            {site} {values}");
        }
    }

    fn memory(&self, out: &mut String) {
        let memory = &self.plan.memory;
        let bound =
            self.memory_bound.map_or(String::new(), |bound| format!(" of {}", mebibytes(bound)));
        let _ = writeln!(
            out,
            "memory      about {}{bound}: weights {}, activations {}, optimiser {}, images {}, \
             checkpoint {}, program {}",
            mebibytes(memory.total()),
            mebibytes(memory.weights),
            mebibytes(memory.activations),
            mebibytes(memory.optimiser),
            mebibytes(memory.images),
            mebibytes(memory.checkpoint),
            mebibytes(memory.program)
        );
    }
}
