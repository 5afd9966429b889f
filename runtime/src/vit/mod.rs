//! A vision transformer that runs on kernels of its own: weights packed once for the processor,
//! LoRA branches beside every linear layer.
//!
//! It runs the graphs that `packer` writes, and no others.

mod adapter;
mod cost;
mod forward;
mod layout;
mod rollout;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use rayon::ThreadPool;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use crate::Error;
use crate::bundle::refused;
use crate::kernel::{Int8Panels, Level, Panels};
use crate::tensors::View;

pub(crate) use adapter::{Adapter, SiteFactors};
pub(crate) use cost::Taken;
use forward::Stream;
pub use forward::{Seen, Spread};
use layout::{BlockNames, LinearNames, NormNames};
pub(crate) use layout::{Layout, recognise};

/// A transformer ready to run.
pub(crate) struct Vit {
    level: Level,
    layout: Layout,
    patch: Panels,
    patch_bias: Option<Vec<f32>>,
    cls: Vec<f32>,
    positions: Vec<f32>,
    pre_norm: Option<Norm>,
    blocks: Vec<Block>,
    norm: Norm,
    projection: Option<Linear>,
    threads: Option<(Arc<ThreadPool>, Spread)>,
    /// Buffers of calls that have ended, for the next ones.
    spare: Mutex<Vec<Stream>>,
}

struct Block {
    norm1: Norm,
    /// q, k, v
    qkv: [Linear; 3],
    o: Linear,
    scale1: Option<Vec<f32>>,
    norm2: Norm,
    fc1: Linear,
    fc2: Linear,
    scale2: Option<Vec<f32>>,
}

struct Norm {
    weight: Vec<f32>,
    bias: Vec<f32>,
}

struct Linear {
    weight: Weight,
    bias: Option<Vec<f32>>,
}

enum Weight {
    Full(Panels),
    Int8(Int8Panels),
}

/// In how many bits the linear layers of the blocks are multiplied; everything else, LoRA too, has
/// 32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// 32-bit floating point.
    #[default]
    F32,
    /// Eight-bit whole numbers, a scale for each column of weights and for each row of activations.
    Int8,
}

impl Linear {
    /// Inputs and outputs.
    fn shape(&self) -> (usize, usize) {
        match &self.weight {
            Weight::Full(panels) => (panels.k, panels.n),
            Weight::Int8(panels) => (panels.k, panels.n),
        }
    }
}

