//! Routing: what tasks look like to the frozen base.

use std::collections::BTreeMap;

use super::take::Take;
use crate::Error;
use crate::bundle::manifest;
use crate::tensors::Tensor;

/// What tasks look like to the frozen base.
pub struct Prototypes {
    /// By task, [prototypes, feature + 1].
    by_task: BTreeMap<String, Vec<f32>>,
}

impl Prototypes {
    /// The share of each task in an image with this feature of the frozen base; they sum to one.
    pub fn shares(&self, feature: &[f32]) -> BTreeMap<&str, f64> {
        let nearness = |row: &[f32]| {
            let product: f64 =
                row.iter().zip(feature).map(|(p, f)| f64::from(*p) * f64::from(*f)).sum();
            product + f64::from(row[feature.len()])
        };
        let of = |rows: &Vec<f32>| {
            let all: Vec<f64> = rows.chunks_exact(feature.len() + 1).map(nearness).collect();
            let top = all.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            top + (all.iter().map(|v| (v - top).exp()).sum::<f64>() / all.len() as f64).ln()
        };
        let logs: BTreeMap<&str, f64> =
            self.by_task.iter().map(|(task, rows)| (task.as_str(), of(rows))).collect();
        let top = logs.values().copied().fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = logs.values().map(|v| (v - top).exp()).sum();
        logs.into_iter().map(|(task, v)| (task, (v - top).exp() / total)).collect()
    }
}

/// The prototypes of every head's task.
pub fn prototypes(
    routing: &manifest::Routing,
    heads: &[manifest::Head],
    tensors: BTreeMap<String, Tensor>,
    feature: usize,
) -> Result<Prototypes, Error> {
    let mut take = Take::new(&routing.entry, tensors);
    let by_task = heads.iter().map(|head| {
        let rows = take
            .tensors
            .get(&head.task)
            .and_then(|tensor| tensor.shape.first())
            .copied()
            .unwrap_or(1);
        (head.task.clone(), take.tensor(&head.task, &[rows, feature + 1]))
    });
    let by_task = by_task.collect();
    take.finish(Prototypes { by_task })
}
