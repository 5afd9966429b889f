//! The head that PEFT keeps beside an adapter's factors (`modules_to_save`): `classifier` of
//! transformers' `ViTForImageClassification`, `head` of timm.
//!
//! Refused: every other layer, since it is part of the base. Also heads whose input is not the
//! base's feature, such as the classifier of transformers' `Dinov2ForImageClassification`, which
//! takes the class token and the mean of the patches, where the feature is the class token alone.
//! That of `CLIPForImageClassification` takes what is no base's feature.

use std::path::Path;

use medforge_runtime::tensors::Tensor;
use serde_json::Value;

use super::Head;
use crate::Error;
use crate::base::VitConfig;

/// A linear layer that was trained and saved whole.
#[derive(Clone, Debug)]
pub struct Saved {
    /// `classifier` or `head`.
    pub layer: String,
    pub weight: Option<Tensor>,
    pub bias: Option<Tensor>,
}

impl Saved {
    /// The saved layer that an `adapter_config.json` names, without its tensors. None if it names
    /// none.
    ///
    /// # Errors
    /// A text that says what is wrong with `modules_to_save`.
    pub fn named(config: &Value) -> Result<Option<Self>, String> {
        let list = match config.get("modules_to_save") {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::Array(list)) => list,
            Some(_) => return Err("modules_to_save is not a list".into()),
        };
        match &list[..] {
            [] => Ok(None),
            [Value::String(layer)] if ["classifier", "head"].contains(&layer.as_str()) => {
                Ok(Some(Saved { layer: layer.clone(), weight: None, bias: None }))
            }
            _ => {
                let list = Value::from(list.clone());
                Err(format!(
                    "modules_to_save is {list}; packer reads one head, \"classifier\" or \"head\", \
                     and no part of the base"
                ))
            }
        }
    }

    /// Takes `tensor` if it is one of the layer's two, by its `name`. Otherwise gives it back.
    pub fn take(&mut self, name: &str, tensor: Tensor) -> Result<(), Tensor> {
        let own =
            name.strip_prefix("base_model.model.").and_then(|name| name.strip_prefix(&self.layer));
        match own {
            Some(".weight") => self.weight = Some(tensor),
            Some(".bias") => self.bias = Some(tensor),
            _ => return Err(tensor),
        }
        Ok(())
    }

    /// The layer as a head. `path` is the file that holds it.
    ///
    /// # Errors
    /// A layer whose input is not the feature of `base`; a tensor that is missing or not of
    /// `classes` x features.
    pub fn head(self, path: &Path, base: &VitConfig, classes: &[String]) -> Result<Head, Error> {
        let features = base.features();
        if let Some(takes) = base.head_takes(&self.layer) {
            let what = format!(
                "holds a {} that takes {takes}, and the base's feature is {}; put a \
                 head.safetensors for that beside the file, or take a base with the other feature",
                self.layer,
                base.pooling.words()
            );
            return Err(Error::Config { path: path.to_owned(), what });
        }
        let layer = self.layer;
        let checked = |part: &str, tensor: Option<Tensor>, expected: Vec<usize>| {
            let tensor_name = format!("base_model.model.{layer}.{part}");
            match tensor {
                Some(tensor) if tensor.shape == expected => Ok(tensor),
                Some(Tensor { shape: found, .. }) => Err(Error::TensorShape {
                    path: path.to_owned(),
                    tensor: tensor_name,
                    found,
                    expected,
                }),
                None => Err(Error::TensorMissing { path: path.to_owned(), tensor: tensor_name }),
            }
        };
        let weight = checked("weight", self.weight, vec![classes.len(), features])?;
        let bias = checked("bias", self.bias, vec![classes.len()])?;
        let classes = classes.to_vec();
        Ok(Head { classes, weight, bias, logit_scale: None, temperature: 1.0, familiar: None })
    }
}

#[cfg(test)]
mod tests;
