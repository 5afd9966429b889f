//! DoRA (Liu et al. 2024, arXiv 2402.09353): the rows of a site's changed weight W + s B A are
//! scaled to trained lengths, the magnitudes. The factor of a row is its magnitude scale.
//!
//! Such a change is not added to W, so DoRA modules cannot be fused. Whatever adds modules up
//! refuses them.

use std::collections::BTreeMap;

use medforge_runtime::tensors::Tensor;
use rayon::prelude::*;

use super::Factors;
use crate::Error;

/// A row of norm zero stays zero, whatever its magnitude.
const EPSILON: f64 = 1e-12;

/// The Euclidean norm of each row of `weight` [out, in].
pub fn row_norms(weight: &Tensor) -> Vec<f32> {
    let norm = |row: &[f32]| row.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt() as f32;
    weight.data.chunks_exact(weight.shape[1]).map(norm).collect()
}

impl Factors {
    /// The magnitude scale of each output `[out]`: its magnitude over the norm of its row of W + B
    /// A, for the scale 1 and the site's `weight` [out, in]. Outputs are multiplied with it before
    /// the bias. None without magnitudes.
    pub fn magnitude_scales(&self, weight: &Tensor) -> Option<Vec<f32>> {
        let magnitude = self.magnitude.as_ref()?;
        let norms = self.changed(weight, |row| row.iter().map(|v| v * v).sum::<f64>().sqrt());
        let scale = |(m, norm): (&f32, f64)| (f64::from(*m) / norm.max(EPSILON)) as f32;
        Some(magnitude.data.iter().zip(norms).map(scale).collect())
    }

    /// Factors whose product is the whole change of `weight` [out, in] with the scale 1, magnitudes
    /// included. Their rank is the smaller side of the weight.
    pub fn added(self, weight: &Tensor) -> Factors {
        let Some(scales) = self.magnitude_scales(weight) else { return self };
        let (outputs, inputs) = (weight.shape[0], weight.shape[1]);
        let rows = self.changed(weight, <[f64]>::to_vec);
        let scaled = rows
            .iter()
            .zip(scales)
            .flat_map(|(row, scale)| row.iter().map(move |v| v * f64::from(scale)));
        let change = scaled.zip(&weight.data).map(|(v, w)| (v - f64::from(*w)) as f32).collect();
        Factors::of_change(Tensor::f32(vec![outputs, inputs], change))
    }

    /// Applies `each` to the rows of W + B A.
    fn changed<T: Send>(&self, weight: &Tensor, each: impl Fn(&[f64]) -> T + Sync) -> Vec<T> {
        let (rank, inputs) = (self.a.shape[0], self.a.shape[1]);
        let rows = weight.data.par_chunks(inputs).zip(self.b.data.par_chunks(rank));
        let one = |(weight, b): (&[f32], &[f32])| {
            let mut row: Vec<f64> = weight.iter().map(|v| f64::from(*v)).collect();
            for (b, a) in b.iter().zip(self.a.data.chunks_exact(inputs)) {
                row.iter_mut().zip(a).for_each(|(sum, a)| *sum += f64::from(*b) * f64::from(*a));
            }
            each(&row)
        };
        rows.map(one).collect()
    }
}

/// Whether the `sites` of a network have magnitudes.
pub fn has_magnitudes(sites: &BTreeMap<String, Factors>) -> bool {
    sites.values().any(|factors| factors.magnitude.is_some())
}

/// The error for adding `module` to others.
pub fn unfusable(module: &str) -> Error {
    let what = format!(
        "DoRA modules mix but do not fuse: {module} has magnitudes; take it alone with weight 1, \
         mix the modules, or train it without DoRA"
    );
    Error::Merge { what }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(shape: [usize; 2], seed: usize) -> Tensor {
        let data =
            (0..shape[0] * shape[1]).map(|i| ((i * 7 + seed) % 13) as f32 / 6.0 - 1.0).collect();
        Tensor::f32(shape.to_vec(), data)
    }

    /// diag(scale) (W + B A), row by row, from the definition.
    fn product(factors: &Factors, weight: &Tensor, scale: impl Fn(usize) -> f64) -> Vec<f64> {
        let (rank, inputs) = (factors.a.shape[0], factors.a.shape[1]);
        let at = |(i, w): (usize, &f32)| {
            let (row, column) = (i / inputs, i % inputs);
            let term = |r: usize| {
                f64::from(factors.b.data[row * rank + r] * factors.a.data[r * inputs + column])
            };
            scale(row) * (f64::from(*w) + (0..rank).map(term).sum::<f64>())
        };
        weight.data.iter().enumerate().map(at).collect()
    }

    #[test]
    fn magnitude_scales_bring_rows_to_their_magnitudes_and_the_added_change_is_the_same() {
        for [out, inputs] in [[4, 3], [3, 5]] {
            let weight = numbers([out, inputs], 2);
            let magnitude = Tensor::f32(vec![out], (0..out).map(|i| i as f32 - 1.5).collect());
            let factors = Factors {
                a: numbers([2, inputs], 1),
                b: numbers([out, 2], 4),
                magnitude: Some(magnitude),
            };
            let scales = factors.magnitude_scales(&weight).unwrap();
            let scaled = product(&factors, &weight, |row| f64::from(scales[row]));
            for (row, m) in scaled.chunks(inputs).zip(&factors.magnitude.as_ref().unwrap().data) {
                let norm = row.iter().map(|v| v * v).sum::<f64>().sqrt();
                assert!((norm - f64::from(m.abs())).abs() < 1e-6, "{norm} and {m}");
            }
            let added = factors.added(&weight);
            assert!(added.magnitude.is_none() && added.a.shape[0] == out.min(inputs));
            for (found, expected) in product(&added, &weight, |_| 1.0).iter().zip(&scaled) {
                assert!((found - expected).abs() < 1e-6, "{found} and {expected}");
            }
        }
    }

    #[test]
    fn the_magnitudes_of_no_change_are_the_norms_and_a_row_of_zeros_stays_one() {
        let mut weight = numbers([4, 3], 2);
        weight.data[3..6].fill(0.0);
        let norms = row_norms(&weight);
        let b = Tensor::f32(vec![4, 1], vec![0.0; 4]);
        let factors =
            Factors { a: numbers([1, 3], 1), b, magnitude: Some(Tensor::f32(vec![4], norms)) };
        let scales = factors.magnitude_scales(&weight).unwrap();
        assert!(scales.iter().enumerate().all(|(i, scale)| if i == 1 {
            *scale == 0.0
        } else {
            (scale - 1.0).abs() < 1e-6
        }));
        assert!(factors.added(&weight).a.data.iter().all(|v| v.abs() < 1e-6 || *v == 1.0));
    }
}
