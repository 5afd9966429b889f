//! What a vision transformer is: its tokens, its widths, and what its blocks are made of. The
//! graph's writer, the forward pass here and packer's go by it.

use std::ops::Range;

use super::site::{Layer, Site};

/// A vision transformer for square images of one size.
///
/// Its tokens are the class token if it has one, its registers, and the patches of the image, row
/// by row.
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
    /// Whether the first token is a learned one that stands for the whole image.
    pub class_token: bool,
    /// Learned tokens before the patches that the feature is not made of (Darcet et al. 2024).
    pub registers: usize,
    /// How tokens know where they are.
    pub positions: Positions,
    /// The MLP of each block.
    pub mlp: Mlp,
    /// The norms, and what scales the branches that they begin.
    pub norms: Norms,
    /// Whether a bias is added to embedded patches.
    pub patch_bias: bool,
    /// Whether queries, keys and values have a bias.
    pub qkv_bias: bool,
    /// Whether keys have one where queries and values have.
    pub key_bias: bool,
    /// What of the last tokens becomes the feature.
    pub pooling: Pooling,
    /// Width of the linear layer after pooling, which has no bias (CLIP).
    pub projection: Option<usize>,
    /// Whether each site takes a magnitude scale (DoRA). Graphs of the first packers take none.
    pub magnitude_scales: bool,
}

/// How tokens know where they are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Positions {
    /// By a table: a row is added to the class token, and one to each patch. Registers have none.
    Learned,
    /// By rotation of the queries and keys of patches (Su et al. 2021, arXiv 2104.09864, in two
    /// dimensions as DINOv3 has it). Cosines and sines are tables of the graph, `[patches, head
    /// width]`. Heads are a multiple of four values wide.
    Rotary,
}

/// What of the last tokens becomes the feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// The class token, after the last norm.
    Class,
    /// The mean of the patches, each after the last norm.
    Mean,
    /// The last norm of the mean of the patches.
    NormOfMean,
    /// The class token and the mean of the patches side by side, after the last norm.
    ClassMean,
    /// One learned query that attends to all tokens after the last norm, and an MLP beside it
    /// (SigLIP).
    Attention {
        /// Heads; they divide the width of a token.
        heads: usize,
        /// Values between the layers of the MLP.
        mlp: usize,
    },
}

/// Two linear layers with an activation between them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mlp {
    /// Values between the layers.
    pub width: usize,
    /// What is applied to each of them.
    pub activation: Activation,
    /// Whether the activation is of a third layer, the gate, whose values those of the first are
    /// multiplied with (SwiGLU, Shazeer 2020).
    pub gated: bool,
}

