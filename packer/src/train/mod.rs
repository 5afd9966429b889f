//! Training: a LoRA module and a linear head (or under a fixed head of texts) on a frozen base, or
//! with `full` every weight of the base.
//!
//! One step is one batch on the tape, then AdamW. The state after any step can be written to a
//! checkpoint and taken up again: batches and augmentation depend only on the seed, the epoch and
//! the image, so a resumed run gives the same bytes.

use std::collections::BTreeMap;
use std::time::Instant;

use cpu_time::ProcessTime;
use medforge_runtime::tensors::Tensor;
use serde::{Deserialize, Serialize};

use crate::base::{Vit, VitConfig, Weights, forward};
use crate::data::{Augment, Draw, Images};
use crate::device::{AdamW, Device};
use crate::lora::{Factors, Head, Targets};
use crate::predict;
use crate::random::{Purpose, Stream};
use crate::softmax::softmax;
use crate::tape::{Dropout, LowRank, Tape, Tensor as Matrix, Var};
use crate::{Error, interrupt};

mod checkpoint;
#[cfg(test)]
mod gpu_tests;
mod module;
mod page;
mod parameters;
mod plan;
#[cfg(test)]
pub(crate) mod tests;

pub use checkpoint::Checkpoint;
pub use module::About;
pub use page::Course;
pub use parameters::Parameters;
pub use plan::{Counts, Cut, Memory, Plan};

/// How to train. Everything that changes the result is here and goes into the module card.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainSettings {
    /// Side of the input in pixels.
    pub size: usize,
    pub epochs: usize,
    pub batch: usize,
    /// The highest learning rate, reached after warm-up.
    pub learning_rate: f64,
    pub weight_decay: f64,
    /// The share of all steps over which the learning rate rises from zero; it then falls along a
    /// cosine.
    pub warm_up: f64,
    pub augment: Augment,
    pub seed: u64,
    /// What is trained.
    pub method: Method,
}

/// Which weights are trained beside the head.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Low-rank factors at the sites of `targets`, in the last `last_layers` blocks or in all.
    Lora {
        rank: usize,
        alpha: f64,
        targets: String,
        last_layers: Option<usize>,
        /// The lengths of the changed weight's rows too (DoRA, Liu et al. 2024).
        #[serde(default, skip_serializing_if = "is_default")]
        dora: bool,
        /// The probability with which a value that goes into a branch is dropped in training, below
        /// 1.
        #[serde(default, skip_serializing_if = "is_default")]
        dropout: f64,
    },
    /// All weights of the base.
    Full,
}

/// What to train on.
#[derive(Clone, Copy)]
pub struct Examples<'a> {
    /// Class names, in the order of the images' labels.
    pub classes: &'a [String],
    pub images: &'a Images,
    /// Indices into `images`.
    pub training: &'a [usize],
    /// Indices into `images`; the best epoch on these is kept, the last one if there are none.
    pub validation: &'a [usize],
    /// A head of texts that stays as it is; else a linear one is trained.
    pub head: Option<&'a Head>,
}

/// What one epoch came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// Counted from 1.
    pub epoch: usize,
    /// Mean training loss over the epoch's images.
    pub loss: f64,
    /// At the epoch's last step.
    pub learning_rate: f64,
    /// Balanced accuracy and loss on the validation part, if there is one.
    pub validation: Option<Validation>,
}

/// How the validation part did after an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Validation {
    pub balanced_accuracy: f64,
    pub loss: f64,
}

/// The result of a training.
pub struct Trained {
    /// By site; empty after full training.
    pub sites: BTreeMap<String, Factors>,
    pub head: Head,
    /// The base's weights by internal name; only after full training.
    pub base: Option<BTreeMap<String, Tensor>>,
    pub epochs: Vec<Epoch>,
    /// The epoch whose weights these are, counted from 1: the best on the validation part, or the
    /// last.
    pub kept_epoch: usize,
    /// Training images per second of wall time and of processor time, loading and validation
    /// excluded; none if nothing was left to do.
    pub images_per_second: Option<f64>,
    pub images_per_cpu_second: Option<f64>,
}

/// What a caller sees while training goes on.
pub trait Observer {
    /// After each step: steps done and to do, images of the step, its loss where it was read back.
    fn step(&mut self, _done: usize, _total: usize, _images: usize, _loss: Option<f64>) {}
    /// After each epoch.
    fn epoch(&mut self, _epoch: &Epoch) {}
    /// When a checkpoint is due: after each epoch, when [`Observer::wants_checkpoint`] says so, and
    /// on interruption.
    fn checkpoint(&mut self, _checkpoint: &Checkpoint) -> Result<(), Error> {
        Ok(())
    }
    /// Whether to make a checkpoint now, between two steps of an epoch.
    fn wants_checkpoint(&mut self) -> bool {
        false
    }
}

