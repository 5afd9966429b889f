//! A base as an ONNX graph, and its weights as that graph wants them. The runtime says what the
//! graph looks like ([`medforge_runtime::vit::graph`]).
//!
//! `base.onnx` of a bundle holds no weights. [`Graph::self_contained`] writes them inline, for
//! other runtimes.
//!
//! Refused: an input size that is no multiple of the patch, and a base with a tensor missing or of
//! a wrong shape.

use std::collections::BTreeMap;

use half::{bf16, f16};
use medforge_runtime::onnx::{ModelProto, OperatorSetIdProto};
use medforge_runtime::tensors::{Dtype, Tensor};
use medforge_runtime::vit::{OPSET, graph};
use prost::Message;

use crate::Error;
use crate::base::{Vit, parameter_shape, positions, rotary};

/// The weights of graphs with rotary positions that follow from the configuration.
const ANGLES: [&str; 2] = ["rotary.cos", "rotary.sin"];

/// A base as ONNX: the graph, and its weights by initialiser name.
pub struct Graph {
    model: ModelProto,
    /// The weights: linear layers as `[in, out]`, positions for the graph's size; f16 or
    /// bf16 where that loses nothing.
    pub tensors: BTreeMap<String, Tensor>,
}

impl Graph {
    /// Writes `vit` as a graph for square images of `size` pixels.
    ///
    /// # Errors
    /// [`Error::ImageSize`], [`Error::TooManyTokens`], [`Error::BaseTensor`].
    pub fn new(vit: &Vit, size: u32) -> Result<Self, Error> {
        vit.config.check_size(size)?;
        let shape = vit.config.shape(size as usize);
        let weights = shape.weights().into_iter().map(|(name, dims)| {
            let data = values(vit, size as usize, &name, &dims)?;
            let dtype = narrowest(&data);
            Ok((name, Tensor { shape: dims, data, dtype }))
        });
        let tensors = weights.collect::<Result<_, Error>>()?;
        let model = ModelProto {
            ir_version: 8,
            opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPSET }],
            producer_name: "medforge-packer".into(),
            producer_version: env!("CARGO_PKG_VERSION").into(),
            graph: Some(graph(&shape)),
            ..ModelProto::default()
        };
        Ok(Graph { model, tensors })
    }

    /// The graph without its weights: `base.onnx` of a bundle.
    pub fn without_weights(&self) -> Vec<u8> {
        self.model.encode_to_vec()
    }

    /// The graph with its weights inline, for any ONNX runtime.
    pub fn self_contained(&self) -> Vec<u8> {
        let mut model = self.model.clone();
        let initialisers = model.graph.iter_mut().flat_map(|g| &mut g.initializer);
        for initialiser in initialisers {
            if let Some(tensor) = self.tensors.get(&initialiser.name) {
                initialiser.data_location = None;
                initialiser.raw_data = tensor.data.iter().flat_map(|v| v.to_le_bytes()).collect();
            }
        }
        model.encode_to_vec()
    }
}

/// The values of a weight as the graph for images of `size` pixels has it, with these `dims`.
fn values(vit: &Vit, size: usize, name: &str, dims: &[usize]) -> Result<Vec<f32>, Error> {
    let own = vit.config.shape(vit.config.image_size);
    if name == "embed.positions" {
        let dims = [1, positions::rows(&own), own.hidden];
        let tensor = tensor(vit, name, parameter_shape(&own, name, &dims))?;
        return Ok(positions::interpolate(&vit.config, &tensor.data, size));
    }
    if let Some(table) = ANGLES.iter().position(|angles| *angles == name)
        && let Some(tables) = rotary::tables(&vit.config, size)
    {
        return Ok(rotary::repeated(&tables[table], &vit.config));
    }
    let tensor = tensor(vit, name, parameter_shape(&own, name, dims))?;
    Ok(match dims {
        [inputs, outputs] => transposed(&tensor.data, *outputs, *inputs),
        _ => tensor.data,
    })
}

/// The type of fewest bits in which every value is exact.
fn narrowest(data: &[f32]) -> Dtype {
    if data.iter().all(|&v| f16::from_f32(v).to_f32() == v) {
        Dtype::F16
    } else if data.iter().all(|&v| bf16::from_f32(v).to_f32() == v) {
        Dtype::BF16
    } else {
        Dtype::F32
    }
}

fn tensor(vit: &Vit, name: &str, shape: Vec<usize>) -> Result<Tensor, Error> {
    let wrong = |what: String| Error::BaseTensor { tensor: name.to_owned(), what };
    let tensor = vit.tensors.get(name).ok_or_else(|| wrong("is missing".into()))?;
    if tensor.shape != shape || tensor.values.len() != shape.iter().product::<usize>() {
        let what =
            format!("has shape {:?} where the configuration asks for {shape:?}", tensor.shape);
        return Err(wrong(what));
    }
    Ok(tensor.read())
}

/// A row-major matrix of `rows` x `columns`, columns first.
pub(super) fn transposed(data: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|c| (0..rows).map(move |r| data[r * columns + c])).collect()
}
