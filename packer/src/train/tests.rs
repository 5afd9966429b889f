//! Training on a small transformer: it learns, repeats itself byte for byte, and goes on after a stop as if there had been none.

use crate::base::Family;
use crate::base::tests::small;
use crate::data::Dataset;
use crate::device::cpu::Cpu;

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
        let pixels: Vec<u8> = (0..192u32).map(|p| level + (p * (u32::from(i) + 3) % 37) as u8).collect();
        let path = dir.path().join(format!("{i}.png"));
        image::save_buffer(&path, &pixels, 8, 8, image::ExtendedColorType::Rgb8).unwrap();
        let split = if i / 4 % 3 == 2 { "test" } else { "train" };
        table += &format!("{i}.png,{label},{label}{},{split}\n", i / 4);
    }
    std::fs::write(dir.path().join("splits.csv"), table).unwrap();
    let dataset = Dataset::open(dir.path()).unwrap();
    (dir, dataset)
}

pub(super) fn settings(method: Method) -> Settings {
    Settings {
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
    Method::Lora { rank: 2, alpha: 4.0, targets: "q,v,fc1".into(), last_layers: None }
}

/// Trains; stops at step `stop` as a signal would and goes on from the checkpoint made there.
fn run(settings: &Settings, validation: bool, stop: Option<usize>) -> Trained {
    run_on(&Cpu::<f32>::poisoned(), settings, validation, stop).unwrap()
}

pub(super) fn run_on<D: Device + 'static>(
    device: &D,
    settings: &Settings,
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
                checkpoint.save(&path, "f")?;
                self.kept = Some(Checkpoint::open(&path, &checkpoint.settings, "f")?);
                return Err(Error::Interrupted { hint: String::new() });
            }
            Ok(())
        }
    }
    let (_dir, dataset) = data();
    let vit = small(Family::Dinov2);
    let (training, held_out) = match validation {
        true => dataset.hold_out(0.3, 1).unwrap(),
        false => (dataset.indices(crate::data::Split::Train), vec![]),
    };
    let all: Vec<usize> = training.iter().chain(&held_out).copied().collect();
    let images = Images::load(&dataset, &all, &vit.preprocessing_for(8).unwrap()).unwrap();
    let positions: Vec<usize> = (0..all.len()).collect();
    let (training, validation) = positions.split_at(training.len());
    let examples = Examples { classes: &dataset.classes, images: &images, training, validation };
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
    }
    assert_eq!(a.base, b.base);
    assert_eq!(a.epochs, b.epochs);
    assert_eq!(a.kept_epoch, b.kept_epoch);
}

#[test]
fn the_loss_falls() {
    for method in [lora(), Method::Full] {
        let trained = run(&settings(method), false, None);
        let (first, last) = (&trained.epochs[0], &trained.epochs[3]);
        assert!(last.loss < 0.95 * first.loss, "{} to {}", first.loss, last.loss);
        assert_eq!(trained.kept_epoch, 4);
        assert!(trained.sites.values().all(|f| f.b.data.iter().any(|v| *v != 0.0)), "a site was not trained");
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_does_not() {
    let settings = settings(lora());
    let first = run(&settings, false, None);
    assert_same(&first, &run(&settings, false, None));
    let other = run(&Settings { seed: 4, ..settings }, false, None);
    assert_ne!(first.head.weight, other.head.weight);
}

#[test]
fn a_run_that_was_stopped_anywhere_ends_with_the_same_bytes() {
    for method in [lora(), Method::Full] {
        let settings = settings(method);
        let whole = run(&settings, true, None);
        // Mid-epoch, at an epoch's end, at the very end.
        for stop in [1, 3, 5, 10, whole.epochs.len() * steps_per_epoch()] {
            assert_same(&whole, &run(&settings, true, Some(stop)));
        }
    }
}

fn steps_per_epoch() -> usize {
    let (_dir, dataset) = data();
    dataset.hold_out(0.3, 1).unwrap().0.len().div_ceil(5)
}

#[test]
fn the_best_epoch_on_the_validation_part_is_kept() {
    let trained = run(&settings(lora()), true, None);
    let score = |e: &Epoch| e.validation.map(|v| (v.balanced_accuracy, -v.loss)).unwrap();
    let best = trained.epochs.iter().map(score).fold((0.0, f64::NEG_INFINITY), |a, b| if b > a { b } else { a });
    assert_eq!(score(&trained.epochs[trained.kept_epoch - 1]), best);
}

#[test]
fn a_training_that_diverges_says_so() {
    let (_dir, dataset) = data();
    let vit = small(Family::Vit);
    let all = dataset.indices(crate::data::Split::Train);
    let images = Images::load(&dataset, &all, &vit.preprocessing_for(8).unwrap()).unwrap();
    let positions: Vec<usize> = (0..all.len()).collect();
    let settings = Settings { learning_rate: 1e30, epochs: 20, ..settings(Method::Full) };
    let examples = Examples { classes: &dataset.classes, images: &images, training: &positions, validation: &[] };
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
    let parameters = Parameters::new(&device, &vit, 2, &settings).unwrap();
    parameters
        .checkpoint(&device, &settings, &checkpoint::Progress::default(), &None)
        .unwrap()
        .save(&path, "f")
        .unwrap();
    assert!(Checkpoint::open(&path, &settings, "f").is_ok());
    let said = |s: &Settings, f: &str| Checkpoint::open(&path, s, f).err().expect("refused").to_string();
    assert!(said(&Settings { seed: 9, ..settings.clone() }, "f").contains("other settings"));
    assert!(said(&settings, "g").contains("other data"));
}

#[test]
fn the_learning_rate_rises_then_falls_to_nothing() {
    let settings = Settings { warm_up: 0.1, learning_rate: 1.0, ..settings(lora()) };
    let rates: Vec<f64> = (0..100).map(|s| learning_rate(&settings, s, 100)).collect();
    assert!((rates[0] - 0.1).abs() < 1e-3 && rates[..10].is_sorted());
    assert!(rates[10..].windows(2).all(|w| w[1] < w[0]) && rates[99] < 1e-3);
}
