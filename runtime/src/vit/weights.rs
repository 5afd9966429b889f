//! A transformer's weights, packed once for the processor.

use std::collections::BTreeMap;

use rayon::ThreadPool;
use rayon::iter::{IntoParallelIterator, ParallelIterator};

use super::shape::Shape;
use super::site::{ByLayer, Layer, Site};
use crate::Error;
use crate::bundle::refused;
use crate::kernel::{Half, HalfPanels, Int8Panels, Level, Panels};
use crate::tensors::{Dtype, View};

/// The weights of a network of some shape.
pub(super) struct Weights {
    /// `[patch values, hidden]`, in floating point.
    pub patch: Linear,
    /// The tokens before the patches, `[tokens, hidden]`.
    pub leading: Vec<f32>,
    /// `[tokens, hidden]`
    pub positions: Vec<f32>,
    /// Before the first block.
    pub first_norm: Option<Norm>,
    pub blocks: Vec<Block>,
    pub norm: Norm,
    pub projection: Option<Linear>,
}

pub(super) struct Block {
    pub norm1: Norm,
    pub linears: ByLayer<Linear>,
    /// Of the branch with attention, `[hidden]`.
    pub scale1: Option<Vec<f32>>,
    pub norm2: Norm,
    /// Of the branch with the MLP, `[hidden]`.
    pub scale2: Option<Vec<f32>>,
}

pub(super) struct Norm {
    pub weight: Vec<f32>,
    pub bias: Vec<f32>,
}

pub(super) struct Linear {
    pub weight: Weight,
    pub bias: Option<Vec<f32>>,
}

pub(super) enum Weight {
    Full(Panels),
    /// Stored in 16 bits, and kept so.
    Half(HalfPanels),
    Int8(Int8Panels),
}

/// In how many bits the linear layers of the blocks are multiplied. Everything else, LoRA too, has
/// 32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// 32-bit floating point. Weights that are stored in 16 bits stay so in memory.
    #[default]
    F32,
    /// Eight-bit whole numbers, a scale for each column of weights and for each row of activations.
    Int8,
}

impl Weights {
    /// Reads and packs the weights of `shape`, on the threads of `pool` or on the caller's.
    pub fn read(
        level: Level,
        shape: &Shape,
        views: &BTreeMap<String, View>,
        precision: Precision,
        pool: Option<&ThreadPool>,
    ) -> Result<Self, Error> {
        let reader = Reader { level, shape, views, precision };
        let hidden = shape.hidden;
        let patch = reader.floating(PATCH, shape.patch_values(), hidden)?;
        let leading = shape
            .leading()
            .map(|(kind, count)| reader.values(&format!("embed.{kind}"), count * hidden));
        let numbers = 0..shape.blocks;
        let blocks = match pool {
            None => numbers.map(|number| reader.block(number)).collect::<Result<_, _>>()?,
            Some(pool) => pool.install(|| {
                let blocks = numbers.into_par_iter().map(|number| reader.block(number));
                blocks.collect::<Result<_, _>>()
            })?,
        };
        let first_norm = shape.norms.first.then(|| reader.norm("embed.norm")).transpose()?;
        let projection = shape.projection.map(|_| reader.linear(Site::Projection)).transpose()?;
        Ok(Weights {
            patch: Linear { weight: patch, bias: reader.optional(PATCH_BIAS, shape.patch_bias)? },
            leading: leading.collect::<Result<Vec<_>, _>>()?.concat(),
            positions: reader.values("embed.positions", shape.tokens() * hidden)?,
            first_norm,
            blocks,
            norm: reader.norm("norm")?,
            projection,
        })
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        let embedding =
            self.patch.bytes() + size_of_val(&*self.leading) + size_of_val(&*self.positions);
        let ends = self.first_norm.as_ref().map_or(0, Norm::bytes)
            + self.norm.bytes()
            + self.projection.as_ref().map_or(0, Linear::bytes);
        embedding + self.blocks.iter().map(Block::bytes).sum::<usize>() + ends
    }

    /// Values of the widest panel of 16 bits; zero where there is none.
    pub fn widest(&self) -> usize {
        let blocks = self.blocks.iter().flat_map(|block| block.linears.iter());
        blocks.chain([&self.patch]).chain(&self.projection).map(Linear::widest).max().unwrap_or(0)
    }
}

impl Block {
    fn bytes(&self) -> usize {
        self.linears.iter().map(Linear::bytes).sum::<usize>()
            + self.norm1.bytes()
            + self.norm2.bytes()
            + optional(&self.scale1)
            + optional(&self.scale2)
    }
}

impl Norm {
    fn bytes(&self) -> usize {
        size_of_val(&*self.weight) + size_of_val(&*self.bias)
    }
}

