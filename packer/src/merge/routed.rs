//! Routing: which task an image belongs to, from the frozen base's feature and each task's prototypes, so that one model serves all tasks
//! when the caller does not say which.
//!
//! Prototypes are the mean features of a task's condensed images, one a class. An image's share of a task is the posterior of a mixture of
//! Gaussians around the prototypes with one variance for all (that of the condensed images around their prototypes) and tasks
//! equally likely.

use std::collections::BTreeMap;

use medforge_runtime::tensors::Tensor;

use crate::Error;

/// What tasks look like to the base.
#[derive(Clone, Debug, PartialEq)]
pub struct Prototypes {
    /// By task: [classes, hidden].
    pub tasks: BTreeMap<String, Tensor>,
    /// The mean square distance of a condensed image to its prototype.
    pub variance: f64,
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

impl Prototypes {
    /// Prototypes of `tasks`.
    ///
    /// # Errors
    /// [`Error::Merge`] for a class without an image, or images that do not differ from their prototypes.
    pub fn new(tasks: &[Seen]) -> Result<Self, Error> {
        let (mut by_task, mut square, mut count) = (BTreeMap::new(), 0.0, 0);
        for Seen { task, classes, features, labels } in tasks {
            let hidden = features.len() / labels.len().max(1);
            let mut means = vec![0f32; classes * hidden];
            for class in 0..*classes {
                let own: Vec<&[f32]> = features
                    .chunks_exact(hidden.max(1))
                    .zip(*labels)
                    .filter(|(_, l)| **l == class)
                    .map(|(f, _)| f)
                    .collect();
                if own.is_empty() {
                    return Err(Error::Merge {
                        what: format!("class {class} of the condensed set of {task} has no image"),
                    });
                }
                for j in 0..hidden {
                    let mean = own.iter().map(|f| f64::from(f[j])).sum::<f64>() / own.len() as f64;
                    means[class * hidden + j] = mean as f32;
                    square += own.iter().map(|f| (f64::from(f[j]) - mean).powi(2)).sum::<f64>();
                }
                count += own.len() - 1;
            }
            by_task.insert((*task).to_owned(), Tensor::f32(vec![*classes, hidden], means));
        }
        let variance = square / count as f64;
        match variance.is_finite() && variance > 0.0 {
            true => Ok(Prototypes { tasks: by_task, variance }),
            false => Err(Error::Merge { what: "routing needs two different condensed images of a class".into() }),
        }
    }

    /// The share of each task (in the order of their names) in an image with this feature of the base; they sum to one.
    pub fn shares(&self, feature: &[f32]) -> Vec<f64> {
        let hidden = feature.len();
        let nearness = |prototype: &[f32]| {
            let square = prototype.iter().zip(feature).map(|(p, f)| f64::from(p - f).powi(2)).sum::<f64>();
            // The variance is that of a whole feature: of each of its numbers a part.
            -square * hidden as f64 / (2.0 * self.variance)
        };
        let of = |task: &Tensor| {
            let all: Vec<f64> = task.data.chunks_exact(hidden).map(nearness).collect();
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

    #[test]
    fn prototypes_are_class_means() {
        let p = prototypes();
        assert_eq!(p.tasks["a"].data, [0.0, 0.0, 4.0, 0.0]);
        assert_eq!(p.tasks["b"].data, [0.0, 7.0, 0.5, 7.0]);
        // Squares around the means: 2 + 2 + 2 + 0.5, over four images less two, twice.
        assert!((p.variance - 6.5 / 4.0).abs() < 1e-12);
    }

    #[test]
    fn an_image_goes_to_the_nearest_task() {
        let p = prototypes();
        assert!(p.shares(&[3.5, 0.2])[0] > 0.999);
        assert!(p.shares(&[0.2, 6.5])[1] > 0.999);
        let [a, b] = p.shares(&[0.0, 3.4])[..] else { panic!() };
        assert!((a + b - 1.0).abs() < 1e-12);
        // By hand: squares 11.56 and 27.56 to a, 12.96 and 13.21 to b, each over the variance.
        let gauss = |square: f64| (-square / p.variance).exp();
        let (of_a, of_b) = (gauss(11.56) + gauss(27.56), gauss(12.96) + gauss(13.21));
        assert!((a - of_a / (of_a + of_b)).abs() < 1e-6, "{a}");
        // Far from all, still shares.
        let far = p.shares(&[1e4, -1e4]);
        assert!((far.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn what_makes_no_prototype_is_refused() {
        let one = |features: &[f32], labels: &[usize]| {
            Prototypes::new(&[Seen { task: "a", classes: 2, features, labels }]).unwrap_err().to_string()
        };
        assert!(one(&[1.0, 2.0], &[0, 0]).contains("class 1 of the condensed set of a"));
        assert!(one(&[1.0, 2.0], &[0, 1]).contains("two different condensed images"));
    }
}
