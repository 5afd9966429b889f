//! The runtime against packer's own forward pass.

use std::path::PathBuf;

use super::*;
use crate::base::tests::FAMILIES;
use crate::lora::tests::dora;
use crate::predict::{Predictor, probabilities};

/// A head whose probabilities give the feature back, up to a constant.
fn reveal(module: &mut Module, features: usize) {
    let names: Vec<String> = (0..features).map(|i| format!("f{i}")).collect();
    let diagonal = |i: usize| if i.is_multiple_of(features + 1) { 1.0 } else { 0.0 };
    module.head.weight =
        Tensor::f32(vec![features, features], (0..features * features).map(diagonal).collect());
    module.head.bias = Tensor::f32(vec![features], vec![0.0; features]);
    (module.head.classes, module.card.classes) = (names.clone(), names);
}

fn centred_logarithms(probabilities: impl Iterator<Item = f64>) -> Vec<f64> {
    let logs: Vec<f64> = probabilities.map(f64::ln).collect();
    let mean = logs.iter().sum::<f64>() / logs.len() as f64;
    logs.into_iter().map(|log| log - mean).collect()
}

/// The relative difference of the runtime's feature and packer's own for one picture.
fn difference(vit: &Vit, module: &Module) -> f64 {
    let classifier =
        load(build_bundle(vit, std::slice::from_ref(module), &options(), &[key()]).unwrap())
            .unwrap();
    let picture = picture(30, 41);
    let theirs = classifier.classify(picture.view(), None).unwrap();
    let size = module.card.image_size as usize;
    let mut pixels = vec![0.0; 3 * size * size];
    vit.preprocessing_for(module.card.image_size)
        .unwrap()
        .apply(&picture.view(), &mut pixels)
        .unwrap();
    let feature =
        Predictor::new(&Cpu::<f32>::new(), vit, Some(module), size).features(&pixels).unwrap();
    let ours = centred_logarithms(probabilities(&module.head, &feature).into_iter());
    let theirs = centred_logarithms(theirs.probabilities.iter().map(|&p| f64::from(p)));
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    norm(&mut ours.iter().zip(&theirs).map(|(a, b)| a - b)) / norm(&mut ours.iter().copied())
}

#[test]
fn the_runtime_computes_what_packer_does() {
    for family in FAMILIES {
        let vit = small(family);
        let projected = [("q,v,projection", None, 8), ("projection", None, 8)];
        let projected = projected.into_iter().filter(|_| family == Family::Clip);
        let plain = [("q,v", None, 8), (ALL, None, 8), (ALL, Some(1), 12), ("fc1", None, 4)];
        for (targets, last, size) in plain.into_iter().chain(projected) {
            let plain = module(&vit, targets, last);
            for mut module in [dora(&vit, plain.clone()), plain] {
                module.card.image_size = size;
                module.card.preprocessing = vit.preprocessing_for(size).unwrap();
                reveal(&mut module, vit.config.features());
                let difference = difference(&vit, &module);
                assert!(difference < 1e-4, "{family:?} {targets} at {size}: {difference:.1e}");
            }
        }
    }
}

#[test]
fn the_runtime_computes_what_packer_does_on_the_real_base() {
    let shared = std::env::var("MEDFORGE_SHARED").unwrap_or_else(|_| "../shared".into());
    let dir =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(shared).join("models/vits14");
    if !dir.exists() {
        return;
    }
    let vit = Vit::open(&dir).unwrap();
    let mut module = module(&vit, ALL, None);
    module.alpha = 0.02;
    module.card.image_size = 112;
    module.card.preprocessing = vit.preprocessing_for(112).unwrap();
    reveal(&mut module, vit.config.features());
    let difference = difference(&vit, &module);
    assert!(difference < 1e-4, "{difference:.1e}");
}

#[test]
fn the_module_makes_a_difference() {
    let vit = small(Family::Dinov2);
    let mut module = module(&vit, ALL, None);
    reveal(&mut module, vit.config.features());
    let classify = |module: &Module| {
        let bytes = build_bundle(&vit, std::slice::from_ref(module), &options(), &[key()]).unwrap();
        load(bytes).unwrap().classify(picture(9, 9).view(), None).unwrap().probabilities
    };
    let with = classify(&module);
    module.alpha = 0.0;
    assert_ne!(with, classify(&module));
}

#[test]
fn each_task_runs_its_own_module_and_says_so() {
    let vit = small(Family::Vit);
    let (one, mut two) = (module(&vit, "q,v", None), module(&vit, "k,fc2", None));
    two.card.task = "lung".into();
    let both = load(build_bundle(&vit, &[one.clone(), two.clone()], &options(), &[key()]).unwrap())
        .unwrap();
    assert_eq!(both.active().tasks().collect::<Vec<_>>(), ["breast", "lung"]);
    let picture = picture(20, 20);
    for module in [&one, &two] {
        let bundle =
            build_bundle(&vit, std::slice::from_ref(module), &options(), &[key()]).unwrap();
        let alone = load(bundle).unwrap().classify(picture.view(), None).unwrap();
        let task = module.card.task.as_str();
        let together = both.classify(picture.view(), Some(task)).unwrap();
        assert_eq!(
            (&together.probabilities, &together.modules),
            (&alone.probabilities, &alone.modules)
        );
        assert_eq!(
            (together.task.as_str(), &*together.bundle),
            (task, both.active().bundles().next().unwrap())
        );
        assert!((together.probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        let batch = both.classify_batch(&[picture.view(), picture.view()], Some(task)).unwrap();
        assert_eq!(batch, [together.clone(), together]);
    }
    assert!(matches!(both.classify(picture.view(), None), Err(RuntimeError::TaskNeeded { .. })));
    let error = both.classify_batch(&[picture.view()], Some("colon")).unwrap_err();
    assert_eq!(error.to_string(), "the bundle has no task \"colon\"; it has breast, lung");
}
