//! The iterations of a condensation: which images, under which view, and one step on them.

use crate::Error;
use crate::base::Weights;
use crate::data::Start;
use crate::device::Device;
use crate::random::{Purpose, Stream};

use super::bank::Bank;
use super::canvas::Canvas;
use super::checkpoint::Checkpoint;
use super::ensemble::Ensemble;
use super::palette::Palette;
use super::pixels::planar;
use super::plan::Plan;
use super::settings::CondenseSettings;
use super::source::Source;
use super::statistics::Network;
use super::view_loss::ViewLoss;

/// All that stays the same from one iteration to the next.
pub(super) struct Iterations<'a, D: Device> {
    device: &'a D,
    source: Source<'a>,
    settings: &'a CondenseSettings,
    bank: &'a Bank,
    plan: &'a Plan,
    canvas: Canvas,
    frozen: Weights<D>,
    ensemble: Ensemble<'a>,
    /// The class of each synthetic image.
    labels: Vec<usize>,
}

impl<'a, D: Device + 'static> Iterations<'a, D> {
    /// For the real images `members` of the bank, and the plan made of them.
    pub fn new(
        device: &'a D,
        source: Source<'a>,
        settings: &'a CondenseSettings,
        bank: &'a Bank,
        plan: &'a Plan,
        members: &[usize],
    ) -> Self {
        let Source { vit, classes, images, module } = source;
        let canvas = match bank.released() {
            None => {
                let picture = |&m: &usize| (images.pixels(bank.images()[m]), bank.labels()[m]);
                Canvas::of(settings.size, &members.iter().map(picture).collect::<Vec<_>>())
            }
            Some(_) => Canvas::new(settings.size, Palette::neutral(vit.preprocessing.mean)),
        };
        Iterations {
            device,
            source,
            settings,
            bank,
            plan,
            canvas,
            frozen: Weights::frozen(device, vit, settings.size),
            ensemble: Ensemble::new(vit, module, settings.perturbation, settings.seed),
            labels: (0..classes.len()).flat_map(|c| vec![c; settings.per_class]).collect(),
        }
    }

    /// The class of each synthetic image.
    pub fn labels(&self) -> &[usize] {
        &self.labels
    }

    /// The first coefficients of every image.
    pub fn start(&self) -> Vec<f32> {
        let real = |i: usize| self.source.images.pixels(self.bank.images()[self.plan.nearest[i]]);
        let image = |i: usize| match self.settings.start {
            Start::Noise => self.canvas.noise(self.settings.seed, i, self.labels[i]),
            Start::Real => self.canvas.coefficients(&planar(real(i))),
        };
        (0..self.labels.len()).flat_map(image).collect()
    }

    /// Refuses a state with too few or too many values.
    pub fn check(&self, state: &Checkpoint) -> Result<(), Error> {
        if state.coefficients.len() == self.labels.len() * self.canvas.values() {
            return Ok(());
        }
        let what = format!(
            "the checkpoint is damaged: it holds {} values of images",
            state.coefficients.len()
        );
        Err(Error::Checkpoint { what })
    }

    /// One iteration; how many images it moved.
    pub fn step(&self, state: &mut Checkpoint) -> Result<usize, Error> {
        let (settings, t) = (self.settings, state.iteration);
        let each = self.canvas.values();
        let view = self.bank.order(settings.seed, t);
        let chosen = self.chosen(t);
        let pick = |from: &[usize]| chosen.iter().map(|&i| from[i]).collect::<Vec<_>>();
        let coefficients: Vec<f32> =
            chosen.iter().flat_map(|&i| &state.coefficients[i * each..][..each]).copied().collect();
        let network =
            Network { weights: &self.frozen, sites: self.ensemble.sites(self.device, view) };
        let under_view = ViewLoss {
            device: self.device,
            network: &network,
            bank: self.bank,
            view,
            goal: &self.plan.goals[view],
            weights: settings.loss_weights(),
            classes: self.source.classes.len(),
        };
        let (targets, labels) = (pick(&self.plan.of), pick(&self.labels));
        let (loss, gradient) =
            under_view.gradient(&self.canvas, self.source.vit, &coefficients, &targets, &labels)?;
        if !loss.is_finite() {
            return Err(Error::Diverged { step: t + 1, learning_rate: settings.learning_rate });
        }
        state.descend(&chosen, &gradient, settings.rate(t), settings.momentum);
        state.note(loss);
        Ok(chosen.len())
    }

    /// The images [n, 3, size, size] of a state, RGB in 0..1.
    pub fn paint(&self, state: &Checkpoint) -> Vec<f32> {
        self.canvas.paint(&state.coefficients)
    }

    /// The images of iteration `t`: every image once in each round of a random order.
    fn chosen(&self, t: usize) -> Vec<usize> {
        let n = self.labels.len();
        let batch = self.settings.batch.min(n);
        let mut chosen: Vec<usize> = (t * batch..(t + 1) * batch)
            .map(|place| {
                let mut order: Vec<usize> = (0..n).collect();
                Stream::at(self.settings.seed, Purpose::Subset, (place / n) as u64, 1)
                    .shuffle(&mut order);
                order[place % n]
            })
            .collect();
        chosen.sort_unstable();
        chosen.dedup();
        chosen
    }
}
