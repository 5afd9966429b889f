//! `packer train --dry-run`: what a training would do, and in how much memory and time, without
//! doing it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use crate::base::Vit;
use crate::cli::config::Effective;
use crate::cli::device::{Opened, on_device};
use crate::data::{Dataset, Split};
use crate::device::Device;
use crate::random::{Purpose, Stream};
use crate::train::{ImageCounts, Plan, Stepper, TrainSettings};
use crate::{Error, interrupt, output};

mod report;

use report::{PartImages, Report, TIMED, TrainedValues};

/// A training that is only thought through.
pub struct DryRun<'a> {
    pub vit: &'a Vit,
    pub data: &'a Dataset,
    /// Indices of the images to train on and to validate on.
    pub parts: [&'a [usize]; 2],
    pub settings: &'a TrainSettings,
    pub counts: ImageCounts,
    pub plan: Plan,
    pub bound: Option<u64>,
    pub options: Vec<Effective>,
    /// The share of the training images' area that the crop cuts off; none where no header says how
    /// large images are.
    pub cut: Option<f64>,
}

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
            output::print(&report.words(self.settings))
        }
    }

    /// The shortest and the longest of a few full steps on random pixels, in seconds; and what they
    /// train.
    fn time<D: Device + 'static>(&self, device: &D) -> Result<([f64; 2], TrainedValues), Error> {
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
        Ok((seconds, TrainedValues { total, head, sites }))
    }

    fn part(&self, name: &'static str, indices: &[usize]) -> PartImages<'_> {
        let items = || indices.iter().map(|&i| &self.data.items[i]);
        let mut classes: BTreeMap<&str, usize> =
            self.data.classes.iter().map(|class| (class.as_str(), 0)).collect();
        for item in items() {
            *classes
                .get_mut(self.data.classes[item.label].as_str())
                .expect("labels are indices of classes") += 1;
        }
        let groups = items().map(|item| &item.group).collect::<BTreeSet<_>>().len();
        PartImages { name, images: indices.len(), groups, classes }
    }
}

/// The site of a branch's weight; a weight of the base stands for itself.
fn site(name: &str) -> &str {
    name.split_once(".lora_").map_or(name, |(site, _)| site)
}