/// The function between the layers of an MLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `x Phi(x)`, Phi being the normal distribution function (Hendrycks & Gimpel 2016).
    Gelu,
    /// `x sigmoid(1.702 x)`, as CLIP uses it.
    QuickGelu,
    /// `x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2`, as SigLIP uses it.
    GeluTanh,
    /// `x sigmoid(x)`, as SwiGLU uses it.
    Silu,
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
    /// Whether the queries and keys of each head are normalised (Henry et al. 2020).
    pub queries_and_keys: bool,
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
            class_token: true,
            registers: 0,
            positions: Positions::Learned,
            mlp: Mlp { width: 16, activation: Activation::Gelu, gated: false },
            norms: Norms {
                epsilon: f64::from(1e-6_f32),
                first: false,
                layer_scale: false,
                queries_and_keys: false,
            },
            patch_bias: true,
            qkv_bias: true,
            key_bias: true,
            pooling: Pooling::Class,
            projection: None,
            magnitude_scales: true,
        }
    }

    /// Side of the images in pixels.
    pub fn side(&self) -> usize {
        self.grid * self.patch
    }

    /// The tokens before the patches: what each kind is called, and how many there are.
    pub fn leading(&self) -> impl Iterator<Item = (&'static str, usize)> + use<> {
        let kinds = [("cls", usize::from(self.class_token)), ("registers", self.registers)];
        kinds.into_iter().filter(|(_, count)| *count > 0)
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

    /// Rows of the table of positions: one for the class token, one for each patch.
    pub fn position_rows(&self) -> usize {
        match self.positions {
            Positions::Learned => usize::from(self.class_token) + self.patches().len(),
            Positions::Rotary => 0,
        }
    }

    /// The first tokens whose queries a block needs: in the `last` one those that are pooled.
    pub(super) fn asked(&self, last: bool) -> usize {
        if last && self.pooling == Pooling::Class { 1 } else { self.tokens() }
    }

    /// Width of a head.
    pub fn head_width(&self) -> usize {
        self.hidden / self.heads
    }

    /// What scores are multiplied with before the softmax.
    pub fn attention_scale(&self) -> f64 {
        self.scale_of(self.heads)
    }

    /// The same in an attention of so many heads.
    pub(super) fn scale_of(&self, heads: usize) -> f64 {
        1.0 / ((self.hidden / heads) as f64).sqrt()
    }

    /// Width of what is pooled of the last tokens.
    pub fn pooled_width(&self) -> usize {
        if self.pooling == Pooling::ClassMean { 2 * self.hidden } else { self.hidden }
    }

    /// Width of the feature.
    pub fn feature(&self) -> usize {
        self.projection.unwrap_or(self.pooled_width())
    }

    /// Values of a patch.
    pub fn patch_values(&self) -> usize {
        3 * self.patch * self.patch
    }

    /// The linear layers of each block, in the order in which they are computed.
    pub fn layers(&self) -> impl Iterator<Item = Layer> + use<> {
        let gated = self.mlp.gated;
        Layer::ALL.into_iter().filter(move |layer| gated || *layer != Layer::Gate)
    }

    /// The linear layers of the head that pools by attention; none without one.
    pub fn pool_layers(&self) -> impl Iterator<Item = Layer> + use<> {
        let pools = matches!(self.pooling, Pooling::Attention { .. });
        Layer::ALL.into_iter().filter(move |layer| pools && *layer != Layer::Gate)
    }

    /// The linear layers that modules adapt.
    pub fn sites(&self) -> impl Iterator<Item = Site> + use<> {
        let layers: Vec<Layer> = self.layers().collect();
        let block =
            move |block| layers.clone().into_iter().map(move |layer| Site::Block(block, layer));
        let after = self.pool_layers().map(Site::Pool);
        let projection = self.projection.map(|_| Site::Projection);
        (0..self.blocks).flat_map(block).chain(after).chain(projection)
    }

    /// The site of this name; none if there is no such site.
    pub fn site(&self, name: &str) -> Option<Site> {
        self.sites().find(|site| site.to_string() == name)
    }

    /// Inputs and outputs of a site.
    pub fn widths(&self, site: Site) -> (usize, usize) {
        let inner = match (site, self.pooling) {
            (Site::Pool(_), Pooling::Attention { mlp, .. }) => mlp,
            _ => self.mlp.width,
        };
        match site {
            Site::Block(_, Layer::Gate | Layer::Fc1) | Site::Pool(Layer::Gate | Layer::Fc1) => {
                (self.hidden, inner)
            }
            Site::Block(_, Layer::Fc2) | Site::Pool(Layer::Fc2) => (inner, self.hidden),
            Site::Block(..) | Site::Pool(_) => (self.hidden, self.hidden),
            Site::Projection => (self.pooled_width(), self.feature()),
        }
    }

    /// Whether a site has a bias.
    pub fn biased(&self, site: Site) -> bool {
        match site {
            Site::Block(_, Layer::Q | Layer::V) => self.qkv_bias,
            Site::Block(_, Layer::K) => self.qkv_bias && self.key_bias,
            Site::Block(..) | Site::Pool(_) => true,
            Site::Projection => false,
        }
    }
}

/// Small networks with every part in every company, for tests.
#[cfg(test)]
pub(super) fn variants() -> Vec<Shape> {
    let either = [false, true];
    let mut all = vec![Shape::small()];
    let mut also = |change: &dyn Fn(&mut Shape)| {
        let mut changed = all.clone();
        changed.iter_mut().for_each(change);
        all.extend(changed);
    };
    also(&|shape| shape.registers = 3);
    also(&|shape| shape.positions = Positions::Rotary);
    also(&|shape| shape.mlp.gated = true);
    also(&|shape| shape.norms.queries_and_keys = true);
    also(&|shape| shape.key_bias = false);
    also(&|shape| shape.norms.first = true);
    also(&|shape| shape.projection = Some(6));
    let activations = [Activation::Gelu, Activation::Silu, Activation::GeluTanh];
    let poolings = [
        Pooling::Class,
        Pooling::Mean,
        Pooling::NormOfMean,
        Pooling::ClassMean,
        Pooling::Attention { heads: 4, mlp: 20 },
    ];
    let mut found = Vec::new();
    for (index, shape) in all.into_iter().enumerate() {
        for (pooling, class_token) in poolings.into_iter().flat_map(|p| either.map(|c| (p, c))) {
            if class_token || !matches!(pooling, Pooling::Class | Pooling::ClassMean) {
                let mut shape = Shape { pooling, class_token, ..shape.clone() };
                shape.mlp.activation = activations[index % activations.len()];
                found.push(shape);
            }
        }
    }
    found
}
