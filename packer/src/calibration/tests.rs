//! Temperatures against those that labels were drawn with, and a calibrated module on its own
//! images and on others.

use medforge_runtime::tensors::Tensor;

use super::temperature::{crossed, error, fitted, temperature};
use super::*;
use crate::base::Family;
use crate::base::tests::small;
use crate::data::Split;
use crate::device::cpu::Cpu;
use crate::lora::Head;
use crate::random::{Purpose, Stream};
use crate::softmax::softmax;
use crate::train::tests::data;

/// A head whose logits are its two features.
fn head() -> Head {
    Head {
        classes: vec!["a".into(), "b".into()],
        weight: Tensor::f32(vec![2, 2], vec![1.0, 0.0, 0.0, 1.0]),
        bias: Tensor::f32(vec![2], vec![0.0; 2]),
        logit_scale: None,
        temperature: 1.0,
        familiar: None,
    }
}

fn rows(features: &[Vec<f32>]) -> Vec<Vec<f64>> {
    features.iter().map(|feature| logits(&head(), feature)).collect()
}

/// Logits drawn at random, and labels drawn with the probabilities that they have at temperature
/// `t`.
fn drawn(t: f64, n: usize) -> (Vec<Vec<f32>>, Vec<usize>) {
    let mut stream = Stream::at(5, Purpose::Order, 0, 0);
    let row = |_| {
        let logits: Vec<f32> = (0..2).map(|_| stream.range(-6.0, 6.0) as f32).collect();
        let p = softmax(&logits.iter().map(|l| (f64::from(*l) / t) as f32).collect::<Vec<_>>());
        let label = usize::from(stream.range(0.0, 1.0) > p[0]);
        (logits, label)
    };
    (0..n).map(row).unzip()
}

#[test]
fn the_temperature_that_labels_were_drawn_with_is_found() {
    for t in [0.5, 1.0, 3.0] {
        let (features, labels) = drawn(t, 8_000);
        let found = temperature(&rows(&features), &labels);
        assert!((found / t - 1.0).abs() < 0.05, "{t}: {found}");
        let groups: Vec<usize> = (0..labels.len()).collect();
        let errors = [1.0, found]
            .map(|t| error(&rows(&features), &labels, &groups, &vec![t; labels.len()]).unwrap());
        let [before, after] = errors;
        assert!(after.value < 0.015, "{after}");
        assert!(t == 1.0 || after.value < 0.3 * before.value, "{t}: {before} {after}");
        assert!(after.low.unwrap() <= after.value && after.value <= after.high.unwrap() + 0.01);
        let (taken, [plain, held_out]) = shown(&rows(&features), &labels, &groups).unwrap();
        assert!(plain == before && (taken == found || t == 1.0 && taken == 1.0), "{t}: {taken}");
        assert!((held_out.value - after.value).abs() < 0.003, "{t}: {held_out} and {after}");
    }
}

/// Twenty patients with an image each, all logits two apart. Three of the four answers in the first
/// fold are wrong, and all others right. That is 15 % in all, where 12 % were promised, so all
/// together want a temperature above 1. But the other folds, without a wrong answer, give the first
/// fold Platt's 9/10; and to each of the others, 3 wrong answers of 16 give 13/16.
#[test]
fn a_temperature_that_helps_no_other_patients_is_not_taken() {
    let (labels, groups): (Vec<usize>, Vec<usize>) =
        (0..20).map(|i| (usize::from(i > 9), i)).unzip();
    let features: Vec<Vec<f32>> = (0..20)
        .map(|i| {
            if (labels[i] == 1) == [0, 5, 10].contains(&i) {
                vec![2.0, 0.0]
            } else {
                vec![0.0, 2.0]
            }
        })
        .collect();
    let fitted = temperature(&rows(&features), &labels);
    assert!((fitted - 2.0 / (17.0f64 / 3.0).ln()).abs() < 1e-3, "{fitted}");
    let crossed = crossed(&rows(&features), &labels, &groups);
    for (i, t) in crossed.iter().enumerate() {
        let expected = if i % 5 == 0 { 2.0 / 9.0f64.ln() } else { 2.0 / (13.0f64 / 3.0).ln() };
        assert!((t - expected).abs() < 1e-3, "{i}: {t} and {expected}");
    }
    let held_out = error(&rows(&features), &labels, &groups, &crossed).unwrap();
    let expected = 0.2 * (0.9 - 0.25) + 0.8 * (1.0 - 13.0 / 16.0);
    assert!((held_out.value - expected).abs() < 1e-3, "{held_out} and {expected}");
    let (taken, [before, after]) = shown(&rows(&features), &labels, &groups).unwrap();
    assert!((before.value - (1.0 / (1.0 + (-2.0f64).exp()) - 0.85)).abs() < 1e-3, "{before}");
    assert_eq!((taken, after), (1.0, before));
}

