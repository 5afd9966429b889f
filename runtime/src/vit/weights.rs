//! A transformer's weights, packed once for the processor.

use std::collections::BTreeMap;

use rayon::ThreadPool;
use rayon::iter::{IntoParallelIterator, ParallelIterator};

use super::shape::{Pooling, Positions, Shape};
use super::site::{ByLayer, Site};
use crate::Error;
use crate::bundle::refused;
use crate::kernel::{Half, HalfPanels, Int8Panels, Level, Panels};
use crate::tensors::{Dtype, View};

/// The weights of a network of some shape.
pub(super) struct Weights {
    /// `[patch values, hidden]`, in floating point.
    pub patch: Linear,
    /// What an image's tokens begin as, `[tokens, hidden]`: the learned ones, and positions.
    pub start: Vec<f32>,
    pub rotary: Option<Rotary>,
    /// Before the first block.
    pub first_norm: Option<Norm>,
    pub blocks: Vec<Block>,
    pub norm: Norm,
    pub pool: Option<Pool>,
    pub projection: Option<Linear>,
}

/// What queries and keys are rotated by, `[patches, head width]` each.
pub(super) struct Rotary {
    pub cos: Vec<f32>,
    pub sin: Vec<f32>,
}

pub(super) struct Block {
    pub norm1: Norm,
    pub linears: ByLayer<Linear>,
    /// Of the queries and keys of each head.
    pub head_norms: Option<[Norm; 2]>,
    /// Of the branch with attention, `[hidden]`.
    pub scale1: Option<Vec<f32>>,
    pub norm2: Norm,
    /// Of the branch with the MLP, `[hidden]`.
    pub scale2: Option<Vec<f32>>,
}

/// The head that pools by attention.
pub(super) struct Pool {
    /// `[hidden]`
    pub probe: Vec<f32>,
    pub linears: ByLayer<Linear>,
    pub norm: Norm,
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
        let numbers = 0..shape.blocks;
        let blocks = match pool {
            None => numbers.map(|number| reader.block(number)).collect::<Result<_, _>>()?,
            Some(pool) => pool.install(|| {
                let blocks = numbers.into_par_iter().map(|number| reader.block(number));
                blocks.collect::<Result<_, _>>()
            })?,
        };
        let first_norm =
            shape.norms.first.then(|| reader.norm("embed.norm", hidden)).transpose()?;
        let projection = shape.projection.map(|_| reader.linear(Site::Projection)).transpose()?;
        Ok(Weights {
            patch: Linear { weight: patch, bias: reader.optional(PATCH_BIAS, shape.patch_bias)? },
            start: reader.start()?,
            rotary: reader.rotary()?,
            first_norm,
            blocks,
            norm: reader.norm("norm", hidden)?,
            pool: reader.pool()?,
            projection,
        })
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        let embedding = self.patch.bytes()
            + size_of_val(&*self.start)
            + self.rotary.as_ref().map_or(0, |tables| 2 * size_of_val(&*tables.cos));
        let ends = self.first_norm.as_ref().map_or(0, Norm::bytes)
            + self.norm.bytes()
            + self.pool.as_ref().map_or(0, Pool::bytes)
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
            + self.head_norms.iter().flatten().map(Norm::bytes).sum::<usize>()
            + optional(&self.scale1)
            + optional(&self.scale2)
    }
}

impl Pool {
    fn bytes(&self) -> usize {
        let linears = self.linears.iter().map(Linear::bytes).sum::<usize>();
        linears + self.norm.bytes() + size_of_val(&*self.probe)
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
        let head_norm = |part| self.norm(&name(part), self.shape.head_width());
        Ok(Block {
            norm1: self.norm(&name("norm1"), self.shape.hidden)?,
            linears: ByLayer::of(self.shape.layers(), |layer| {
                self.linear(Site::Block(number, layer))
            })?,
            head_norms: if self.shape.norms.queries_and_keys {
                Some([head_norm("attn.q_norm")?, head_norm("attn.k_norm")?])
            } else {
                None
            },
            scale1: scale("scale1")?,
            norm2: self.norm(&name("norm2"), self.shape.hidden)?,
            scale2: scale("scale2")?,
        })
    }

    /// The head that pools, if there is one.
    fn pool(&self) -> Result<Option<Pool>, Error> {
        let Pooling::Attention { .. } = self.shape.pooling else { return Ok(None) };
        let linears =
            ByLayer::of(self.shape.pool_layers(), |layer| self.linear(Site::Pool(layer)))?;
        let probe = self.values("pool.probe", self.shape.hidden)?;
        Ok(Some(Pool { probe, linears, norm: self.norm("pool.norm", self.shape.hidden)? }))
    }

    /// What tokens begin as: the learned ones with their positions, and positions where patches go.
    fn start(&self) -> Result<Vec<f32>, Error> {
        let Shape { hidden, class_token, .. } = *self.shape;
        let mut start = vec![0.0; self.shape.tokens() * hidden];
        let (leading, patches) = start.split_at_mut(self.shape.patches().start * hidden);
        if self.shape.positions == Positions::Learned {
            let table = self.values("embed.positions", self.shape.position_rows() * hidden)?;
            let (class, rest) = table.split_at(usize::from(class_token) * hidden);
            leading[..class.len()].copy_from_slice(class);
            patches.copy_from_slice(rest);
        }
        let mut leading = leading;
        for (kind, count) in self.shape.leading() {
            let (own, rest) = leading.split_at_mut(count * hidden);
            let tokens = self.values(&format!("embed.{kind}"), own.len())?;
            own.iter_mut().zip(&tokens).for_each(|(x, token)| *x += token);
            leading = rest;
        }
        Ok(start)
    }

    /// The tables that patches are rotated by, if they are.
    fn rotary(&self) -> Result<Option<Rotary>, Error> {
        let count = self.shape.patches().len() * self.shape.head_width();
        let table = |name| self.values(name, count);
        Ok(match self.shape.positions {
            Positions::Learned => None,
            Positions::Rotary => {
                Some(Rotary { cos: table("rotary.cos")?, sin: table("rotary.sin")? })
            }
        })
    }

    /// The norm of rows of `width` values.
    fn norm(&self, name: &str, width: usize) -> Result<Norm, Error> {
        let vector = |part: &str| self.values(&format!("{name}.{part}"), width);
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
