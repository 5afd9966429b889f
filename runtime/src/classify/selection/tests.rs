//! Weights that no sum can be made of.

use super::*;

/// Divided by an endless sum, every class would be 0.
#[test]
fn weights_without_a_finite_sum_are_refused() {
    let selection = |weights: [f64; 2]| {
        let part = |(n, weight): (usize, f64)| WeightedModule { module: n.to_string(), weight };
        Selection::Composition(Mode::Mixture, weights.into_iter().enumerate().map(part).collect())
    };
    for weights in [[1e308, 1e308], [1e308, -1e308], [f64::MAX, f64::MAX]] {
        let error = selection(weights).check().unwrap_err();
        assert!(error.to_string().contains("no finite sum"), "{error}");
    }
    for weights in [[1e307, 1e307], [0.0, 0.0], [-1.0, 1.0]] {
        selection(weights).check().unwrap();
    }
}
