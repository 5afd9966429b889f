//! Routing: finds the task of an image from the frozen base's feature and each task's prototypes.
//! So one model serves all tasks, even if the caller does not name the task.
//!
//! Prototypes are the mean features of a task's condensed images, one for each class. The
//! probability of a task is the posterior of a mixture of Gaussians around the prototypes (linear
//! discriminant analysis). All tasks are equally likely, and all Gaussians share one covariance:
//! that of the condensed images around their prototypes. It is shrunk towards a multiple of the
//! identity, since the images are few.

use std::collections::BTreeMap;

use faer::linalg::solvers::Solve;
use faer::{Col, Mat, Scale, Side};
use medforge_runtime::tensors::Tensor;

use crate::Error;

/// The prototypes of tasks, under the frozen base.
#[derive(Clone, Debug, PartialEq)]
pub struct Prototypes {
    /// By task: [classes, hidden + 1]. For a prototype p and the covariance S, a row is S^-1 p and
    /// then -p S^-1 p / 2. Its product with a feature f and 1 is the logarithm of the Gaussian
    /// around p at f, up to a term that is the same for all prototypes.
    pub tasks: BTreeMap<String, Tensor>,
}

/// A task's condensed images under the frozen base.
pub struct TaskFeatures<'a> {
    pub task: &'a str,
    pub classes: usize,
    /// [n, hidden]
    pub features: &'a [f32],
    /// The class of each.
    pub labels: &'a [usize],
}

/// How far the covariance is shrunk towards its mean variance. Results hardly change between .03
/// and .15.
const SHRINKAGE: f64 = 0.05;

impl Prototypes {
    /// Prototypes of `tasks`.
    ///
    /// # Errors
    /// [`Error::Merge`] for a class without an image, or images that do not differ from their
    /// prototypes.
    pub fn new(tasks: &[TaskFeatures]) -> Result<Self, Error> {
        let hidden = tasks.first().map_or(0, |t| t.features.len() / t.labels.len().max(1));
        let (mut means, mut scatter, mut count) =
            (Vec::new(), Mat::<f64>::zeros(hidden, hidden), 0);
        for TaskFeatures { task, classes, features, labels } in tasks {
            for class in 0..*classes {
                let of_class = features
                    .chunks_exact(hidden.max(1))
                    .zip(*labels)
                    .filter(|(_, label)| **label == class);
                let own: Vec<&[f32]> = of_class.map(|(feature, _)| feature).collect();
                if own.is_empty() {
                    return Err(Error::Merge {
                        what: format!("class {class} of the condensed set of {task} has no image"),
                    });
                }
                let mean = Col::from_fn(hidden, |j| {
                    own.iter().map(|f| f64::from(f[j])).sum::<f64>() / own.len() as f64
                });
                let off = Mat::from_fn(hidden, own.len(), |j, i| f64::from(own[i][j]) - mean[j]);
                scatter += &off * off.transpose();
                count += own.len() - 1;
                means.push((*task, mean));
            }
        }
        let variance = (0..hidden).map(|j| scatter[(j, j)]).sum::<f64>() / (count * hidden) as f64;
        if !(variance.is_finite() && variance > 0.0) {
            return Err(Error::Merge {
                what: "routing needs two different condensed images of a class".into(),
            });
        }
        let mut covariance = scatter * Scale((1.0 - SHRINKAGE) / count as f64);
        (0..hidden).for_each(|j| covariance[(j, j)] += SHRINKAGE * variance);
        let singular =
            |_| Error::Merge { what: "the condensed images' covariance cannot be inverted".into() };
        let solver = covariance.llt(Side::Lower).map_err(singular)?;
        let mut rows: BTreeMap<String, Vec<f32>> = BTreeMap::new();
        for (task, mean) in means {
            let whitened = solver.solve(&mean);
            let middle = -0.5 * (mean.transpose() * &whitened);
            rows.entry(task.to_owned())
                .or_default()
                .extend(whitened.iter().chain([&middle]).map(|v| *v as f32));
        }
        let tensor =
            |values: Vec<f32>| Tensor::f32(vec![values.len() / (hidden + 1), hidden + 1], values);
        Ok(Prototypes {
            tasks: rows.into_iter().map(|(task, values)| (task, tensor(values))).collect(),
        })
    }

    /// The probability of each task, in the order of their names, for an image with this feature of
    /// the base `[hidden]`. They sum to one.
    pub fn task_probabilities(&self, feature: &[f32]) -> Vec<f64> {
        let hidden = feature.len();
        let log_density = |row: &[f32]| {
            let product =
                row.iter().zip(feature).map(|(p, f)| f64::from(*p) * f64::from(*f)).sum::<f64>();
            product + f64::from(row[hidden])
        };
        let of = |task: &Tensor| {
            let all: Vec<f64> = task.data.chunks_exact(hidden + 1).map(log_density).collect();
            log_mean_exp(&all)
        };
        let tasks: Vec<f64> = self.tasks.values().map(of).collect();
        let top = tasks.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let odds: Vec<f64> = tasks.iter().map(|t| (t - top).exp()).collect();
        let total: f64 = odds.iter().sum();
        odds.iter().map(|odd| odd / total).collect()
    }
}

fn log_mean_exp(values: &[f64]) -> f64 {
    let top = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    top + (values.iter().map(|v| (v - top).exp()).sum::<f64>() / values.len() as f64).ln()
}

#[cfg(test)]
mod tests;
