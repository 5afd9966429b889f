//! Folders of timm: `config.json` and weights of a vision transformer, with no file for the
//! preprocessor.
//!
//! The network is that of the tensors; packed ones are cut. No tensor shows the number of heads. It
//! is in `model_args`, or else the architecture's, where the tensors have that architecture's width
//! and depth. What becomes the feature is `global_pool`. Images are prepared as
//! `create_transform(**resolve_data_config(...))` does outside training, for the crop modes
//! `center` and `squash`.
//!
//! Refused, with the file and the reason:
//! - other architectures, and a number of heads that would be a guess;
//! - arguments that say otherwise than the tensors;
//! - every tensor that such a transformer does not have: tables of relative or rotary positions,
//!   distillation tokens, norms inside of the MLP;
//! - a position table that is no square, and a missing head for pooling by attention.

use std::collections::BTreeMap;

use medforge_runtime::preprocess::Preprocessing;

use super::choices::Choices;
use super::file::File;
use super::stored::StoredTensor;
use super::vit_config::VitConfig;
use super::weight_files::WeightMap;
use crate::Error;
use arguments::{agree, architecture, heads, said};
use layout::{Layout, PATCHES};
use preprocessing::preprocessing;

mod architecture;
mod arguments;
mod known;
mod layout;
mod network;
pub mod preprocessing;
mod tensors;

pub use known::Known;
pub use network::network;

/// What a base is read as: configuration, preprocessing, and tensors by internal name.
pub type Read = (VitConfig, Preprocessing, BTreeMap<String, StoredTensor>);

/// Whether a `config.json` may be timm's.
pub fn wrote(file: &File) -> bool {
    file.has("architecture")
}

/// Whether a `config.json` that may be timm's is, with these tensors: folders of both libraries
/// carry the keys of transformers too.
pub fn named(file: &File, weights: &WeightMap) -> bool {
    !file.has("model_type")
        || [String::new(), WRAPPED.to_owned()]
            .iter()
            .any(|prefix| weights.tensors.contains_key(&format!("{prefix}{PATCHES}")))
}

/// The base that `config.json` and `weights` describe.
pub fn read(file: &File, weights: &WeightMap, choices: &Choices) -> Result<Read, Error> {
    let weights = &unwrapped(weights);
    let named = architecture(file)?;
    let said = said(file, &named)?;
    let known = Known {
        heads: &|shape| heads(file, &named, shape, choices),
        eps: said.eps,
        activation: said.activation,
        feature: said.feature,
        theta: said.theta,
        image_size: said.image_size,
        patches_alone: said.patches_alone,
    };
    let layout = Layout::of(weights, &known)?;
    agree(file, &layout)?;
    let images = preprocessing(file, &layout.config)?;
    let (config, tensors) = network::finish(weights, layout, &known, choices)?;
    Ok((config, images, tensors))
}

/// The tensors without what transformers' wrapper of timm puts in front of their names.
fn unwrapped(weights: &WeightMap) -> WeightMap {
    let tensors = weights
        .tensors
        .iter()
        .map(|(name, view)| (name.strip_prefix(WRAPPED).unwrap_or(name).to_owned(), view.clone()));
    WeightMap { path: weights.path.clone(), tensors: tensors.collect() }
}

const WRAPPED: &str = "timm_model.";

#[cfg(test)]
mod tests;
