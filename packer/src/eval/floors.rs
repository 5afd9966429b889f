//! Floors: what logistic regression reaches on features that needed no training, so that a shortcut is not taken for skill.
//!
//! The objective is scikit-learn's: half the squared coefficients plus C times the summed log loss, intercept free; one logit for two classes, one per
//! class for more. Minimised with argmin's L-BFGS. Refuses features that are not finite and classes without a training image.

use argmin::core::{CostFunction, Executor, Gradient, State};
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::quasinewton::LBFGS;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, s};

use crate::Error;

/// The linear probe: probabilities [N, classes] of logistic regression (C = 0.1) on the frozen base's features.
///
/// `train` and `test` are row-major [images, features]; the number of features follows from `train_labels`.
///
/// # Errors
/// Features that are not finite or do not fit the labels; a class without a training image.
pub fn linear_probe(train: &[f32], train_labels: &[usize], test: &[f32], classes: usize) -> Result<Vec<f32>, Error> {
    let wide = |rows: &[f32]| rows.iter().map(|&v| f64::from(v)).collect::<Vec<_>>();
    floor("linear probe", &wide(train), train_labels, &wide(test), classes, 0.1, false)
}

/// A linear head for sets of few images: as [`linear_probe`], with `targets` [images, classes], each row probabilities, and one scale
/// for all features together. Of two images each feature's own deviation is half their difference, and to divide by it would
/// count what hardly differs as much as what differs most.
///
/// # Errors
/// As [`linear_probe`].
pub fn linear_head(train: &[f32], targets: &[f32], test: &[f32], classes: usize) -> Result<Vec<f32>, Error> {
    let wide = |rows: &[f32]| rows.iter().map(|&v| f64::from(v)).collect::<Vec<_>>();
    let targets = Array2::from_shape_vec((targets.len() / classes.max(1), classes), wide(targets));
    let targets = targets.map_err(|e| Error::Evaluation { what: format!("linear head: {e}") })?;
    let weights = Array1::ones(targets.nrows());
    fit("linear head", &wide(train), targets, weights, &wide(test), 0.1, whole)
}

/// The colour floor: probabilities [N, classes] of class-balanced logistic regression (C = 1) on the mean and standard deviation of R, G and B.
///
/// # Errors
/// As [`linear_probe`].
pub fn colour(
    train: &[[f64; 6]],
    train_labels: &[usize],
    test: &[[f64; 6]],
    classes: usize,
) -> Result<Vec<f32>, Error> {
    floor("colour statistics", train.as_flattened(), train_labels, test.as_flattened(), classes, 1.0, true)
}

/// Iterations after which the optimiser stops, converged or not.
const ITERATIONS: u64 = 2000;
/// Curvature pairs that L-BFGS remembers.
const MEMORY: usize = 10;

fn floor(
    name: &str,
    train: &[f64],
    labels: &[usize],
    test: &[f64],
    classes: usize,
    c: f64,
    balanced: bool,
) -> Result<Vec<f32>, Error> {
    let counts = (0..classes).map(|class| labels.iter().filter(|&&l| l == class).count()).collect::<Vec<_>>();
    if counts.iter().sum::<usize>() != labels.len() {
        return Err(Error::Evaluation { what: format!("{name}: a label is none of {classes} classes") });
    }
    let weights =
        labels.iter().map(|&l| if balanced { labels.len() as f64 / (classes * counts[l]) as f64 } else { 1.0 });
    let targets = Array2::from_shape_fn((labels.len(), classes), |(i, class)| f64::from(labels[i] == class));
    fit(name, train, targets, weights.collect(), test, c, each_column)
}

/// Fits `targets` [images, classes] on `train` [images, features], each image counted by its weight; the probabilities of `test`.
fn fit(
    name: &str,
    train: &[f64],
    targets: Array2<f64>,
    weights: Array1<f64>,
    test: &[f64],
    c: f64,
    deviation: impl Fn(&Array2<f64>) -> Array1<f64>,
) -> Result<Vec<f32>, Error> {
    let refuse = |what: String| Error::Evaluation { what: format!("{name}: {what}") };
    if let Some(class) = targets.columns().into_iter().position(|column| column.sum() == 0.0) {
        return Err(refuse(format!("class {class} has no training image")));
    }
    let images = targets.nrows();
    let width = train.len() / images.max(1);
    if width == 0 || train.len() != width * images || !test.len().is_multiple_of(width) {
        return Err(refuse(format!("{} and {} features do not fit {images} labels", train.len(), test.len())));
    }
    if let Some(place) = train.iter().chain(test).position(|v| !v.is_finite()) {
        return Err(refuse(format!("feature {} of image {} is not finite", place % width, place / width)));
    }
    let matrix = |rows: &[f64]| Array2::from_shape_fn((rows.len() / width, width), |(i, j)| rows[i * width + j]);
    let (mut train, mut test) = (matrix(train), matrix(test));
    standardise(&mut train, &mut test, deviation);
    let problem = Problem { rows: train, targets, weights, c };
    let coefficients = problem.minimise().map_err(|e| refuse(format!("logistic regression failed ({e})")))?;
    Ok(probabilities(&problem.logits(&coefficients, test.view())).iter().map(|&p| p as f32).collect())
}

