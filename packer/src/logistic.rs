//! Logistic regression with scikit-learn's objective: half the squared coefficients plus C times
//! the summed log loss, intercept free; one logit for two classes, one per class for more.
//! Minimised with argmin's L-BFGS. Refuses features that are not finite and classes without an
//! image.

use argmin::core::{CostFunction, Executor, Gradient, State};
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::quasinewton::LBFGS;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, s};

use crate::Error;

/// By what the features are divided before the fit, after their mean is taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Each by its own deviation.
    EachColumn,
    /// All by the root of their mean variance. Of two images each feature's own deviation is half
    /// their difference, and to divide by it would count what hardly differs as much as what
    /// differs most.
    Whole,
}

/// Images to fit.
pub struct Examples<'a> {
    /// [images, features]
    pub features: &'a [f64],
    /// [images, classes], each row probabilities.
    pub targets: &'a [f64],
    /// How much each image counts.
    pub weights: &'a [f64],
    pub classes: usize,
}

/// A fitted classifier of features as they come.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// [classes, features]
    weight: Array2<f64>,
    bias: Array1<f64>,
}

impl Fit {
    /// Fits `examples` with the constant `c`; `name` is what errors call it.
    ///
    /// # Errors
    /// [`Error::Evaluation`]: features that are not finite or do not fit the targets, a class
    /// without an image.
    pub fn new(name: &str, examples: &Examples, c: f64, scale: Scale) -> Result<Self, Error> {
        let refuse = |what: String| Error::Evaluation { what: format!("{name}: {what}") };
        let (features, classes) = (examples.features, examples.classes);
        let images = examples.targets.len() / classes.max(1);
        let targets = Array2::from_shape_vec((images, classes), examples.targets.to_vec());
        let targets = targets.map_err(|e| refuse(e.to_string()))?;
        if let Some(class) = targets.columns().into_iter().position(|column| column.sum() == 0.0) {
            return Err(refuse(format!("class {class} has no training image")));
        }
        let width = features.len() / images.max(1);
        if width == 0 || features.len() != width * images || examples.weights.len() != images {
            return Err(refuse(format!("{} features do not fit {images} labels", features.len())));
        }
        if let Some(place) = features.iter().position(|v| !v.is_finite()) {
            return Err(refuse(format!(
                "feature {} of image {} is not finite",
                place % width,
                place / width
            )));
        }
        let mut rows = Array2::from_shape_fn((images, width), |(i, j)| features[i * width + j]);
        let mean = rows.mean_axis(Axis(0)).unwrap_or_default();
        rows -= &mean;
        let deviation = match scale {
            Scale::EachColumn => rows.std_axis(Axis(0), 0.0),
            Scale::Whole => {
                Array1::from_elem(width, rows.var_axis(Axis(0), 0.0).mean().unwrap_or(0.0).sqrt())
            }
        };
        let deviation = deviation.mapv(|sd| if sd > 1e-12 { sd } else { 1.0 });
        rows /= &deviation;
        let problem = Problem { rows, targets, weights: examples.weights.to_vec().into(), c };
        let found =
            problem.minimise().map_err(|e| refuse(format!("logistic regression failed ({e})")))?;
        let (columns, split) = (problem.columns(), width * problem.columns());
        let mut weight = Array2::zeros((classes, width));
        let mut bias = Array1::zeros(classes);
        let slope =
            ArrayView2::from_shape((width, columns), &found[..split]).expect("features by columns");
        weight.slice_mut(s![classes - columns.., ..]).assign(&(&slope.t() / &deviation));
        bias.slice_mut(s![classes - columns..]).assign(&ArrayView1::from(&found[split..]));
        bias -= &weight.dot(&mean);
        Ok(Fit { weight, bias })
    }

    /// The probabilities [images, classes] of `features` [images, features], row by row.
    ///
    /// # Errors
    /// [`Error::Evaluation`]: features that are not finite or of another number.
    pub fn probabilities(&self, name: &str, features: &[f64]) -> Result<Vec<f32>, Error> {
        let refuse = |what: String| Error::Evaluation { what: format!("{name}: {what}") };
        let width = self.weight.ncols();
        if let Some(place) = features.iter().position(|v| !v.is_finite()) {
            return Err(refuse(format!(
                "feature {} of image {} is not finite",
                place % width,
                place / width
            )));
        }
        let rows = ArrayView2::from_shape((features.len() / width, width), features);
        let rows = rows.map_err(|_| {
            refuse(format!("{} features do not fit {width} of an image", features.len()))
        })?;
        Ok(softmax(&(rows.dot(&self.weight.t()) + &self.bias)).iter().map(|&p| p as f32).collect())
    }

    /// Coefficients [classes, features].
    pub fn weight(&self) -> Vec<f32> {
        self.weight.iter().map(|&v| v as f32).collect()
    }

    /// Intercepts, one a class.
    pub fn bias(&self) -> Vec<f32> {
        self.bias.iter().map(|&v| v as f32).collect()
    }
}

/// Iterations after which the optimiser stops, converged or not.
const ITERATIONS: u64 = 2000;
/// Curvature pairs that L-BFGS remembers.
const MEMORY: usize = 10;

struct Problem {
    rows: Array2<f64>,
    /// [rows, classes], each row probabilities.
    targets: Array2<f64>,
    weights: Array1<f64>,
    c: f64,
}

impl Problem {
    fn classes(&self) -> usize {
        self.targets.ncols()
    }

    /// Logits to fit: for two classes that of class 1 alone.
    fn columns(&self) -> usize {
        if self.classes() == 2 { 1 } else { self.classes() }
    }

    /// Coefficients [features + 1, columns] row by row, the intercepts last.
    fn minimise(&self) -> Result<Vec<f64>, argmin::core::Error> {
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
        let slope = ArrayView2::from_shape((features, columns), &coefficients[..split])
            .expect("features by columns");
        let fitted = rows.dot(&slope) + ArrayView1::from(&coefficients[split..]);
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
        let slope = &coefficients[..self.rows.ncols() * self.columns()];
        Ok(0.5 * slope.iter().map(|v| v * v).sum::<f64>() + self.c * losses)
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
        let slope = self.rows.t().dot(&residual);
        let penalty = coefficients.iter().take(slope.len());
        let mut gradient: Vec<f64> = slope.iter().zip(penalty).map(|(g, w)| g + w).collect();
        gradient.extend(residual.sum_axis(Axis(0)));
        Ok(gradient)
    }
}

fn log_sum_exp(row: ArrayView1<f64>) -> f64 {
    let top = row.fold(f64::NEG_INFINITY, |a, &b| a.max(b));
    top + row.mapv(|v| (v - top).exp()).sum().ln()
}

/// The softmax of each row.
fn softmax(logits: &Array2<f64>) -> Array2<f64> {
    let mut out = logits.clone();
    for mut row in out.rows_mut() {
        let total = log_sum_exp(row.view());
        row.mapv_inplace(|v| (v - total).exp());
    }
    out
}
