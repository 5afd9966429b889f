//! How the coefficients of real images are spread: about which means, and how far by frequency.

use rayon::prelude::*;

/// What a canvas knows of the coefficients of real images.
pub struct Spectrum {
    /// By class, the mean of the coefficients [3, size, size].
    pub means: Vec<Vec<f64>>,
    /// How far coefficients lie from their class's mean [3, size, size], the same for all of an
    /// axis and about one frequency.
    pub scales: Vec<f32>,
}

impl Spectrum {
    /// That of `images`, each size x size x RGB bytes with its class, in the units of
    /// `coefficients`.
    pub fn of(
        size: usize,
        images: &[(&[u8], usize)],
        coefficients: impl Fn(&[u8]) -> Vec<f32> + Sync,
    ) -> Spectrum {
        let pixels = size * size;
        let classes = images.iter().map(|(_, class)| class + 1).max().unwrap_or(0);
        let mut sums = vec![vec![0f64; 3 * pixels]; classes];
        let mut counts = vec![0f64; classes];
        let mut squares = vec![0f64; 3 * pixels];
        for part in images.chunks(32) {
            let rows: Vec<Vec<f32>> = part.par_iter().map(|(rgb, _)| coefficients(rgb)).collect();
            for ((_, class), row) in part.iter().zip(rows) {
                counts[*class] += 1.0;
                for (j, v) in row.into_iter().enumerate() {
                    sums[*class][j] += f64::from(v);
                    squares[j] += f64::from(v).powi(2);
                }
            }
        }
        let means: Vec<Vec<f64>> = sums
            .iter()
            .zip(&counts)
            .map(|(sum, n)| sum.iter().map(|s| s / n.max(1.0)).collect())
            .collect();
        let within = |j: usize| {
            let explained: f64 =
                means.iter().zip(&counts).map(|(mean, n)| n * mean[j] * mean[j]).sum();
            (squares[j] - explained).max(0.0) / images.len().max(1) as f64
        };
        let scales =
            (0..3).flat_map(|axis| by_frequency(size, |i| within(axis * pixels + i))).collect();
        Spectrum { means, scales }
    }
}

/// For each of size x size frequencies the root of the mean of `square` over all that are as far
/// from zero, to the next whole number; never less than a thousandth of the largest.
fn by_frequency(size: usize, square: impl Fn(usize) -> f64) -> Vec<f32> {
    let ring = |i: usize| libm::hypot((i / size) as f64, (i % size) as f64).round() as usize;
    let mut rings = vec![(0.0, 0.0); 2 * size];
    for i in 0..size * size {
        let (sum, n) = &mut rings[ring(i)];
        (*sum, *n) = (*sum + square(i), *n + 1.0);
    }
    let roots: Vec<f64> = rings.iter().map(|(sum, n)| (sum / f64::max(*n, 1.0)).sqrt()).collect();
    let least = 1e-3 * roots.iter().copied().fold(1e-6, f64::max);
    (0..size * size).map(|i| roots[ring(i)].max(least) as f32).collect()
}
