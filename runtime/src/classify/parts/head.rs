//! Heads: from features to logits, and how far an image is from those of the task.

use std::collections::BTreeMap;

use super::take::Take;
use crate::bundle::manifest;
use crate::tensors::Tensor;
use crate::{Class, Error};

/// From a feature to logits.
pub struct Logits {
    /// `[classes, feature]`
    pub weight: Vec<f32>,
    /// `[classes]`
    pub bias: Vec<f32>,
    /// The length that a feature is brought to first, where the rows are features of texts.
    pub logit_scale: Option<f64>,
    /// What the task's images look like, where the head is calibrated.
    pub familiar: Option<Familiar>,
}

/// Gaussians around the classes of a task, with one covariance for all (Lee et al. 2018, section
/// 2.1).
pub struct Familiar {
    /// `[feature, feature]`: R of the covariance's inverse R^T R.
    whitening: Vec<f32>,
    /// `[classes, feature]`: R times each class's mean.
    means: Vec<f32>,
}

impl Familiar {
    /// Mahalanobis' distance of `feature` from the nearest class, divided by the root of the
    /// feature's width.
    pub fn score(&self, feature: &[f32]) -> f64 {
        let width = feature.len();
        let product = |row: &[f32]| {
            row.iter().zip(feature).map(|(r, f)| f64::from(*r) * f64::from(*f)).sum::<f64>()
        };
        let whitened: Vec<f64> = self.whitening.chunks_exact(width).map(product).collect();
        let to = |mean: &[f32]| {
            whitened.iter().zip(mean).map(|(w, m)| (w - f64::from(*m)).powi(2)).sum::<f64>()
        };
        let nearest = self.means.chunks_exact(width).map(to).fold(f64::INFINITY, f64::min);
        (nearest / width as f64).sqrt()
    }
}

/// A head's `weight` `[classes, feature]` and `bias` `[classes]`, or `weight` and `logit_scale`
/// `[1]`; of a calibrated one also `ood_means` `[classes, feature]` and `ood_whitening` `[feature,
/// feature]`.
pub fn head(
    stated: &manifest::Head,
    tensors: BTreeMap<String, Tensor>,
    feature: usize,
) -> Result<Logits, Error> {
    let mut take = Take::new(&stated.entry, tensors);
    let classes = stated.classes.len();
    let weight = take.tensor("weight", &[classes, feature]);
    let of_texts = take.tensors.contains_key("logit_scale");
    let logit_scale = of_texts
        .then(|| take.tensor("logit_scale", &[1]).first().map_or(1.0, |scale| f64::from(*scale)));
    let bias = if of_texts { vec![0.0; classes] } else { take.tensor("bias", &[classes]) };
    if !of_texts && !stated.zero_shot.is_empty() {
        take.refuse(
            Class::TensorsMisfit,
            "logit_scale is missing, and the manifest has classes without training".into(),
        );
    }
    let familiar = stated.calibration.as_ref().map(|_| Familiar {
        means: take.tensor("ood_means", &[classes, feature]),
        whitening: take.tensor("ood_whitening", &[feature, feature]),
    });
    take.finish(Logits { weight, bias, logit_scale, familiar })
}
