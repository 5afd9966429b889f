//! Mixture (MedForge, arXiv 2502.16055, section 3): p(x) = sum over modules j of w_j
//! softmax(head_t(features_j(x))) for task t.
//!
//! Every module's probabilities on every condensed image are computed once, so that the search
//! itself is cheap. A module has one weight, or one weight for each task.
//!
//! Weights are free, as in the paper, or shares. Free weights are found by CMA-ES from one half;
//! the loss is the cross-entropy plus 0.05 times the mean absolute weight. A negative sum counts as
//! zero and rows are scaled to sum one, so only ratios matter. The result is scaled so that the
//! absolute weights sum to one. Shares are non-negative and sum to one; the cross-entropy is then
//! convex, and expectation maximisation finds its minimum.

use serde::{Deserialize, Serialize};

use super::cma_es::{self, Search, Tried};
use super::judged::LEAST;
use crate::Error;

/// How a mixture's weights are found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MixtureSettings {
    /// Whether each task has a weight vector of its own.
    pub per_task: bool,
    /// Whether weights are non-negative and sum to one. If not, they are free.
    pub shares: bool,
    /// How often the loss of free weights is computed.
    pub evaluations: usize,
    pub seed: u64,
}

/// Every module's probabilities on one task's condensed images.
pub struct TaskPredictions {
    /// [n, classes], probabilities.
    pub labels: Vec<f32>,
    pub classes: usize,
    /// By module: [n, classes].
    pub probabilities: Vec<Vec<f64>>,
}

/// Weights, and how they were found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// By task, then by module.
    pub weights: Vec<Vec<f64>>,
    /// The mean loss over tasks, with the penalty if weights are free.
    pub loss: f64,
    /// The free weights that were tried, by task if each has its own.
    pub trace: Vec<Vec<Tried>>,
}

const START: f64 = 0.5;
const BOUND: f64 = 1.5;
const DEVIATION: f64 = 0.3;
const PENALTY: f64 = 0.05;
/// The most steps of expectation maximisation, and the change of the loss that ends it.
const STEPS: usize = 10_000;
const CONVERGED: f64 = 1e-12;

/// Finds the weights of all modules together.
///
/// # Errors
/// [`Error::Merge`] without a module or a task, or for a loss that is not finite.
pub fn search(tasks: &[TaskPredictions], settings: &MixtureSettings) -> Result<Found, Error> {
    let modules = tasks.first().map_or(0, |t| t.probabilities.len());
    let all: Vec<&TaskPredictions> = tasks.iter().collect();
    if modules == 0 {
        return Err(Error::Merge {
            what: "a mixture needs a module and the condensed set of a task".into(),
        });
    }
    let (mut weights, mut trace, mut loss) = (Vec::new(), Vec::new(), 0.0);
    let together: Vec<&[&TaskPredictions]> =
        if settings.per_task { all.chunks(1).collect() } else { vec![&all] };
    for tasks in &together {
        let (found, value, tried) = if settings.shares {
            let (found, value) = shares(tasks, modules);
            (found, value, Vec::new())
        } else {
            free(tasks, modules, settings)?
        };
        weights.extend(std::iter::repeat_n(found, tasks.len()));
        trace.extend((!tried.is_empty()).then_some(tried));
        loss += value / together.len() as f64;
    }
    Ok(Found { weights, loss, trace })
}

/// Finds the weights after a module was added, which is the last. The `old` weights are scaled
/// together, and the new one is found beside them. `old` holds a vector for each task; for a task
/// without one, all old modules count the same.
///
/// # Errors
/// Those of [`search`].
pub fn extend(
    tasks: &[TaskPredictions],
    old: &[Vec<f64>],
    settings: &MixtureSettings,
) -> Result<Found, Error> {
    let two = |(t, task): (usize, &TaskPredictions)| -> Result<(TaskPredictions, Vec<f64>), Error> {
        let Some((new, before)) = task.probabilities.split_last() else {
            return Err(Error::Merge { what: "a mixture needs a module".into() });
        };
        let even = vec![1.0 / before.len().max(1) as f64; before.len()];
        let weights = old.get(t).filter(|w| w.len() == before.len()).cloned().unwrap_or(even);
        let mixed = mix(before, &weights, task.labels.len());
        let pair = TaskPredictions {
            labels: task.labels.clone(),
            classes: task.classes,
            probabilities: vec![mixed, new.clone()],
        };
        Ok((pair, weights))
    };
    let (pairs, before): (Vec<TaskPredictions>, Vec<Vec<f64>>) =
        tasks.iter().enumerate().map(two).collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
    let mut found = search(&pairs, settings)?;
    for (weights, before) in found.weights.iter_mut().zip(before) {
        let [scale, new] = weights[..] else { unreachable!("there are two sides") };
        *weights = before.iter().map(|w| w * scale).chain([new]).collect();
    }
    Ok(found)
}

