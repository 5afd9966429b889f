//! Features and class probabilities of images, from a base with or without a module. Evaluation and
//! golden vectors use them.

use std::collections::BTreeMap;

use medforge_runtime::vit::Shape;

use crate::base::{Vit, VitConfig, Weights, forward_from_leaf, forward_observed};
use crate::data::Images;
use crate::device::Device;
use crate::device::meter::Meter;
use crate::logistic::{Examples, Fit, Scale};
use crate::lora::{Factors, Head, Module};
use crate::softmax::softmax_at;
use crate::tape::{LowRank, Tape, Tensor, Var};
use crate::{Error, interrupt};

/// Images per pass: enough to keep the device busy, few enough for its memory and its buffers.
pub fn batch(device: &impl Device, config: &VitConfig, size: usize) -> usize {
    let fit = device.largest_buffer() / config.largest_values(size);
    config.images_per_pass(size).min(fit).clamp(1, 32)
}

/// Bytes that the features of one image of `size` pixels take on a device like this: the base as it
/// was read, the base there, and a pass through it.
///
/// # Errors
/// None but those of counting.
pub fn bytes<D: Device>(device: &D, vit: &Vit, size: usize) -> Result<u64, Error> {
    let meter = Meter::new(device);
    let predictor = Predictor::new(&meter, vit, None, size);
    predictor.features(&vec![0.0; 3 * size * size])?;
    let read = vit.tensors.values().map(|tensor| tensor.values.bytes()).sum::<u64>();
    Ok(read + meter.held().1)
}

/// A base on a device, with or without a module, ready for images of one size.
pub struct Predictor<D: Device> {
    device: D,
    weights: Weights<D>,
    sites: BTreeMap<String, LowRank<D>>,
}

impl<D: Device + 'static> Predictor<D> {
    /// The base `vit`, with the changes of `module` if there is one.
    pub fn new(device: &D, vit: &Vit, module: Option<&Module>, size: usize) -> Self {
        let none = BTreeMap::new();
        let (sites, scale) = module.map_or((&none, 1.0), |m| (&m.sites, m.scale()));
        Predictor::scaled(device, vit, sites, scale, size)
    }

    /// The base with the changes B * A at `sites`.
    pub fn changed(device: &D, vit: &Vit, sites: &BTreeMap<String, Factors>, size: usize) -> Self {
        Predictor::scaled(device, vit, sites, 1.0, size)
    }

    fn scaled(
        device: &D,
        vit: &Vit,
        sites: &BTreeMap<String, Factors>,
        scale: f64,
        size: usize,
    ) -> Self {
        let weights = Weights::frozen(device, vit, size);
        let upload = |t: &medforge_runtime::tensors::Tensor| {
            Var::constant(Tensor::frozen(device, &t.data, t.shape[0], t.data.len() / t.shape[0]))
        };
        let magnitude = |m: &medforge_runtime::tensors::Tensor| {
            Var::constant(Tensor::new(device, &m.data, 1, m.data.len()))
        };
        let branch = |f: &Factors| LowRank {
            magnitude: f.magnitude.as_ref().map(magnitude),
            ..LowRank::plain(upload(&f.a), upload(&f.b), scale)
        };
        let sites = sites.iter().map(|(site, f)| (site.clone(), branch(f))).collect();
        Predictor { device: device.clone(), weights, sites }
    }

    /// The network that the base is for images of this size.
    pub fn shape(&self) -> Shape {
        self.weights.shape()
    }

    /// The features [n, features] of normalised pixels [n, 3, size, size].
    ///
    /// # Errors
    /// Errors of the device.
    pub fn features(&self, pixels: &[f32]) -> Result<Vec<f32>, Error> {
        self.features_observed(pixels, &|_, _| ())
    }

    /// The same; `observe` sees what goes into the linear layer at each site, as
    /// [`forward_observed`] says.
    ///
    /// # Errors
    /// Errors of the device.
    pub fn features_observed(
        &self,
        pixels: &[f32],
        observe: &dyn Fn(&str, &Var<D>),
    ) -> Result<Vec<f32>, Error> {
        let each = 3 * self.weights.image_size * self.weights.image_size;
        let images = Var::constant(Tensor::frozen(&self.device, pixels, pixels.len() / each, each));
        let tape = Tape::new(&self.device);
        let feature =
            forward_observed(&tape, &self.weights, &self.sites, &self.device, &images, observe);
        Ok(self.device.download(&feature.value.buffer)?)
    }

    /// The features [n, features] of normalised pixels [n, 3, size, size], the tokens [n, tokens,
    /// hidden] that enter `block`, and the gradient with respect to these tokens. `gradient` turns
    /// the features into the gradient with respect to them.
    ///
    /// # Errors
    /// Errors of the device.
    pub fn traced(
        &self,
        pixels: &[f32],
        block: usize,
        gradient: impl FnOnce(&[f32]) -> Vec<f32>,
    ) -> Result<[Vec<f32>; 3], Error> {
        let each = 3 * self.weights.image_size * self.weights.image_size;
        let images = Var::constant(Tensor::frozen(&self.device, pixels, pixels.len() / each, each));
        let tape = Tape::new(&self.device);
        let (feature, tokens) =
            forward_from_leaf(&tape, &self.weights, &self.sites, &self.device, &images, block);
        let features = self.device.download(&feature.value.buffer)?;
        let given = self.device.upload(&gradient(&features));
        let gradients = tape.backward_from([(&feature, given)]);
        let gradient =
            gradients.of(&tokens).expect("the features depend on the tokens of every block");
        Ok([features, self.device.download(&tokens.value.buffer)?, self.device.download(gradient)?])
    }

    /// The features of the images `indices`, one row each. `step` is told how many are done.
    ///
    /// # Errors
    /// [`Error::Interrupted`], and errors of the device.
    pub fn features_of(
        &self,
        images: &Images,
        indices: &[usize],
        mut step: impl FnMut(usize),
    ) -> Result<Vec<Vec<f32>>, Error> {
        let mut rows = Vec::with_capacity(indices.len());
        let mut pixels = Vec::new();
        for batch in
            indices.chunks(batch(&self.device, &self.weights.config, self.weights.image_size))
        {
            interrupt::check()?;
            images.batch(batch, None, &mut pixels)?;
            rows.extend(
                self.features(&pixels)?
                    .chunks_exact(self.weights.config.features())
                    .map(<[f32]>::to_vec),
            );
            step(rows.len());
        }
        Ok(rows)
    }
}

