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
    Dinov2WithRegisters,
    Dinov3,
    Siglip,
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
    /// Whether there is no class token.
    #[serde(default, skip_serializing_if = "usual")]
    pub no_class_token: bool,
    /// Learned tokens between the class token and the patches.
    #[serde(default, skip_serializing_if = "usual")]
    pub registers: usize,
    #[serde(default, skip_serializing_if = "usual")]
    pub positions: Positions,
    #[serde(default, skip_serializing_if = "usual")]
    pub interpolation: Interpolation,
    /// Whether the MLP has a gate (SwiGLU).
    #[serde(default, skip_serializing_if = "usual")]
    pub gated: bool,
    /// Whether keys have no bias where queries and values have one.
    #[serde(default, skip_serializing_if = "usual")]
    pub no_key_bias: bool,
    /// Whether the queries and keys of each head are normalised.
    #[serde(default, skip_serializing_if = "usual")]
    pub qk_norm: bool,
    #[serde(default, skip_serializing_if = "usual")]
    pub pooling: Pooling,
}

/// How tokens know where they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Positions {
    /// By a table of the class token and the patches.
    #[default]
    Learned,
    /// By rotation of the queries and keys of patches.
    Rotary {
        /// The longest wave is so many times the shortest.
        theta: f64,
    },
}

/// How a table of positions is brought to another size of images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Interpolation {
    /// By bicubic interpolation.
    #[default]
    Plain,
    /// By bicubic interpolation whose kernel widens when the table shrinks.
    Antialias,
}

/// What of the last tokens becomes the feature: [`vit::Pooling`], as configurations have it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    #[default]
    Class,
    Mean,
    NormOfMean,
    ClassMean,
    Attention {
        heads: usize,
        mlp: usize,
    },
}

impl Pooling {
    /// What becomes the feature, in words.
    pub fn words(self) -> &'static str {
        match self {
            Pooling::Class => "the class token",
            Pooling::Mean => "the mean of the patches",
            Pooling::NormOfMean => "the norm of the mean of the patches",
            Pooling::ClassMean => "the class token and the mean of the patches",
            Pooling::Attention { .. } => "what a head that pools by attention gives",
        }
    }

    /// Whether the class token is part of it.
    pub fn of_class_token(self) -> bool {
        matches!(self, Pooling::Class | Pooling::ClassMean)
    }
}

/// Whether a value is what it is left out for.
fn usual<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Family {
    /// Its name in modules' cards and bundles.
    pub fn name(self) -> &'static str {
        match self {
            Family::Clip => "clip",
            Family::Dinov2 => "dinov2",
            Family::Dinov2WithRegisters => "dinov2_with_registers",
            Family::Dinov3 => "dinov3_vit",
            Family::Siglip => "siglip",
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
        no_class_token: false,
        registers: 0,
        positions: Positions::Learned,
        interpolation: Interpolation::Plain,
        gated: false,
        no_key_bias: false,
        qk_norm: false,
        pooling: Pooling::Class,
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
            class_token: !self.no_class_token,
            registers: self.registers,
            positions: match self.positions {
                Positions::Learned => vit::Positions::Learned,
                Positions::Rotary { .. } => vit::Positions::Rotary,
            },
            mlp: Mlp {
                width: self.mlp,
                activation: match self.activation {
                    Activation::Gelu => vit::Activation::Gelu,
                    Activation::QuickGelu => vit::Activation::QuickGelu,
                    Activation::GeluTanh => vit::Activation::GeluTanh,
                    Activation::Silu => vit::Activation::Silu,
                },
                gated: self.gated,
            },
            norms: Norms {
                epsilon: self.eps,
                first: clip,
                layer_scale: self.layer_scale,
                queries_and_keys: self.qk_norm,
            },
            patch_bias: !clip,
            qkv_bias: self.qkv_bias,
            key_bias: !self.no_key_bias,
            pooling: self.pooling.into(),
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
        self.shape(self.patch).feature()
    }

    /// Images of `size` pixels for which one layer's attention stays within a bound; less than one
    /// for a size too large.
    pub fn images_per_pass(&self, size: usize) -> usize {
        let tokens = self.tokens(size);
        MAX_PASS
            / (self.heads * tokens * tokens + tokens * self.mlp * (1 + usize::from(self.gated)))
    }

    /// Values of the largest buffer that a pass over one image of `size` pixels makes.
    pub fn largest_values(&self, size: usize) -> usize {
        let tokens = self.tokens(size);
        let scores = self.heads * tokens * tokens.next_multiple_of(4);
        (tokens * self.mlp.max(3 * self.patch * self.patch)).max(scores).max(3 * size * size)
    }

    /// Values that a training step keeps for one image of `size` pixels until its backward pass:
    /// per block about seven token widths, two more where queries and keys are normalised, the MLP
    /// before its activation, with a gate also that and its product, and where the device
    /// [keeps](crate::device::Device::keeps_softmax) it, the softmax.
    pub fn training_values(&self, size: usize, keeps_softmax: bool) -> usize {
        let tokens = self.tokens(size);
        let softmax = if keeps_softmax { self.heads * tokens } else { 0 };
        let widths = if self.qk_norm { 9 } else { 7 };
        let inner = if self.gated { 3 } else { 1 };
        self.layers * tokens * (widths * self.hidden + inner * self.mlp + softmax)
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

impl From<Pooling> for vit::Pooling {
    fn from(pooling: Pooling) -> Self {
        match pooling {
            Pooling::Class => vit::Pooling::Class,
            Pooling::Mean => vit::Pooling::Mean,
            Pooling::NormOfMean => vit::Pooling::NormOfMean,
            Pooling::ClassMean => vit::Pooling::ClassMean,
            Pooling::Attention { heads, mlp } => vit::Pooling::Attention { heads, mlp },
        }
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
/// Most registers.
pub(super) const MAX_REGISTERS: usize = 256;
/// Most blocks: as many as a device runs.
pub(super) const MAX_LAYERS: usize = vit::MOST_BLOCKS;
