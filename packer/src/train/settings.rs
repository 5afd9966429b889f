//! How to train: what a module's card says of it.

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::data::Augment;
use crate::lora::Targets;

/// How to train. Everything that changes the result is here and goes into the module card.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainSettings {
    /// Side of the input in pixels.
    pub size: usize,
    pub epochs: usize,
    /// Images of a step.
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
        /// The probability that training drops a value on its way into a branch; below 1.
        #[serde(default, skip_serializing_if = "is_default")]
        dropout: f64,
    },
    /// All weights of the base.
    Full,
}

impl TrainSettings {
    /// The learning rate of a step counted from 0: linear warm-up times a cosine from 1 to 0.
    pub fn rate(&self, step: usize, total: usize) -> f64 {
        let warm_up = (step + 1) as f64 / (self.warm_up * total as f64).max(1.0);
        let cosine = 0.5 * (1.0 + (std::f64::consts::PI * step as f64 / total as f64).cos());
        self.learning_rate * warm_up.min(1.0) * cosine
    }
}

/// The targets of a LoRA training, read again from the settings.
pub(super) fn targets(text: &str) -> Result<Targets, Error> {
    text.parse().map_err(|what| Error::Targets { what })
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