/// Brings every column to mean 0 over the training rows and divides it by its `deviation`; where that is 0 it stays.
fn standardise(train: &mut Array2<f64>, test: &mut Array2<f64>, deviation: impl Fn(&Array2<f64>) -> Array1<f64>) {
    let mean = train.mean_axis(Axis(0)).unwrap_or_default();
    let deviation = deviation(train).mapv(|sd| if sd > 1e-12 { sd } else { 1.0 });
    for rows in [train, test] {
        *rows -= &mean;
        *rows /= &deviation;
    }
}

fn each_column(rows: &Array2<f64>) -> Array1<f64> {
    rows.std_axis(Axis(0), 0.0)
}

/// The root of the columns' mean variance, for every column.
fn whole(rows: &Array2<f64>) -> Array1<f64> {
    let variance = rows.var_axis(Axis(0), 0.0);
    Array1::from_elem(rows.ncols(), variance.mean().unwrap_or(0.0).sqrt())
}

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
        let solver =
            LBFGS::new(MoreThuenteLineSearch::new(), MEMORY).with_tolerance_grad(1e-5)?.with_tolerance_cost(1e-12)?;
        let result = Executor::new(self, solver).configure(|state| state.param(start).max_iters(ITERATIONS)).run()?;
        result.state().get_best_param().cloned().ok_or_else(|| argmin::core::Error::msg("no solution"))
    }

    /// Logits [rows, classes] of `rows`.
    fn logits(&self, coefficients: &[f64], rows: ArrayView2<f64>) -> Array2<f64> {
        let (features, columns) = (self.rows.ncols(), self.columns());
        let split = features * columns;
        let slope = ArrayView2::from_shape((features, columns), &coefficients[..split]).expect("features by columns");
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
        let losses: f64 =
            rows.zip(&self.weights).map(|((row, t), weight)| weight * (log_sum_exp(row) - row.dot(&t))).sum();
        let slope = &coefficients[..self.rows.ncols() * self.columns()];
        Ok(0.5 * slope.iter().map(|v| v * v).sum::<f64>() + self.c * losses)
    }
}

impl Gradient for &Problem {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;

    fn gradient(&self, coefficients: &Vec<f64>) -> Result<Vec<f64>, argmin::core::Error> {
        let mut residual = probabilities(&self.logits(coefficients, self.rows.view()));
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
fn probabilities(logits: &Array2<f64>) -> Array2<f64> {
    let mut out = logits.clone();
    for mut row in out.rows_mut() {
        let total = log_sum_exp(row.view());
        row.mapv_inplace(|v| (v - total).exp());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Case {
        name: String,
        classes: usize,
        c: f64,
        balanced: bool,
        train: Vec<Vec<f64>>,
        labels: Vec<usize>,
        test: Vec<Vec<f64>>,
        probabilities: Vec<Vec<f64>>,
    }

    #[test]
    fn the_fit_is_that_of_scikit_learn() {
        let cases: Vec<Case> = serde_json::from_str(include_str!("../../tests/sklearn/logistic.json")).unwrap();
        assert!(cases.len() >= 4);
        for case in cases {
            let found = floor(
                "test",
                &case.train.concat(),
                &case.labels,
                &case.test.concat(),
                case.classes,
                case.c,
                case.balanced,
            )
            .unwrap();
            for (i, (f, e)) in found.iter().zip(case.probabilities.concat()).enumerate() {
                assert!((f64::from(*f) - e).abs() < 1e-4, "{}: probability {i} is {f}, not {e}", case.name);
            }
        }
    }

    #[test]
    fn more_features_than_images_and_ten_classes_converge() {
        let (images, width, classes) = (600, 384, 10);
        let labels: Vec<usize> = (0..images).map(|i| i % classes).collect();
        let noise = |i: usize, j: usize| (((i * 7919 + j * 104_729) % 1000) as f32 / 1000.0 - 0.5) * 4.0;
        let rows: Vec<f32> = (0..images * width)
            .map(|k| noise(k / width, k % width) + if k % width == labels[k / width] { 3.0 } else { 0.0 })
            .collect();
        let found = linear_probe(&rows, &labels, &rows, classes).unwrap();
        let hits = found.chunks(classes).zip(&labels).filter(|(p, l)| p.iter().all(|v| *v <= p[**l])).count();
        assert_eq!(hits, images);
    }

    #[test]
    fn what_cannot_be_fitted_is_refused() {
        let text = |train: &[f32], labels: &[usize], test: &[f32]| {
            linear_probe(train, labels, test, 2).unwrap_err().to_string()
        };
        assert!(text(&[1.0, 2.0], &[0, 0], &[1.0]).contains("class 1 has no training image"));
        assert!(text(&[1.0, f32::NAN], &[0, 1], &[1.0]).contains("feature 0 of image 1 is not finite"));
        assert!(text(&[1.0, 2.0, 3.0], &[0, 1], &[1.0]).contains("do not fit"));
        assert!(text(&[], &[], &[]).contains("class 0 has no training image"));
    }
}
