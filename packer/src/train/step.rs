//! One step of a training: a batch on the tape, forward and backward, then AdamW.

use std::collections::BTreeMap;

use crate::Error;
use crate::base::{Vit, Weights, forward};
use crate::device::{AdamW, Device};
use crate::lora::Head;
use crate::predict;
use crate::tape::{Dropout, LowRank, Tape, Tensor as Matrix, Var};

use super::cut::Cut;
use super::fits::per_pass;
use super::parameters::Parameters;
use super::settings::{Method, TrainSettings};

/// The loss of a batch and its gradients, by the weight's name.
type Gradients<D> = (<D as Device>::Buffer, BTreeMap<String, <D as Device>::Buffer>);

/// A training under way: the weights on the device.
pub(super) struct Training<'a, D: Device> {
    pub device: &'a D,
    vit: &'a Vit,
    pub settings: &'a TrainSettings,
    frozen: Option<Weights<D>>,
    pub parameters: Parameters<D>,
    /// Images that fit the device at once in a step.
    pub per_pass: usize,
    /// Images that fit the device at once in a validation.
    pub at_once: usize,
    recompute: bool,
}

impl<'a, D: Device + 'static> Training<'a, D> {
    /// Fresh weights for a head of `classes` classes, or under `head`, which stays as it is.
    pub fn new(
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
        Ok(Training {
            device,
            vit,
            settings,
            frozen,
            parameters,
            per_pass,
            at_once,
            recompute: false,
        })
    }

    /// Cuts batches otherwise than the device's memory asks for.
    pub fn cut(&mut self, cut: Cut) {
        self.per_pass = cut.per_pass;
        self.recompute = cut.recompute;
        self.at_once = predict::batch(self.device, &self.vit.config, self.settings.size);
        if cut.per_pass < self.settings.batch {
            self.at_once = self.at_once.min(cut.per_pass);
        }
    }

    /// One batch: forward, backward, AdamW. `pixels` are normalised [labels.len(), 3, size, size],
    /// `step` is counted from 1. The loss stays on the device.
    pub fn step(&mut self, pixels: &[f32], labels: &[u32], rate: f64, step: u64) -> D::Buffer {
        let (loss, gradients) = self.batch_gradients(pixels, labels, step);
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

    /// The mean loss of a batch and its gradients, in several passes where it does not fit the
    /// device.
    fn batch_gradients(&self, pixels: &[f32], labels: &[u32], step: u64) -> Gradients<D> {
        let image = pixels.len() / labels.len();
        let mut sum: Option<Gradients<D>> = None;
        let mut done = 0;
        for (pixels, part) in pixels.chunks(self.per_pass * image).zip(labels.chunks(self.per_pass))
        {
            let (loss, gradients) = self.gradients(pixels, part, step, done);
            done += part.len() as u64;
            if part.len() == labels.len() {
                return (loss, gradients);
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
        sum.expect("a batch is not empty")
    }

    /// The mean loss of images that fit one pass, and the gradient of every weight that it depends
    /// on. `first` is the place of the first image in the batch of `step`.
    pub fn gradients(&self, pixels: &[f32], labels: &[u32], step: u64, first: u64) -> Gradients<D> {
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

    /// The logits [batch, classes] of images [batch, 3*size*size]; `vars` are all weights, `sites`
    /// the branches among them.
    pub fn logits(
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