impl Linear {
    /// Inputs and outputs.
    pub fn widths(&self) -> (usize, usize) {
        match &self.weight {
            Weight::Full(panels) => (panels.k, panels.n),
            Weight::Half(panels) => (panels.k, panels.n),
            Weight::Int8(panels) => (panels.k, panels.n),
        }
    }

    fn bytes(&self) -> usize {
        let weight = match &self.weight {
            Weight::Full(panels) => panels.bytes(),
            Weight::Half(panels) => panels.bytes(),
            Weight::Int8(panels) => panels.bytes(),
        };
        weight + optional(&self.bias)
    }

    fn widest(&self) -> usize {
        if let Weight::Half(panels) = &self.weight { panels.widest() } else { 0 }
    }
}

/// The type of 16 bits that a tensor is stored in.
fn half(view: &View) -> Option<Half> {
    match view.dtype()? {
        Dtype::F32 => None,
        Dtype::F16 => Some(Half::F16),
        Dtype::BF16 => Some(Half::Bf16),
    }
}

fn optional(values: &Option<Vec<f32>>) -> usize {
    values.as_deref().map_or(0, size_of_val)
}

/// The embedding of patches.
pub(super) const PATCH: &str = "embed.patch.weight";
const PATCH_BIAS: &str = "embed.patch.bias";

/// Reads weights by name.
struct Reader<'a> {
    level: Level,
    shape: &'a Shape,
    views: &'a BTreeMap<String, View<'a>>,
    precision: Precision,
}

impl Reader<'_> {
    fn block(&self, number: usize) -> Result<Block, Error> {
        let name = |part: &str| format!("blocks.{number}.{part}");
        let scale = |part| self.optional(&name(part), self.shape.norms.layer_scale);
        Ok(Block {
            norm1: self.norm(&name("norm1"))?,
            linears: ByLayer::of(|layer: Layer| self.linear(Site::Block(number, layer)))?,
            scale1: scale("scale1")?,
            norm2: self.norm(&name("norm2"))?,
            scale2: scale("scale2")?,
        })
    }

    fn norm(&self, name: &str) -> Result<Norm, Error> {
        let vector = |part: &str| self.values(&format!("{name}.{part}"), self.shape.hidden);
        Ok(Norm { weight: vector("weight")?, bias: vector("bias")? })
    }

    fn linear(&self, site: Site) -> Result<Linear, Error> {
        let (inputs, outputs) = self.shape.widths(site);
        let weight = match self.precision {
            Precision::F32 => self.floating(&site.weight(), inputs, outputs)?,
            Precision::Int8 => {
                let view = self.view(&site.weight())?;
                let rows = |each: &mut dyn FnMut(usize, &[f32])| view.rows(outputs, each);
                Weight::Int8(Int8Panels::of(self.level, inputs, outputs, rows).map_err(refused)?)
            }
        };
        let biased = self.shape.biased(site);
        let bias = biased.then(|| self.values(&site.bias(), outputs)).transpose()?;
        Ok(Linear { weight, bias })
    }

    /// A matrix `[inputs, outputs]` in the bits that it is stored in.
    fn floating(&self, name: &str, inputs: usize, outputs: usize) -> Result<Weight, Error> {
        let (level, view) = (self.level, self.view(name)?);
        let full = |error| Error::Memory { what: format!("the base's weights: {error}") };
        let Some(half) = half(view) else {
            let mut panels = Panels::weights(level, inputs, outputs).map_err(full)?;
            let packed = view.rows(outputs, |row, values| panels.set_row(row, values));
            return packed.map(|()| Weight::Full(panels)).map_err(refused);
        };
        let mut panels = HalfPanels::weights(level, half, inputs, outputs).map_err(full)?;
        let packed = view.half_rows(outputs, |row, bits| panels.set_row(row, bits));
        packed.map(|()| Weight::Half(panels)).map_err(refused)
    }

    /// A vector of `hidden` values, if it is there.
    fn optional(&self, name: &str, there: bool) -> Result<Option<Vec<f32>>, Error> {
        there.then(|| self.values(name, self.shape.hidden)).transpose()
    }

    fn values(&self, name: &str, count: usize) -> Result<Vec<f32>, Error> {
        let data = self.view(name)?.read().map_err(refused)?.data;
        if data.len() == count {
            return Ok(data);
        }
        Err(Error::Device { what: format!("the weight {name} does not have {count} values") })
    }

    fn view(&self, name: &str) -> Result<&View<'_>, Error> {
        let missing = || Error::Device { what: format!("the weight {name} is missing") };
        self.views.get(name).ok_or_else(missing)
    }
}
