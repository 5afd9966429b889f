//! The loop of a training: the steps of each epoch, its validation, and its checkpoints.

use std::time::Instant;

use cpu_time::ProcessTime;

use crate::data::Draw;
use crate::device::Device;
use crate::random::{Purpose, Stream};
use crate::{Error, interrupt};

use super::checkpoint::{Best, Checkpoint, Progress};
use super::examples::Examples;
use super::host::divide;
use super::observer::{Observer, Step};
use super::outcome::{Epoch, Trained};
use super::step::Training;
use super::validation::validate;

/// Losses are read back every so many steps, so that a GPU is not waited for at each.
const READ_BACK: usize = 8;

/// A training between two steps.
pub(super) struct Epochs<'a, D: Device> {
    training: Training<'a, D>,
    examples: Examples<'a>,
    progress: Progress,
    best: Option<Best>,
    /// Losses on the device that were not read back yet, and the images of each.
    pending: Vec<(D::Buffer, usize)>,
    speed: Speed,
}

/// Images that went through since the start or the last stop, and how long they took.
#[derive(Default)]
struct Speed {
    images: usize,
    wall_seconds: f64,
    cpu_seconds: f64,
}

impl<'a, D: Device + 'static> Epochs<'a, D> {
    /// At the beginning, or where `resume` left off.
    pub fn new(
        mut training: Training<'a, D>,
        examples: Examples<'a>,
        resume: Option<Checkpoint>,
    ) -> Result<Self, Error> {
        let mut progress = match resume {
            Some(checkpoint) => {
                training.parameters.restore(training.device, &checkpoint)?;
                checkpoint.progress
            }
            None => Progress::default(),
        };
        let best = progress.best.take();
        let (pending, speed) = (Vec::new(), Speed::default());
        Ok(Epochs { training, examples, progress, best, pending, speed })
    }

    /// Goes on to the end.
    pub fn run(mut self, observer: &mut dyn Observer) -> Result<Trained, Error> {
        while self.progress.step < self.total() {
            let epoch = self.progress.step / self.steps_per_epoch();
            self.steps(epoch, observer)?;
            let outcome = self.outcome(epoch)?;
            observer.epoch(&outcome);
            self.progress.epochs.push(outcome);
            observer.checkpoint(&self.checkpoint()?)?;
        }
        self.trained()
    }

    fn steps_per_epoch(&self) -> usize {
        self.examples.training.len().div_ceil(self.training.settings.batch)
    }

    fn total(&self) -> usize {
        self.steps_per_epoch() * self.training.settings.epochs
    }

    /// The steps of an epoch (counted from 0) that are still to be done.
    fn steps(&mut self, epoch: usize, observer: &mut dyn Observer) -> Result<(), Error> {
        let (settings, per_epoch) = (self.training.settings, self.steps_per_epoch());
        let order = shuffled(self.examples.training, settings.seed, epoch);
        let first = self.progress.step % per_epoch;
        let mut pixels = Vec::new();
        for (i, batch) in order.chunks(settings.batch).enumerate().skip(first) {
            let stopped = interrupt::check();
            if stopped.is_err() || observer.wants_checkpoint() {
                self.read_back()?;
                observer.checkpoint(&self.checkpoint()?)?;
                stopped?;
            }
            let (start, cpu_start) = (Instant::now(), ProcessTime::now());
            self.step(epoch, batch, &mut pixels)?;
            let mut loss = None;
            if self.pending.len() == READ_BACK || i + 1 == per_epoch {
                loss = Some(self.read_back()?);
            }
            self.speed.wall_seconds += start.elapsed().as_secs_f64();
            self.speed.cpu_seconds += cpu_start.elapsed().as_secs_f64();
            self.speed.images += batch.len();
            observer.step(&Step {
                stage: "training",
                done: self.progress.step,
                total: self.total(),
                images: batch.len(),
                loss,
            });
        }
        Ok(())
    }

    /// One step on the images `batch`; `pixels` is room that is used again.
    fn step(&mut self, epoch: usize, batch: &[usize], pixels: &mut Vec<f32>) -> Result<(), Error> {
        let (images, settings) = (self.examples.images, self.training.settings);
        let draw = Draw { seed: settings.seed, epoch: epoch as u64 };
        images.batch(batch, Some((&settings.augment, draw)), pixels)?;
        let labels: Vec<u32> = batch.iter().map(|&i| images.labels()[i] as u32).collect();
        let rate = settings.rate(self.progress.step, self.total());
        let loss = self.training.step(pixels, &labels, rate, self.progress.step as u64 + 1);
        self.pending.push((loss, batch.len()));
        self.progress.step += 1;
        Ok(())
    }

    /// Reads pending losses back, adds them to the epoch's sum and returns their mean; refuses a
    /// loss that is not finite.
    fn read_back(&mut self) -> Result<f64, Error> {
        let (mut sum, mut count) = (0.0, 0);
        for (loss, images) in self.pending.drain(..) {
            sum += f64::from(self.training.device.download(&loss)?[0]) * images as f64;
            count += images;
        }
        if !sum.is_finite() {
            let (step, learning_rate) = (self.progress.step, self.training.settings.learning_rate);
            return Err(Error::Diverged { step, learning_rate });
        }
        self.progress.loss_sum += sum;
        Ok(sum / count.max(1) as f64)
    }

    /// What the epoch that has just ended came to; its weights are kept if they are the best.
    fn outcome(&mut self, epoch: usize) -> Result<Epoch, Error> {
        let Examples { images, training, validation, .. } = self.examples;
        let loss = std::mem::take(&mut self.progress.loss_sum) / training.len() as f64;
        let learning_rate = self.training.settings.rate(self.progress.step - 1, self.total());
        let validation = match validation {
            [] => None,
            _ => Some(validate(&self.training, images, validation)?),
        };
        let epoch = epoch + 1;
        if let Some(validation) = validation
            && self.best.as_ref().is_none_or(|best| validation.is_better_than(&best.validation))
        {
            let weights = self.training.parameters.weights(self.training.device)?;
            self.best = Some(Best { epoch, validation, weights });
        }
        Ok(Epoch { epoch, loss, learning_rate, validation })
    }

    fn checkpoint(&self) -> Result<Checkpoint, Error> {
        let Training { device, settings, parameters, .. } = &self.training;
        parameters.checkpoint(device, settings, &self.progress, &self.best)
    }

    /// The best weights, or the last.
    fn trained(self) -> Result<Trained, Error> {
        let Training { device, settings, parameters, .. } = &self.training;
        let (kept_epoch, weights) = match self.best {
            Some(best) => (best.epoch, best.weights),
            None => (settings.epochs, parameters.weights(device)?),
        };
        let found = divide(weights, self.examples.classes, parameters.fixed(), settings)?;
        let Speed { images, wall_seconds, cpu_seconds } = self.speed;
        Ok(Trained {
            sites: found.sites,
            head: found.head,
            base: found.base,
            epochs: self.progress.epochs,
            kept_epoch,
            images_per_second: (images > 0).then(|| images as f64 / wall_seconds),
            images_per_cpu_second: (images > 0 && cpu_seconds > 0.0)
                .then(|| images as f64 / cpu_seconds),
        })
    }
}

/// The order of an epoch.
fn shuffled(training: &[usize], seed: u64, epoch: usize) -> Vec<usize> {
    let mut order = training.to_vec();
    Stream::at(seed, Purpose::Order, epoch as u64, 0).shuffle(&mut order);
    order
}
