//! What is known of a network beside its tensors.

use super::super::choices::Feature;
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
