//! The head that PEFT keeps beside an adapter's factors (`modules_to_save`): `classifier` of
//! transformers' `ViTForImageClassification`, `head` of timm.
//!
//! Refused: every other layer, for it is part of the base; as a head also those that take something
//! else than the class token, the classifiers of transformers' `Dinov2ForImageClassification` and
//! `CLIPForImageClassification`.

use std::path::Path;

use medforge_runtime::tensors::Tensor;
use serde_json::Value;

use super::Head;
use crate::Error;
use crate::base::Family;

/// A linear layer that was trained and saved whole.
#[derive(Clone, Debug)]
pub struct Saved {
    /// `classifier` or `head`.
    pub layer: String,
    pub weight: Option<Tensor>,
    pub bias: Option<Tensor>,
}

impl Saved {
    /// The layer that an `adapter_config.json` says was saved, its tensors still to come; none if
    /// it says of none.
    ///
    /// # Errors
    /// What is wrong with `modules_to_save`.
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

    /// Takes `tensor` if `name` is one of the layer's two; gives it back otherwise.
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

    /// The head that the layer is; `path` is the file that holds it.
    ///
    /// # Errors
    /// A layer that takes something else than the class token, a tensor that is missing or not of
    /// `classes` x `features`.
    pub fn head(
        self,
        path: &Path,
        family: Family,
        classes: &[String],
        features: usize,
    ) -> Result<Head, Error> {
        if let Some(takes) = family.head_takes(&self.layer) {
            let what = format!(
                "holds a {} that takes {takes}, and packer's heads take the class token; put a \
                 head.safetensors for it beside the file",
                self.layer
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
mod tests {
    use std::collections::BTreeMap;
    use std::fs;

    use medforge_runtime::tensors;
    use serde_json::json;

    use super::*;
    use crate::base::tests::small;
    use crate::lora::tests::module;
    use crate::lora::{Module, peft};

    /// A module's folder as PEFT leaves one: the head saved as `layer` in the adapter's file, and
    /// packer's card beside.
    fn saved_as(layer: &str, family: Family) -> (crate::base::Vit, Module, tempfile::TempDir) {
        let vit = small(family);
        let module = module(&vit, "q,v", None);
        let dir = tempfile::tempdir().unwrap();
        for (name, bytes) in module.files().unwrap() {
            fs::write(dir.path().join(name), bytes).unwrap();
        }
        fs::remove_file(dir.path().join("head.safetensors")).unwrap();
        let path = dir.path().join("adapter_model.safetensors");
        let mut all = tensors::read(&fs::read(&path).unwrap(), "x").unwrap();
        all.insert(format!("base_model.model.{layer}.weight"), module.head.weight.clone());
        all.insert(format!("base_model.model.{layer}.bias"), module.head.bias.clone());
        let named = all.iter().map(|(n, t)| (n.as_str(), t));
        fs::write(&path, tensors::write(named, &BTreeMap::new()).unwrap()).unwrap();
        list(dir.path(), json!([layer]));
        (vit, module, dir)
    }

    fn list(dir: &Path, value: Value) {
        let path = dir.join("adapter_config.json");
        let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        config["modules_to_save"] = value;
        fs::write(path, config.to_string()).unwrap();
    }

    #[test]
    fn a_head_that_peft_saved_with_the_factors_is_the_modules() {
        for (layer, family) in
            [("classifier", Family::Vit), ("head", Family::Vit), ("head", Family::Dinov2)]
        {
            let (vit, module, dir) = saved_as(layer, family);
            let read = Module::open(dir.path(), &vit).unwrap();
            assert_eq!(
                (read.head.weight.data, read.head.bias.data),
                (module.head.weight.data, module.head.bias.data)
            );
            assert_eq!(
                read.sites.keys().collect::<Vec<_>>(),
                module.sites.keys().collect::<Vec<_>>()
            );
        }
    }

    /// The head that stands beside is taken, for somebody put it there; the saved one is left out,
    /// with a warning.
    #[test]
    fn a_head_beside_is_taken_instead() {
        let (vit, mut module, dir) = saved_as("classifier", Family::Dinov2);
        module.head.bias.data[0] += 1.0;
        fs::write(dir.path().join("head.safetensors"), module.head.file().unwrap()).unwrap();
        assert_eq!(Module::open(dir.path(), &vit).unwrap().head.bias.data, module.head.bias.data);
    }

    #[test]
    fn what_is_no_head_on_the_class_token_is_refused() {
        for (family, takes) in
            [(Family::Dinov2, "the class token and the mean"), (Family::Clip, "takes the mean")]
        {
            let (vit, _, dir) = saved_as("classifier", family);
            let said = Module::open(dir.path(), &vit).unwrap_err().to_string();
            assert!(said.contains(takes) && said.contains("adapter_model.safetensors"), "{said}");
        }
        let (vit, _, dir) = saved_as("classifier", Family::Vit);
        for (value, words) in [
            (json!(["layernorm"]), "modules_to_save is [\"layernorm\"]"),
            (json!(["classifier", "vit.layernorm"]), "no part of the base"),
            (json!("classifier"), "is not a list"),
            (json!([]), "base_model.model.classifier.bias"),
            (json!(["head"]), "base_model.model.classifier.bias"),
        ] {
            list(dir.path(), value);
            let said = Module::open(dir.path(), &vit).unwrap_err().to_string();
            assert!(said.contains(words), "{words}: {said}");
        }
        list(dir.path(), json!(["classifier"]));
        let path = dir.path().join("adapter_model.safetensors");
        let mut all = tensors::read(&fs::read(&path).unwrap(), "x").unwrap();
        all.insert("base_model.model.classifier.bias".into(), Tensor::f32(vec![3], vec![0.0; 3]));
        fs::write(
            &path,
            tensors::write(all.iter().map(|(n, t)| (n.as_str(), t)), &BTreeMap::new()).unwrap(),
        )
        .unwrap();
        let said = Module::open(dir.path(), &vit).unwrap_err().to_string();
        assert!(said.contains("base_model.model.classifier.bias has shape [3]"), "{said}");
    }

    #[test]
    fn starts_that_leave_the_base_alone_are_read_and_others_are_not() {
        let vit = small(Family::Vit);
        let files: BTreeMap<&str, Vec<u8>> =
            module(&vit, "q,v", None).files().unwrap().into_iter().collect();
        let with = |start: Value| {
            let mut config: Value = serde_json::from_slice(&files["adapter_config.json"]).unwrap();
            config["init_lora_weights"] = start;
            let changed = config.to_string().into_bytes();
            let file = |name: &str| {
                Ok(if name == "adapter_config.json" {
                    changed.clone()
                } else {
                    files[name].clone()
                })
            };
            peft::read(Path::new("x"), file, &vit.config).map_err(|e| e.to_string())
        };
        for start in [
            json!(true),
            json!(false),
            json!(null),
            json!("gaussian"),
            json!("eva"),
            json!("orthogonal"),
        ] {
            assert!(with(start.clone()).is_ok(), "{start}");
        }
        assert!(with(json!("mica")).is_ok() && with(json!("MiCA")).is_ok());
        for start in
            ["pissa", "pissa_niter_16", "olora", "corda", "loftq", "lora_ga", "something new"]
        {
            let said = with(json!(start)).unwrap_err();
            assert!(said.contains("init_lora_weights") && said.contains(start), "{said}");
        }
    }
}
