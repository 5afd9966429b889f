//! A whole training: what it needs, and its run.

use crate::Error;
use crate::base::Vit;
use crate::device::Device;

use super::checkpoint::Checkpoint;
use super::cut::Cut;
use super::epochs::Epochs;
use super::examples::Examples;
use super::fits::explain;
use super::observer::Observer;
use super::outcome::Trained;
use super::settings::TrainSettings;
use super::step::Training;

/// A training to be done.
pub struct Job<'a, D: Device> {
    pub device: &'a D,
    pub vit: &'a Vit,
    pub examples: Examples<'a>,
    pub settings: &'a TrainSettings,
    /// How each batch is cut, as a [`Plan`](super::Plan) says; none as the device's memory asks
    /// for.
    pub cut: Option<Cut>,
    /// A checkpoint of the same job to go on from.
    pub resume: Option<Checkpoint>,
}

impl<'a, D: Device + 'static> Job<'a, D> {
    /// A training from its beginning, in batches as large as the device's memory allows.
    pub fn new(
        device: &'a D,
        vit: &'a Vit,
        examples: Examples<'a>,
        settings: &'a TrainSettings,
    ) -> Self {
        Job { device, vit, examples, settings, cut: None, resume: None }
    }

    /// Trains.
    ///
    /// # Errors
    /// [`Error::Diverged`] if the loss stops being a number, [`Error::GpuBatch`] if a batch does
    /// not fit a GPU; an interruption; targets that the base does not have; a checkpoint of another
    /// training.
    pub fn run(self, observer: &mut dyn Observer) -> Result<Trained, Error> {
        let Job { device, vit, examples, settings, cut, resume } = self;
        let run = || {
            let classes = examples.classes.len();
            let mut training = Training::new(device, vit, classes, examples.head, settings)?;
            if let Some(cut) = cut {
                training.cut(cut);
            }
            Epochs::new(training, examples, resume)?.run(observer)
        };
        run().map_err(|error| explain(error, device, vit, settings))
    }
}