/// The constant C of [`linear_head`].
const C: f64 = 0.1;

/// A head for few images: logistic regression with C = 0.1 and one scale for all features. It is
/// fitted on `features` [n, features] and `labels` [n, classes], each row probabilities.
///
/// # Errors
/// [`Error::Evaluation`]: features that are not finite or do not fit the labels; a class without an
/// image.
pub fn linear_head(features: &[f32], labels: &[f32], classes: &[String]) -> Result<Head, Error> {
    let wide = |rows: &[f32]| rows.iter().map(|&v| f64::from(v)).collect::<Vec<_>>();
    let (features, targets, weights) =
        (wide(features), wide(labels), vec![1.0; labels.len() / classes.len().max(1)]);
    let examples = Examples {
        features: &features,
        targets: &targets,
        weights: &weights,
        classes: classes.len(),
    };
    let fit = Fit::new("linear head", &examples, C, Scale::Whole)?;
    let weight = fit.weight();
    let width = weight.len() / classes.len();
    Ok(Head {
        classes: classes.to_vec(),
        weight: medforge_runtime::tensors::Tensor::f32(vec![classes.len(), width], weight),
        bias: medforge_runtime::tensors::Tensor::f32(vec![classes.len()], fit.bias()),
        logit_scale: None,
        temperature: 1.0,
        familiar: None,
    })
}

/// The probabilities of each class for one feature.
pub fn probabilities(head: &Head, feature: &[f32]) -> Vec<f64> {
    softmax_at(head.temperature, &logits(head, feature))
}

/// The logits of one feature, before temperature and softmax. They are summed in f64, since a bias
/// may cancel nearly all of a product.
pub fn logits(head: &Head, feature: &[f32]) -> Vec<f64> {
    let rows = head.weight.data.chunks_exact(feature.len()).zip(&head.bias.data);
    let input = head.input(feature);
    let product =
        |w: &[f32]| w.iter().zip(&*input).map(|(&w, &f)| f64::from(w) * f64::from(f)).sum::<f64>();
    rows.map(|(w, &b)| product(w) + f64::from(b)).collect()
}

/// The index of the largest value, the first of equals.
pub fn argmax(values: &[f64]) -> usize {
    (1..values.len()).fold(0, |best, i| if values[i] > values[best] { i } else { best })
}
