//! Evaluations: floors that are beaten or not, intervals that are there or not, tables and JSON.

use super::*;

/// Two classes, two images a group; `skill` images of ten are right.
fn guesses(skill: usize, shift: usize) -> Vec<f32> {
    (0..200)
        .flat_map(
            |i| {
                if ((i + shift) % 10 < skill) == (i % 2 == 1) { [0.2, 0.8] } else { [0.8, 0.2] }
            },
        )
        .collect()
}

fn evaluation_of(module: &[f32], groups: &[usize]) -> Evaluation {
    let classes = ["benign".to_owned(), "malignant".to_owned()];
    let labels: Vec<usize> = (0..200).map(|i| i % 2).collect();
    let (probe, colour) = (guesses(7, 0), guesses(9, 3));
    let subject = Subject {
        classes: &classes,
        labels: &labels,
        groups,
        module,
        linear_probe: &probe,
        colour: &colour,
    };
    Evaluation::new(&subject, 500, 0).unwrap()
}

fn pairs() -> Vec<usize> {
    (0..200).map(|i| i / 2).collect()
}

#[test]
fn a_floor_counts_as_beaten_only_when_the_whole_interval_says_so() {
    let evaluation = evaluation_of(&guesses(9, 0), &pairs());
    assert!((evaluation.metric(Metric::Accuracy).unwrap().value - 0.9).abs() < 1e-12);
    let [probe, colour] = &evaluation.floors[..] else { panic!("two floors") };
    assert!(probe.beaten && probe.difference.low > Some(0.0));
    assert!(!colour.beaten && colour.difference.value == 0.0 && colour.difference.low < Some(0.0));
    let table = evaluation.table();
    assert!(table.contains("The module beats the linear probe"), "{table}");
    assert!(
        table.contains("The module is NOT shown to beat logistic regression on colour alone"),
        "{table}"
    );
    let worse = evaluation_of(&guesses(5, 0), &pairs()).table();
    assert!(
        worse.contains("The module is WORSE than logistic regression on colour alone"),
        "{worse}"
    );
    for estimate in &evaluation.metrics {
        assert!(
            estimate.low.unwrap() <= estimate.value && estimate.value <= estimate.high.unwrap(),
            "{estimate:?}"
        );
    }
}

/// Resampling pairs the two: against itself, a classifier has no difference at all.
#[test]
fn a_module_equal_to_a_floor_differs_by_nothing() {
    let floor = &evaluation_of(&guesses(9, 3), &pairs()).floors[1];
    assert_eq!(
        (floor.difference.value, floor.difference.low, floor.difference.high, floor.beaten),
        (0.0, Some(0.0), Some(0.0), false)
    );
}

#[test]
fn groups_that_allow_no_interval_are_named() {
    let groups: Vec<usize> = (0..200).map(|i| if i % 2 == 0 { i / 4 } else { 999 }).collect();
    let evaluation = evaluation_of(&guesses(9, 0), &groups);
    assert_eq!(
        evaluation.intervals.missing.as_deref(),
        Some("class malignant has images of one group only")
    );
    assert!(
        evaluation.metrics.iter().all(|e| e.low.is_none())
            && evaluation.floors.iter().all(|f| !f.beaten)
    );
    assert!(evaluation.table().contains("no intervals: class malignant"));
}

#[test]
fn the_json_form_reads_back() {
    let evaluation = evaluation_of(&guesses(8, 1), &pairs());
    let text = serde_json::to_string(&evaluation).unwrap();
    assert!(
        text.contains(r#"{"name":"balanced_accuracy","value":"#)
            && text.contains(r#""name":"linear_probe""#),
        "{text}"
    );
    assert_eq!(serde_json::from_str::<Evaluation>(&text).unwrap(), evaluation);
}
