//! A model's answers to several images at once.

use crate::Error;
use crate::eval::metrics::Predictions;
use crate::merge::Sites;
use crate::merge::model::{Answer, Composition, Model};

/// How many networks an answer needs if the task is given. Routing that only finds the task does
/// not count.
pub fn needed(model: &Model) -> usize {
    match &model.composition {
        Composition::Fusion(_) => 1,
        Composition::Mixture { modules, .. } => modules.len(),
        Composition::Routed { modules } => 1 + modules.len(),
    }
}

/// The features [n, hidden] of the same images under each network of `model`; `of` computes them
/// for one network.
pub fn features(
    model: &Model,
    of: impl Fn(&Sites) -> Result<Vec<f32>, Error>,
) -> Result<Vec<Vec<f32>>, Error> {
    model.networks().iter().map(of).collect()
}

/// The answers of `model` to `images` images with these `features`.
pub fn answers(
    model: &Model,
    features: &[Vec<f32>],
    images: usize,
    task: Option<&str>,
) -> Vec<Answer> {
    let answer = |i: usize| {
        let row = features
            .iter()
            .map(|rows| rows.chunks_exact(rows.len() / images).nth(i).unwrap_or_default());
        model.answer(&row.collect::<Vec<_>>(), task)
    };
    (0..images).map(answer).collect()
}

/// The answers' probabilities [n, classes].
pub fn probabilities(answers: &[Answer]) -> Vec<f64> {
    answers.iter().flat_map(|answer| answer.probabilities.iter().copied()).collect()
}

/// The probabilities [n, classes] beside the labels, ready for metrics.
pub fn predictions(
    probabilities: &[f64],
    labels: &[usize],
    classes: usize,
) -> Result<Predictions, Error> {
    Predictions::new(&probabilities.iter().map(|p| *p as f32).collect::<Vec<_>>(), labels, classes)
}
