//! Selections of modules: each gives what its parts give, or is refused by name.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use medforge_packer::base::Vit;
use medforge_runtime::Error;
use medforge_runtime::classify::{Cancel, Classifier, Mode, Row, Selection};

use super::common::*;
use super::small;

/// What is asked of the five modules: weights of the second, third and fourth one.
const WEIGHTS: [f64; 3] = [0.5, -1.0, 0.25];

fn composed(mode: Mode, ids: &[String]) -> Selection {
    let parts = ids[1..].iter().zip(WEIGHTS).map(|(id, weight)| part(id, weight)).collect();
    Selection::Composition(mode, parts)
}

/// A classifier of the five modules, and their ids.
fn classifier(vit: &Vit) -> (Classifier, Vec<String>) {
    let bundle = verified(packed(vit, "five", &five(vit)));
    let ids = ids(&bundle);
    (Classifier::load(bundle).unwrap(), ids)
}

#[test]
fn a_task_has_its_own_module_and_none_is_the_base_alone() {
    let _turn = turn();
    let (classifier, ids) = classifier(&vit());
    let run = |selection: Selection| with(&classifier, &selection).unwrap();
    let default = run(Selection::Default);
    let own = run(Selection::module(&ids[0]));
    assert_eq!(default, own, "the default of a task is its own module");
    let frozen = run(Selection::Frozen);
    assert!(frozen.modules.is_empty() && frozen.probabilities != default.probabilities);
    let zero = run(Selection::Composition(Mode::Fusion, vec![part(&ids[3], 0.0)]));
    assert_close(&zero.probabilities, &frozen.probabilities);
}

/// The sum of the deltas, of unequal ranks and with a negative weight, as one module that was
/// merged beforehand.
#[test]
fn a_fusion_is_the_sum_of_its_parts() {
    let _turn = turn();
    let vit = vit();
    let (classifier, ids) = classifier(&vit);
    let fused = with(&classifier, &composed(Mode::Fusion, &ids)).unwrap();
    let all = five(&vit);
    let mut merged = small::lora(&vit, "merged", 0, 2 + 3 + 4, None);
    for (site, factors) in &mut merged.sites {
        let from = |i: usize| &all[i + 1].sites[site];
        factors.a.data = (0..3).flat_map(|i| from(i).a.data.clone()).collect();
        let rows = factors.b.shape[0];
        let row = |r: usize| {
            (0..3).flat_map(move |i| {
                let rank = i + 2;
                let row = &from(i).b.data[r * rank..][..rank];
                row.iter().map(move |v| v * WEIGHTS[i] as f32).collect::<Vec<_>>()
            })
        };
        factors.b.data = (0..rows).flat_map(row).collect();
    }
    let merged = verified(packed(&vit, "merged", &[merged]));
    let id = merged.manifest().modules[0].id.clone();
    classifier.add(merged).unwrap();
    let expected = with(&classifier, &Selection::module(&id)).unwrap();
    assert_close(&fused.probabilities, &expected.probabilities);
}

/// The weighted sum of the passes, brought to one.
#[test]
fn a_mixture_is_the_weighted_sum_of_its_parts_probabilities() {
    let _turn = turn();
    let (classifier, ids) = classifier(&vit());
    let mixed = with(&classifier, &composed(Mode::Mixture, &ids)).unwrap();
    let mut sum = vec![0.0; 2];
    for (id, weight) in ids[1..].iter().zip(WEIGHTS) {
        let one = with(&classifier, &Selection::module(id)).unwrap();
        one.probabilities.iter().zip(&mut sum).for_each(|(p, s)| *s += weight * f64::from(*p));
    }
    sum.iter_mut().for_each(|s| *s = s.max(0.0));
    let total: f64 = sum.iter().sum();
    let expected: Vec<f32> =
        sum.iter().map(|s| if total > 1e-12 { s / total } else { 0.5 } as f32).collect();
    assert_close(&mixed.probabilities, &expected);
    let kept: Vec<_> = mixed.modules.iter().map(|m| (m.id.clone(), m.weight)).collect();
    assert_eq!(kept, ids[1..].iter().cloned().zip(WEIGHTS).collect::<Vec<_>>());
}

