//! A base of tensors that have timm's names, wherever they come from: the files of Facebook, MAE
//! and open_clip have them after renaming.

use std::collections::BTreeMap;

use serde_json::Map;

use super::super::choices::{Choices, Feature};
use super::super::config;
use super::super::file::File;
use super::super::stored::StoredTensor;
use super::super::vit_config::{Positions, VitConfig};
use super::super::weight_files::WeightMap;
use super::known::Known;
use super::layout::{Layout, refuse};
use super::tensors::parameters;
use crate::Error;

/// The base that tensors under timm's names are, by internal name.
///
/// Rows of the position table for registers are added to these. A table for patches alone gets a
/// row of zeros for the class token. Packed layers are cut.
///
/// # Errors
/// [`Error::Config`], [`Error::TensorMissing`], [`Error::TensorShape`]: the tensors are of no
/// network that is read, or some are of none; [`Error::Option`] for a choice that does not fit.
pub fn network(
    weights: &WeightMap,
    known: &Known,
    choices: &Choices,
) -> Result<(VitConfig, BTreeMap<String, StoredTensor>), Error> {
    finish(weights, Layout::of(weights, known)?, known, choices)
}

/// The base whose tensors are laid out so.
pub fn finish(
    weights: &WeightMap,
    mut layout: Layout,
    known: &Known,
    choices: &Choices,
) -> Result<(VitConfig, BTreeMap<String, StoredTensor>), Error> {
    let [width, blocks] = [layout.config.hidden, layout.config.layers];
    // Norms of queries and keys are as wide as a head.
    let heads = match layout.head_width.filter(|head| *head > 0 && width.is_multiple_of(*head)) {
        Some(head) => width / head,
        None => (known.heads)([width, blocks])?,
    };
    let config = &mut layout.config;
    let inner = layout.head.unwrap_or(config.mlp);
    config.heads = heads;
    config.pooling = Feature::of(config).pooling(config, inner);
    choices.pool(config)?;
    config.pooling = Feature::of(config).pooling(config, inner);
    let place = File { path: weights.path.clone(), object: Map::new() };
    let config = config::checked(&place, config.clone())?;
    if matches!(config.positions, Positions::Rotary { .. })
        && !(config.hidden / config.heads).is_multiple_of(4)
    {
        let what = format!("heads of {} values cannot be rotated", config.hidden / config.heads);
        return refuse(&weights.path, format!("{what}; DINOv3 has multiples of four"));
    }
    let tensors = parameters(weights, &config, &layout)?;
    Ok((config, tensors))
}
