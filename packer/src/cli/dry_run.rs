//! `packer train --dry-run`: what a training would do, and in how much memory and time, without
//! doing it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::time::Instant;

use serde::Serialize;

use super::config::Effective;
use super::cut::{LEAST_CUT, cut_words, passes};
use super::device::{Opened, on_device};
use super::input::mebibytes;
use crate::base::Vit;
use crate::data::{Dataset, Split};
use crate::device::Device;
use crate::random::{Purpose, Stream};
use crate::train::{Counts, Plan, Stepper, TrainSettings};
use crate::{Error, interrupt, output};

/// A training, ready to begin.
pub struct DryRun<'a> {
    pub vit: &'a Vit,
    pub data: &'a Dataset,
    /// Indices of the images to train on and to validate on.
    pub parts: [&'a [usize]; 2],
    pub settings: &'a TrainSettings,
    pub counts: Counts,
    pub plan: Plan,
    pub bound: Option<u64>,
    pub options: Vec<Effective>,
    /// The share of the training images' area that the crop leaves away; none where no header says
    /// how large images are.
    pub cut: Option<f64>,
}

#[derive(Serialize)]
struct Report<'a> {
    /// By part: training, validation, test.
    images: Vec<Part<'a>>,
    trained: Trained,
    steps: usize,
    #[serde(flatten)]
    plan: Plan,
    memory_total: u64,
    memory_bound: Option<u64>,
    step_seconds: [f64; 2],
    training_seconds: [f64; 2],
    /// The share of the training images' area that the crop leaves away.
    share_cut: Option<f64>,
    options: &'a [Effective],
}

/// Images of one part.
#[derive(Serialize)]
struct Part<'a> {
    name: &'static str,
    images: usize,
    groups: usize,
    classes: BTreeMap<&'a str, usize>,
}

/// How many values are trained: in all, of the head, and at each site or of each tensor of the
/// base.
#[derive(Serialize)]
struct Trained {
    total: usize,
    head: usize,
    sites: BTreeMap<String, usize>,
}

/// Steps that are timed, after one that is not.
const TIMED: usize = 2;

impl DryRun<'_> {
    /// Prints the plan, in words or as JSON.
    pub fn run(&self, device: &Opened, json: bool) -> Result<(), Error> {
        let per_epoch = self.counts.training.div_ceil(self.settings.batch);
        let (step_seconds, trained) = on_device!(device, device => self.time(device)?);
        let images = (self.counts.training * self.settings.epochs) as f64;
        let full = self.settings.batch.min(self.counts.training) as f64;
        let [training, validation] = self.parts;
        let report = Report {
            images: vec![
                self.part("training", training),
                self.part("validation", validation),
                self.part("test", &self.data.indices(Split::Test)),
            ],
            trained,
            steps: per_epoch * self.settings.epochs,
            plan: self.plan,
            memory_total: self.plan.memory.total(),
            memory_bound: self.bound,
            step_seconds,
            training_seconds: step_seconds.map(|seconds| seconds * images / full),
            share_cut: self.cut,
            options: &self.options,
        };
        if json {
            output::print(&format!(
                "{}\n",
                serde_json::to_string_pretty(&report).expect("plain data")
            ))
        } else {
            output::print(&self.words(&report))
        }
    }

    /// The shortest and the longest of a few full steps on random pixels, in seconds; and what they
    /// train.
    fn time<D: Device + 'static>(&self, device: &D) -> Result<([f64; 2], Trained), Error> {
        let batch = self.settings.batch.min(self.counts.training);
        let mut stream = Stream::at(self.settings.seed, Purpose::Initial, u64::MAX, 0);
        let each = 3 * self.settings.size * self.settings.size;
        let pixels: Vec<f32> = (0..batch * each).map(|_| stream.range(-1.0, 1.0) as f32).collect();
        let labels: Vec<u32> = (0..batch).map(|i| (i % self.counts.classes) as u32).collect();
        let mut stepper = Stepper::new(device, self.vit, self.counts.classes, self.settings)?;
        if self.bound.is_some() {
            stepper.cut(self.plan.cut);
        }
        let mut seconds = [f64::INFINITY, 0.0f64];
        for step in 0..=TIMED {
            interrupt::check()?;
            let begun = Instant::now();
            stepper.step(&pixels, &labels, self.settings.learning_rate, step as u64 + 1)?;
            let taken = begun.elapsed().as_secs_f64();
            if step > 0 {
                seconds = [seconds[0].min(taken), seconds[1].max(taken)];
            }
        }
        let mut sites = BTreeMap::new();
        let (mut total, mut head) = (0, 0);
        for (name, values) in stepper.parameters().lengths() {
            total += values;
            if name.starts_with("head.") {
                head += values
            } else {
                *sites.entry(site(name).to_owned()).or_default() += values
            }
        }
        Ok((seconds, Trained { total, head, sites }))
    }

    fn part(&self, name: &'static str, indices: &[usize]) -> Part<'_> {
        let items = || indices.iter().map(|&i| &self.data.items[i]);
        let mut classes: BTreeMap<&str, usize> =
            self.data.classes.iter().map(|class| (class.as_str(), 0)).collect();
        for item in items() {
            *classes
                .get_mut(self.data.classes[item.label].as_str())
                .expect("labels are indices of classes") += 1;
        }
        let groups = items().map(|item| &item.group).collect::<BTreeSet<_>>().len();
        Part { name, images: indices.len(), groups, classes }
    }

    fn words(&self, report: &Report) -> String {
        let mut out = String::new();
        for part in report.images.iter().filter(|part| part.images > 0) {
            let classes: Vec<String> =
                part.classes.iter().map(|(class, images)| format!("{class} {images}")).collect();
            let (name, images, groups) = (part.name, part.images, part.groups);
            let _ = writeln!(
                out,
                "{name:<11} {images} images of {groups} groups: {}",
                classes.join(", ")
            );
        }
        if let Some(cut) = self.cut.filter(|cut| *cut >= LEAST_CUT) {
            let _ = writeln!(out, "{:<11} {}", "fit", cut_words(cut));
        }
        let Trained { total, head, sites } = &report.trained;
        let _ = writeln!(
            out,
            "trained     {total} values: {head} of the head, {} at {} sites",
            total - head,
            sites.len()
        );
        for (site, values) in sites {
            let _ = writeln!(out, "            {site} {values}");
        }
        let (epochs, batch) = (self.settings.epochs, self.settings.batch);
        let _ = writeln!(
            out,
            "steps       {} in {epochs} epochs; {}",
            report.steps,
            passes(self.plan.cut, batch)
        );
        let memory = &self.plan.memory;
        let bound = self.bound.map_or(String::new(), |bound| format!(" of {}", mebibytes(bound)));
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
        let ([low, high], [from, to]) = (report.step_seconds, report.training_seconds);
        let _ = writeln!(
            out,
            "time        {from:.0} to {to:.0} s of training, by {TIMED} steps of {low:.3} to \
             {high:.3} s; reading images and \
             validation come on top"
        );
        let _ = writeln!(out, "settings");
        for option in &self.options {
            let _ = writeln!(
                out,
                "            --{} {} ({})",
                option.name,
                option.values.join(" "),
                option.from
            );
        }
        out
    }
}

/// The site of a branch's weight; a weight of the base stands for itself.
fn site(name: &str) -> &str {
    name.split_once(".lora_").map_or(name, |(site, _)| site)
}
