//! Sums of low-rank changes, exact: their factors side by side.

use medforge_runtime::tensors::Tensor;

use super::Factors;

/// Factors whose product B * A is the sum of weight * B_i * A_i; its rank is the sum of the ranks. All are of one site.
pub fn stack(parts: &[(f64, &Factors)]) -> Factors {
    let (inputs, outputs) = (parts[0].1.a.shape[1], parts[0].1.b.shape[0]);
    let rank = parts.iter().map(|(_, f)| f.a.shape[0]).sum();
    let scaled =
        |(weight, f): &(f64, &Factors)| f.a.data.iter().map(|v| (f64::from(*v) * weight) as f32).collect::<Vec<_>>();
    let a = parts.iter().flat_map(scaled).collect();
    let row = |o: usize| parts.iter().flat_map(move |(_, f)| f.b.data.chunks_exact(f.b.shape[1]).nth(o).unwrap_or(&[]));
    let b = (0..outputs).flat_map(row).copied().collect();
    Factors { a: Tensor::f32(vec![rank, inputs], a), b: Tensor::f32(vec![outputs, rank], b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn product(f: &Factors) -> Vec<f64> {
        let (rank, inputs, outputs) = (f.a.shape[0], f.a.shape[1], f.b.shape[0]);
        let at = |o: usize, i: usize| {
            (0..rank).map(|r| f64::from(f.b.data[o * rank + r]) * f64::from(f.a.data[r * inputs + i])).sum()
        };
        (0..outputs * inputs).map(|at_| at(at_ / inputs, at_ % inputs)).collect()
    }

    #[test]
    fn the_stack_is_the_weighted_sum() {
        let factors = |rank: usize, seed: usize| {
            let values = |n: usize, s: usize| (0..n).map(|i| ((i * 7 + s) % 13) as f32 / 6.0 - 1.0).collect();
            let a = Tensor::f32(vec![rank, 3], values(3 * rank, seed));
            Factors { a, b: Tensor::f32(vec![4, rank], values(4 * rank, seed + 5)) }
        };
        let (x, y) = (factors(2, 1), factors(3, 2));
        let sum = stack(&[(0.5, &x), (-2.0, &y)]);
        assert_eq!((&sum.a.shape[..], &sum.b.shape[..]), (&[5, 3][..], &[4, 5][..]));
        for ((sum, x), y) in product(&sum).iter().zip(product(&x)).zip(product(&y)) {
            assert!((sum - (0.5 * x - 2.0 * y)).abs() < 1e-6);
        }
    }
}
