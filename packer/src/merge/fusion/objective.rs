//! The loss of a fusion's weights on condensed sets, and its gradient.

use std::collections::{BTreeMap, BTreeSet};

use medforge_runtime::tensors;

use super::super::Sites;
use super::super::judged::{self, Task, cross_entropy};
use super::settings::Level;
use crate::base::{Vit, Weights, forward};
use crate::device::Device;
use crate::lora::{Factors, Head, dora, stack};
use crate::tape::{LowRank, Tape, Tensor, Var};
use crate::{Error, interrupt, predict};

/// The penalty on the mean absolute weight.
pub(super) const PENALTY: f64 = 0.05;

/// The loss of weights on condensed sets.
pub struct Objective<'a, D: Device> {
    device: &'a D,
    frozen: Weights<D>,
    parts: &'a [Sites],
    sites: Vec<&'a str>,
    tasks: &'a [Task<'a>],
    /// The normalised pixels of each task.
    pixels: Vec<Vec<f32>>,
    level: Level,
}

impl<'a, D: Device + 'static> Objective<'a, D> {
    /// The loss of `parts` on `tasks`.
    ///
    /// # Errors
    /// [`Error::Merge`] for DoRA modules, and for sets that do not fit the base, the heads or each
    /// other.
    pub fn new(
        device: &'a D,
        vit: &Vit,
        parts: &'a [Sites],
        tasks: &'a [Task<'a>],
        level: Level,
    ) -> Result<Self, Error> {
        if let Some(part) = parts.iter().position(dora::has_magnitudes) {
            return Err(dora::unfusable(&format!("part {}", part + 1)));
        }
        let size = judged::check(tasks, &vit.digest())?;
        let sites: BTreeSet<&str> =
            parts.iter().flat_map(|p| p.keys().map(String::as_str)).collect();
        Ok(Objective {
            device,
            frozen: Weights::frozen(device, vit, size),
            parts,
            sites: sites.into_iter().collect(),
            tasks,
            pixels: tasks.iter().map(|t| t.set.normalised()).collect(),
            level,
        })
    }

    /// The number of weights.
    pub fn weights(&self) -> usize {
        self.parts.len() * self.per_part()
    }

    /// The weighted sum of the parts, without approximation.
    pub fn sum(&self, weights: &[f64]) -> Sites {
        let at = |(place, site): (usize, &&str)| {
            let parts: Vec<(f64, &Factors)> =
                self.present(site).map(|(i, f)| (weights[self.place(i, place)], f)).collect();
            ((*site).to_owned(), stack(&parts))
        };
        self.sites.iter().enumerate().map(at).collect()
    }

    /// The loss of `weights`.
    pub fn loss(&self, weights: &[f64]) -> Result<f64, Error> {
        Ok(self.run(weights, false)?.0)
    }

    /// The loss of `weights` and its derivative to each.
    pub fn gradient(&self, weights: &[f64]) -> Result<(f64, Vec<f64>), Error> {
        self.run(weights, true)
    }

    fn per_part(&self) -> usize {
        match self.level {
            Level::Whole => 1,
            Level::Site => self.sites.len(),
        }
    }

    fn place(&self, part: usize, site: usize) -> usize {
        part * self.per_part() + if self.level == Level::Site { site } else { 0 }
    }

    fn present(&self, site: &str) -> impl Iterator<Item = (usize, &'a Factors)> {
        self.parts.iter().enumerate().filter_map(move |(i, part)| Some((i, part.get(site)?)))
    }

    /// The loss of `weights`, and its gradient if that is `wanted`.
    fn run(&self, weights: &[f64], wanted: bool) -> Result<(f64, Vec<f64>), Error> {
        let n = weights.len() as f64;
        let sign = |w: &f64| if *w == 0.0 { 0.0 } else { w.signum() };
        let mut total = Total {
            loss: PENALTY * weights.iter().map(|w| w.abs()).sum::<f64>() / n,
            gradient: weights.iter().map(|w| PENALTY * sign(w) / n).collect(),
        };
        let sum = self.sum(weights);
        let image = 3 * self.frozen.image_size * self.frozen.image_size;
        let batch = predict::batch(self.device, &self.frozen.config, self.frozen.image_size);
        for (task, pixels) in self.tasks.iter().zip(&self.pixels) {
            let classes = task.head.classes.len();
            let images = pixels.len() / image;
            for (pixels, labels) in
                pixels.chunks(batch * image).zip(task.set.labels.chunks(batch * classes))
            {
                interrupt::check()?;
                let share = (pixels.len() / image) as f64 / (images * self.tasks.len()) as f64;
                let batch = Batch { head: task.head, pixels, labels, share };
                self.add(&sum, &batch, wanted, &mut total)?;
            }
        }
        let Total { loss, gradient } = total;
        if loss.is_finite() && gradient.iter().all(|g| g.is_finite()) {
            Ok((loss, gradient))
        } else {
            Err(Error::Merge { what: format!("the loss of the weights {weights:?} is no number") })
        }
    }

    /// Adds the loss of a batch under the base changed by `sum`, and its gradient if `wanted`.
    fn add(
        &self,
        sum: &Sites,
        batch: &Batch,
        wanted: bool,
        total: &mut Total,
    ) -> Result<(), Error> {
        let tape = Tape::new(self.device);
        let upload =
            |t: &tensors::Tensor| Tensor::new(self.device, &t.data, t.shape[0], t.shape[1]);
        let branch = |(site, f): (&String, &Factors)| {
            let a = upload(&f.a);
            let a = if wanted { tape.parameter(a) } else { Var::constant(a) };
            (site.clone(), LowRank::plain(a, Var::constant(upload(&f.b)), 1.0))
        };
        let branches: BTreeMap<String, LowRank<D>> = sum.iter().map(branch).collect();
        let image = 3 * self.frozen.image_size * self.frozen.image_size;
        let images = batch.pixels.len() / image;
        let input = Var::constant(Tensor::frozen(self.device, batch.pixels, images, image));
        let feature = forward(&tape, &self.frozen, &branches, self.device, &input);
        let rows = self.device.download(&feature.value.buffer)?;
        let (loss, gradient) = cross_entropy(batch.head, &rows, batch.labels);
        total.loss += batch.share * loss;
        if !wanted {
            return Ok(());
        }
        let gradient: Vec<f32> = gradient.iter().map(|v| (batch.share * v) as f32).collect();
        let gradients = tape.backward_from([(&feature, self.device.upload(&gradient))]);
        for (place, site) in self.sites.iter().enumerate() {
            let Some(buffer) = gradients.of(&branches[*site].a) else { continue };
            let of_a = self.device.download(buffer)?;
            let mut rest = of_a.as_slice();
            for (part, factors) in self.present(site) {
                let (own, next) = rest.split_at(factors.a.data.len());
                rest = next;
                let pairs = own.iter().zip(&factors.a.data);
                total.gradient[self.place(part, place)] +=
                    pairs.map(|(d, a)| f64::from(*d) * f64::from(*a)).sum::<f64>();
            }
        }
        Ok(())
    }
}

/// Some images of a task.
struct Batch<'a> {
    head: &'a Head,
    /// [n, 3, side, side], normalised.
    pixels: &'a [f32],
    /// [n, classes]
    labels: &'a [f32],
    /// Their part of the mean over images and tasks.
    share: f64,
}

/// Sums over batches.
struct Total {
    loss: f64,
    gradient: Vec<f64>,
}
