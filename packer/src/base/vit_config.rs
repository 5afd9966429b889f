//! What a base is by its configuration, and how large one may be.

use medforge_runtime::vit::{self, Mlp, Norms, Shape};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::device::Activation;

/// The model families that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// The vision tower of a CLIP, with its visual projection.
    Clip,
    Dinov2,
    Vit,
}

/// The shape of a vision transformer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VitConfig {
    pub family: Family,
    /// Side in pixels of the images that the position table was made for.
    pub image_size: usize,
    /// Side of a patch in pixels.
    pub patch: usize,
    /// Width of a token.
    pub hidden: usize,
    pub layers: usize,
    pub heads: usize,
    /// Width of the MLP's hidden layer.
    pub mlp: usize,
    /// Epsilon of the layer normalisations.
    pub eps: f64,
    pub activation: Activation,
    /// Whether each residual branch is scaled per channel.
    pub layer_scale: bool,
    /// Whether q, k and v have a bias.
    pub qkv_bias: bool,
    /// Width that a linear layer without bias brings the feature to (CLIP's visual projection).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub projection: Option<usize>,
}

impl Family {
    /// Its name in modules' cards and bundles.
    pub fn name(self) -> &'static str {
        match self {
            Family::Clip => "clip",
            Family::Dinov2 => "dinov2",
            Family::Vit => "vit",
        }
    }
}

impl VitConfig {
    /// What a configuration has where a family says nothing else, without any size.
    pub(super) const PLAIN: VitConfig = VitConfig {
        family: Family::Vit,
        image_size: 0,
        patch: 0,
        hidden: 0,
        layers: 0,
        heads: 0,
        mlp: 0,
        eps: 1e-6,
        activation: Activation::Gelu,
        layer_scale: false,
        qkv_bias: true,
        projection: None,
    };

    /// The network for square images of `size` pixels.
    pub fn shape(&self, size: usize) -> Shape {
        // CLIP's tokens are normalised before the first block, and its patches have no bias.
        let clip = self.family == Family::Clip;
        Shape {
            patch: self.patch,
            grid: size / self.patch,
            hidden: self.hidden,
            blocks: self.layers,
            heads: self.heads,
            mlp: Mlp {
                width: self.mlp,
                activation: match self.activation {
                    Activation::Gelu => vit::Activation::Gelu,
                    Activation::QuickGelu => vit::Activation::QuickGelu,
                },
            },
            norms: Norms { epsilon: self.eps, first: clip, layer_scale: self.layer_scale },
            patch_bias: !clip,
            qkv_bias: self.qkv_bias,
            projection: self.projection,
            magnitude_scales: true,
        }
    }

    /// Tokens for square images of `size` pixels.
    pub fn tokens(&self, size: usize) -> usize {
        self.shape(size).tokens()
    }

    /// Width of the feature.
    pub fn features(&self) -> usize {
        self.projection.unwrap_or(self.hidden)
    }

    /// Images of `size` pixels for which one layer's attention stays within a bound; less than one
    /// for a size too large.
    pub fn images_per_pass(&self, size: usize) -> usize {
        let tokens = self.tokens(size);
        MAX_PASS / (self.heads * tokens * tokens + tokens * self.mlp)
    }

    /// Values of the largest buffer that a pass over one image of `size` pixels makes.
    pub fn largest_values(&self, size: usize) -> usize {
        let tokens = self.tokens(size);
        let scores = self.heads * tokens * tokens.next_multiple_of(4);
        (tokens * self.mlp.max(3 * self.patch * self.patch)).max(scores).max(3 * size * size)
    }

    /// Values that a training step keeps for one image of `size` pixels until its backward pass:
    /// per block about seven token widths, the MLP before its activation, and where the device
    /// [keeps](crate::device::Device::keeps_softmax) it, the softmax.
    pub fn training_values(&self, size: usize, keeps_softmax: bool) -> usize {
        let tokens = self.tokens(size);
        let softmax = if keeps_softmax { self.heads * tokens } else { 0 };
        self.layers * tokens * (7 * self.hidden + self.mlp + softmax)
    }

    /// Refuses an image size that patches do not fill, or that is out of range.
    pub fn check_size(&self, size: u32) -> Result<(), Error> {
        let (size, patch) = (size as usize, self.patch);
        if size == 0 || !size.is_multiple_of(patch) || size > MAX_IMAGE_SIZE {
            let below = (size / patch * patch).clamp(patch, MAX_IMAGE_SIZE / patch * patch);
            return Err(Error::ImageSize { size, patch, suggestion: below });
        }
        if size / patch > MAX_GRID || self.images_per_pass(size) == 0 {
            return Err(Error::TooManyTokens { size, tokens: self.tokens(size) });
        }
        Ok(())
    }
}

/// Longest side of images. Larger ones are not what a vision transformer is used for.
pub(super) const MAX_IMAGE_SIZE: usize = 2048;
/// Most patches along a side.
pub(super) const MAX_GRID: usize = 128;
/// Most values of one layer's attention and MLP for all images of a pass: 2 GiB in f32.
const MAX_PASS: usize = 1 << 29;
/// Most weights of a base: 8 GiB in f32.
pub(super) const MAX_PARAMETERS: usize = 1 << 31;
/// Widest tokens.
pub(super) const MAX_HIDDEN: usize = 8192;
/// Largest side of a patch.
pub(super) const MAX_PATCH: usize = 256;
/// Most blocks: as many as a device runs.
pub(super) const MAX_LAYERS: usize = vit::MOST_BLOCKS;
