//! What a training comes to: each epoch's record, and the trained weights.

use std::collections::BTreeMap;

use medforge_runtime::tensors::Tensor;
use serde::{Deserialize, Serialize};

use crate::lora::{Factors, Head};

/// What one epoch came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// Counted from 1.
    pub epoch: usize,
    /// Mean training loss over the epoch's images.
    pub loss: f64,
    /// At the epoch's last step.
    pub learning_rate: f64,
    /// How the validation part did, if there is one.
    pub validation: Option<Validation>,
}

/// How the validation part did after an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Validation {
    /// Mean over the classes of the share of their images that were recognised.
    pub balanced_accuracy: f64,
    /// Mean cross-entropy over the images.
    pub loss: f64,
}

impl Validation {
    /// Whether this epoch is to be kept rather than `other`: by balanced accuracy, then by loss.
    pub(super) fn is_better_than(&self, other: &Validation) -> bool {
        (self.balanced_accuracy, -self.loss) > (other.balanced_accuracy, -other.loss)
    }
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
    /// Training images per second of wall time, loading and validation excluded; none if nothing
    /// was left to do.
    pub images_per_second: Option<f64>,
    /// The same per second of processor time.
    pub images_per_cpu_second: Option<f64>,
}
