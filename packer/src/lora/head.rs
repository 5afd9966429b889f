//! The head: from the base's feature to class probabilities, by a trained linear layer or by the
//! features of texts.
//!
//! `head.safetensors` holds `weight` `[classes, features]`. A linear head also has `bias`
//! `[classes]`, and a head of texts `logit_scale` `[1]`. A calibrated module also has `ood_means`
//! [classes, features] and `ood_whitening` [features, features] ([`Familiar`]).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use medforge_runtime::tensors::{self, Tensor};

use super::Familiar;
use crate::Error;
use crate::base::TextTower;

/// A linear classifier on the base's feature.
#[derive(Clone, Debug)]
pub struct Head {
    pub classes: Vec<String>,
    /// [classes, features]
    pub weight: Tensor,
    /// One value a class.
    pub bias: Tensor,
    /// Set if the rows are unit vectors of texts (Radford et al. 2021, section 3.1.2). The feature
    /// is then scaled to this length first.
    pub logit_scale: Option<f32>,
    /// Logits are divided by this before the softmax. 1 if nothing was calibrated.
    pub temperature: f64,
    /// The features of the module's own images, if it was calibrated.
    pub familiar: Option<Familiar>,
}

/// By class, the texts that describe it.
pub type TextHead = BTreeMap<String, Vec<String>>;

impl Head {
    /// The head whose rows are the directions of each class's texts. Every class needs a text, and
    /// every text a class.
    pub fn of_texts(
        tower: &TextTower,
        classes: &[String],
        texts: &TextHead,
    ) -> Result<Self, Error> {
        let refuse = |what: String| Err(Error::Option { name: "the class text", what });
        if let Some(unknown) = texts.keys().find(|class| !classes.contains(class)) {
            return refuse(format!(
                "describes the class {unknown}, and the classes are {}",
                classes.join(", ")
            ));
        }
        let mut rows = Vec::new();
        for class in classes {
            match texts.get(class) {
                Some(own) => rows.extend(tower.direction(own)?),
                None => {
                    return refuse(format!(
                        "says nothing of the class {class}; give it a text as well"
                    ));
                }
            }
        }
        let (n, width) = (classes.len(), tower.features());
        Ok(Head {
            classes: classes.to_vec(),
            weight: Tensor::f32(vec![n, width], rows),
            bias: Tensor::f32(vec![n], vec![0.0; n]),
            logit_scale: Some(tower.logit_scale),
            temperature: 1.0,
            familiar: None,
        })
    }

    /// The head without its calibration, for another network.
    pub fn uncalibrated(self) -> Self {
        Head { temperature: 1.0, familiar: None, ..self }
    }

    /// Adds a class that only `texts` describe, without training. A calibration without the class
    /// no longer holds and is dropped.
    pub fn add_class(
        &mut self,
        tower: &TextTower,
        class: &str,
        texts: &[String],
    ) -> Result<(), Error> {
        let refuse = |what: String| Err(Error::Option { name: "the class text", what });
        if self.logit_scale.is_none() {
            return refuse(format!(
                "adds the class {class} to a linear head; train it with a head of texts for that"
            ));
        }
        if self.classes.iter().any(|known| known == class) {
            return refuse(format!(
                "describes the class {class}, which the module was trained for"
            ));
        }
        *self = self.clone().uncalibrated();
        self.weight.data.extend(tower.direction(texts)?);
        self.weight.shape[0] += 1;
        self.bias = Tensor::f32(vec![self.weight.shape[0]], vec![0.0; self.weight.shape[0]]);
        self.classes.push(class.to_owned());
        Ok(())
    }

    /// Reads the `bytes` of a head's file and checks its shapes. Errors name it `path`.
    pub fn read(
        path: &Path,
        bytes: &[u8],
        classes: &[String],
        features: usize,
    ) -> Result<Self, Error> {
        let mut tensors = tensors::read(bytes, &path.display().to_string())?;
        let of_texts = tensors.contains_key("logit_scale");
        let calibrated = tensors.contains_key("ood_means");
        let mut take = |name: &str, expected: Vec<usize>| match tensors.remove(name) {
            Some(tensor) if tensor.shape == expected => Ok(tensor),
            Some(tensor) => Err(Error::TensorShape {
                path: path.to_owned(),
                tensor: name.into(),
                found: tensor.shape,
                expected,
            }),
            None => Err(Error::TensorMissing { path: path.to_owned(), tensor: name.into() }),
        };
        let weight = take("weight", vec![classes.len(), features])?;
        let (bias, logit_scale) = if of_texts {
            (
                Tensor::f32(vec![classes.len()], vec![0.0; classes.len()]),
                Some(take("logit_scale", vec![1])?.data[0]),
            )
        } else {
            (take("bias", vec![classes.len()])?, None)
        };
        let familiar = if calibrated {
            Some(Familiar {
                means: take("ood_means", vec![classes.len(), features])?,
                whitening: take("ood_whitening", vec![features, features])?,
            })
        } else {
            None
        };
        match tensors.keys().next() {
            Some(name) => {
                Err(Error::TensorUnknown { path: path.to_owned(), tensors: name.clone() })
            }
            None => Ok(Head {
                classes: classes.to_vec(),
                weight,
                bias,
                logit_scale,
                temperature: 1.0,
                familiar,
            }),
        }
    }

    /// The head's file, in a module and in a bundle.
    pub fn file(&self) -> Result<Vec<u8>, Error> {
        let scale = self.logit_scale.map(|scale| Tensor::f32(vec![1], vec![scale]));
        let second = match &scale {
            Some(scale) => ("logit_scale", scale),
            None => ("bias", &self.bias),
        };
        let familiar = self
            .familiar
            .iter()
            .flat_map(|f| [("ood_means", &f.means), ("ood_whitening", &f.whitening)]);
        let all = [second, ("weight", &self.weight)].into_iter().chain(familiar);
        Ok(tensors::write(all, &BTreeMap::new())?)
    }

    /// The input of the rows: the feature itself, or the feature scaled to the length
    /// `logit_scale`.
    pub fn input<'a>(&self, feature: &'a [f32]) -> Cow<'a, [f32]> {
        match self.logit_scale {
            None => feature.into(),
            Some(scale) => {
                let factor = f64::from(scale) / length(feature);
                feature.iter().map(|v| (f64::from(*v) * factor) as f32).collect()
            }
        }
    }

    /// The gradient of `feature`, from the gradient of [`Head::input`].
    pub fn input_gradient(&self, feature: &[f32], gradient: Vec<f64>) -> Vec<f64> {
        let Some(scale) = self.logit_scale else { return gradient };
        let length = length(feature);
        let along = gradient.iter().zip(feature).map(|(g, f)| g * f64::from(*f)).sum::<f64>()
            / (length * length);
        let through = gradient
            .iter()
            .zip(feature)
            .map(|(g, f)| f64::from(scale) / length * (g - along * f64::from(*f)));
        through.collect()
    }
}

fn length(feature: &[f32]) -> f64 {
    feature.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt().max(1e-12)
}