/// The probabilities [n, classes] of a mixture. Negative sums count as zero, and rows are scaled to
/// sum one. A row without anything left becomes uniform.
pub fn mixture(probabilities: &[Vec<f64>], weights: &[f64], classes: usize) -> Vec<f64> {
    let mut sum = mix(probabilities, weights, probabilities.first().map_or(0, Vec::len));
    for row in sum.chunks_exact_mut(classes) {
        row.iter_mut().for_each(|v| *v = v.max(0.0));
        let total: f64 = row.iter().sum();
        let even = 1.0 / classes as f64;
        row.iter_mut().for_each(|v| *v = if total > LEAST { *v / total } else { even });
    }
    sum
}

fn mix(probabilities: &[Vec<f64>], weights: &[f64], len: usize) -> Vec<f64> {
    let mut sum = vec![0.0; len];
    for (p, w) in probabilities.iter().zip(weights) {
        sum.iter_mut().zip(p).for_each(|(s, p)| *s += w * p);
    }
    sum
}

/// The mean over tasks of the cross-entropy.
fn cross_entropy(tasks: &[&TaskPredictions], weights: &[f64]) -> f64 {
    let of = |task: &&TaskPredictions| {
        let mixed = mixture(&task.probabilities, weights, task.classes);
        let pairs = mixed.iter().zip(&task.labels);
        -pairs.map(|(p, y)| f64::from(*y) * p.max(LEAST).ln()).sum::<f64>()
            / (mixed.len() / task.classes) as f64
    };
    tasks.iter().map(of).sum::<f64>() / tasks.len() as f64
}

fn free(
    tasks: &[&TaskPredictions],
    modules: usize,
    settings: &MixtureSettings,
) -> Result<(Vec<f64>, f64, Vec<Tried>), Error> {
    let (evaluations, seed) = (settings.evaluations, settings.seed);
    let search = Search {
        start: vec![START; modules],
        bound: BOUND,
        deviation: DEVIATION,
        evaluations,
        seed,
    };
    let penalty = |w: &[f64]| PENALTY * w.iter().map(|w| w.abs()).sum::<f64>() / modules as f64;
    let tried = cma_es::minimise(&search, |w| Ok(cross_entropy(tasks, w) + penalty(w)))?;
    let best = cma_es::best(&tried);
    let size = best.at.iter().map(|w| w.abs()).sum::<f64>();
    let scale = if size > 0.0 { 1.0 / size } else { 1.0 };
    Ok((best.at.iter().map(|w| w * scale).collect(), best.loss, tried.clone()))
}

/// Expectation maximisation for the weights of a mixture with fixed components (Dempster, Laird and
/// Rubin 1977, section 4.3).
fn shares(tasks: &[&TaskPredictions], modules: usize) -> (Vec<f64>, f64) {
    let mut weights = vec![1.0 / modules as f64; modules];
    let mut before = cross_entropy(tasks, &weights);
    for _ in 0..STEPS {
        let mut next = vec![0.0; modules];
        for task in tasks {
            let images = task.labels.len() / task.classes;
            let mixed = mix(&task.probabilities, &weights, task.labels.len());
            let share = 1.0 / (images * tasks.len()) as f64;
            for (next, (p, w)) in next.iter_mut().zip(task.probabilities.iter().zip(&weights)) {
                let part = |i: usize| f64::from(task.labels[i]) * w * p[i] / mixed[i].max(LEAST);
                *next += share * (0..mixed.len()).map(part).sum::<f64>();
            }
        }
        let total: f64 = next.iter().sum();
        weights = next.iter().map(|w| w / total.max(LEAST)).collect();
        let after = cross_entropy(tasks, &weights);
        if before - after < CONVERGED {
            return (weights, after);
        }
        before = after;
    }
    (weights, before)
}

#[cfg(test)]
mod tests;