/// Each row has its own image, task and modules, and gives what it gives alone.
#[test]
fn rows_of_a_batch_give_what_each_gives_alone() {
    let _turn = turn();
    let (classifier, ids) = classifier(&vit());
    let selections = [
        Selection::Default,
        composed(Mode::Mixture, &ids),
        Selection::Frozen,
        composed(Mode::Fusion, &ids),
        Selection::module(&ids[4]),
    ];
    let rows: Vec<Row> = selections
        .iter()
        .enumerate()
        .map(|(i, s)| Row { image: i % 2, task: Some("task0"), selection: s.clone() })
        .collect();
    let (first, second) = (picture(0), picture(1));
    let images = [first.view(), second.view()];
    let together = classifier.active().classify_rows(&images, &rows, &Cancel::default()).unwrap();
    for (row, found) in rows.iter().zip(&together) {
        let alone = classifier
            .classify_with(images[row.image], row.task, &row.selection, &Cancel::default())
            .unwrap();
        assert_eq!(*found, alone);
    }
    let mut compositions: Vec<_> = together.iter().map(|found| found.composition.clone()).collect();
    compositions.sort();
    compositions.dedup();
    assert_eq!(compositions.len(), rows.len(), "every composition has an id of its own");
}

#[test]
fn selections_that_cannot_be_run_are_named() {
    let _turn = turn();
    let vit = vit();
    let bundle = verified(packed(&vit, "five", &five(&vit)));
    let ids = ids(&bundle);
    let classifier = Classifier::load(bundle).unwrap();
    let composed = |mode, parts| Selection::Composition(mode, parts);
    let cases = [
        (Selection::module("nobody"), "no module \"nobody\""),
        (composed(Mode::Fusion, vec![]), "it has no modules"),
        (composed(Mode::Mixture, vec![part(&ids[0], f64::NAN)]), "is NaN"),
        (composed(Mode::Fusion, vec![part(&ids[0], 1.0), part(&ids[0], 2.0)]), "takes part twice"),
        (
            composed(Mode::Mixture, (0..300).map(|i| part(&i.to_string(), 1.0)).collect()),
            "300 modules",
        ),
        (composed(Mode::Routed, vec![part(&ids[0], 1.0)]), "nothing can be routed"),
    ];
    for (selection, words) in cases {
        let before = with(&classifier, &Selection::Default).unwrap();
        let error = with(&classifier, &selection).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
        assert!(classifier.set_default("task0", &selection).is_err());
        assert_eq!(with(&classifier, &Selection::Default).unwrap(), before);
    }
    assert!(matches!(
        classifier.set_default("task9", &Selection::Frozen),
        Err(Error::UnknownTask { .. })
    ));
    let row = |image| Row { image, task: Some("task0"), ..Row::default() };
    let picture = picture(0);
    let error = classifier
        .active()
        .classify_rows(&[picture.view()], &[row(0), row(1)], &Cancel::default())
        .unwrap_err();
    assert!(matches!(error, Error::InBatch { index: 1, .. }), "{error}");
}

#[test]
fn a_cancelled_call_ends_and_the_next_one_runs() {
    let _turn = turn();
    let vit = vit();
    let classifier = Classifier::load(verified(packed(&vit, "five", &five(&vit)))).unwrap();
    let expected = with(&classifier, &Selection::Default).unwrap();
    let flag = Arc::new(AtomicBool::new(true));
    for cancel in
        [Cancel::by(flag), Cancel::at(Instant::now()), Cancel::default().or_at(Instant::now())]
    {
        let error = classifier
            .classify_with(picture(0).view(), Some("task0"), &Selection::Default, &cancel)
            .unwrap_err();
        assert!(matches!(error, Error::Cancelled), "{error}");
        assert_eq!(with(&classifier, &Selection::Default).unwrap(), expected);
    }
}
