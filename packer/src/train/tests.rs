//! Training on a small transformer: it learns, repeats itself byte for byte, and goes on after a
//! stop as if there had been none.

use crate::base::Family;
use crate::base::tests::small;
use crate::data::Dataset;
use crate::device::cpu::Cpu;
use crate::output::Places;

use super::*;

mod parity;
mod plan;

/// A folder of 8 x 8 pictures: bright ones and dark ones, four to a patient.
pub(crate) fn data() -> (tempfile::TempDir, Dataset) {
    let dir = tempfile::tempdir().unwrap();
    let mut table = String::from("path,label,group,split\n");
    for i in 0..48u8 {
        let label = if i % 2 == 0 { "bright" } else { "dark" };
        let level = if i % 2 == 0 { 140 } else { 110 };
        let pixels: Vec<u8> =
            (0..192u32).map(|p| level + (p * (u32::from(i) + 3) % 37) as u8).collect();
        let path = dir.path().join(format!("{i}.png"));
        image::save_buffer(&path, &pixels, 8, 8, image::ExtendedColorType::Rgb8).unwrap();
        let split = if i / 4 % 3 == 2 { "test" } else { "train" };
        table += &format!("{i}.png,{label},{label}{},{split}\n", i / 4);
    }
    std::fs::write(dir.path().join("splits.csv"), table).unwrap();
    let dataset = Dataset::open(dir.path()).unwrap();
    (dir, dataset)
}

pub(super) fn settings(method: Method) -> TrainSettings {
    TrainSettings {
        size: 8,
        epochs: 4,
        batch: 5,
        learning_rate: 0.02,
        weight_decay: 0.01,
        warm_up: 0.1,
        augment: Augment::default(),
        seed: 3,
        method,
    }
}

pub(super) fn lora() -> Method {
    Method::Lora {
        rank: 2,
        alpha: 4.0,
        targets: "q,v,fc1".into(),
        last_layers: None,
        dora: false,
        dropout: 0.0,
    }
}

/// DoRA with dropout in its branches.
pub(super) fn dora() -> Method {
    Method::Lora {
        rank: 2,
        alpha: 4.0,
        targets: "q,v,o,fc1".into(),
        last_layers: None,
        dora: true,
        dropout: 0.1,
    }
}

/// Trains; stops at step `stop` as a signal would and goes on from the checkpoint made there.
fn run(settings: &TrainSettings, validation: bool, stop: Option<usize>) -> Trained {
    run_on(&Cpu::<f32>::poisoned(), settings, validation, stop).unwrap()
}

pub(super) fn run_on<D: Device + 'static>(
    device: &D,
    settings: &TrainSettings,
    validation: bool,
    stop: Option<usize>,
) -> Result<Trained, Error> {
    struct Stopper {
        at: Option<usize>,
        done: usize,
        kept: Option<Checkpoint>,
        dir: tempfile::TempDir,
    }
    impl Observer for Stopper {
        fn step(&mut self, done: usize, _: usize, _: usize, _: Option<f64>) {
            self.done = done;
        }
        fn wants_checkpoint(&mut self) -> bool {
            self.at == Some(self.done)
        }
        fn checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<(), Error> {
            if self.at == Some(self.done) {
                let path = self.dir.path().join("c");
                checkpoint.save(&Places::default().updated("--out", &path)?, "f")?;
                self.kept = Some(Checkpoint::open(&path, &checkpoint.settings, "f")?);
                return Err(Error::Interrupted { hint: String::new() });
            }
            Ok(())
        }
    }
    let (_dir, dataset) = data();
    let vit = small(Family::Dinov2);
    let (training, held_out) = if validation {
        dataset.hold_out(0.3, 1).unwrap()
    } else {
        (dataset.indices(crate::data::Split::Train), vec![])
    };
    let all: Vec<usize> = training.iter().chain(&held_out).copied().collect();
    let images = Images::load(&dataset, &all, &vit.preprocessing_for(8).unwrap()).unwrap();
    let positions: Vec<usize> = (0..all.len()).collect();
    let (training, validation) = positions.split_at(training.len());
    let examples =
        Examples { classes: &dataset.classes, images: &images, training, validation, head: None };
    let mut stopper = Stopper { at: stop, done: 0, kept: None, dir: tempfile::tempdir().unwrap() };
    let first = train(device, &vit, examples, settings, None, &mut stopper);
    match stop {
        None => first,
        Some(_) => {
            assert!(matches!(first, Err(Error::Interrupted { .. })));
            let kept = stopper.kept.expect("a checkpoint was made");
            train(device, &vit, examples, settings, Some(kept), &mut Unobserved)
        }
    }
}

pub(super) fn assert_same(a: &Trained, b: &Trained) {
    assert_eq!(a.head.weight, b.head.weight);
    assert_eq!(a.head.bias, b.head.bias);
    for (site, factors) in &a.sites {
        assert_eq!((&factors.a, &factors.b), (&b.sites[site].a, &b.sites[site].b), "{site}");
        assert_eq!(factors.magnitude, b.sites[site].magnitude, "{site}");
    }
    assert_eq!(a.base, b.base);
    assert_eq!(a.epochs, b.epochs);
    assert_eq!(a.kept_epoch, b.kept_epoch);
}

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
            let start = crate::lora::dora::row_norms(&vit.tensors[&format!("{site}.weight")]);
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
fn a_run_that_was_stopped_anywhere_ends_with_the_same_bytes() {
    for method in [lora(), dora(), Method::Full] {
        let settings = settings(method);
        let whole = run(&settings, true, None);
        // Mid-epoch, at an epoch's end, at the very end.
        for stop in [1, 3, 5, 10, whole.epochs.len() * steps_per_epoch()] {
            assert_same(&whole, &run(&settings, true, Some(stop)));
        }
    }
}

