//! Mixture (MedForge, arXiv 2502.16055, section 3): p(x) = sum over modules j of w_j
//! softmax(head_t(features_j(x))) for task t.
//!
//! What every module says of every condensed image is computed once; the search then costs nothing.
//! Weights are one for a module, or one for a module and task; free as in the paper (CMA-ES from
//! one half, cross-entropy plus 0.05 times their mean size; a negative sum counts as zero and rows
//! are brought to one, so only ratios matter and the result is scaled to a mean size of one over
//! the modules), or shares (non-negative, of sum one), where the cross-entropy is convex and
//! expectation maximisation finds its minimum.

use serde::{Deserialize, Serialize};

use super::cma_es::{self, Search, Tried};
use super::judged::LEAST;
use crate::Error;

/// How weights are found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// One weight vector for each task, else one for all.
    pub per_task: bool,
    /// Non-negative weights of sum one, else free ones.
    pub shares: bool,
    /// How often the loss of free weights is computed.
    pub evaluations: usize,
    pub seed: u64,
}

/// One task's condensed images as every module sees them.
pub struct Said {
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
    /// The mean over tasks, with the penalty where weights are free.
    pub loss: f64,
    /// What free weights were tried, by task where each has its own.
    pub trace: Vec<Vec<Tried>>,
}

const START: f64 = 0.5;
const BOUND: f64 = 1.5;
const DEVIATION: f64 = 0.3;
const PENALTY: f64 = 0.05;
/// Steps of expectation maximisation, and the change of the loss below which it ends.
const STEPS: usize = 10_000;
const CONVERGED: f64 = 1e-12;

