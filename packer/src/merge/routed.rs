//! Routing: which task an image belongs to, from the frozen base's feature and each task's
//! prototypes, so that one model serves all tasks when the caller does not say which.
//!
//! Prototypes are the mean features of a task's condensed images, one a class. An image's share of
//! a task is the posterior of a mixture of Gaussians around the prototypes with one covariance for
//! all and tasks equally likely (linear discriminant analysis): that of the condensed images around
//! their prototypes, shrunk towards a multiple of the identity, since they are few.

use std::collections::BTreeMap;

use faer::linalg::solvers::Solve;
use faer::{Col, Mat, Scale, Side};
use medforge_runtime::tensors::Tensor;

use crate::Error;

/// What tasks look like to the base.
#[derive(Clone, Debug, PartialEq)]
pub struct Prototypes {
    /// By task: [classes, hidden + 1]. A row is a prototype p seen through the covariance S: S^-1
    /// p, then -p S^-1 p / 2, so that its product with a feature f and 1 is the logarithm of the
    /// Gaussian around p at f, but for what all prototypes share.
    pub tasks: BTreeMap<String, Tensor>,
}

/// A task's condensed images under the frozen base.
pub struct Seen<'a> {
    pub task: &'a str,
    pub classes: usize,
    /// [n, hidden]
    pub features: &'a [f32],
    /// The class of each.
    pub labels: &'a [usize],
}

/// The part of the covariance that is its mean variance in all directions. Between .03 and .15
/// hardly anything changes.
const SHRINKAGE: f64 = 0.05;

impl Prototypes {
    /// Prototypes of `tasks`.
    ///
    /// # Errors
    /// [`Error::Merge`] for a class without an image, or images that do not differ from their
    /// prototypes.
    pub fn new(tasks: &[Seen]) -> Result<Self, Error> {
        let hidden = tasks.first().map_or(0, |t| t.features.len() / t.labels.len().max(1));
        let (mut means, mut scatter, mut count) =
            (Vec::new(), Mat::<f64>::zeros(hidden, hidden), 0);
        for Seen { task, classes, features, labels } in tasks {
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
            let seen = solver.solve(&mean);
            let middle = -0.5 * (mean.transpose() * &seen);
            rows.entry(task.to_owned())
                .or_default()
                .extend(seen.iter().chain([&middle]).map(|v| *v as f32));
        }
        let tensor =
            |values: Vec<f32>| Tensor::f32(vec![values.len() / (hidden + 1), hidden + 1], values);
        Ok(Prototypes {
            tasks: rows.into_iter().map(|(task, values)| (task, tensor(values))).collect(),
        })
    }

    /// The share of each task (in the order of their names) in an image with this feature of the
    /// base; they sum to one.
    pub fn shares(&self, feature: &[f32]) -> Vec<f64> {
        let hidden = feature.len();
        let nearness = |row: &[f32]| {
            let product =
                row.iter().zip(feature).map(|(p, f)| f64::from(*p) * f64::from(*f)).sum::<f64>();
            product + f64::from(row[hidden])
        };
        let of = |task: &Tensor| {
            let all: Vec<f64> = task.data.chunks_exact(hidden + 1).map(nearness).collect();
            log_mean_exp(&all)
        };
        let tasks: Vec<f64> = self.tasks.values().map(of).collect();
        let top = tasks.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let shares: Vec<f64> = tasks.iter().map(|t| (t - top).exp()).collect();
        let total: f64 = shares.iter().sum();
        shares.iter().map(|s| s / total).collect()
    }
}

fn log_mean_exp(values: &[f64]) -> f64 {
    let top = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    top + (values.iter().map(|v| (v - top).exp()).sum::<f64>() / values.len() as f64).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prototypes() -> Prototypes {
        // Task a around (0, 0) and (4, 0), task b around (0, 6).
        let a = [-1.0, 0.0, 1.0, 0.0, 4.0, 1.0, 4.0, -1.0];
        let b = [0.0, 6.0, 0.0, 8.0, 0.0, 7.0, 1.0, 7.0];
        Prototypes::new(&[
            Seen { task: "a", classes: 2, features: &a, labels: &[0, 0, 1, 1] },
            Seen { task: "b", classes: 2, features: &b, labels: &[0, 0, 1, 1] },
        ])
        .unwrap()
    }

    /// The covariance by hand, shrunk: squares around the means, 2 + 0 and 0 + 0.5 along x, 0 + 2
    /// and 2 + 0 along y, over two less one image in each of four classes; products are zero.
    fn covariance() -> [f64; 3] {
        let [xx, xy, yy] = [2.5 / 4.0, 0.0, 1.0];
        let mean = (xx + yy) / 2.0;
        [0.95 * xx + 0.05 * mean, 0.95 * xy, 0.95 * yy + 0.05 * mean]
    }

    #[test]
    fn prototypes_are_class_means_through_the_covariance() {
        let p = prototypes();
        let [xx, _, yy] = covariance();
        let row = |x: f64, y: f64| [x / xx, y / yy, -0.5 * (x * x / xx + y * y / yy)];
        for (task, means) in [("a", [(0.0, 0.0), (4.0, 0.0)]), ("b", [(0.0, 7.0), (0.5, 7.0)])] {
            for (found, (x, y)) in p.tasks[task].data.chunks(3).zip(means) {
                let near =
                    found.iter().zip(row(x, y)).all(|(f, e)| (f64::from(*f) - e).abs() < 1e-5);
                assert!(near, "{task}: {found:?} {:?}", row(x, y));
            }
        }
    }

    #[test]
    fn an_image_goes_to_the_nearest_task() {
        let p = prototypes();
        assert!(p.shares(&[3.5, 0.2])[0] > 0.999);
        assert!(p.shares(&[0.2, 6.5])[1] > 0.999);
        let [a, b] = p.shares(&[0.0, 3.4])[..] else { panic!() };
        assert!((a + b - 1.0).abs() < 1e-12);
        let [xx, _, yy] = covariance();
        let gauss = |x: f64, y: f64| (-0.5 * (x * x / xx + (3.4 - y) * (3.4 - y) / yy)).exp();
        let (of_a, of_b) = (gauss(0.0, 0.0) + gauss(4.0, 0.0), gauss(0.0, 7.0) + gauss(0.5, 7.0));
        assert!((a - of_a / (of_a + of_b)).abs() < 1e-5, "{a}");
        // Far from all, still shares.
        let far = p.shares(&[1e4, -1e4]);
        assert!((far.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn what_makes_no_prototype_is_refused() {
        let one = |features: &[f32], labels: &[usize]| {
            Prototypes::new(&[Seen { task: "a", classes: 2, features, labels }])
                .unwrap_err()
                .to_string()
        };
        assert!(one(&[1.0, 2.0], &[0, 0]).contains("class 1 of the condensed set of a"));
        assert!(one(&[1.0, 2.0], &[0, 1]).contains("two different condensed images"));
    }
}
