//! Training on a small transformer: it learns, repeats itself byte for byte, and goes on after a
//! stop as if there had been none.

use std::collections::BTreeMap;

use medforge_runtime::tensors::Tensor;

use crate::Error;
use crate::base::tests::small;
use crate::base::{Family, Vit};
use crate::data::{Augment, Dataset, Images, Split};
use crate::device::Device;
use crate::device::cpu::Cpu;
use crate::output::{NewFile, Places};

use super::checkpoint::Progress;
use super::step::Training;
use super::*;

mod dropout;
mod learning;
mod parity;
mod plan;
mod stops;
mod texts;

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

/// The training images of [`data`], loaded.
pub(super) struct Loaded {
    _dir: tempfile::TempDir,
    pub dataset: Dataset,
    pub images: Images,
    /// Places in `images`: those to train on come first.
    places: Vec<usize>,
    training: usize,
}

impl Loaded {
    /// Some patients are held out if there is to be a `validation` part.
    pub fn new(vit: &Vit, validation: bool) -> Self {
        let (dir, dataset) = data();
        let (training, held_out) = if validation {
            dataset.hold_out(0.3, 1).unwrap()
        } else {
            (dataset.indices(Split::Train), vec![])
        };
        let all: Vec<usize> = training.iter().chain(&held_out).copied().collect();
        let images = Images::load(&dataset, &all, &vit.preprocessing_for(8).unwrap()).unwrap();
        let places = (0..all.len()).collect();
        Loaded { _dir: dir, dataset, images, places, training: training.len() }
    }

    pub fn examples(&self) -> Examples<'_> {
        let (training, validation) = self.places.split_at(self.training);
        let (classes, images) = (&self.dataset.classes, &self.images);
        Examples { classes, images, training, validation, head: None }
    }
}

/// Keeps a checkpoint at one step and stops there, as a signal would.
struct Stopper {
    at: Option<usize>,
    done: usize,
    file: NewFile,
}

impl Observer for Stopper {
    fn step(&mut self, step: &Step) {
        self.done = step.done;
    }

    fn wants_checkpoint(&mut self) -> bool {
        self.at == Some(self.done)
    }

    fn checkpoint(&mut self, checkpoint: &dyn Resumable) -> Result<(), Error> {
        if self.at == Some(self.done) {
            checkpoint.save(&self.file, "f")?;
            return Err(Error::Interrupted { hint: String::new() });
        }
        Ok(())
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
    let vit = small(Family::Dinov2);
    let loaded = Loaded::new(&vit, validation);
    let job = || Job::new(device, &vit, loaded.examples(), settings);
    if stop.is_none() {
        return job().run(&mut Unobserved);
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c");
    let file = Places::default().updated("--out", &path).unwrap();
    let stopped = job().run(&mut Stopper { at: stop, done: 0, file });
    assert!(matches!(stopped, Err(Error::Interrupted { .. })));
    let kept = Checkpoint::open(&path, settings, "f").expect("a checkpoint was made");
    Job { resume: Some(kept), ..job() }.run(&mut Unobserved)
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
