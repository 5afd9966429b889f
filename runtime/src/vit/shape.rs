//! What a vision transformer is: its tokens, its widths, and what its blocks are made of. The
//! graph's writer, the forward pass here and packer's go by it.

use std::ops::Range;

use super::site::{Layer, Site};

/// A vision transformer for square images of one size.
///
/// Its tokens are a class token and the patches of the image, row by row. Each has a learned
/// position, which is added to it. The class token's row after the last block is what becomes the
/// feature.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// Side of a patch in pixels.
    pub patch: usize,
    /// Patches on a side of the image.
    pub grid: usize,
    /// Width of a token.
    pub hidden: usize,
    /// Number of blocks.
    pub blocks: usize,
    /// Heads of each attention; they divide `hidden`.
    pub heads: usize,
    /// The MLP of each block.
    pub mlp: Mlp,
    /// The norms, and what scales the branches that they begin.
    pub norms: Norms,
    /// Whether a bias is added to embedded patches.
    pub patch_bias: bool,
    /// Whether queries, keys and values have a bias.
    pub qkv_bias: bool,
    /// Width of the linear layer after the last norm, which has no bias (CLIP).
    pub projection: Option<usize>,
    /// Whether each site takes a magnitude scale (DoRA). Graphs of the first packers take none.
    pub magnitude_scales: bool,
}

/// Two linear layers with an activation between them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mlp {
    /// Values between the layers.
    pub width: usize,
    /// What is applied to each of them.
    pub activation: Activation,
}

/// The function between the layers of an MLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `x Phi(x)`, Phi being the normal distribution function (Hendrycks & Gimpel 2016).
    Gelu,
    /// `x sigmoid(1.702 x)`, as CLIP uses it.
    QuickGelu,
}

/// Layer norms, one before each attention, each MLP and the feature.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Norms {
    /// What is added to each variance.
    pub epsilon: f64,
    /// Whether there is one before the first block too (CLIP).
    pub first: bool,
    /// Whether each branch is scaled by channel (LayerScale, Touvron et al. 2021).
    pub layer_scale: bool,
}

impl Shape {
    /// A network for tests to change.
    #[cfg(test)]
    pub(super) fn small() -> Self {
        Shape {
            patch: 4,
            grid: 3,
            hidden: 8,
            blocks: 2,
            heads: 2,
            mlp: Mlp { width: 16, activation: Activation::Gelu },
            norms: Norms { epsilon: f64::from(1e-6_f32), first: false, layer_scale: false },
            patch_bias: true,
            qkv_bias: true,
            projection: None,
            magnitude_scales: true,
        }
    }

    /// Side of the images in pixels.
    pub fn side(&self) -> usize {
        self.grid * self.patch
    }

    /// The tokens before the patches: what each kind is called, and how many there are. The class
    /// token is the first.
    pub fn leading(&self) -> impl Iterator<Item = (&'static str, usize)> + use<> {
        [("cls", 1)].into_iter()
    }

    /// Number of tokens.
    pub fn tokens(&self) -> usize {
        self.patches().end
    }

    /// The tokens that are patches.
    pub fn patches(&self) -> Range<usize> {
        let leading = self.leading().map(|(_, count)| count).sum::<usize>();
        leading..leading + self.grid * self.grid
    }

    /// The token whose row becomes the feature.
    pub fn pooled(&self) -> usize {
        0
    }

    /// Width of a head.
    pub fn head_width(&self) -> usize {
        self.hidden / self.heads
    }

    /// What scores are multiplied with before the softmax.
    pub fn attention_scale(&self) -> f64 {
        1.0 / (self.head_width() as f64).sqrt()
    }

    /// Width of the feature.
    pub fn feature(&self) -> usize {
        self.projection.unwrap_or(self.hidden)
    }

    /// Values of a patch.
    pub fn patch_values(&self) -> usize {
        3 * self.patch * self.patch
    }

    /// The linear layers that modules adapt.
    pub fn sites(&self) -> impl Iterator<Item = Site> + use<> {
        let block = |block| Layer::ALL.into_iter().map(move |layer| Site::Block(block, layer));
        (0..self.blocks).flat_map(block).chain(self.projection.map(|_| Site::Projection))
    }

    /// The site of this name; none if there is no such site.
    pub fn site(&self, name: &str) -> Option<Site> {
        self.sites().find(|site| site.to_string() == name)
    }

    /// Inputs and outputs of a site.
    pub fn widths(&self, site: Site) -> (usize, usize) {
        match site {
            Site::Block(_, Layer::Fc1) => (self.hidden, self.mlp.width),
            Site::Block(_, Layer::Fc2) => (self.mlp.width, self.hidden),
            Site::Block(..) => (self.hidden, self.hidden),
            Site::Projection => (self.hidden, self.feature()),
        }
    }

    /// Whether a site has a bias.
    pub fn biased(&self, site: Site) -> bool {
        match site {
            Site::Block(_, Layer::Q | Layer::K | Layer::V) => self.qkv_bias,
            Site::Block(..) => true,
            Site::Projection => false,
        }
    }
}
