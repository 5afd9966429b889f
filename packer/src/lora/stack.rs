//! Sums of low-rank changes, without approximation: the factors side by side, or the change itself
//! if that is smaller.

use medforge_runtime::tensors::Tensor;
use rayon::prelude::*;

use super::Factors;

/// Factors whose product B * A is the sum of weight * B_i * A_i. The rank is the sum of the ranks.
/// All must be of one site, and without magnitudes, since DoRA changes do not add up this way.
pub fn stack(parts: &[(f64, &Factors)]) -> Factors {
    assert!(
        parts.iter().all(|(_, factors)| factors.magnitude.is_none()),
        "magnitudes cannot be added up"
    );
    let (inputs, outputs) = (parts[0].1.a.shape[1], parts[0].1.b.shape[0]);
    let rank = parts.iter().map(|(_, f)| f.a.shape[0]).sum();
    let scaled = |(weight, f): &(f64, &Factors)| {
        f.a.data.iter().map(|v| (f64::from(*v) * weight) as f32).collect::<Vec<_>>()
    };
    let a = parts.iter().flat_map(scaled).collect();
    let row = |o: usize| {
        parts
            .iter()
            .flat_map(move |(_, f)| f.b.data.chunks_exact(f.b.shape[1]).nth(o).unwrap_or(&[]))
    };
    let b = (0..outputs).flat_map(row).copied().collect();
    Factors::plain(Tensor::f32(vec![rank, inputs], a), Tensor::f32(vec![outputs, rank], b))
}

/// The same change with a rank no larger than its smaller side. If the rank is larger, one factor
/// becomes the identity and the other the change.
pub fn compact(factors: Factors) -> Factors {
    let (rank, inputs, outputs) = (factors.a.shape[0], factors.a.shape[1], factors.b.shape[0]);
    let smaller = inputs.min(outputs);
    if rank <= smaller {
        return factors;
    }
    let mut change = vec![0f32; outputs * inputs];
    change.par_chunks_mut(inputs).zip(factors.b.data.par_chunks(rank)).for_each(|(change, b)| {
        let mut row = vec![0f64; inputs];
        for (b, a) in b.iter().zip(factors.a.data.chunks_exact(inputs)) {
            row.iter_mut().zip(a).for_each(|(sum, a)| *sum += f64::from(*b) * f64::from(*a));
        }
        change.iter_mut().zip(row).for_each(|(to, from)| *to = from as f32);
    });
    Factors {
        magnitude: factors.magnitude,
        ..Factors::of_change(Tensor::f32(vec![outputs, inputs], change))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn product(f: &Factors) -> Vec<f64> {
        let (rank, inputs, outputs) = (f.a.shape[0], f.a.shape[1], f.b.shape[0]);
        let at = |o: usize, i: usize| {
            (0..rank)
                .map(|r| f64::from(f.b.data[o * rank + r]) * f64::from(f.a.data[r * inputs + i]))
                .sum()
        };
        (0..outputs * inputs).map(|at_| at(at_ / inputs, at_ % inputs)).collect()
    }

    #[test]
    fn a_rank_beyond_the_sides_goes_and_the_change_stays() {
        for (inputs, outputs) in [(3, 4), (4, 3)] {
            let values = |n: usize, s: usize| {
                (0..n).map(|i| ((i * 7 + s) % 13) as f32 / 6.0 - 1.0).collect()
            };
            let of = |rank: usize| {
                let a = Tensor::f32(vec![rank, inputs], values(rank * inputs, 1));
                Factors::plain(a, Tensor::f32(vec![outputs, rank], values(outputs * rank, 4)))
            };
            let small = compact(of(3));
            assert_eq!((&small.a.data, &small.b.data), (&of(3).a.data, &of(3).b.data));
            let large = compact(of(9));
            assert_eq!(
                (&large.a.shape[..], &large.b.shape[..]),
                (&[3, inputs][..], &[outputs, 3][..])
            );
            for (found, expected) in product(&large).iter().zip(product(&of(9))) {
                assert!((found - expected).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn the_stack_is_the_weighted_sum() {
        let factors = |rank: usize, seed: usize| {
            let values = |n: usize, s: usize| {
                (0..n).map(|i| ((i * 7 + s) % 13) as f32 / 6.0 - 1.0).collect()
            };
            let a = Tensor::f32(vec![rank, 3], values(3 * rank, seed));
            Factors::plain(a, Tensor::f32(vec![4, rank], values(4 * rank, seed + 5)))
        };
        let (x, y) = (factors(2, 1), factors(3, 2));
        let sum = stack(&[(0.5, &x), (-2.0, &y)]);
        assert_eq!((&sum.a.shape[..], &sum.b.shape[..]), (&[5, 3][..], &[4, 5][..]));
        for ((sum, x), y) in product(&sum).iter().zip(product(&x)).zip(product(&y)) {
            assert!((sum - (0.5 * x - 2.0 * y)).abs() < 1e-6);
        }
    }
}
