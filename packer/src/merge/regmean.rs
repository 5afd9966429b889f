//! RegMean (Jin et al. 2023, section 3.2): the linear layer whose outputs are nearest to every
//! module's on that module's own inputs.
//!
//! With G_i the mean of x x^T over module i's tokens, its off-diagonal values multiplied by
//! `off_diagonal` (the paper's alpha, 0.9), the result is (sum_i w_i d_i G_i) (sum_i G_i)^-1; the
//! base's own weight cancels. w_i = 1 unless given. A millionth of the mean diagonal value is added
//! to every diagonal, so that directions without any input get the plain mean. A module without a
//! site and without a Gram matrix there does not count in it.
//!
//! Low rank throughout: w_i d_i G_i = B_i (A_i G_i), so the ranks are stacked and one symmetric
//! system is solved.

use faer::linalg::solvers::Solve;
use faer::{Mat, Side};

use super::Options;
use super::delta::Delta;
use super::site::{Site, WeightedFactors, widened};

/// The number added to the diagonals, as a fraction of their mean.
const RIDGE: f64 = 1e-6;

pub fn merge(site: &Site, options: &Options) -> Result<Delta, String> {
    let mut grams: Vec<Mat<f64>> =
        site.grams.iter().map(|gram| softened(&widened(gram), options.off_diagonal)).collect();
    let diagonals =
        grams.iter().flat_map(|g| (0..site.inputs).map(|i| g[(i, i)])).collect::<Vec<_>>();
    if diagonals.iter().any(|d| *d < 0.0) {
        return Err("a Gram matrix has a negative diagonal value".into());
    }
    let mean = diagonals.iter().sum::<f64>() / diagonals.len() as f64;
    let ridge = if mean > 0.0 { RIDGE * mean } else { 1.0 };
    let mut sum = Mat::zeros(site.inputs, site.inputs);
    for gram in &mut grams {
        (0..site.inputs).for_each(|i| gram[(i, i)] += ridge);
        sum += &*gram;
    }
    let solver = sum
        .llt(Side::Lower)
        .map_err(|_| "the Gram matrices are not positive definite".to_owned())?;
    let solved = |(part, gram): (&WeightedFactors, &Mat<f64>)| {
        let right = (&part.a * gram).transpose().to_owned();
        (part.scaled(), solver.solve(&right).transpose().to_owned())
    };
    let products: Vec<_> = site.parts.iter().zip(&grams).map(solved).collect();
    Ok(Delta::sum(site.outputs, site.inputs, &products))
}

/// The symmetric part, its off-diagonal values multiplied by `factor`.
fn softened(gram: &Mat<f64>, factor: f64) -> Mat<f64> {
    let at = |i, j| (gram[(i, j)] + gram[(j, i)]) / 2.0 * if i == j { 1.0 } else { factor };
    Mat::from_fn(gram.nrows(), gram.ncols(), at)
}
