//! A head of texts.

use crate::lora::Head;
use crate::predict;

use super::*;

#[test]
fn a_head_of_texts_stays_as_it_is_and_the_base_moves_to_it() {
    let (_dir, dataset) = data();
    let place = crate::parity::folder("clip");
    let (vit, tower) = (Vit::open(&place).unwrap(), crate::base::TextTower::open(&place).unwrap());
    let texts = [("bright", "a bright picture"), ("dark", "a dark picture")];
    let texts = texts.map(|(class, text)| (class.to_owned(), vec![text.to_owned()])).into();
    let head = Head::of_texts(&tower, &dataset.classes, &texts).unwrap();
    let all = dataset.indices(Split::Train);
    let images = Images::load(&dataset, &all, &vit.preprocessing_for(8).unwrap()).unwrap();
    let positions: Vec<usize> = (0..all.len()).collect();
    let (training, validation) = positions.split_at(24);
    let examples = Examples {
        classes: &dataset.classes,
        images: &images,
        training,
        validation,
        head: Some(&head),
    };
    let method = Method::Lora {
        rank: 2,
        alpha: 4.0,
        targets: "q,v,projection".into(),
        last_layers: None,
        dora: false,
        dropout: 0.0,
    };
    let settings = TrainSettings { epochs: 20, ..settings(method) };
    let device = Cpu::<f32>::poisoned();
    let trained = Job::new(&device, &vit, examples, &settings).run(&mut Unobserved).unwrap();
    assert_eq!(
        (&trained.head.weight, trained.head.logit_scale),
        (&head.weight, Some(tower.logit_scale))
    );
    let (first, last) = (trained.epochs[0].loss, trained.epochs.last().unwrap().loss);
    assert!(last < 0.5 * first, "{first} to {last}");
    let validation = trained.epochs[trained.kept_epoch - 1].validation.unwrap();
    assert!(validation.balanced_accuracy > 0.9, "{validation:?}");

    // What validation measured is what the module says of the same images.
    let about = About { task: "t".into(), contributor: "c".into(), licence: "MIT".into() };
    let kept = trained.kept_epoch;
    let expected = trained.epochs[kept - 1].validation.unwrap().loss;
    let module = trained.into_module(&vit, &settings, about).unwrap();
    let rows = predict::Predictor::new(&Cpu::<f32>::new(), &vit, Some(&module), 8).features_of(
        &images,
        &positions[24..],
        |_| {},
    );
    let labels = &images.labels()[24..];
    let sure = rows
        .unwrap()
        .iter()
        .zip(labels)
        .map(|(row, &label)| -predict::probabilities(&module.head, row)[label].ln())
        .sum::<f64>();
    assert!((sure / labels.len() as f64 - expected).abs() < 1e-4);
}
