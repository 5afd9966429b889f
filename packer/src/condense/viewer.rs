//! Images looked at through the views of a bank, each view by its own network.

use crate::Error;
use crate::base::Weights;
use crate::data::Images;
use crate::device::Device;
use crate::train::Step;

use super::ensemble::Ensemble;
use super::settings::CondenseSettings;
use super::source::Source;
use super::statistics::{Layout, Network};
use super::views::Views;

/// What looks: views, networks, and where their statistics are taken.
pub struct Viewer<'a, D: Device> {
    device: &'a D,
    layout: &'a Layout,
    views: &'a Views,
    frozen: Weights<D>,
    ensemble: Ensemble<'a>,
}

impl<'a, D: Device + 'static> Viewer<'a, D> {
    pub fn new(
        device: &'a D,
        Source { vit, module, .. }: Source<'a>,
        settings: &CondenseSettings,
        layout: &'a Layout,
        views: &'a Views,
    ) -> Self {
        let frozen = Weights::frozen(device, vit, settings.size);
        let ensemble = Ensemble::new(vit, module, settings.perturbation, settings.seed);
        Viewer { device, layout, views, frozen, ensemble }
    }

    /// How many views there are.
    pub fn views(&self) -> usize {
        self.views.len()
    }

    /// Values of a row of statistics.
    pub fn width(&self) -> usize {
        self.layout.width()
    }

    /// The statistics of some images through a view, one row each.
    pub fn rows_of(
        &self,
        images: &Images,
        indices: &[usize],
        view: usize,
    ) -> Result<Vec<f32>, Error> {
        let (device, look) = (self.device, self.views.at(view));
        self.network(view).rows_of(device, images, indices, look, self.layout)
    }

    /// The statistics of normalised pixels [n, 3, size, size] through a view, one row each.
    pub fn rows(&self, pixels: &[f32], view: usize) -> Result<Vec<f32>, Error> {
        self.network(view).rows(self.device, pixels, self.views.at(view), self.layout)
    }

    /// The step after which `images` images were looked at through `done` views.
    pub fn step(&self, done: usize, images: usize) -> Step {
        let (stage, total) = ("views of the real images", self.views.len());
        Step { stage, done, total, images, loss: None }
    }

    fn network(&self, view: usize) -> Network<'_, D> {
        Network { weights: &self.frozen, sites: self.ensemble.sites(self.device, view) }
    }
}
