//! Steps of a training by hand, for benchmarks and a dry run.

use crate::Error;
use crate::base::Vit;
use crate::device::Device;

use super::cut::Cut;
use super::parameters::Parameters;
use super::settings::TrainSettings;
use super::step::Training;

/// Steps of a training by hand: no images, no epochs, no checkpoint.
pub struct Stepper<'a, D: Device>(Training<'a, D>);

impl<'a, D: Device + 'static> Stepper<'a, D> {
    /// Fresh weights for a head of `classes` classes.
    ///
    /// # Errors
    /// Targets that the base does not have.
    pub fn new(
        device: &'a D,
        vit: &'a Vit,
        classes: usize,
        settings: &'a TrainSettings,
    ) -> Result<Self, Error> {
        Ok(Stepper(Training::new(device, vit, classes, None, settings)?))
    }

    /// What is trained.
    pub fn parameters(&self) -> &Parameters<D> {
        &self.0.parameters
    }

    /// Cuts the batches of the steps to come.
    pub fn cut(&mut self, cut: Cut) {
        self.0.cut(cut);
    }

    /// One step on normalised pixels [labels.len(), 3, size, size], counted from 1; its loss, once
    /// it is done.
    ///
    /// # Errors
    /// What the device reports.
    pub fn step(
        &mut self,
        pixels: &[f32],
        labels: &[u32],
        rate: f64,
        step: u64,
    ) -> Result<f32, Error> {
        let loss = self.0.step(pixels, labels, rate, step);
        Ok(self.0.device.download(&loss)?[0])
    }
}
