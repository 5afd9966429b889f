//! The loss under one view: statistics near those of the target, and a ridge classifier that tells
//! real images apart where their features are at hand.
//!
//! Matching (distribution matching, Zhao & Bilen 2023) compares the mean of each statistic over the
//! images of a target, in units of its deviation within the real classes. It does the same over the
//! images of a class: an error that they all share would shift a classifier's threshold. Each part
//! counts by the logarithm of its mean square distance. So a part that is far off (the first blocks
//! of smooth pictures) does not drown one that is nearly met. All is done on the host, in f64: rows
//! are few.

use super::goal::{Goal, LossWeights, SyntheticBatch};
use super::ridge::ridge;
use super::statistics::Layout;

/// The mean square distance, in squared deviations, below which coming nearer counts for little.
const NEAR: f64 = 0.05;

/// The loss, and its gradient to every row.
pub fn loss(
    goal: &Goal,
    batch: &SyntheticBatch,
    layout: &Layout,
    weights: LossWeights,
    classes: usize,
) -> (f64, Vec<f32>) {
    let mut gradient = vec![0f32; batch.rows.len()];
    let mut total = matching(goal, batch, layout, weights, &mut gradient);
    if let (Some(real), true) = (&goal.real, weights.ridge > 0.0) {
        total += weights.ridge * ridge(real, batch, layout, weights.ridge, classes, &mut gradient);
    }
    (total, gradient)
}

/// How far statistics are from their targets; the gradient to every row is added.
fn matching(
    goal: &Goal,
    batch: &SyntheticBatch,
    layout: &Layout,
    weights: LossWeights,
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
    for by in [alike(batch.targets), alike(batch.labels)] {
        for members in &by {
            let n = members.len() as f64;
            for (part, columns) in layout.parts().enumerate().filter(|(part, _)| share(*part) > 0.0)
            {
                let count = columns.len() as f64;
                let off = |j: usize| {
                    let off = |&i: &usize| {
                        f64::from(batch.rows[i * width + j] - goal.targets[batch.targets[i]][j])
                    };
                    members.iter().map(off).sum::<f64>() / n * f64::from(goal.precision[j])
                };
                let off: Vec<f64> = columns.clone().map(off).collect();
                let square = off.iter().map(|o| o * o).sum::<f64>() / count;
                let (value, derivative) = ((square / NEAR).ln_1p(), 1.0 / (NEAR + square));
                let share = share(part) / (2 * by.len()) as f64;
                total += share * value;
                for (j, off) in columns.zip(off) {
                    let precision = f64::from(goal.precision[j]);
                    let each = (share * derivative * 2.0 / count * off * precision / n) as f32;
                    members.iter().for_each(|&i| gradient[i * width + j] += each);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condense::goal::RealFeatures;

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
            real: Some(RealFeatures {
                features: numbers(7 * 3, 5),
                labels: vec![0, 1, 0, 1, 1, 0, 0],
            }),
        };
        let rows = numbers(5 * width, 6);
        let value = |rows: &[f32], weights: LossWeights| {
            let batch =
                SyntheticBatch { rows, targets: &[0, 0, 2, 2, 2], labels: &[0, 0, 1, 1, 1] };
            loss(&goal, &batch, &layout, weights, 2)
        };
        let none = LossWeights { feature: 0.0, means: 0.0, deviations: 0.0, ridge: 0.0 };
        let each = [
            LossWeights { feature: 1.0, ..none },
            LossWeights { means: 0.7, ..none },
            LossWeights { deviations: 0.3, ..none },
            LossWeights { ridge: 2.0, ..none },
            LossWeights { feature: 1.0, means: 0.7, deviations: 0.3, ridge: 2.0 },
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
        let batch = SyntheticBatch { rows: &target, targets: &[0], labels: &[0] };
        let weights = LossWeights { feature: 1.0, means: 1.0, deviations: 1.0, ridge: 1.0 };
        let (total, gradient) = loss(&goal, &batch, &layout, weights, 2);
        assert!(total == 0.0 && gradient.iter().all(|g| *g == 0.0));
    }
}