/// An observer that does not look.
pub struct Unobserved;
impl Observer for Unobserved {}

/// Losses are read back every so many steps, so that a GPU is not waited for at each.
const READ_BACK: usize = 8;

/// Trains on `examples`. `resume` goes on from a checkpoint that the same call made.
pub fn train<D: Device + 'static>(
    device: &D,
    vit: &Vit,
    examples: Examples,
    settings: &TrainSettings,
    resume: Option<Checkpoint>,
    observer: &mut dyn Observer,
) -> Result<Trained, Error> {
    train_cut(device, vit, examples, settings, None, resume, observer)
}

/// [`train`] with each batch cut as a [`Plan`] says; without, as the device's own memory asks for.
pub fn train_cut<D: Device + 'static>(
    device: &D,
    vit: &Vit,
    examples: Examples,
    settings: &TrainSettings,
    cut: Option<Cut>,
    resume: Option<Checkpoint>,
    observer: &mut dyn Observer,
) -> Result<Trained, Error> {
    run(device, vit, examples, settings, cut, resume, observer)
        .map_err(|error| explain(error, vit, settings))
}

fn run<D: Device + 'static>(
    device: &D,
    vit: &Vit,
    examples: Examples,
    settings: &TrainSettings,
    cut: Option<Cut>,
    resume: Option<Checkpoint>,
    observer: &mut dyn Observer,
) -> Result<Trained, Error> {
    let Examples { classes, images, training, validation, head } = examples;
    let per_epoch = training.len().div_ceil(settings.batch);
    let total = per_epoch * settings.epochs;
    let mut run = Run::new(device, vit, classes.len(), head, settings)?;
    if let Some(cut) = cut {
        run.cut(cut);
    }
    let mut state = match resume {
        Some(checkpoint) => {
            run.parameters.restore(device, &checkpoint)?;
            checkpoint.progress
        }
        None => checkpoint::Progress::default(),
    };
    let mut best = state.best.take();
    let (mut wall, mut cpu, mut seen) = (0.0, 0.0, 0usize);
    let mut pending: Vec<(D::Buffer, usize)> = Vec::new();
    let mut pixels = Vec::new();
    while state.step < total {
        let epoch = state.step / per_epoch;
        let order = shuffled(training, settings.seed, epoch);
        let first = state.step % per_epoch;
        for (i, batch) in order.chunks(settings.batch).enumerate().skip(first) {
            let stopped = interrupt::check();
            if stopped.is_err() || observer.wants_checkpoint() {
                collect(device, &mut pending, &mut state, settings)?;
                observer
                    .checkpoint(&run.parameters.checkpoint(device, settings, &state, &best)?)?;
                stopped?;
            }
            let (start, cpu_start) = (Instant::now(), ProcessTime::now());
            let draw = Draw { seed: settings.seed, epoch: epoch as u64 };
            images.batch(batch, Some((&settings.augment, draw)), &mut pixels)?;
            let labels: Vec<u32> = batch.iter().map(|&i| images.labels()[i] as u32).collect();
            let rate = learning_rate(settings, state.step, total);
            pending.push((run.step(&pixels, &labels, rate, state.step as u64 + 1), batch.len()));
            state.step += 1;
            let mut loss = None;
            if pending.len() == READ_BACK || i + 1 == per_epoch {
                loss = Some(collect(device, &mut pending, &mut state, settings)?);
            }
            wall += start.elapsed().as_secs_f64();
            cpu += cpu_start.elapsed().as_secs_f64();
            seen += batch.len();
            observer.step(state.step, total, batch.len(), loss);
        }
        let outcome = Epoch {
            epoch: epoch + 1,
            loss: std::mem::take(&mut state.loss_sum) / training.len() as f64,
            learning_rate: learning_rate(settings, state.step - 1, total),
            validation: match validation {
                [] => None,
                _ => Some(validate(&run, images, validation)?),
            },
        };
        if let Some(now) = outcome.validation {
            let better = best.as_ref().is_none_or(|b: &checkpoint::Best| {
                (now.balanced_accuracy, -now.loss)
                    > (b.validation.balanced_accuracy, -b.validation.loss)
            });
            if better {
                best = Some(checkpoint::Best {
                    epoch: epoch + 1,
                    validation: now,
                    weights: run.parameters.weights(device)?,
                });
            }
        }
        observer.epoch(&outcome);
        state.epochs.push(outcome);
        observer.checkpoint(&run.parameters.checkpoint(device, settings, &state, &best)?)?;
    }
    let (kept_epoch, weights) = match best {
        Some(best) => (best.epoch, best.weights),
        None => (settings.epochs, run.parameters.weights(device)?),
    };
    let (sites, head, base) =
        parameters::split(weights, classes, run.parameters.fixed(), settings)?;
    Ok(Trained {
        sites,
        head,
        base,
        epochs: state.epochs,
        kept_epoch,
        images_per_second: (seen > 0).then(|| seen as f64 / wall),
        images_per_cpu_second: (seen > 0 && cpu > 0.0).then(|| seen as f64 / cpu),
    })
}

