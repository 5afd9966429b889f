//! A base of tensors that have timm's names, wherever they come from: the files of Facebook, MAE
//! and open_clip have them after renaming.

use std::collections::BTreeMap;

use medforge_runtime::tensors::Tensor;
use serde_json::Map;

use super::super::choices::{Choices, Feature};
use super::super::config;
use super::super::file::File;
use super::super::vit_config::{Positions, VitConfig};
use super::super::weight_files::WeightMap;
use super::layout::{Layout, refuse};
use super::tensors::parameters;
use crate::Error;
use crate::device::Activation;

/// What is known of a network that its tensors do not show.
pub struct Known<'a> {
    /// How many heads a network of `[width, blocks]` has.
    pub heads: &'a dyn Fn([usize; 2]) -> Result<usize, Error>,
    /// Epsilon of the norms.
    pub eps: f64,
    /// None: GELU, or SiLU of a gate.
    pub activation: Option<Activation>,
    /// What becomes the feature: the mean is that before the norm where the norm is `fc_norm`.
    /// None: the class token where there is one.
    pub feature: Option<Feature>,
    /// Of rotary positions, which no tensor shows.
    pub theta: Option<f64>,
    /// Side of the images in pixels: needed without a position table, and it tells what the rows
    /// of a table are where that is not clear.
    pub image_size: Option<usize>,
    /// Whether a table whose rows can mean both has them for patches alone.
    pub patches_alone: bool,
}

impl<'a> Known<'a> {
    /// What is known of a network with a position table where nothing is.
    pub fn new(heads: &'a dyn Fn([usize; 2]) -> Result<usize, Error>) -> Self {
        Known {
            heads,
            eps: 1e-6,
            activation: None,
            feature: None,
            theta: None,
            image_size: None,
            patches_alone: false,
        }
    }
}

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
) -> Result<(VitConfig, BTreeMap<String, Tensor>), Error> {
    finish(weights, Layout::of(weights, known)?, known, choices)
}

/// The base whose tensors are laid out so.
pub fn finish(
    weights: &WeightMap,
    mut layout: Layout,
    known: &Known,
    choices: &Choices,
) -> Result<(VitConfig, BTreeMap<String, Tensor>), Error> {
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
