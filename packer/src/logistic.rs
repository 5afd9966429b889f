//! Logistic regression with scikit-learn's objective: half the sum of squared coefficients plus C
//! times the summed log loss. The intercept is free of penalty. Two classes have one logit, more
//! have one each. argmin's L-BFGS minimises it.
//!
//! Refused: features that are not finite, and classes without an image.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, s};

use crate::Error;

mod problem;

use problem::{Problem, softmax};

/// What features are divided by before the fit, after their mean is subtracted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Each feature by its own standard deviation.
    EachColumn,
    /// All by the root of their mean variance. Of two images, each feature's own deviation is half
    /// their difference. Divided by that, a feature that hardly differs would count as much as one
    /// that differs most.
    Whole,
}

/// Images to fit.
pub struct Examples<'a> {
    /// [images, features]
    pub features: &'a [f64],
    /// [images, classes], each row probabilities.
    pub targets: &'a [f64],
    /// `[images]`, how much each counts.
    pub weights: &'a [f64],
    pub classes: usize,
}

/// A fitted classifier, which takes features without any scaling.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// [classes, features]
    weight: Array2<f64>,
    /// `[classes]`
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
        check_finite(features, width).map_err(refuse)?;
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
        let fitted =
            ArrayView2::from_shape((width, columns), &found[..split]).expect("features by columns");
        weight.slice_mut(s![classes - columns.., ..]).assign(&(&fitted.t() / &deviation));
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
        check_finite(features, width).map_err(refuse)?;
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

fn check_finite(features: &[f64], width: usize) -> Result<(), String> {
    let wrong = features.iter().position(|v| !v.is_finite());
    wrong.map_or(Ok(()), |place| {
        Err(format!("feature {} of image {} is not finite", place % width, place / width))
    })
}