/// The learning rate of a step counted from 0: linear warm-up times a cosine from 1 to 0.
pub fn learning_rate(settings: &TrainSettings, step: usize, total: usize) -> f64 {
    let warm_up = (step + 1) as f64 / (settings.warm_up * total as f64).max(1.0);
    let cosine = 0.5 * (1.0 + (std::f64::consts::PI * step as f64 / total as f64).cos());
    settings.learning_rate * warm_up.min(1.0) * cosine
}

/// The loss of a batch and its gradients, by the weight's name.
type Gradients<D> = (<D as Device>::Buffer, BTreeMap<String, <D as Device>::Buffer>);

/// Steps of a training by hand, for benchmarks: no images, no epochs, no checkpoint.
pub struct Stepper<'a, D: Device>(Run<'a, D>);

impl<'a, D: Device + 'static> Stepper<'a, D> {
    /// Fresh weights for a head of `classes` classes.
    pub fn new(
        device: &'a D,
        vit: &'a Vit,
        classes: usize,
        settings: &'a TrainSettings,
    ) -> Result<Self, Error> {
        Ok(Stepper(Run::new(device, vit, classes, None, settings)?))
    }

    /// What is trained.
    pub fn parameters(&self) -> &Parameters<D> {
        &self.0.parameters
    }

    /// Cuts the batches of the steps to come.
    pub fn cut(&mut self, cut: Cut) {
        self.0.cut(cut);
    }

    /// One step on normalised pixels [labels.len(), 3, size, size], counted from 1; its loss, once
    /// it is done.
    pub fn step(
        &mut self,
        pixels: &[f32],
        labels: &[u32],
        rate: f64,
        step: u64,
    ) -> Result<f32, Error> {
        let loss = self.0.step(pixels, labels, rate, step);
        Ok(self.0.device.download(&loss)?[0])
    }
}

/// A training under way: the weights on the device.
struct Run<'a, D: Device> {
    device: &'a D,
    vit: &'a Vit,
    settings: &'a TrainSettings,
    frozen: Option<Weights<D>>,
    parameters: Parameters<D>,
    /// Images that fit the device at once, in a step and in a validation.
    per_pass: usize,
    at_once: usize,
    recompute: bool,
}

