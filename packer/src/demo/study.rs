//! One hospital: its images, and the module that it trains on them.

use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};

use super::options::Options;
use crate::Error;
use crate::base::Vit;
use crate::data::phantom::{self, HOSPITALS, Hospital};
use crate::data::{Augment, Dataset, Images, Split};
use crate::device::cpu::Cpu;
use crate::lora::Module;
use crate::output::Places;
use crate::train::{About, Epoch, Examples, Job, Method, Observer, Step, TrainSettings};

/// Side of the images in pixels.
const SIZE: usize = 64;

/// A hospital, its images and its module.
pub struct Study {
    pub hospital: &'static Hospital,
    pub data: Dataset,
    pub module: Module,
    pub epochs: Vec<Epoch>,
    pub images_per_second: Option<f64>,
}

/// Draws the images of every hospital, each into its own folder under `place`.
pub fn draw(place: &Path, options: &Options) -> Result<Vec<(&'static Hospital, Dataset)>, Error> {
    let one = |hospital: &'static Hospital| {
        let root = place.join(hospital.name);
        let folder = Places::default().empty_folder("--out", &root)?;
        phantom::write(folder, &[hospital], options.images, SIZE, options.seed)?;
        Ok((hospital, Dataset::open(&root)?))
    };
    HOSPITALS.iter().map(one).collect()
}

impl Study {
    /// Trains the hospital's module on its own training patients.
    pub fn train(
        hospital: &'static Hospital,
        data: Dataset,
        vit: &Vit,
        options: &Options,
    ) -> Result<Self, Error> {
        let settings = settings(hospital, options);
        let images =
            Images::load(&data, &data.indices(Split::Train), &vit.preprocessing_for(SIZE as u32)?)?;
        let training: Vec<usize> = (0..images.len()).collect();
        let examples = Examples {
            classes: &data.classes,
            images: &images,
            training: &training,
            validation: &[],
            head: None,
        };
        let style = ProgressStyle::with_template("{msg} {bar:30} {pos}/{len} steps, {eta} left");
        let bar =
            ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_message(format!("hospital {}", hospital.name));
        let mut observer = Bar(bar);
        let device = Cpu::<f32>::new();
        let trained = Job::new(&device, vit, examples, &settings).run(&mut observer);
        observer.0.finish_and_clear();
        let trained = trained?;
        let (epochs, images_per_second) = (trained.epochs.clone(), trained.images_per_second);
        let about = About {
            task: format!("tissue-{}", hospital.name),
            contributor: format!("hospital {}", hospital.name),
            licence: "CC0-1.0".into(),
        };
        let module = trained.into_module(vit, &settings, about)?;
        Ok(Study { hospital, data, module, epochs, images_per_second })
    }
}

/// Each hospital starts from its own random numbers, as contributors do.
fn settings(hospital: &Hospital, options: &Options) -> TrainSettings {
    let own = HOSPITALS.iter().position(|h| h.name == hospital.name).unwrap_or_default();
    TrainSettings {
        size: SIZE,
        epochs: options.epochs,
        batch: 16,
        learning_rate: 1e-3,
        weight_decay: 0.01,
        warm_up: 0.1,
        augment: Augment { flip_horizontal: true, flip_vertical: true, colour_jitter: 0.0 },
        seed: options.seed.wrapping_add(own as u64),
        method: Method::Lora {
            rank: 8,
            alpha: 8.0,
            targets: "q,v".into(),
            last_layers: None,
            dora: false,
            dropout: 0.0,
        },
    }
}

struct Bar(ProgressBar);

impl Observer for Bar {
    fn step(&mut self, step: &Step) {
        self.0.set_length(step.total as u64);
        self.0.set_position(step.done as u64);
    }
}
