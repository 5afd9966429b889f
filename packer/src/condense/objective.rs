//! What the synthetic images are asked for under one view: statistics near those of their target,
//! and, where real images' features are at hand, that a ridge classifier with an intercept, fitted
//! on the synthetic features, tells the real ones apart.
//!
//! Matching (distribution matching, Zhao & Bilen 2023): the mean over the images of a target of
//! each statistic, in units of its deviation within the real classes, and in the same way the mean
//! over the images of a class of how far each is from its target: what all synthetic images of a
//! class share would shift a classifier's threshold. Of each part's mean square distance the
//! logarithm, so that a part that is far off (the first blocks of smooth pictures) does not drown
//! one that is nearly met. Ridge: kernel ridge regression from the synthetic to the real images in
//! closed form (FRePo, Zhou et al. 2022, section 3), differentiated by hand. All on the host, in
//! f64: rows are few.

use nalgebra::DMatrix;

use super::statistics::Layout;

/// The goal under one view.
pub struct Goal {
    /// One row for each target.
    pub targets: Vec<Vec<f32>>,
    /// By column: 1 / deviation.
    pub precision: Vec<f32>,
    /// CLS features of real images and their classes.
    pub real: Option<Real>,
}

/// features [n, features] of real images, and their classes.
pub struct Real {
    pub features: Vec<f32>,
    pub labels: Vec<usize>,
}

/// How much counts what.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Weights {
    /// Of the CLS feature.
    pub feature: f64,
    /// Of the tokens' means, all blocks together.
    pub means: f64,
    /// Of the tokens' deviations, all blocks together.
    pub deviations: f64,
    /// Of the ridge classifier's squared error.
    pub ridge: f64,
}

/// The penalty of the ridge regression, as a share of the mean squared length of the features.
const PENALTY: f64 = 1.0;

/// A mean square distance, in squared deviations, below which nearer counts for little.
const NEAR: f64 = 0.05;

/// Synthetic images under a view: their statistics, row by row, what each is matched to, and its
/// class.
pub struct Seen<'a> {
    pub rows: &'a [f32],
    /// Index into [`Goal::targets`].
    pub targets: &'a [usize],
    pub labels: &'a [usize],
}

/// The loss, and its gradient to every row.
pub fn loss(
    goal: &Goal,
    seen: &Seen,
    layout: &Layout,
    weights: Weights,
    classes: usize,
) -> (f64, Vec<f32>) {
    let mut gradient = vec![0f32; seen.rows.len()];
    let mut total = matching(goal, seen, layout, weights, &mut gradient);
    if let (Some(real), true) = (&goal.real, weights.ridge > 0.0) {
        total += weights.ridge * ridge(real, seen, layout, weights.ridge, classes, &mut gradient);
    }
    (total, gradient)
}

fn matching(
    goal: &Goal,
    seen: &Seen,
    layout: &Layout,
    weights: Weights,
    gradient: &mut [f32],
) -> f64 {
    let width = layout.width();
    let share = |part: usize| {
        let blocks = layout.blocks.len().max(1) as f64;
        match part {
            0 => weights.feature,
            part if part % 2 == 1 => weights.means / blocks,
            _ => weights.deviations / blocks,
        }
    };
    let mut total = 0.0;
    for by in [alike(seen.targets), alike(seen.labels)] {
        for members in &by {
            let n = members.len() as f64;
            for (part, columns) in layout.parts().enumerate().filter(|(part, _)| share(*part) > 0.0)
            {
                let count = columns.len() as f64;
                let off = |j: usize| {
                    let off = |&i: &usize| {
                        f64::from(seen.rows[i * width + j] - goal.targets[seen.targets[i]][j])
                    };
                    members.iter().map(off).sum::<f64>() / n * f64::from(goal.precision[j])
                };
                let off: Vec<f64> = columns.clone().map(off).collect();
                let square = off.iter().map(|o| o * o).sum::<f64>() / count;
                let (value, slope) = ((square / NEAR).ln_1p(), 1.0 / (NEAR + square));
                let share = share(part) / (2 * by.len()) as f64;
                total += share * value;
                for (j, off) in columns.zip(off) {
                    let slope = (share * slope * 2.0 / count * off * f64::from(goal.precision[j])
                        / n) as f32;
                    members.iter().for_each(|&i| gradient[i * width + j] += slope);
                }
            }
        }
    }
    total
}

