//! The distribution that CMA-ES draws points from, and how it moves.

use nalgebra::{DMatrix, DVector};

/// The constants of a search. They depend on its dimension alone (Hansen 2016, table 1).
pub struct Strategy {
    dimension: f64,
    pub offspring: usize,
    /// The weights of the parents, whose sum is one.
    weights: Vec<f64>,
    /// The variance effective selection mass.
    effective: f64,
    c_sigma: f64,
    damping: f64,
    c_path: f64,
    c_one: f64,
    c_mu: f64,
    /// The expected length of a standard normal vector.
    expected: f64,
}

impl Strategy {
    fn new(dimension: f64) -> Self {
        let offspring = 4 + (3.0 * dimension.ln()).floor() as usize;
        let parents = offspring / 2;
        let raw: Vec<f64> =
            (1..=parents).map(|i| (offspring as f64 / 2.0 + 0.5).ln() - (i as f64).ln()).collect();
        let weights: Vec<f64> = raw.iter().map(|w| w / raw.iter().sum::<f64>()).collect();
        let effective = 1.0 / weights.iter().map(|w| w * w).sum::<f64>();
        let c_sigma = (effective + 2.0) / (dimension + effective + 5.0);
        let damping =
            1.0 + 2.0 * (((effective - 1.0) / (dimension + 1.0)).sqrt() - 1.0).max(0.0) + c_sigma;
        let c_path =
            (4.0 + effective / dimension) / (dimension + 4.0 + 2.0 * effective / dimension);
        let c_one = 2.0 / ((dimension + 1.3).powi(2) + effective);
        let c_mu = (1.0 - c_one).min(
            2.0 * (effective - 2.0 + 1.0 / effective) / ((dimension + 2.0).powi(2) + effective),
        );
        let expected = dimension.sqrt()
            * (1.0 - 1.0 / (4.0 * dimension) + 1.0 / (21.0 * dimension * dimension));
        Strategy {
            dimension,
            offspring,
            weights,
            effective,
            c_sigma,
            damping,
            c_path,
            c_one,
            c_mu,
            expected,
        }
    }
}

/// The distribution that points are drawn from, and its evolution paths.
pub struct State {
    pub strategy: Strategy,
    pub mean: DVector<f64>,
    pub sigma: f64,
    covariance: DMatrix<f64>,
    path: DVector<f64>,
    path_sigma: DVector<f64>,
    pub generation: u64,
}

impl State {
    /// The distribution around `start` with this first standard deviation.
    pub fn new(start: &[f64], deviation: f64) -> Self {
        let n = start.len();
        State {
            strategy: Strategy::new(n as f64),
            mean: DVector::from_vec(start.to_vec()),
            sigma: deviation,
            covariance: DMatrix::identity(n, n),
            path: DVector::zeros(n),
            path_sigma: DVector::zeros(n),
            generation: 0,
        }
    }

    /// The covariance's axes, and the standard deviation along each.
    pub fn axes(&self) -> (DMatrix<f64>, DVector<f64>) {
        let eigen = self.covariance.clone().symmetric_eigen();
        let roots = eigen.eigenvalues.map(|v| v.max(1e-20).sqrt());
        (eigen.eigenvectors, roots)
    }

    /// Moves the distribution towards the best of the points `drawn`, which are sorted by loss and
    /// given as steps from the mean.
    pub fn update(
        &mut self,
        drawn: &[(f64, DVector<f64>)],
        axes: &DMatrix<f64>,
        roots: &DVector<f64>,
    ) {
        let n = self.mean.len();
        let Strategy { ref weights, dimension, effective, c_sigma, .. } = self.strategy;
        let Strategy { damping, c_path, c_one, c_mu, expected, .. } = self.strategy;
        let step =
            weights.iter().zip(drawn).fold(DVector::zeros(n), |sum, (w, (_, y))| sum + *w * y);
        self.mean += self.sigma * &step;
        let whitened =
            axes * DMatrix::from_diagonal(&roots.map(|r| 1.0 / r)) * axes.transpose() * &step;
        self.path_sigma = (1.0 - c_sigma) * &self.path_sigma
            + (c_sigma * (2.0 - c_sigma) * effective).sqrt() * whitened;
        self.generation += 1;
        let length = self.path_sigma.norm()
            / (1.0 - (1.0 - c_sigma).powi(2 * self.generation as i32)).sqrt();
        let steady = length < (1.4 + 2.0 / (dimension + 1.0)) * expected;
        let rise = if steady { (c_path * (2.0 - c_path) * effective).sqrt() } else { 0.0 };
        self.path = (1.0 - c_path) * &self.path + rise * &step;
        let lost = if steady { 0.0 } else { c_path * (2.0 - c_path) };
        let rank_mu = weights
            .iter()
            .zip(drawn)
            .fold(DMatrix::zeros(n, n), |sum, (w, (_, y))| sum + *w * y * y.transpose());
        self.covariance = (1.0 - c_one - c_mu + c_one * lost) * &self.covariance
            + c_one * &self.path * self.path.transpose()
            + c_mu * rank_mu;
        self.sigma *= ((c_sigma / damping) * (self.path_sigma.norm() / expected - 1.0)).exp();
    }
}
