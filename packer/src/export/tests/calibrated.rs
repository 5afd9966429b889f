//! Calibration from module to device: temperature, out-of-distribution score, and when there is no
//! answer.

use medforge_runtime::classify::{Abstain, Cancel, Selection};

use super::*;
use crate::lora::{Calibration, Familiar, Interval};
use crate::predict::{Predictor, probabilities};

/// A module of the task breast that is calibrated at temperature 2.5, with a threshold that no
/// image reaches.
fn calibrated(vit: &Vit) -> Module {
    let mut own = module(vit, "q,v", None);
    let size = own.card.image_size as usize;
    // Features of a few waves stand for those of training images.
    let predictor = Predictor::new(&Cpu::<f32>::new(), vit, Some(&own), size);
    let wave = |i: usize| {
        (0..3 * size * size).map(|p| ((p * (i + 2)) as f32 * 0.1).sin()).collect::<Vec<f32>>()
    };
    let features: Vec<Vec<f32>> = (0..40).map(|i| predictor.features(&wave(i)).unwrap()).collect();
    let labels: Vec<usize> = (0..40).map(|i| i % 2).collect();
    own.head.familiar = Some(Familiar::fit(&features, &labels, 2).unwrap());
    own.head.temperature = 2.5;
    let even = Interval { value: 0.1, low: None, high: None };
    own.card.calibration = Some(Calibration {
        temperature: 2.5,
        error_before: even,
        error_after: even,
        threshold: 1e6,
        images: 40,
        groups: 40,
    });
    own
}

#[test]
fn a_calibrated_task_says_how_far_an_image_is_and_abstains() {
    let vit = small(Family::Dinov2);
    let (own, mut other) = (calibrated(&vit), module(&vit, "fc1", None));
    other.card.task = "lung".into();
    let size = own.card.image_size as usize;
    let picture = picture(20, 23);
    let mut pixels = vec![0.0; 3 * size * size];
    vit.preprocessing_for(size as u32).unwrap().apply(&picture.view(), &mut pixels).unwrap();
    let predictor = Predictor::new(&Cpu::<f32>::new(), &vit, Some(&own), size);
    let feature = predictor.features(&pixels).unwrap();
    let score = own.head.familiar.as_ref().unwrap().score(&feature);

    let classified = |threshold: f64, least_probability: f64| {
        let mut own = own.clone();
        own.card.calibration.as_mut().unwrap().threshold = threshold;
        let options = Options { least_probability, ..options() };
        let modules = [own, other.clone()];
        load(build_bundle(&vit, &modules, &options, &[key()]).unwrap()).unwrap()
    };
    let classifier = classified(2.0 * score, 0.0);
    let found = classifier.classify(picture.view(), Some("breast")).unwrap();
    let assessment = found.assessment.unwrap();
    assert!(
        (assessment.score / score - 1.0).abs() < 1e-4 && assessment.abstain.is_none(),
        "{assessment:?} {score}"
    );
    for (found, expected) in found.probabilities.iter().zip(&probabilities(&own.head, &feature)) {
        assert!((f64::from(*found) - expected).abs() < 1e-5);
    }
    assert!(found.record("", &[]).unwrap().contains("\"abstain\":null"));
    // Nothing is said about the other task, nor about this one with other modules than it was
    // calibrated with.
    assert!(classifier.classify(picture.view(), Some("lung")).unwrap().assessment.is_none());
    let (frozen, cancel) = (Selection::Frozen, Cancel::default());
    let frozen = classifier.classify_with(picture.view(), Some("breast"), &frozen, &cancel);
    assert!(frozen.unwrap().assessment.is_none());

    let abstains = |classifier: Classifier| {
        classifier.classify(picture.view(), Some("breast")).unwrap().assessment.unwrap().abstain
    };
    assert_eq!(abstains(classified(0.5 * score, 0.0)), Some(Abstain::Unfamiliar));
    assert_eq!(abstains(classified(2.0 * score, 1.0)), Some(Abstain::Unsure));
}

#[test]
fn a_calibration_without_its_tensors_is_refused() {
    let said = forged(|_, manifest| {
        manifest.heads[0].calibration = Some(medforge_runtime::bundle::manifest::Calibration {
            temperature: 1.0,
            error: 0.0,
            threshold: 1.0,
            least_probability: 0.0,
            n: 1,
        });
    });
    assert!(said.to_string().contains("ood_means is missing"), "{said}");
}