impl<'a, D: Device + 'static> Run<'a, D> {
    fn new(
        device: &'a D,
        vit: &'a Vit,
        classes: usize,
        head: Option<&Head>,
        settings: &'a TrainSettings,
    ) -> Result<Self, Error> {
        let parameters = Parameters::new(device, vit, classes, head, settings)?;
        let frozen = match settings.method {
            Method::Lora { .. } => Some(Weights::frozen(device, vit, settings.size)),
            Method::Full => None,
        };
        let per_pass = per_pass(device, &vit.config, settings);
        let at_once = predict::batch(device, &vit.config, settings.size);
        Ok(Run { device, vit, settings, frozen, parameters, per_pass, at_once, recompute: false })
    }

    /// Cuts batches otherwise than the device's memory asks for.
    fn cut(&mut self, cut: Cut) {
        self.per_pass = cut.per_pass;
        self.recompute = cut.recompute;
        self.at_once = predict::batch(self.device, &self.vit.config, self.settings.size);
        if cut.per_pass < self.settings.batch {
            self.at_once = self.at_once.min(cut.per_pass);
        }
    }

    /// One batch: forward, backward, AdamW; in several passes where it does not fit the device. The
    /// loss stays on the device.
    fn step(&mut self, pixels: &[f32], labels: &[u32], rate: f64, step: u64) -> D::Buffer {
        let image = pixels.len() / labels.len();
        let mut sum: Option<Gradients<D>> = None;
        let mut done = 0;
        for (pixels, part) in pixels.chunks(self.per_pass * image).zip(labels.chunks(self.per_pass))
        {
            let (loss, gradients) = self.gradients(pixels, part, step, done);
            done += part.len() as u64;
            if part.len() == labels.len() {
                sum = Some((loss, gradients));
                break;
            }
            // Each part's means count by its share of the batch.
            let share = part.len() as f64 / labels.len() as f64;
            let add = |into: &mut D::Buffer, x| self.device.add_scaled(into, share, x);
            let (total, totals) = sum.get_or_insert_with(|| {
                let zeros = |(name, len): (&String, usize)| (name.clone(), self.device.zeros(len));
                (self.device.zeros(1), self.parameters.lengths().map(zeros).collect())
            });
            add(total, &loss);
            for (name, gradient) in &gradients {
                add(totals.get_mut(name).expect("a gradient is of a parameter"), gradient);
            }
        }
        let (loss, gradients) = sum.expect("a batch is not empty");
        let settings = AdamW {
            learning_rate: rate,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: self.settings.weight_decay,
            step,
        };
        self.parameters.update(self.device, settings, &gradients);
        self.device.submit();
        loss
    }

    /// The mean loss of images that fit one pass, `first` being the place of the first in the batch
    /// of `step`, and the gradient of every weight that it depends on.
    fn gradients(&self, pixels: &[f32], labels: &[u32], step: u64, first: u64) -> Gradients<D> {
        let tape = Tape::new(self.device);
        let vars = self.parameters.variables(&tape);
        let images = Matrix::frozen(self.device, pixels, labels.len(), pixels.len() / labels.len());
        let mut sites = self.parameters.low_rank(&vars);
        if let Method::Lora { dropout: rate, .. } = self.settings.method
            && rate > 0.0
        {
            for (site, branch) in sites.values_mut().enumerate() {
                let (seed, site, images) = (self.settings.seed, site as u64, labels.len());
                branch.dropout = Some(Dropout { rate, seed, step, site, first, images });
            }
        }
        let logits = self.logits(&tape, &vars, &sites, &Var::constant(images));
        drop(sites);
        let (loss, _) = tape.cross_entropy(&logits, labels);
        drop(logits);
        let gradients = tape.backward(&loss);
        let found =
            vars.into_iter().filter_map(|(name, var)| Some((name, gradients.of(&var)?.clone())));
        (loss.value.buffer, found.collect())
    }

    fn logits(
        &self,
        tape: &Tape<D>,
        vars: &BTreeMap<String, Var<D>>,
        sites: &BTreeMap<String, LowRank<D>>,
        images: &Var<D>,
    ) -> Var<D> {
        let mut weights = match &self.frozen {
            Some(weights) => weights.clone(),
            None => Weights::trained(self.vit.config.clone(), self.settings.size, vars.clone()),
        };
        weights.recompute = self.recompute;
        let feature = forward(tape, &weights, sites, self.device, images);
        self.parameters.logits(tape, vars, &feature)
    }
}

/// What to do about a GPU's memory that was full in a training.
fn explain(error: Error, vit: &Vit, settings: &TrainSettings) -> Error {
    let Error::Compute(medforge_compute::Error::GpuMemory { held, .. }) = error else {
        return error;
    };
    // What is not weights was there for the images of a batch, and the last of them did not fit.
    let weights = vit.tensors.values().map(|t| 4 * t.data.len() as u64).sum();
    let fits = held.saturating_sub(weights) / (4 * values(&vit.config, settings) as u64);
    match usize::try_from(fits).unwrap_or(usize::MAX).min(settings.batch - 1) {
        0 => error,
        fits => Error::GpuBatch { held, batch: settings.batch, fits },
    }
}

/// Groups that a GPU counts in one dimension; attention has one for each image and head.
const GROUPS: usize = 65_535;

/// Values that a training step keeps for one image: the base's, and what magnitude and dropout add
/// at each site.
fn values(config: &VitConfig, settings: &TrainSettings) -> usize {
    let mut each = 0;
    if let Method::Lora { targets: text, last_layers, dora, dropout, .. } = &settings.method {
        let sites = targets(text)
            .and_then(|targets| targets.sites(config, *last_layers))
            .unwrap_or_default();
        for (out, inputs) in sites.iter().map(|(_, target)| target.shape(config)) {
            each += usize::from(*dora) * out + usize::from(*dropout > 0.0) * 2 * inputs;
        }
    }
    config.training_values(settings.size) + each * config.tokens(settings.size)
}

