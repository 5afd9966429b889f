//! Whether a classifier fitted on synthetic features tells the real ones apart.
//!
//! Kernel ridge regression with an intercept, from the synthetic to the real images in closed form
//! (FRePo, Zhou et al. 2022, section 3), differentiated by hand. On the host, in f64: rows are few.

use nalgebra::DMatrix;

use super::goal::{RealFeatures, SyntheticBatch};
use super::statistics::Layout;

/// The penalty of the ridge regression, as a share of the mean squared length of the features.
const PENALTY: f64 = 1.0;

/// The mean squared error of the ridge classifier on the real images; its gradient, times `weight`,
/// is added.
pub fn ridge(
    real: &RealFeatures,
    batch: &SyntheticBatch,
    layout: &Layout,
    weight: f64,
    classes: usize,
    gradient: &mut [f32],
) -> f64 {
    let (n, m, h) = (batch.targets.len(), real.labels.len(), layout.features);
    let width = layout.width();
    let s = DMatrix::from_fn(n, h, |i, j| f64::from(batch.rows[i * width + j]));
    let r = DMatrix::from_row_iterator(m, h, real.features.iter().map(|v| f64::from(*v)));
    // Both sides are centred on the mean of the real features, in units of their deviation. These
    // are constants of the view.
    let mean = r.row_mean();
    let deviation = r.row_variance().map(|v| v.sqrt());
    let scale =
        deviation.map(|d| 1.0 / ((d + 0.05 * deviation.mean()).max(1e-12) * (h as f64).sqrt()));
    let standard =
        |x: &DMatrix<f64>| DMatrix::from_fn(x.nrows(), h, |i, j| (x[(i, j)] - mean[j]) * scale[j]);
    // The last column is the classifier's intercept. Without it, what all synthetic images share
    // would not move the threshold.
    let (s, r) = (standard(&s).insert_column(h, 1.0), standard(&r).insert_column(h, 1.0));
    let one_hot = |labels: &[usize]| {
        DMatrix::from_fn(labels.len(), classes, |i, c| {
            f64::from(labels[i] == c) - 1.0 / classes as f64
        })
    };
    let (y, t) = (one_hot(batch.labels), one_hot(&real.labels));
    let kernel = &s * s.transpose() + DMatrix::identity(n, n) * PENALTY;
    let Some(inverse) = kernel.cholesky().map(|c| c.inverse()) else { return f64::NAN };
    let a = &inverse * &y;
    let cross = &r * s.transpose();
    let error = &cross * &a - &t;
    let loss = error.norm_squared() / m as f64;

    let dp = error * (2.0 * weight / m as f64);
    let da = cross.transpose() * &dp;
    let dk = -(&inverse * da) * a.transpose();
    let ds = (&a * dp.transpose()) * &r + (&dk + dk.transpose()) * &s;
    for i in 0..n {
        for j in 0..h {
            gradient[i * width + j] += (ds[(i, j)] * scale[j]) as f32;
        }
    }
    loss
}
