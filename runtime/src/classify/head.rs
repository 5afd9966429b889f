//! A task's head: from a feature to the probabilities of its classes.

use std::sync::Arc;

use super::parts::Logits;
use crate::bundle::manifest;

/// The head of a task.
pub(super) struct Head {
    pub task: String,
    /// SHA-256 of its entry.
    pub digest: String,
    pub logits: Logits,
    pub calibration: Option<manifest::Calibration>,
    pub classes: Arc<[String]>,
    pub codes: Arc<[manifest::Code]>,
}

impl Head {
    /// Of `stated`, from its checked tensors.
    pub fn new(stated: &manifest::Head, digest: &str, logits: Logits) -> Self {
        let classes = stated.classes.clone().into();
        let codes = stated.codes.clone().into();
        let calibration = stated.calibration.clone();
        Head {
            task: stated.task.clone(),
            digest: digest.to_owned(),
            logits,
            calibration,
            classes,
            codes,
        }
    }

    /// The probabilities of the classes for a feature, in f64.
    pub fn softmax(&self, feature: &[f32], temperature: f64) -> Vec<f64> {
        let Logits { weight, bias, logit_scale, .. } = &self.logits;
        let factor = logit_scale.map_or(1.0, |scale| {
            let length = feature.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
            scale / length.max(1e-12)
        });
        let rows = weight.chunks_exact(feature.len()).zip(bias);
        let logits: Vec<f64> = rows
            .map(|(row, &bias)| {
                let product = row
                    .iter()
                    .zip(feature)
                    .map(|(&w, &x)| f64::from(w) * f64::from(x))
                    .sum::<f64>();
                (f64::from(bias) + factor * product) / temperature
            })
            .collect();
        let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let exponentials: Vec<f64> = logits.iter().map(|logit| (logit - largest).exp()).collect();
        let total: f64 = exponentials.iter().sum();
        exponentials.iter().map(|value| value / total).collect()
    }
}
