//! Floors: what logistic regression reaches on features that needed no training. Beside them, a
//! shortcut is not taken for skill.
//!
//! Refused: features that are not finite, and classes without a training image.

use crate::Error;
use crate::logistic::{Examples, Fit, Scale};

/// The linear probe: probabilities [N, classes] of logistic regression (C = 0.1) on the frozen
/// base's features.
///
/// `train` and `test` are [images, features], row by row. The number of features follows from that
/// of `train_labels`.
///
/// # Errors
/// [`Error::Evaluation`]: features that are not finite or do not fit the labels; a class without a
/// training image.
pub fn linear_probe(
    train: &[f32],
    train_labels: &[usize],
    test: &[f32],
    classes: usize,
) -> Result<Vec<f32>, Error> {
    let wide = |rows: &[f32]| rows.iter().map(|&v| f64::from(v)).collect::<Vec<_>>();
    let floor = Regression { name: "linear probe", c: 0.1, balanced: false };
    floor.probabilities(&wide(train), train_labels, &wide(test), classes)
}

/// The colour floor: probabilities [N, classes] of class-balanced logistic regression (C = 1) on
/// the mean and standard deviation of R, G and B.
///
/// # Errors
/// As [`linear_probe`].
pub fn colour(
    train: &[[f64; 6]],
    train_labels: &[usize],
    test: &[[f64; 6]],
    classes: usize,
) -> Result<Vec<f32>, Error> {
    let floor = Regression { name: "colour statistics", c: 1.0, balanced: true };
    floor.probabilities(train.as_flattened(), train_labels, test.as_flattened(), classes)
}

/// How a floor is fitted.
struct Regression<'a> {
    /// What errors call it.
    name: &'a str,
    c: f64,
    /// Whether every class counts alike, whatever its number of images.
    balanced: bool,
}

impl Regression<'_> {
    /// The probabilities of the rows `test`, after a fit on the rows `train`.
    fn probabilities(
        &self,
        train: &[f64],
        labels: &[usize],
        test: &[f64],
        classes: usize,
    ) -> Result<Vec<f32>, Error> {
        let count = |class: usize| labels.iter().filter(|&&l| l == class).count();
        let counts: Vec<usize> = (0..classes).map(count).collect();
        if counts.iter().sum::<usize>() != labels.len() {
            return Err(Error::Evaluation {
                what: format!("{}: a label is none of {classes} classes", self.name),
            });
        }
        let weight = |&l: &usize| {
            if self.balanced { labels.len() as f64 / (classes * counts[l]) as f64 } else { 1.0 }
        };
        let weights: Vec<f64> = labels.iter().map(weight).collect();
        let one_hot = labels
            .iter()
            .flat_map(|&l| (0..classes).map(move |class| f64::from(u8::from(l == class))));
        let targets: Vec<f64> = one_hot.collect();
        let examples = Examples { features: train, targets: &targets, weights: &weights, classes };
        Fit::new(self.name, &examples, self.c, Scale::EachColumn)?.probabilities(self.name, test)
    }
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
        let cases: Vec<Case> =
            serde_json::from_str(include_str!("../../tests/sklearn/logistic.json")).unwrap();
        assert!(cases.len() >= 4);
        for case in cases {
            let floor = Regression { name: "test", c: case.c, balanced: case.balanced };
            let (train, test) = (case.train.concat(), case.test.concat());
            let found = floor.probabilities(&train, &case.labels, &test, case.classes).unwrap();
            for (i, (f, e)) in found.iter().zip(case.probabilities.concat()).enumerate() {
                assert!(
                    (f64::from(*f) - e).abs() < 1e-4,
                    "{}: probability {i} is {f}, not {e}",
                    case.name
                );
            }
        }
    }

    #[test]
    fn more_features_than_images_and_ten_classes_converge() {
        let (images, width, classes) = (600, 384, 10);
        let labels: Vec<usize> = (0..images).map(|i| i % classes).collect();
        let noise =
            |i: usize, j: usize| (((i * 7919 + j * 104_729) % 1000) as f32 / 1000.0 - 0.5) * 4.0;
        let rows: Vec<f32> = (0..images * width)
            .map(|k| {
                noise(k / width, k % width) + if k % width == labels[k / width] { 3.0 } else { 0.0 }
            })
            .collect();
        let found = linear_probe(&rows, &labels, &rows, classes).unwrap();
        let hits = found
            .chunks(classes)
            .zip(&labels)
            .filter(|(p, l)| p.iter().all(|v| *v <= p[**l]))
            .count();
        assert_eq!(hits, images);
    }

    #[test]
    fn what_cannot_be_fitted_is_refused() {
        let text = |train: &[f32], labels: &[usize], test: &[f32]| {
            linear_probe(train, labels, test, 2).unwrap_err().to_string()
        };
        assert!(text(&[1.0, 2.0], &[0, 0], &[1.0]).contains("class 1 has no training image"));
        assert!(
            text(&[1.0, f32::NAN], &[0, 1], &[1.0]).contains("feature 0 of image 1 is not finite")
        );
        assert!(text(&[1.0, 2.0, 3.0], &[0, 1], &[1.0]).contains("do not fit"));
        assert!(text(&[], &[], &[]).contains("class 0 has no training image"));
    }
}
