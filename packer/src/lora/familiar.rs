//! The features of a module's own images, for its out-of-distribution score. Each class is a
//! Gaussian, and all share one covariance (Lee et al. 2018, "A Simple Unified Framework for
//! Detecting Out-of-Distribution Samples", section 2.1). An image far from all of them is
//! unfamiliar to the module.

use std::fmt;

use faer::linalg::solvers::Solve;
use faer::{Mat, Scale, Side};
use medforge_runtime::tensors::Tensor;
use serde::{Deserialize, Serialize};

use crate::Error;

/// The Gaussians of the training images' features, in the form that a distance needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Familiar {
    /// [features, features]: R of S^-1 = R^T R, for the covariance S within classes. |R(f - m)| is
    /// the Mahalanobis distance.
    pub whitening: Tensor,
    /// [classes, features]: R m for each class's mean m.
    pub means: Tensor,
}

/// How a module was calibrated, on images that were held out of its training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// The number that logits are divided by.
    pub temperature: f64,
    /// The expected calibration error without the temperature and with it, on the same images.
    pub error_before: Interval,
    pub error_after: Interval,
    /// Images with a larger out-of-distribution score are unlike the module's own.
    pub threshold: f64,
    /// The number of images that it was measured on, and of their groups.
    pub images: usize,
    pub groups: usize,
}

/// A number with its 95 % interval, if the data allow one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interval {
    pub value: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match (self.low, self.high) {
            (Some(low), Some(high)) => write!(f, "{:.3} ({low:.3} to {high:.3})", self.value),
            _ => write!(f, "{:.3} (no interval: too few groups)", self.value),
        }
    }
}

/// How far the covariance is shrunk towards its mean variance: there are hardly more images than
/// features.
const SHRINKAGE: f64 = 0.05;

impl Familiar {
    /// Fits the Gaussians to `features`, one row for each image, with the class of each.
    ///
    /// # Errors
    /// [`Error::Evaluation`]: a class without an image, features that are not finite or that do not
    /// differ within classes.
    pub fn fit(features: &[Vec<f32>], labels: &[usize], classes: usize) -> Result<Self, Error> {
        let refuse =
            |what: &str| Error::Evaluation { what: format!("out-of-distribution score: {what}") };
        let width = features.first().map_or(0, Vec::len);
        let (mut means, mut counts) = (Mat::<f64>::zeros(width, classes), vec![0.0; classes]);
        for (row, &label) in features.iter().zip(labels) {
            counts[label] += 1.0;
            (0..width).for_each(|j| means[(j, label)] += f64::from(row[j]));
        }
        if counts.contains(&0.0) {
            return Err(refuse("a class has no training image"));
        }
        let means = Mat::from_fn(width, classes, |j, c| means[(j, c)] / counts[c]);
        let off = Mat::from_fn(width, features.len(), |j, i| {
            f64::from(features[i][j]) - means[(j, labels[i])]
        });
        let free = (features.len() - classes.min(features.len() - 1)) as f64;
        let scatter = &off * off.transpose();
        let variance = (0..width).map(|j| scatter[(j, j)]).sum::<f64>() / (free * width as f64);
        if !(variance.is_finite() && variance > 0.0) {
            return Err(refuse(
                "the training images' features are not finite or do not differ within a class",
            ));
        }
        let mut covariance = scatter * Scale((1.0 - SHRINKAGE) / free);
        (0..width).for_each(|j| covariance[(j, j)] += SHRINKAGE * variance);
        let singular =
            |_| refuse("the covariance of the training images' features cannot be inverted");
        let inverse = covariance
            .llt(Side::Lower)
            .map_err(singular)?
            .solve(Mat::<f64>::identity(width, width));
        let root = inverse.llt(Side::Lower).map_err(singular)?;
        let whitening = root.L().transpose().to_owned();
        let whitened = &whitening * &means;
        let rows = |m: &Mat<f64>, transpose: bool| -> Tensor {
            let (rows, columns) =
                if transpose { (m.ncols(), m.nrows()) } else { (m.nrows(), m.ncols()) };
            let at = |i: usize| {
                if transpose {
                    m[(i % columns, i / columns)]
                } else {
                    m[(i / columns, i % columns)]
                }
            };
            Tensor::f32(vec![rows, columns], (0..rows * columns).map(|i| at(i) as f32).collect())
        };
        Ok(Familiar { whitening: rows(&whitening, false), means: rows(&whitened, true) })
    }

    /// The Mahalanobis distance of `feature` from the nearest class, over the root of the number of
    /// features. It is about 1 for images like the training images.
    pub fn score(&self, feature: &[f32]) -> f64 {
        let width = feature.len();
        let whitened = self.whitening.data.chunks_exact(width).map(|row| {
            row.iter().zip(feature).map(|(r, f)| f64::from(*r) * f64::from(*f)).sum::<f64>()
        });
        let whitened: Vec<f64> = whitened.collect();
        let to = |mean: &[f32]| {
            whitened.iter().zip(mean).map(|(w, m)| (w - f64::from(*m)).powi(2)).sum::<f64>()
        };
        let nearest = self.means.data.chunks_exact(width).map(to).fold(f64::INFINITY, f64::min);
        (nearest / width as f64).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_score_is_mahalanobis_distance_from_the_nearest_class() {
        // Two classes around (0, 0) and (10, 0), with variances 2 and 8 (sums of squares 4 and 16
        // over 4 images less 2 classes).
        let rows = [[-1.0, 2.0], [1.0, -2.0], [9.0, -2.0], [11.0, 2.0]];
        let features: Vec<Vec<f32>> = rows.iter().map(|row| row.to_vec()).collect();
        let familiar = Familiar::fit(&features, &[0, 0, 1, 1], 2).unwrap();
        // Their products cancel; the shrunk covariance is diagonal.
        let (x, y) = (0.95 * 2.0 + 0.05 * 5.0, 0.95 * 8.0 + 0.05 * 5.0);
        for feature in [[3.0f32, 1.0], [9.5, 4.0], [-20.0, 7.0]] {
            let distance = |mean: f64| {
                let (dx, dy) = (f64::from(feature[0]) - mean, f64::from(feature[1]));
                ((dx * dx / x + dy * dy / y) / 2.0).sqrt()
            };
            let expected = distance(0.0).min(distance(10.0));
            assert!((familiar.score(&feature) - expected).abs() < 1e-5, "{feature:?}: {expected}");
        }
    }

    #[test]
    fn features_that_say_nothing_are_refused() {
        let said = |features: &[Vec<f32>], labels: &[usize]| {
            Familiar::fit(features, labels, 2).unwrap_err().to_string()
        };
        assert!(
            said(&[vec![1.0], vec![1.0], vec![2.0], vec![2.0]], &[0, 0, 1, 1])
                .contains("do not differ")
        );
        assert!(
            said(&[vec![1.0], vec![f32::NAN], vec![2.0], vec![3.0]], &[0, 0, 1, 1])
                .contains("not finite")
        );
        assert!(said(&[vec![1.0], vec![2.0]], &[0, 0]).contains("no training image"));
    }
}