/// Images that a device's buffers and its memory, where it knows that, hold at once.
fn per_pass(device: &impl Device, config: &VitConfig, settings: &TrainSettings) -> usize {
    let bytes = 4 * values(config, settings) as u64;
    let by_memory = device.memory_left().map_or(u64::MAX, |left| left / bytes);
    let by_memory = usize::try_from(by_memory).unwrap_or(usize::MAX);
    limit(device, config, settings).min(by_memory).max(1)
}

/// Images that a device's buffers hold at once.
fn limit(device: &impl Device, config: &VitConfig, settings: &TrainSettings) -> usize {
    let by_buffer = device.largest_buffer() / config.largest_values(settings.size);
    let by_groups = GROUPS / config.heads;
    by_buffer.min(by_groups).min(config.images_per_pass(settings.size)).clamp(1, settings.batch)
}

/// Reads pending losses back, adds them to the epoch's sum and returns their mean; refuses a loss
/// that is not finite.
fn collect<D: Device>(
    device: &D,
    pending: &mut Vec<(D::Buffer, usize)>,
    state: &mut checkpoint::Progress,
    settings: &TrainSettings,
) -> Result<f64, Error> {
    let (mut sum, mut count) = (0.0, 0);
    for (loss, images) in pending.drain(..) {
        sum += f64::from(device.download(&loss)?[0]) * images as f64;
        count += images;
    }
    if !sum.is_finite() {
        return Err(Error::Diverged { step: state.step, learning_rate: settings.learning_rate });
    }
    state.loss_sum += sum;
    Ok(sum / count.max(1) as f64)
}

fn validate<D: Device + 'static>(
    run: &Run<D>,
    images: &Images,
    indices: &[usize],
) -> Result<Validation, Error> {
    let (device, size) = (run.device, run.settings.size);
    let classes = run.parameters.classes();
    let (mut loss, mut right, mut count) = (0.0, vec![0usize; classes], vec![0usize; classes]);
    let mut pixels = Vec::new();
    for batch in indices.chunks(run.at_once) {
        interrupt::check()?;
        images.batch(batch, None, &mut pixels)?;
        let tape = Tape::new(device);
        let vars = run.parameters.constants();
        let input = Matrix::frozen(device, &pixels, batch.len(), 3 * size * size);
        let logits =
            run.logits(&tape, &vars, &run.parameters.low_rank(&vars), &Var::constant(input));
        let logits = device.download(&logits.value.buffer)?;
        for (row, &i) in logits.chunks_exact(classes).zip(batch) {
            let label = images.labels()[i];
            let p = softmax(row);
            loss -= p[label].max(1e-12).ln() / indices.len() as f64;
            count[label] += 1;
            right[label] += usize::from(predict::argmax(&p) == label);
        }
    }
    let present = (0..classes).filter(|&c| count[c] > 0);
    let recalls: Vec<f64> = present.map(|c| right[c] as f64 / count[c] as f64).collect();
    Ok(Validation { balanced_accuracy: recalls.iter().sum::<f64>() / recalls.len() as f64, loss })
}

/// The order of an epoch.
fn shuffled(training: &[usize], seed: u64, epoch: usize) -> Vec<usize> {
    let mut order = training.to_vec();
    Stream::at(seed, Purpose::Order, epoch as u64, 0).shuffle(&mut order);
    order
}

/// The targets of a LoRA training, read again from the settings.
fn targets(text: &str) -> Result<Targets, Error> {
    text.parse().map_err(|what| Error::Targets { what })
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// What the name of a site's magnitudes ends with.
const MAGNITUDE: &str = "lora_magnitude_vector";

/// Low-rank branches from the variables `SITE.lora_a`, `SITE.lora_b` and, with DoRA,
/// `SITE.lora_magnitude_vector`.
fn branches<D: Device>(
    vars: &BTreeMap<String, Var<D>>,
    scale: f64,
) -> BTreeMap<String, LowRank<D>> {
    let sites = vars.keys().filter_map(|name| name.strip_suffix(".lora_a"));
    sites
        .map(|site| {
            let [a, b] = ["lora_a", "lora_b"].map(|half| vars[&format!("{site}.{half}")].clone());
            let magnitude = vars.get(&format!("{site}.{MAGNITUDE}")).cloned();
            (site.to_owned(), LowRank { magnitude, ..LowRank::plain(a, b, scale) })
        })
        .collect()
}