#[test]
fn a_class_of_few_groups_calibrates_nothing() {
    let classes = ["benign".to_owned(), "malignant".to_owned()];
    // Nine patients: three with four benign images each, six with malignant ones.
    let (labels, groups): (Vec<usize>, Vec<usize>) =
        (0..18).map(|i| (usize::from(i > 11), if i < 12 { i / 4 } else { i })).unzip();
    let why = too_few(&classes, &labels, &groups, 10).unwrap();
    assert!(why.contains("class benign 3 groups") && why.contains("10 are the least"), "{why}");
    assert_eq!(too_few(&classes, &labels, &groups, 3), None);
    assert!(too_few(&classes, &[0, 0], &[0, 1], 2).unwrap().contains("class malignant 0 groups"));
}

#[test]
fn a_part_without_a_wrong_answer_promises_no_certainty() {
    let features: Vec<Vec<f32>> =
        (0..20).map(|i| if i % 2 == 0 { vec![1.0, 0.0] } else { vec![0.0, 1.0] }).collect();
    let labels: Vec<usize> = (0..20).map(|i| i % 2).collect();
    let t = temperature(&rows(&features), &labels);
    // Platt's target of ten images is 11/12, so the logits' distance of 1 becomes ln 11.
    assert!((1.0 / t - 11.0f64.ln()).abs() < 1e-3, "{t}");
}

/// Logits six apart, and no answer wrong. Platt's targets alone would make them a third as far
/// apart.
#[test]
fn only_wrong_answers_make_probabilities_more_modest() {
    let features: Vec<Vec<f32>> =
        (0..20).map(|i| if i % 2 == 0 { vec![6.0, 0.0] } else { vec![0.0, 6.0] }).collect();
    let labels: Vec<usize> = (0..20).map(|i| i % 2).collect();
    assert!((fitted(&rows(&features), &labels, |_| 11.0 / 12.0) - 6.0 / 11.0f64.ln()).abs() < 1e-3);
    assert_eq!(temperature(&rows(&features), &labels), 1.0);
    // Of twenty answers two are wrong: right ones have 0.9, so the distance becomes ln 9.
    let wrong: Vec<usize> = labels
        .iter()
        .enumerate()
        .map(|(i, &label)| if i < 2 { 1 - label } else { label })
        .collect();
    assert!((temperature(&rows(&features), &wrong) - 6.0 / 9.0f64.ln()).abs() < 1e-3);
}

#[test]
fn a_calibrated_module_knows_its_own_images_from_others() {
    let (_dir, dataset) = data();
    let vit = small(Family::Dinov2);
    let all = dataset.indices(Split::Train);
    let images = Images::load(&dataset, &all, &vit.preprocessing_for(8).unwrap()).unwrap();
    let positions: Vec<usize> = (0..all.len()).collect();
    let (training, validation) = positions.split_at(24);
    let mut module = crate::lora::tests::module(&vit, "q,v", None);
    (module.card.image_size, module.card.preprocessing) = (8, vit.preprocessing_for(8).unwrap());
    let device = Cpu::<f32>::poisoned();
    let on = CalibrationImages { images: &images, training, validation };
    let held_out = calibrate(&device, &vit, &mut module, &on, 7, 2).unwrap();
    let calibration = module.card.calibration.clone().unwrap();
    assert_eq!(
        (calibration.images, module.head.temperature),
        (validation.len(), calibration.temperature)
    );

    let predictor = Predictor::new(&device, &vit, Some(&module), 8);
    let familiar = module.head.familiar.clone().unwrap();
    let own = predictor.features_of(&images, validation, |_| {}).unwrap();
    // Products of other batches add up in another order.
    let apart = held_out.iter().flatten().zip(own.iter().flatten()).map(|(a, b)| (a - b).abs());
    assert!(
        held_out.len() == own.len() && apart.clone().all(|d| d < 1e-5),
        "{:?}",
        apart.reduce(f32::max)
    );
    let below = own.iter().filter(|row| familiar.score(row) <= calibration.threshold).count();
    assert_eq!(below, (KEPT * own.len() as f64).ceil() as usize);
    // Stripes, where all images are nearly even.
    let stripes: Vec<f32> = (0..192).map(|i| if i % 2 == 0 { 2.0 } else { -2.0 }).collect();
    let score = familiar.score(&predictor.features(&stripes).unwrap());
    assert!(score > 1.2 * calibration.threshold, "{score} and {}", calibration.threshold);

    // It reads back from its files with the same numbers. With half of them missing it is refused.
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in module.files().unwrap() {
        std::fs::write(dir.path().join(name), bytes).unwrap();
    }
    let read = Module::open(dir.path(), &vit).unwrap();
    assert_eq!(
        (&read.head.familiar, read.head.temperature),
        (&module.head.familiar, module.head.temperature)
    );
    let plain = module.uncalibrated();
    assert_eq!((plain.head.temperature, plain.card.calibration.is_none()), (1.0, true));
    std::fs::write(dir.path().join("head.safetensors"), plain.head.file().unwrap()).unwrap();
    let said = Module::open(dir.path(), &vit).unwrap_err().to_string();
    assert!(said.contains("do not agree on whether"), "{said}");
}
