//! How to condense. Refused: what is out of range, whether it comes from options or from a file.

use serde::{Deserialize, Serialize};

use super::goal::LossWeights;
use super::statistics::Layout;
use crate::Error;
use crate::base::Vit;
use crate::data::{Labels, Start};

/// How to condense. Everything that changes the result is here and goes into the record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CondenseSettings {
    /// Side of the images in pixels.
    pub size: usize,
    /// Synthetic images of each class.
    pub per_class: usize,
    pub iterations: usize,
    /// Synthetic images of an iteration; all if there are fewer.
    pub batch: usize,
    /// Step length at the start, as a share of the coefficients' standard deviation; it falls along
    /// a cosine.
    pub learning_rate: f64,
    pub momentum: f64,
    /// Views in the bank.
    pub views: usize,
    /// Whether views are augmented; else there is the plain one only.
    pub augment: bool,
    /// Blocks whose tokens are matched.
    pub blocks: usize,
    pub matching: Matching,
    pub target: Target,
    /// How strongly networks are perturbed: the largest norm of a change, as a share of the
    /// weight's.
    pub perturbation: f64,
    /// The weight of the ridge classifier in the loss.
    pub ridge: f64,
    pub start: Start,
    pub labels: Labels,
    /// Real images of each class that the bank holds at most.
    pub real_per_class: usize,
    pub seed: u64,
}

/// Which statistics are matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Matching {
    /// The CLS feature alone: plain distribution matching.
    Feature,
    /// And the tokens' means at several blocks.
    Mean,
    /// And the tokens' deviations there.
    Moments,
}

/// What a synthetic image is matched to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// All images of a class together to the class's mean.
    Class,
    /// Each to the mean of a cluster of its class.
    Cluster,
}

impl CondenseSettings {
    /// Refuses what is out of range; settings may come from a file.
    ///
    /// # Errors
    /// [`Error::Condense`], naming the setting.
    pub fn check(&self) -> Result<(), Error> {
        let counts = [
            ("size", self.size, 8192),
            ("per_class", self.per_class, 10_000),
            ("iterations", self.iterations, 1_000_000),
            ("batch", self.batch, 4096),
            ("views", self.views, 1000),
            ("blocks", self.blocks, 1000),
            ("real_per_class", self.real_per_class, 1_000_000),
        ];
        if let Some((name, value, most)) =
            counts.iter().find(|(_, value, most)| !(1..=*most).contains(value))
        {
            return Err(Error::Condense {
                what: format!("{name} is {value}, outside 1 to {most}"),
            });
        }
        let numbers = [
            ("learning_rate", self.learning_rate, 10.0),
            ("momentum", self.momentum, 0.999),
            ("perturbation", self.perturbation, 10.0),
            ("ridge", self.ridge, 1e6),
        ];
        match numbers.iter().find(|(_, value, most)| !(0.0..=*most).contains(value)) {
            Some((name, value, most)) => {
                Err(Error::Condense { what: format!("{name} is {value}, outside 0 to {most}") })
            }
            None => Ok(()),
        }
    }

    /// The length of iteration `t`'s step, counted from 0: it falls along a cosine.
    pub(super) fn rate(&self, t: usize) -> f64 {
        self.learning_rate
            * 0.5
            * (1.0 + (std::f64::consts::PI * t as f64 / self.iterations as f64).cos())
    }

    /// How much each part of the loss counts.
    pub(super) fn loss_weights(&self) -> LossWeights {
        let (means, deviations) = match self.matching {
            Matching::Feature => (0.0, 0.0),
            Matching::Mean => (1.0, 0.0),
            Matching::Moments => (1.0, 1.0),
        };
        LossWeights { feature: 1.0, means, deviations, ridge: self.ridge }
    }

    /// The layout of a row of statistics.
    pub(super) fn layout(&self, vit: &Vit) -> Layout {
        let blocks = if self.matching == Matching::Feature { 0 } else { self.blocks };
        Layout::spread(&vit.config, blocks)
    }
}