/// The images of each value that occurs.
fn alike(values: &[usize]) -> Vec<Vec<usize>> {
    let mut present = values.to_vec();
    present.sort_unstable();
    present.dedup();
    present.iter().map(|v| (0..values.len()).filter(|&i| values[i] == *v).collect()).collect()
}

/// The mean squared error of the ridge classifier on the real images; its gradient, times `weight`,
/// is added.
fn ridge(
    real: &Real,
    seen: &Seen,
    layout: &Layout,
    weight: f64,
    classes: usize,
    gradient: &mut [f32],
) -> f64 {
    let (n, m, h) = (seen.targets.len(), real.labels.len(), layout.features);
    let width = layout.width();
    let s = DMatrix::from_fn(n, h, |i, j| f64::from(seen.rows[i * width + j]));
    let r = DMatrix::from_row_iterator(m, h, real.features.iter().map(|v| f64::from(*v)));
    // Both sides are seen from the mean of the real features and in units of their deviation:
    // constants of the view.
    let mean = r.row_mean();
    let deviation = r.row_variance().map(|v| v.sqrt());
    let scale =
        deviation.map(|d| 1.0 / ((d + 0.05 * deviation.mean()).max(1e-12) * (h as f64).sqrt()));
    let standard =
        |x: &DMatrix<f64>| DMatrix::from_fn(x.nrows(), h, |i, j| (x[(i, j)] - mean[j]) * scale[j]);
    // The last column is the classifier's intercept: without it what all synthetic images share
    // would not move the threshold.
    let (s, r) = (standard(&s).insert_column(h, 1.0), standard(&r).insert_column(h, 1.0));
    let one_hot = |labels: &[usize]| {
        DMatrix::from_fn(labels.len(), classes, |i, c| {
            f64::from(labels[i] == c) - 1.0 / classes as f64
        })
    };
    let (y, t) = (one_hot(seen.labels), one_hot(&real.labels));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(len: usize, seed: usize) -> Vec<f32> {
        (0..len).map(|i| ((i * 37 + seed * 101) % 64) as f32 / 32.0 - 1.0).collect()
    }

    #[test]
    fn the_gradient_is_that_of_the_loss() {
        let layout = Layout { blocks: vec![0, 2], hidden: 3, features: 2 };
        let width = layout.width();
        let goal = Goal {
            targets: vec![numbers(width, 1), numbers(width, 2), numbers(width, 3)],
            precision: numbers(width, 4).iter().map(|v| v.abs() + 0.5).collect(),
            real: Some(Real { features: numbers(7 * 3, 5), labels: vec![0, 1, 0, 1, 1, 0, 0] }),
        };
        let rows = numbers(5 * width, 6);
        let value = |rows: &[f32], weights: Weights| {
            let seen = Seen { rows, targets: &[0, 0, 2, 2, 2], labels: &[0, 0, 1, 1, 1] };
            loss(&goal, &seen, &layout, weights, 2)
        };
        let none = Weights { feature: 0.0, means: 0.0, deviations: 0.0, ridge: 0.0 };
        let each = [
            Weights { feature: 1.0, ..none },
            Weights { means: 0.7, ..none },
            Weights { deviations: 0.3, ..none },
            Weights { ridge: 2.0, ..none },
            Weights { feature: 1.0, means: 0.7, deviations: 0.3, ridge: 2.0 },
        ];
        for weights in each {
            let (total, gradient) = value(&rows, weights);
            assert!(total > 0.0);
            for i in 0..rows.len() {
                let shifted = |by: f32| {
                    let mut rows = rows.clone();
                    rows[i] += by;
                    value(&rows, weights).0
                };
                let difference = (shifted(1e-3) - shifted(-1e-3)) / 2e-3;
                assert!(
                    (f64::from(gradient[i]) - difference).abs() < 1e-4,
                    "{weights:?} {i}: {} {difference}",
                    gradient[i]
                );
            }
        }
    }

    #[test]
    fn images_on_their_targets_cost_nothing() {
        let layout = Layout { blocks: vec![1], hidden: 2, features: 2 };
        let target = numbers(6, 1);
        let goal = Goal { targets: vec![target.clone()], precision: vec![2.0; 6], real: None };
        let seen = Seen { rows: &target, targets: &[0], labels: &[0] };
        let weights = Weights { feature: 1.0, means: 1.0, deviations: 1.0, ridge: 1.0 };
        let (total, gradient) = loss(&goal, &seen, &layout, weights, 2);
        assert!(total == 0.0 && gradient.iter().all(|g| *g == 0.0));
    }
}
