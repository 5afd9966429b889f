//! Condensation on a small transformer: gradients, both devices, the same bytes again and after a
//! stop, and what is refused.

use crate::Error;
use crate::base::tests::{FAMILIES, small};
use crate::base::{Family, Vit, Weights};
use crate::data::{Condensed, Dataset, Images, Labels, Split, Start};
use crate::device::Device;
use crate::device::cpu::Cpu;
use crate::gpu_variants::variants;
use crate::tape::{Tape, Tensor, Var};
use crate::train::tests::data;
use crate::train::{Observer, Resumable, Step, Unobserved};

use super::canvas::Canvas;
use super::ensemble::Ensemble;
use super::privacy::{Accounting, Budget, Counts};
use super::statistics::{Layout, Network};
use super::view::View;
use super::view_loss::ViewLoss;
use super::*;

mod ensemble;
mod gradients;
mod refusals;
mod sets;
mod stops;

fn settings() -> CondenseSettings {
    CondenseSettings {
        size: 8,
        per_class: 3,
        iterations: 40,
        batch: 4,
        learning_rate: 0.1,
        momentum: 0.9,
        views: 4,
        augment: true,
        blocks: 2,
        matching: Matching::Moments,
        target: Target::Cluster,
        perturbation: 0.3,
        ridge: 0.5,
        start: Start::Noise,
        labels: Labels::Hard,
        real_per_class: 512,
        seed: 5,
    }
}

fn private() -> CondenseSettings {
    CondenseSettings {
        matching: Matching::Feature,
        target: Target::Class,
        ridge: 0.0,
        ..settings()
    }
}

/// A budget so large that the noise hardly shows.
fn budget() -> Budget {
    Budget { epsilon: 100.0, delta: 0.1, least_groups: 2, counts: Counts::Public }
}

fn images(dataset: &Dataset, vit: &Vit) -> Images {
    Images::load(dataset, &dataset.indices(Split::Train), &vit.preprocessing_for(8).unwrap())
        .unwrap()
}

fn run(settings: &CondenseSettings, budget: Option<Budget>) -> Result<Condensed, Error> {
    let (_dir, dataset) = data();
    let vit = small(Family::Dinov2);
    let images = images(&dataset, &vit);
    let source = Source { vit: &vit, classes: &dataset.classes, images: &images, module: None };
    Condensation::new(&Cpu::<f32>::poisoned(), source, "t", settings).run(budget, &mut Unobserved)
}

/// Multiples of 2^-8, so that a step of 2^-12 is exact in f32.
fn numbers(len: usize, seed: usize) -> Vec<f32> {
    (0..len).map(|i| ((i * 37 + seed * 101) % 509) as f32 / 256.0 - 1.0).collect()
}
