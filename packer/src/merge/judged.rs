//! The condensed sets that a merge is judged by: each task's images, with the head that classifies
//! them.
//!
//! Refused: sets of several image sizes or prepared in several ways, a set of another base, heads
//! of other classes.

use crate::Error;
use crate::data::Condensed;
use crate::lora::Head;
use crate::predict::probabilities;

/// One task's condensed images, and the head that classifies them.
pub struct Task<'a> {
    pub name: &'a str,
    pub head: &'a Head,
    pub set: &'a Condensed,
}

/// The least probability whose logarithm is taken.
pub(crate) const LEAST: f64 = 1e-12;

/// Refuses tasks that cannot be judged together. Gives their image size.
pub(super) fn check(tasks: &[Task], base_digest: &str) -> Result<usize, Error> {
    let refuse = |what: String| Err(Error::Merge { what });
    let Some(first) = tasks.first() else {
        return refuse("a search needs the condensed set of a task".into());
    };
    for Task { name, head, set } in tasks {
        let record = &set.record;
        if record.base_digest != base_digest {
            return refuse(format!(
                "the condensed set of {name} was made with another base ({})",
                record.base_digest
            ));
        }
        if record.classes != head.classes {
            let (set, head) = (record.classes.join(", "), head.classes.join(", "));
            return refuse(format!(
                "the condensed set of {name} has the classes {set}, and its head {head}"
            ));
        }
        if record.preprocessing != first.set.record.preprocessing {
            let (own, other) = (record.image_size, first.set.record.image_size);
            return refuse(format!(
                "the condensed set of {name} ({own} pixels) and that of {} ({other}) were prepared \
                 in different ways",
                first.name
            ));
        }
    }
    Ok(first.set.record.image_size as usize)
}

/// The mean cross-entropy of `head` on `features` [n, hidden] with labels [n, classes], and its
/// gradient [n, hidden].
pub(super) fn cross_entropy(head: &Head, features: &[f32], labels: &[f32]) -> (f64, Vec<f64>) {
    let (classes, hidden) = (head.weight.shape[0], head.weight.shape[1]);
    let n = labels.len() / classes;
    let mut loss = 0.0;
    let mut gradient = Vec::with_capacity(features.len());
    for (row, label) in features.chunks_exact(hidden).zip(labels.chunks_exact(classes)) {
        let p = probabilities(head, row);
        loss -= p.iter().zip(label).map(|(p, y)| f64::from(*y) * p.max(LEAST).ln()).sum::<f64>()
            / n as f64;
        let off: Vec<f64> =
            p.iter().zip(label).map(|(p, y)| (p - f64::from(*y)) / n as f64).collect();
        let to = |j: usize| {
            (0..classes).map(|c| off[c] * f64::from(head.weight.data[c * hidden + j])).sum::<f64>()
        };
        gradient.extend(head.input_gradient(row, (0..hidden).map(to).collect()));
    }
    (loss, gradient)
}

#[cfg(test)]
mod tests {
    use medforge_runtime::tensors::Tensor;

    use super::*;

    #[test]
    fn the_gradient_is_that_of_finite_differences() {
        let weight = Tensor::f32(vec![2, 3], vec![0.6, 0.8, 0.0, -0.48, 0.6, 0.64]);
        for logit_scale in [None, Some(7.0)] {
            let classes = vec!["a".into(), "b".into()];
            let head = Head {
                classes,
                weight: weight.clone(),
                bias: Tensor::f32(vec![2], vec![0.0; 2]),
                logit_scale,
                temperature: 1.0,
                familiar: None,
            };
            let (features, labels) = ([0.3, -0.2, 0.5, 1.0, 0.4, -0.7], [1.0, 0.0, 0.25, 0.75]);
            let (_, gradient) = cross_entropy(&head, &features, &labels);
            for (i, expected) in gradient.into_iter().enumerate() {
                let at = |step: f32| {
                    let mut moved = features;
                    moved[i] += step;
                    cross_entropy(&head, &moved, &labels).0
                };
                let found = (at(1e-2) - at(-1e-2)) / 2e-2;
                assert!(
                    (found - expected).abs() < 1e-3 * (1.0 + expected.abs()),
                    "{logit_scale:?} {i}: {found} {expected}"
                );
            }
        }
    }
}
