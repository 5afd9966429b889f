//! A training learns, repeats itself, keeps its best epoch, and says where it diverges.

use super::*;

#[test]
fn the_loss_falls() {
    for method in [lora(), dora(), Method::Full] {
        let decomposed = method == dora();
        let trained = run(&settings(method), false, None);
        let (first, last) = (&trained.epochs[0], &trained.epochs[3]);
        assert!(last.loss < 0.95 * first.loss, "{} to {}", first.loss, last.loss);
        assert_eq!(trained.kept_epoch, 4);
        let vit = small(Family::Dinov2);
        for (site, factors) in &trained.sites {
            let start = crate::lora::dora::row_norms(&vit.tensor(&format!("{site}.weight")));
            assert_eq!(factors.magnitude.is_some(), decomposed);
            assert!(
                factors.magnitude.as_ref().is_none_or(|m| m.data != start),
                "a magnitude was not trained"
            );
        }
        assert!(
            trained.sites.values().all(|f| f.b.data.iter().any(|v| *v != 0.0)),
            "a site was not trained"
        );
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_does_not() {
    let settings = settings(lora());
    let first = run(&settings, false, None);
    assert_same(&first, &run(&settings, false, None));
    let other = run(&TrainSettings { seed: 4, ..settings }, false, None);
    assert_ne!(first.head.weight, other.head.weight);
}

#[test]
fn settings_from_before_dora_and_dropout_are_read_and_written_as_they_were() {
    let old = r#"{"lora":{"rank":2,"alpha":4.0,"targets":"q,v,fc1","last_layers":null}}"#;
    assert_eq!(serde_json::from_str::<Method>(old).unwrap(), lora());
    assert_eq!(serde_json::to_string(&lora()).unwrap(), old);
    let new = serde_json::to_string(&dora()).unwrap();
    assert!(new.contains(r#""dora":true,"dropout":0.1"#), "{new}");
    assert_eq!(serde_json::from_str::<Method>(&new).unwrap(), dora());
}

#[test]
fn the_best_epoch_on_the_validation_part_is_kept() {
    let trained = run(&settings(lora()), true, None);
    let score = |e: &Epoch| e.validation.map(|v| (v.balanced_accuracy, -v.loss)).unwrap();
    let best = trained
        .epochs
        .iter()
        .map(score)
        .fold((0.0, f64::NEG_INFINITY), |a, b| if b > a { b } else { a });
    assert_eq!(score(&trained.epochs[trained.kept_epoch - 1]), best);
}

#[test]
fn a_training_that_diverges_says_so() {
    let vit = small(Family::Vit);
    let loaded = Loaded::new(&vit, false);
    let settings = TrainSettings { learning_rate: 1e30, epochs: 20, ..settings(Method::Full) };
    let device = Cpu::<f32>::new();
    let end = Job::new(&device, &vit, loaded.examples(), &settings).run(&mut Unobserved);
    assert!(matches!(end, Err(Error::Diverged { .. })));
}

#[test]
fn the_learning_rate_rises_then_falls_to_nothing() {
    let settings = TrainSettings { warm_up: 0.1, learning_rate: 1.0, ..settings(lora()) };
    let rates: Vec<f64> = (0..100).map(|s| settings.rate(s, 100)).collect();
    assert!((rates[0] - 0.1).abs() < 1e-3 && rates[..10].is_sorted());
    assert!(rates[10..].windows(2).all(|w| w[1] < w[0]) && rates[99] < 1e-3);
}
