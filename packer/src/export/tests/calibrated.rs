//! Calibration from module to device: temperature, out-of-distribution score, and when there is no
//! answer.

use medforge_runtime::classify::{Abstain, Cancel, Selection};

use super::*;
use crate::lora::{Calibration, Familiar, Interval};

#[test]
fn a_calibrated_task_says_how_far_an_image_is_and_abstains() {
    let vit = small(Family::Dinov2);
    let (mut own, mut other) = (module(&vit, "q,v", None), module(&vit, "fc1", None));
    other.card.task = "lung".into();
    let size = own.card.image_size as usize;
    // Features of a few waves stand for those of training images.
    let predictor = Predictor::new(&Cpu::<f32>::new(), &vit, Some(&own), size);
    let wave = |i: usize| {
        (0..3 * size * size).map(|p| ((p * (i + 2)) as f32 * 0.1).sin()).collect::<Vec<f32>>()
    };
    let features: Vec<Vec<f32>> = (0..40).map(|i| predictor.features(&wave(i)).unwrap()).collect();
    let labels: Vec<usize> = (0..40).map(|i| i % 2).collect();
    let familiar = Familiar::fit(&features, &labels, 2).unwrap();
    let even = Interval { value: 0.1, low: None, high: None };
    let calibration = Calibration {
        temperature: 2.5,
        error_before: even,
        error_after: even,
        threshold: 1e6,
        images: 40,
        groups: 40,
    };
    let picture = picture(20, 23);
    let mut pixels = vec![0.0; 3 * size * size];
    vit.preprocessing_for(size as u32).unwrap().apply(&picture.view(), &mut pixels).unwrap();
    let score = familiar.score(&predictor.features(&pixels).unwrap());
    (own.head.familiar, own.head.temperature) = (Some(familiar), 2.5);
    own.card.calibration = Some(calibration);

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
    let expected = probabilities(&own.head, &predictor.features(&pixels).unwrap());
    for (found, expected) in found.probabilities.iter().zip(&expected) {
        assert!((f64::from(*found) - expected).abs() < 1e-5);
    }
    assert!(found.record("", &[]).unwrap().contains("\"abstain\":null"));
    // Nothing is said of the other task, nor of this one with other modules than it was calibrated
    // with.
    assert!(classifier.classify(picture.view(), Some("lung")).unwrap().assessment.is_none());
    let frozen = classifier.classify_with(
        picture.view(),
        Some("breast"),
        &Selection::Frozen,
        &Cancel::default(),
    );
    assert!(frozen.unwrap().assessment.is_none());

    let abstains = |classifier: Classifier| {
        classifier.classify(picture.view(), Some("breast")).unwrap().assessment.unwrap().abstain
    };
    assert_eq!(abstains(classified(0.5 * score, 0.0)), Some(Abstain::Unfamiliar));
    assert_eq!(abstains(classified(2.0 * score, 1.0)), Some(Abstain::Unsure));
    // With a calibration whose tensors are not there.
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
