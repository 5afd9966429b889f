//! Metrics against those of scikit-learn, and against what can be counted by hand.

use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Case {
    name: String,
    classes: usize,
    labels: Vec<usize>,
    probabilities: Vec<Vec<f32>>,
    weights: Vec<u32>,
    metrics: [Option<f64>; 7],
    confusion: Vec<Vec<u64>>,
}

#[test]
fn every_metric_is_that_of_scikit_learn() {
    let cases: Vec<Case> =
        serde_json::from_str(include_str!("../../../tests/sklearn/metrics.json")).unwrap();
    assert!(cases.len() >= 6);
    for case in cases {
        let predictions =
            Predictions::new(&case.probabilities.concat(), &case.labels, case.classes).unwrap();
        assert_eq!(predictions.confusion(&case.weights), case.confusion, "{}", case.name);
        let found = predictions.metrics(&case.weights);
        for (metric, (found, expected)) in Metric::ALL.iter().zip(found.iter().zip(&case.metrics)) {
            match (found, expected) {
                (Some(f), Some(e)) => {
                    assert!((f - e).abs() < 1e-9, "{} {metric:?}: {f} is not {e}", case.name)
                }
                _ => assert_eq!(found, expected, "{} {metric:?}", case.name),
            }
        }
    }
}

#[test]
fn a_class_by_itself_is_what_can_be_counted_by_hand() {
    let labels = [0, 0, 0, 1, 1];
    let ones = [0.1, 0.38, 0.62, 0.62, 0.9f32];
    let rows: Vec<f32> = ones.iter().flat_map(|p| [1.0 - p, *p]).collect();
    let predictions = Predictions::new(&rows, &labels, 2).unwrap();
    let [sensitivity, specificity, precision, area] =
        predictions.of_class(1, &[1; 5]).map(Option::unwrap);
    assert_eq!((sensitivity, specificity, precision), (1.0, 2.0 / 3.0, 2.0 / 3.0));
    assert!((area - 5.5 / 6.0).abs() < 1e-12, "{area}");
    assert_eq!(predictions.of_class(0, &[1; 5])[..2], [Some(2.0 / 3.0), Some(1.0)]);
    assert_eq!(predictions.of_class(1, &[1, 1, 1, 0, 0]), [None, Some(2.0 / 3.0), Some(0.0), None]);
    let third = 1.0 / 3.0;
    assert_eq!(predictions.roc(1), [(0.0, 0.0), (0.0, 0.5), (third, 1.0), (1.0, 1.0)]);
    let bins = predictions.bins(&[1, 1, 2, 1, 1]);
    let of = |p: f64| bins[(p * 15.0).ceil() as usize - 1];
    assert_eq!((of(0.9).weight, of(0.9).hits), (2.0, 2.0));
    assert_eq!((of(0.62).weight, of(0.62).hits), (4.0, 2.0));
    assert!((of(0.62).confidence - 2.48).abs() < 1e-6);
}

#[test]
fn what_is_no_prediction_is_refused() {
    let text =
        |p: &[f32], l: &[usize], c| Predictions::new(p, l, c).err().expect("refused").to_string();
    assert!(text(&[0.5, 0.6], &[0], 2).contains("image 0 are no distribution"));
    assert!(text(&[f32::NAN, 0.5], &[0], 2).contains("no distribution"));
    assert!(text(&[-0.5, 1.5], &[0], 2).contains("no distribution"));
    assert!(text(&[0.5, 0.5], &[2], 2).contains("label 2"));
    assert!(text(&[0.5, 0.5, 1.0], &[0], 2).contains("do not make"));
    assert!(text(&[1.0], &[0], 1).contains("two classes"));
}
