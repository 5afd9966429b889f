//! Folders of timm: `config.json` and `model.safetensors` of a plain vision transformer, with no
//! file for the preprocessor.
//!
//! The shape is that of the tensors; q, k and v are cut out of one tensor. No tensor shows the
//! number of heads. It is in `model_args`, or else the architecture's, where the tensors have that
//! architecture's width and depth. Images are prepared as
//! `create_transform(**resolve_data_config(...))` does outside training, for the crop modes
//! `center` and `squash`.
//!
//! Refused, with the file and the reason: other architectures and arguments (register tokens, mean
//! pooling, SwiGLU, norms of q and k), and a number of heads that would be a guess. Refused too:
//! every tensor that such a transformer does not have, and a position table for another size than
//! the images'.

use std::collections::BTreeMap;

use medforge_runtime::preprocess::Preprocessing;

use super::config;
use super::file::File;
use super::stored::StoredTensor;
use super::vit_config::VitConfig;
use super::weight_files::WeightMap;
use crate::Error;
use arguments::{architecture, check_arguments, heads};
use preprocessing::preprocessing;
use tensors::{oddity, parameters, refuse, shape};

mod arguments;
pub mod preprocessing;
mod tensors;

/// What a base is read as: configuration, preprocessing, and tensors by internal name.
pub type Read = (VitConfig, Preprocessing, BTreeMap<String, StoredTensor>);

/// Whether a `config.json` is timm's.
pub fn wrote(file: &File) -> bool {
    file.has("architecture") && !file.has("model_type")
}

/// The base that `config.json` and `weights` describe.
pub fn read(file: &File, weights: &WeightMap) -> Result<Read, Error> {
    let activation = check_arguments(file)?;
    let named = architecture(file)?;
    let (views, path) = (&weights.tensors, &weights.path);
    if let Some((name, what)) = views.keys().find_map(|name| Some((name, oddity(name)?))) {
        return refuse(path, format!("holds {name}: {what} not read; {}", tensors::READ));
    }
    let mut config = shape(views, path, activation)?;
    config.heads = heads(file, named, [config.hidden, config.layers])?;
    let config = config::checked(file, config)?;
    let preprocessing = preprocessing(file, config.image_size)?;
    let tensors = parameters(weights, &config)?;
    Ok((config, preprocessing, tensors))
}

#[cfg(test)]
mod tests;
