//! The loss of synthetic images under one view and its network, and its gradient to what they are
//! painted from.

use crate::Error;
use crate::base::Vit;
use crate::device::Device;
use crate::tape::{Tape, Tensor};

use super::bank::Bank;
use super::canvas::Canvas;
use super::goal::{Goal, LossWeights, SyntheticBatch};
use super::objective;
use super::pixels::{normalised, to_rgb};
use super::statistics::{Network, interleave, separate};

/// A view, the network that looks through it, and what is asked for there.
pub(super) struct ViewLoss<'a, D: Device> {
    pub device: &'a D,
    pub network: &'a Network<'a, D>,
    pub bank: &'a Bank,
    pub view: usize,
    pub goal: &'a Goal,
    pub weights: LossWeights,
    pub classes: usize,
}

impl<D: Device + 'static> ViewLoss<'_, D> {
    /// The loss of images given by their coefficients [n, 3, size, size], and its gradient to
    /// these. Each image has a target, an index into the goal's, and a label, its class.
    pub fn gradient(
        &self,
        canvas: &Canvas,
        vit: &Vit,
        coefficients: &[f32],
        targets: &[usize],
        labels: &[usize],
    ) -> Result<(f64, Vec<f32>), Error> {
        let ViewLoss { device, network, bank, view, goal, weights, classes } = *self;
        let size = network.weights.image_size;
        let images = normalised(vit, &canvas.paint(coefficients), size);
        let tape = Tape::new(device);
        let leaf = tape.parameter(Tensor::new(device, &images, labels.len(), canvas.values()));
        let layout = bank.layout();
        let results = network.see(device, &tape, &leaf, bank.view(view), layout);
        let values = results
            .iter()
            .map(|r| device.download(&r.value.buffer))
            .collect::<Result<Vec<_>, _>>()?;
        let rows = interleave(&values, labels.len());
        let batch = SyntheticBatch { rows: &rows, targets, labels };
        let (loss, to_rows) = objective::loss(goal, &batch, layout, weights, classes);
        let seeds = separate(&to_rows, layout)
            .into_iter()
            .map(|part| device.upload(&part))
            .collect::<Vec<_>>();
        let gradients = tape.backward_from(results.iter().zip(seeds));
        let to_images = gradients.of(&leaf).expect("every statistic depends on the pixels");
        let mut to_images = device.download(to_images)?;
        to_rgb(vit, &mut to_images, size);
        Ok((loss, canvas.pull_back(coefficients, &to_images)))
    }
}