/// The weights of all modules, found together.
pub fn search(tasks: &[Said], settings: &Settings) -> Result<Found, Error> {
    let modules = tasks.first().map_or(0, |t| t.probabilities.len());
    let all: Vec<&Said> = tasks.iter().collect();
    if modules == 0 {
        return Err(Error::Merge {
            what: "a mixture needs a module and the condensed set of a task".into(),
        });
    }
    let (mut weights, mut trace, mut loss) = (Vec::new(), Vec::new(), 0.0);
    let together: Vec<&[&Said]> =
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

/// The weights once a module has come: those of the `old` ones scaled together, that of the new one
/// (the last) beside them. `old` holds a vector for each task but those that the new module
/// brought; there the old modules count alike.
pub fn extend(tasks: &[Said], old: &[Vec<f64>], settings: &Settings) -> Result<Found, Error> {
    let two = |(t, said): (usize, &Said)| -> Result<(Said, Vec<f64>), Error> {
        let Some((new, before)) = said.probabilities.split_last() else {
            return Err(Error::Merge { what: "a mixture needs a module".into() });
        };
        let even = vec![1.0 / before.len().max(1) as f64; before.len()];
        let weights = old.get(t).filter(|w| w.len() == before.len()).cloned().unwrap_or(even);
        let mixed = mix(before, &weights, said.labels.len());
        let said = Said {
            labels: said.labels.clone(),
            classes: said.classes,
            probabilities: vec![mixed, new.clone()],
        };
        Ok((said, weights))
    };
    let (pairs, before): (Vec<Said>, Vec<Vec<f64>>) =
        tasks.iter().enumerate().map(two).collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
    let mut found = search(&pairs, settings)?;
    for (weights, before) in found.weights.iter_mut().zip(before) {
        let [scale, new] = weights[..] else { unreachable!("there are two sides") };
        *weights = before.iter().map(|w| w * scale).chain([new]).collect();
    }
    Ok(found)
}

/// The probabilities [n, classes] of a mixture: negative sums count as zero, rows are brought to
/// one (even where nothing is left).
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
fn cross_entropy(tasks: &[&Said], weights: &[f64]) -> f64 {
    let of = |said: &&Said| {
        let mixed = mixture(&said.probabilities, weights, said.classes);
        let pairs = mixed.iter().zip(&said.labels);
        -pairs.map(|(p, y)| f64::from(*y) * p.max(LEAST).ln()).sum::<f64>()
            / (mixed.len() / said.classes) as f64
    };
    tasks.iter().map(of).sum::<f64>() / tasks.len() as f64
}

fn free(
    tasks: &[&Said],
    modules: usize,
    settings: &Settings,
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

/// Expectation maximisation for the shares of a mixture with fixed parts (Dempster, Laird and Rubin
/// 1977, section 4.3).
fn shares(tasks: &[&Said], modules: usize) -> (Vec<f64>, f64) {
    let mut weights = vec![1.0 / modules as f64; modules];
    let mut before = cross_entropy(tasks, &weights);
    for _ in 0..STEPS {
        let mut next = vec![0.0; modules];
        for said in tasks {
            let images = said.labels.len() / said.classes;
            let mixed = mix(&said.probabilities, &weights, said.labels.len());
            let share = 1.0 / (images * tasks.len()) as f64;
            for (next, (p, w)) in next.iter_mut().zip(said.probabilities.iter().zip(&weights)) {
                let part = |i: usize| f64::from(said.labels[i]) * w * p[i] / mixed[i].max(LEAST);
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
mod tests {
    use super::*;

    const SHARES: Settings = Settings { per_task: false, shares: true, evaluations: 0, seed: 0 };
    const FREE: Settings = Settings { per_task: false, shares: false, evaluations: 400, seed: 0 };

    /// Images of two classes; module 0 is right with probability `sure[0]`, and so on.
    fn said(sure: &[f64]) -> Said {
        let labels = [0, 1, 1, 0, 1, 0].map(|c| [f32::from(c == 0), f32::from(c == 1)]).concat();
        let of = |(j, s): (usize, &f64)| -> Vec<f64> {
            // Each module errs on an image of its own.
            let wrong = |i: usize| i == j;
            let rows = labels.chunks_exact(2).enumerate().flat_map(|(i, y)| {
                let s = if wrong(i) { 1.0 - s } else { *s };
                [y[0], y[1]].map(|y| if y == 1.0 { s } else { 1.0 - s })
            });
            rows.collect()
        };
        Said {
            labels: labels.clone(),
            classes: 2,
            probabilities: sure.iter().enumerate().map(of).collect(),
        }
    }

    /// The least loss on a fine grid of shares.
    fn grid(tasks: &[&Said]) -> (f64, f64) {
        let at = |i: i32| f64::from(i) / 1000.0;
        let all = (0..=1000).map(|i| (cross_entropy(tasks, &[at(i), 1.0 - at(i)]), at(i)));
        all.min_by(|a, b| a.0.total_cmp(&b.0)).unwrap()
    }

    #[test]
    fn shares_are_those_of_a_fine_grid() {
        for sure in [[0.9, 0.8], [0.6, 0.99], [0.5, 0.7]] {
            let tasks = [said(&sure)];
            let found = search(&tasks, &SHARES).unwrap();
            let (loss, share) = grid(&[&tasks[0]]);
            assert!((found.loss - loss).abs() < 1e-5, "{} {loss}", found.loss);
            assert!((found.weights[0][0] - share).abs() < 2e-2, "{:?} {share}", found.weights);
            assert!((found.weights[0].iter().sum::<f64>() - 1.0).abs() < 1e-9);
        }
    }

    #[test]
    fn free_weights_come_near_the_shares() {
        let tasks = [said(&[0.9, 0.8, 0.3])];
        let (free, shares) = (search(&tasks, &FREE).unwrap(), search(&tasks, &SHARES).unwrap());
        let plain = cross_entropy(&[&tasks[0]], &free.weights[0]);
        assert!(plain < shares.loss + 0.01, "{plain} {}", shares.loss);
        assert_eq!(free.trace[0].len(), 400);
    }

    #[test]
    fn tasks_may_have_weights_of_their_own() {
        let tasks = [said(&[0.95, 0.4]), said(&[0.4, 0.95])];
        let own = search(&tasks, &Settings { per_task: true, ..SHARES }).unwrap();
        let one = search(&tasks, &SHARES).unwrap();
        assert_eq!(one.weights[0], one.weights[1]);
        assert!(own.weights[0][0] > 0.8 && own.weights[1][1] > 0.8, "{:?}", own.weights);
        assert!(own.loss < one.loss);
    }

    #[test]
    fn old_weights_keep_their_ratio_when_a_module_comes() {
        let tasks = [said(&[0.9, 0.6, 0.8])];
        let found = extend(&tasks, &[vec![0.75, 0.25]], &SHARES).unwrap();
        let w = &found.weights[0];
        assert!((w[0] / w[1] - 3.0).abs() < 1e-9 && w[2] > 0.0, "{w:?}");
        let joint = search(&tasks, &SHARES).unwrap();
        assert!(joint.loss <= found.loss + 1e-9);
        // A task that came with the new module has no weights yet.
        assert_eq!(extend(&tasks, &[], &SHARES).unwrap().weights[0].len(), 3);
    }

    #[test]
    fn rows_are_probabilities_whatever_the_weights() {
        let p = vec![vec![0.9, 0.1, 0.5, 0.5], vec![0.2, 0.8, 0.5, 0.5]];
        let close = |found: Vec<f64>, expected: [f64; 4]| {
            assert!(found.iter().zip(expected).all(|(f, e)| (f - e).abs() < 1e-12), "{found:?}");
        };
        close(mixture(&p, &[1.0, 0.0], 2), [0.9, 0.1, 0.5, 0.5]);
        close(mixture(&p, &[3.0, 1.0], 2), [0.725, 0.275, 0.5, 0.5]);
        close(mixture(&p, &[1.0, -1.0], 2), [1.0, 0.0, 0.5, 0.5]);
        close(mixture(&p, &[0.0, 0.0], 2), [0.5; 4]);
    }
}