impl Vit {
    /// Reads and packs `weights`. That and calls use `threads`, or their caller's alone.
    pub fn new(
        level: Level,
        layout: Layout,
        weights: &BTreeMap<String, View>,
        precision: Precision,
        threads: Option<(Arc<ThreadPool>, Spread)>,
    ) -> Result<Self, Error> {
        let view = |name: &str| {
            weights
                .get(name)
                .ok_or_else(|| Error::Device { what: format!("the weight {name} is missing") })
        };
        let take = |name: &str, values: usize| {
            let data = view(name)?.read().map_err(refused)?.data;
            if data.len() == values {
                Ok(data)
            } else {
                Err(Error::Device {
                    what: format!("the weight {name} does not have {values} values"),
                })
            }
        };
        let full =
            |error: std::io::Error| Error::Memory { what: format!("the base's weights: {error}") };
        let hidden = layout.hidden;
        let area = 3 * layout.patch * layout.patch;
        let patch = Panels::new(level, area, hidden, &take(&layout.patch_weight, area * hidden)?);
        let patch_bias = layout.patch_bias.as_ref().map(|bias| take(bias, hidden)).transpose()?;
        let cls = take(&layout.cls, hidden)?;
        let positions = take(&layout.positions, (1 + layout.grid * layout.grid) * hidden)?;
        let norm = |names: &NormNames| {
            Ok::<_, Error>(Norm {
                weight: take(&names.weight, hidden)?,
                bias: take(&names.bias, hidden)?,
            })
        };
        let linear = |names: &LinearNames| {
            let (inputs, outputs) = (names.inputs, names.outputs);
            let weight = match precision {
                Precision::F32 => {
                    let mut panels = Panels::weights(level, inputs, outputs).map_err(full)?;
                    let packed = view(&names.weight)?
                        .rows(outputs, |row, values| panels.set_row(row, values));
                    packed.map_err(refused)?;
                    Weight::Full(panels)
                }
                Precision::Int8 => {
                    let view = view(&names.weight)?;
                    let rows = |each: &mut dyn FnMut(usize, &[f32])| view.rows(outputs, each);
                    Weight::Int8(Int8Panels::of(level, inputs, outputs, rows).map_err(refused)?)
                }
            };
            let bias = names.bias.as_ref().map(|bias| take(bias, names.outputs)).transpose()?;
            Ok::<_, Error>(Linear { weight, bias })
        };
        let block = |names: &BlockNames| {
            let (norm1, norm2) = (norm(&names.norm1)?, norm(&names.norm2)?);
            let scale =
                |name: &Option<String>| name.as_ref().map(|name| take(name, hidden)).transpose();
            let (scale1, scale2) = (scale(&names.scale1)?, scale(&names.scale2)?);
            let [q, k, v] = &names.qkv;
            let qkv = [linear(q)?, linear(k)?, linear(v)?];
            let (o, fc1, fc2) = (linear(&names.o)?, linear(&names.fc1)?, linear(&names.fc2)?);
            Ok::<_, Error>(Block { norm1, qkv, o, scale1, norm2, fc1, fc2, scale2 })
        };
        let blocks = match &threads {
            None => layout.blocks.iter().map(block).collect::<Result<_, _>>()?,
            Some((pool, _)) => {
                pool.install(|| layout.blocks.par_iter().map(block).collect::<Result<_, _>>())?
            }
        };
        let pre_norm = layout.pre_norm.as_ref().map(norm).transpose()?;
        let projection = layout.projection.as_ref().map(linear).transpose()?;
        let norm = norm(&layout.norm)?;
        let spare = Mutex::default();
        Ok(Vit {
            level,
            layout,
            patch,
            patch_bias,
            cls,
            positions,
            pre_norm,
            blocks,
            norm,
            projection,
            threads,
            spare,
        })
    }

    /// Lets go of the pool without ending its threads.
    pub fn forget_threads(&mut self) {
        std::mem::forget(self.threads.take());
    }

    /// The transformer that it is.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Bytes of weights in memory.
    pub fn bytes(&self) -> usize {
        let vectors = |values: &[f32]| size_of_val(values);
        let optional = |values: &Option<Vec<f32>>| values.as_deref().map_or(0, vectors);
        let weight = |weight: &Weight| match weight {
            Weight::Full(panels) => panels.bytes(),
            Weight::Int8(panels) => panels.bytes(),
        };
        let linear = |linear: &Linear| weight(&linear.weight) + optional(&linear.bias);
        let norm = |norm: &Norm| vectors(&norm.weight) + vectors(&norm.bias);
        let block = |block: &Block| {
            let layers = block
                .qkv
                .iter()
                .chain([&block.o, &block.fc1, &block.fc2])
                .map(linear)
                .sum::<usize>();
            layers
                + norm(&block.norm1)
                + norm(&block.norm2)
                + optional(&block.scale1)
                + optional(&block.scale2)
        };
        let embedding = self.patch.bytes()
            + optional(&self.patch_bias)
            + vectors(&self.cls)
            + vectors(&self.positions);
        let ends = self.pre_norm.as_ref().map_or(0, norm)
            + norm(&self.norm)
            + self.projection.as_ref().map_or(0, linear);
        embedding + self.blocks.iter().map(block).sum::<usize>() + ends
    }

    /// Bytes of buffers that wait for the next call.
    pub fn scratch(&self) -> usize {
        self.spare.lock().map_or(0, |spare| spare.iter().map(Stream::bytes).sum())
    }

    /// Tokens of one image: CLS and patches.
    fn tokens(&self) -> usize {
        1 + self.layout.grid * self.layout.grid
    }
}
