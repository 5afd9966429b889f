//! Answers of small models, with the task given and without.

use super::super::routed::TaskFeatures;
use super::*;
use medforge_runtime::tensors::Tensor;

/// A head that gives class 1 if the feature's number `at` is above `middle`.
fn head(at: usize, middle: f32) -> Head {
    let mut weight = vec![0.0; 4];
    weight[2 + at] = 10.0;
    Head {
        classes: vec!["no".into(), "yes".into()],
        weight: Tensor::f32(vec![2, 2], weight),
        bias: Tensor::f32(vec![2], vec![0.0, -10.0 * middle]),
        logit_scale: None,
        temperature: 1.0,
        familiar: None,
    }
}

fn model(composition: Composition) -> Model {
    let heads = BTreeMap::from([("a".to_owned(), head(0, 0.0)), ("b".to_owned(), head(1, 5.0))]);
    Model { heads, composition, routing: None }
}

#[test]
fn a_fusion_asks_the_head_of_the_task() {
    let model = model(Composition::Fusion(Sites::new()));
    assert_eq!(model.networks().len(), 1);
    let of = |task| argmax(&model.answer(&[&[1.0, 4.0]], Some(task)).probabilities);
    assert_eq!((of("a"), of("b")), (1, 0));
    // Both are sure; with the feature on a's border, b is surer.
    assert_eq!(model.answer(&[&[0.01, 9.0]], None).task, "b");
}

#[test]
fn a_mixture_weighs_the_modules_of_the_task() {
    let weights =
        BTreeMap::from([("a".to_owned(), vec![1.0, 0.0]), ("b".to_owned(), vec![0.0, 1.0])]);
    let model = model(Composition::Mixture { modules: vec![Sites::new(); 2], weights });
    let features: [&[f32]; 2] = [&[1.0, 4.0], &[-1.0, 6.0]];
    let of = |task| argmax(&model.answer(&features, Some(task)).probabilities);
    assert_eq!((of("a"), of("b")), (1, 1));
}

#[test]
fn routing_finds_task_and_module() {
    let features_of = |task, features: &'static [f32]| TaskFeatures {
        task,
        classes: 2,
        features,
        labels: &[0, 0, 1, 1],
    };
    let prototypes = Prototypes::new(&[
        features_of("a", &[-10.0, 0.0, -9.0, 0.0, -8.0, 0.0, -7.0, 0.0]),
        features_of("b", &[10.0, 0.0, 9.0, 0.0, 8.0, 0.0, 7.0, 0.0]),
    ]);
    let mut model = model(Composition::Routed { modules: vec![Sites::new(); 2] });
    model.routing = Some(prototypes.unwrap());
    assert_eq!(model.networks().len(), 3);
    // By the base's feature the task is b. b's own module gives a 6, and a's gives a 4.
    let features: [&[f32]; 3] = [&[9.0, 0.0], &[1.0, 4.0], &[1.0, 6.0]];
    let answer = model.answer(&features, None);
    assert_eq!((answer.task.as_str(), argmax(&answer.probabilities)), ("b", 1));
    assert!(answer.probabilities[1] > 0.99);
    // Routing finds the task for any composition, which then answers.
    model.composition = Composition::Fusion(Sites::new());
    let answer = model.answer(&features[..2], None);
    assert_eq!((answer.task.as_str(), argmax(&answer.probabilities)), ("b", 0));
    model.routing = None;
    assert_eq!(model.answer(&[&[1.0, 4.0]], None).task, "a");
}
