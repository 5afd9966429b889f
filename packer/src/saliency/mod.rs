//! Saliency: where in an image a prediction comes from. [`overlay`] writes it over the image.
//!
//! The method is gradient times input (Shrikumar et al. 2016, arXiv 1605.01713). The gradient goes
//! from the logit of the predicted class to the patch tokens that enter the first block, and the
//! reference is an image whose patches are all alike: `relu((x - mean x) . dlogit/dx)` for each
//! patch.
//!
//! Grad-CAM (Selvaraju et al. 2017) takes the tokens that enter the last block. It was tried and
//! not kept: a vision transformer has mixed its tokens by then. On images of which one region alone
//! carries the class, its map had no more mass there than an even map.

use medforge_runtime::vit::Shape;

use crate::base::{Vit, VitConfig};
use crate::data::Images;
use crate::device::Device;
use crate::lora::{Head, Module};
use crate::predict::{self, Predictor, argmax, probabilities};
use crate::{Error, interrupt};

pub mod overlay;
#[cfg(test)]
mod tests;

/// Where one image's prediction comes from.
#[derive(Clone, Debug)]
pub struct Saliency {
    /// The probability of each class.
    pub probabilities: Vec<f64>,
    /// The most probable class. The map is about it.
    pub class: usize,
    /// Patches along a side.
    pub grid: usize,
    /// [grid, grid], rows from the top, 0 to 1. The largest value is 1, unless nothing speaks for
    /// the class.
    pub map: Vec<f32>,
}

/// Where the predictions of `vit` and `module` for the images `indices` come from.
///
/// # Errors
/// [`Error::Interrupted`], and errors of the device.
pub fn of<D: Device + 'static>(
    device: &D,
    vit: &Vit,
    module: &Module,
    images: &Images,
    indices: &[usize],
) -> Result<Vec<Saliency>, Error> {
    let size = images.size().width as usize;
    let predictor = Predictor::new(device, vit, Some(module), size);
    let mut found = Vec::with_capacity(indices.len());
    let mut pixels = Vec::new();
    for batch in indices.chunks(predict::batch(device, &vit.config, size)) {
        interrupt::check()?;
        images.batch(batch, None, &mut pixels)?;
        found.extend(maps(&predictor, &vit.config, &pixels, &module.head)?);
    }
    Ok(found)
}

/// The same for normalised pixels [n, 3, size, size].
///
/// # Errors
/// Errors of the device.
pub fn maps<D: Device + 'static>(
    predictor: &Predictor<D>,
    config: &VitConfig,
    pixels: &[f32],
    head: &Head,
) -> Result<Vec<Saliency>, Error> {
    let width = config.features();
    let mut answers = Vec::new();
    let gradient = |features: &[f32]| {
        answers.extend(features.chunks_exact(width).map(|feature| probabilities(head, feature)));
        let of_logit = |(p, feature): (&Vec<f64>, &[f32])| {
            let row = head.weight.data[argmax(p) * width..][..width]
                .iter()
                .map(|w| f64::from(*w))
                .collect();
            head.input_gradient(feature, row).into_iter().map(|g| g as f32).collect::<Vec<_>>()
        };
        answers.iter().zip(features.chunks_exact(width)).flat_map(of_logit).collect()
    };
    let [_, tokens, gradient] = predictor.traced(pixels, 0, gradient)?;
    let each = tokens.len() / answers.len();
    let pairs = tokens.chunks_exact(each).zip(gradient.chunks_exact(each));
    let shape = predictor.shape();
    let maps = pairs.map(|(tokens, gradient)| positive(tokens, gradient, &shape));
    let saliency = |(probabilities, map): (Vec<f64>, Vec<f32>)| Saliency {
        class: argmax(&probabilities),
        probabilities,
        grid: shape.grid,
        map,
    };
    Ok(answers.into_iter().zip(maps.collect::<Vec<_>>()).map(saliency).collect())
}

/// A value for each patch: gradient times (activation - mean activation of all patches), summed
/// over the token's values, its negative part cut off, and divided by the largest value.
fn positive(tokens: &[f32], gradient: &[f32], shape: &Shape) -> Vec<f32> {
    let first = shape.patches().start;
    let patches = || tokens.chunks_exact(shape.hidden).skip(first);
    let count = patches().count() as f64;
    let mut mean = vec![0.0; shape.hidden];
    patches().for_each(|patch| {
        mean.iter_mut().zip(patch).for_each(|(m, x)| *m += f64::from(*x) / count)
    });
    let product = |(patch, gradient): (&[f32], &[f32])| {
        let all = patch.iter().zip(gradient).zip(&mean);
        all.map(|((x, dx), mean)| (f64::from(*x) - mean) * f64::from(*dx)).sum::<f64>().max(0.0)
    };
    let values: Vec<f64> =
        patches().zip(gradient.chunks_exact(shape.hidden).skip(first)).map(product).collect();
    let most = values.iter().copied().fold(0.0, f64::max);
    values.into_iter().map(|value| if most > 0.0 { value / most } else { 0.0 } as f32).collect()
}
