//! How the weights of the moment do on held-out images.

use crate::data::Images;
use crate::device::Device;
use crate::softmax::softmax;
use crate::tape::{Tape, Tensor as Matrix, Var};
use crate::{Error, interrupt, predict};

use super::outcome::Validation;
use super::step::Training;

/// Balanced accuracy and loss on the images `indices`, without dropout and augmentation.
///
/// # Errors
/// An interruption; what the device reports.
pub(super) fn validate<D: Device + 'static>(
    training: &Training<D>,
    images: &Images,
    indices: &[usize],
) -> Result<Validation, Error> {
    let (device, size) = (training.device, training.settings.size);
    let classes = training.parameters.classes();
    let (mut loss, mut right, mut count) = (0.0, vec![0usize; classes], vec![0usize; classes]);
    let mut pixels = Vec::new();
    for batch in indices.chunks(training.at_once) {
        interrupt::check()?;
        images.batch(batch, None, &mut pixels)?;
        let tape = Tape::new(device);
        let vars = training.parameters.constants();
        let input = Matrix::frozen(device, &pixels, batch.len(), 3 * size * size);
        let sites = training.parameters.low_rank(&vars);
        let logits = training.logits(&tape, &vars, &sites, &Var::constant(input));
        let logits = device.download(&logits.value.buffer)?;
        for (row, &i) in logits.chunks_exact(classes).zip(batch) {
            let label = images.labels()[i];
            let p = softmax(row);
            loss -= p[label].max(1e-12).ln() / indices.len() as f64;
            count[label] += 1;
            right[label] += usize::from(predict::argmax(&p) == label);
        }
    }
    let present = (0..classes).filter(|&c| count[c] > 0);
    let recalls: Vec<f64> = present.map(|c| right[c] as f64 / count[c] as f64).collect();
    Ok(Validation { balanced_accuracy: recalls.iter().sum::<f64>() / recalls.len() as f64, loss })
}