/// The same weights with and without it.
#[test]
fn dropout_acts_in_training_alone_and_otherwise_at_each_step() {
    let (_dir, dataset) = data();
    let vit = small(Family::Dinov2);
    let all = dataset.indices(crate::data::Split::Train);
    let images = Images::load(&dataset, &all, &vit.preprocessing_for(8).unwrap()).unwrap();
    let device = Cpu::<f32>::poisoned();
    let Method::Lora { rank, alpha, targets, last_layers, .. } = lora() else { panic!() };
    for dora in [false, true] {
        let method = |dropout: f64| {
            settings(Method::Lora {
                rank,
                alpha,
                targets: targets.clone(),
                last_layers,
                dora,
                dropout,
            })
        };
        let (with, without) = (method(0.5), method(0.0));
        let mut dropping = Run::new(&device, &vit, 2, None, &with).unwrap();
        let pixels: Vec<f32> = (0..6 * 192).map(|i| (i as f32 * 0.37).sin()).collect();
        let labels = [0, 1, 0, 1, 1, 0];
        for step in 1..=3 {
            dropping.step(&pixels, &labels, 1e-2, step);
        }
        let reached = dropping
            .parameters
            .checkpoint(&device, &with, &checkpoint::Progress::default(), &None)
            .unwrap();
        let mut whole = Run::new(&device, &vit, 2, None, &without).unwrap();
        whole.parameters.restore(&device, &reached).unwrap();
        let indices: Vec<usize> = (0..all.len()).collect();
        assert_eq!(
            validate(&dropping, &images, &indices).unwrap(),
            validate(&whole, &images, &indices).unwrap()
        );
        let loss = |run: &Run<Cpu<f32>>, step: u64| {
            device.download(&run.gradients(&pixels, &labels, step, 0).0).unwrap()[0]
        };
        assert_eq!(loss(&dropping, 4), loss(&dropping, 4));
        assert!(loss(&dropping, 4) != loss(&dropping, 5) && loss(&dropping, 4) != loss(&whole, 4));
        assert_eq!(loss(&whole, 4), loss(&whole, 5));
    }
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

fn steps_per_epoch() -> usize {
    let (_dir, dataset) = data();
    dataset.hold_out(0.3, 1).unwrap().0.len().div_ceil(5)
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
    let (_dir, dataset) = data();
    let vit = small(Family::Vit);
    let all = dataset.indices(crate::data::Split::Train);
    let images = Images::load(&dataset, &all, &vit.preprocessing_for(8).unwrap()).unwrap();
    let positions: Vec<usize> = (0..all.len()).collect();
    let settings = TrainSettings { learning_rate: 1e30, epochs: 20, ..settings(Method::Full) };
    let examples = Examples {
        classes: &dataset.classes,
        images: &images,
        training: &positions,
        validation: &[],
        head: None,
    };
    let end = train(&Cpu::<f32>::new(), &vit, examples, &settings, None, &mut Unobserved);
    assert!(matches!(end, Err(Error::Diverged { .. })));
}

#[test]
fn a_checkpoint_of_other_settings_or_data_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c");
    let settings = settings(lora());
    let vit = small(Family::Vit);
    let device = Cpu::<f32>::new();
    let parameters = Parameters::new(&device, &vit, 2, None, &settings).unwrap();
    parameters
        .checkpoint(&device, &settings, &checkpoint::Progress::default(), &None)
        .unwrap()
        .save(&Places::default().updated("--out", &path).unwrap(), "f")
        .unwrap();
    assert!(Checkpoint::open(&path, &settings, "f").is_ok());
    let said = |s: &TrainSettings, f: &str| {
        Checkpoint::open(&path, s, f).err().expect("refused").to_string()
    };
    assert!(said(&TrainSettings { seed: 9, ..settings.clone() }, "f").contains("other settings"));
    assert!(said(&settings, "g").contains("other data"));
}

#[test]
fn the_learning_rate_rises_then_falls_to_nothing() {
    let settings = TrainSettings { warm_up: 0.1, learning_rate: 1.0, ..settings(lora()) };
    let rates: Vec<f64> = (0..100).map(|s| learning_rate(&settings, s, 100)).collect();
    assert!((rates[0] - 0.1).abs() < 1e-3 && rates[..10].is_sorted());
    assert!(rates[10..].windows(2).all(|w| w[1] < w[0]) && rates[99] < 1e-3);
}

#[test]
fn a_head_of_texts_stays_as_it_is_and_the_base_moves_to_it() {
    let (_dir, dataset) = data();
    let place = crate::parity::folder("clip");
    let (vit, tower) = (Vit::open(&place).unwrap(), crate::base::TextTower::open(&place).unwrap());
    let texts = [("bright", "a bright picture"), ("dark", "a dark picture")];
    let texts = texts.map(|(class, text)| (class.to_owned(), vec![text.to_owned()])).into();
    let head = Head::of_texts(&tower, &dataset.classes, &texts).unwrap();
    let all = dataset.indices(crate::data::Split::Train);
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
    let trained =
        train(&Cpu::<f32>::poisoned(), &vit, examples, &settings, None, &mut Unobserved).unwrap();
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
