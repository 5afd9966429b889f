//! `model.safetensors` of a Hugging Face folder, in and out.

use std::collections::BTreeMap;

use medforge_runtime::tensors::{self, Tensor};

use super::names::file_names;
use super::parameters::parameter_shapes;
use super::stored::StoredTensor;
use super::vit_config::VitConfig;
use super::weight_files::WeightMap;
use crate::Error;

/// Reads every parameter that `config` asks for; what else the file holds (heads, poolers, mask
/// tokens, a text tower) is left.
pub fn parse(
    weights: &WeightMap,
    config: &VitConfig,
) -> Result<BTreeMap<String, StoredTensor>, Error> {
    let mut out = BTreeMap::new();
    for (name, shape) in parameter_shapes(config) {
        let names = file_names(config.family, &name);
        let prefix = config.family.form().prefix;
        let key = names
            .iter()
            .flat_map(|n| [n.clone(), format!("{prefix}{n}")])
            .find(|n| weights.tensors.contains_key(n));
        out.insert(name, read(weights, key.as_ref().unwrap_or(&names[0]), shape)?.into());
    }
    Ok(out)
}

/// The tensor `name` in `shape`: its own shape may have other sides of one in front.
pub fn read(weights: &WeightMap, name: &str, shape: Vec<usize>) -> Result<Tensor, Error> {
    let path = &weights.path;
    let Some(view) = weights.tensors.get(name) else {
        return Err(Error::TensorMissing { path: path.to_owned(), tensor: name.to_owned() });
    };
    let squeezed =
        |shape: &[usize]| shape.iter().copied().skip_while(|s| *s == 1).collect::<Vec<_>>();
    if squeezed(&view.shape) != squeezed(&shape) {
        let (tensor, found) = (name.to_owned(), view.shape.clone());
        return Err(Error::TensorShape { path: path.to_owned(), tensor, found, expected: shape });
    }
    Ok(Tensor { shape, ..view.read()? })
}

/// The file with the names that transformers writes.
pub fn write(
    config: &VitConfig,
    tensors: &BTreeMap<String, StoredTensor>,
) -> Result<Vec<u8>, Error> {
    let batched: BTreeMap<_, _> = if config.family.form().batched {
        let weights = config.shape(config.image_size).weights().into_iter();
        weights.filter(|(_, dims)| matches!(dims[..], [1, _, _])).collect()
    } else {
        BTreeMap::new()
    };
    let renamed = tensors.iter().map(|(name, tensor)| {
        let mut tensor = tensor.read();
        if let Some(dims) = batched.get(name) {
            tensor.shape.clone_from(dims);
        }
        (file_names(config.family, name).swap_remove(0), tensor)
    });
    let renamed: Vec<(String, Tensor)> = renamed.collect();
    let metadata = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
    Ok(tensors::write(renamed.iter().map(|(n, t)| (n.as_str(), t)), &metadata)?)
}
