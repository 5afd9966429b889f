//! The objective of logistic regression, its gradient, and its minimum.

use argmin::core::{CostFunction, Executor, Gradient, State};
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::quasinewton::LBFGS;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, s};

/// The optimiser stops after this many iterations, converged or not.
const ITERATIONS: u64 = 2000;
/// Curvature pairs that L-BFGS remembers.
const MEMORY: usize = 10;

/// What is minimised.
pub(super) struct Problem {
    /// [rows, features], each column about 0.
    pub rows: Array2<f64>,
    /// [rows, classes], each row probabilities.
    pub targets: Array2<f64>,
    pub weights: Array1<f64>,
    pub c: f64,
}

impl Problem {
    fn classes(&self) -> usize {
        self.targets.ncols()
    }

    /// The number of logits to fit: for two classes that of class 1 alone.
    pub fn columns(&self) -> usize {
        if self.classes() == 2 { 1 } else { self.classes() }
    }

    /// The coefficients [features + 1, columns] at the minimum, row by row, the intercepts last.
    pub fn minimise(&self) -> Result<Vec<f64>, argmin::core::Error> {
        let start = vec![0.0; (self.rows.ncols() + 1) * self.columns()];
        let solver = LBFGS::new(MoreThuenteLineSearch::new(), MEMORY)
            .with_tolerance_grad(1e-5)?
            .with_tolerance_cost(1e-12)?;
        let result = Executor::new(self, solver)
            .configure(|state| state.param(start).max_iters(ITERATIONS))
            .run()?;
        result
            .state()
            .get_best_param()
            .cloned()
            .ok_or_else(|| argmin::core::Error::msg("no solution"))
    }

    /// Logits [rows, classes] of `rows`.
    fn logits(&self, coefficients: &[f64], rows: ArrayView2<f64>) -> Array2<f64> {
        let (features, columns) = (self.rows.ncols(), self.columns());
        let split = features * columns;
        let weight = ArrayView2::from_shape((features, columns), &coefficients[..split])
            .expect("features by columns");
        let fitted = rows.dot(&weight) + ArrayView1::from(&coefficients[split..]);
        let mut logits = Array2::zeros((rows.nrows(), self.classes()));
        logits.slice_mut(s![.., self.classes() - columns..]).assign(&fitted);
        logits
    }
}

impl CostFunction for &Problem {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, coefficients: &Vec<f64>) -> Result<f64, argmin::core::Error> {
        let logits = self.logits(coefficients, self.rows.view());
        let rows = logits.rows().into_iter().zip(self.targets.rows());
        let losses: f64 = rows
            .zip(&self.weights)
            .map(|((row, t), weight)| weight * (log_sum_exp(row) - row.dot(&t)))
            .sum();
        let weight = &coefficients[..self.rows.ncols() * self.columns()];
        Ok(0.5 * weight.iter().map(|v| v * v).sum::<f64>() + self.c * losses)
    }
}

impl Gradient for &Problem {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;

    fn gradient(&self, coefficients: &Vec<f64>) -> Result<Vec<f64>, argmin::core::Error> {
        let mut residual = softmax(&self.logits(coefficients, self.rows.view()));
        residual -= &self.targets;
        for (mut row, &weight) in residual.rows_mut().into_iter().zip(&self.weights) {
            row *= self.c * weight;
        }
        let residual = residual.slice(s![.., self.classes() - self.columns()..]);
        let products = self.rows.t().dot(&residual);
        let penalty = coefficients.iter().take(products.len());
        let mut gradient: Vec<f64> = products.iter().zip(penalty).map(|(g, w)| g + w).collect();
        gradient.extend(residual.sum_axis(Axis(0)));
        Ok(gradient)
    }
}

/// The logarithm of the sum of the exponentials.
fn log_sum_exp(row: ArrayView1<f64>) -> f64 {
    let top = row.fold(f64::NEG_INFINITY, |a, &b| a.max(b));
    top + row.mapv(|v| (v - top).exp()).sum().ln()
}

/// The softmax of each row.
pub(super) fn softmax(logits: &Array2<f64>) -> Array2<f64> {
    let mut out = logits.clone();
    for mut row in out.rows_mut() {
        let total = log_sum_exp(row.view());
        row.mapv_inplace(|v| (v - total).exp());
    }
    out
}
