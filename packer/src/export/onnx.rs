//! Writes a base as an ONNX graph whose LoRA branches are graph inputs, with the weights in a
//! separate tensor map.
//!
//! Inputs: `pixels` f32 `[N, 3, S, S]`, and for each site three f32 inputs, `<site>.lora_a` `[N,
//! in, R]`, `<site>.lora_b` `[N, R, out]` and `<site>.lora_scale` `[N, 1, out]`: every batch row
//! carries its own module, every site its own symbolic rank. A site computes `(x W + (x A) B) * s +
//! b`; s is 1 but for DoRA. Output: `feature` f32 `[N, D]`, the CLS token after the last LayerNorm
//! (and CLIP's projection).
//!
//! Weights are initialisers marked as external without a location: the graph alone loads nowhere,
//! so no runtime can take it with wrong weights. [`Graph::self_contained`] writes them inline for
//! other runtimes.
//!
//! Refused: an input size that is no multiple of the patch, and a base with a tensor missing or of
//! a wrong shape.

use std::collections::BTreeMap;

use medforge_runtime::onnx::{
    AttributeProto, AttributeType, DataLocation, DataType, Dimension, DimensionValue, GraphProto,
    ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto, TensorType,
    TypeProto, ValueInfoProto,
};
use medforge_runtime::tensors::{Dtype, Tensor};
use prost::Message;

use crate::Error;
use crate::base::{PROJECTION, Vit, positions};
use crate::device::Activation;

/// The operator set the graph is written in; LayerNormalization came with 17.
const OPSET: i64 = 17;

/// A base as ONNX: the graph, and its weights by initialiser name.
pub struct Graph {
    model: ModelProto,
    /// The weights: linear layers as `[in, out]`, positions for the graph's size; f16 where that
    /// loses nothing.
    pub tensors: BTreeMap<String, Tensor>,
}

impl Graph {
    /// Writes `vit` as a graph for square images of `size` pixels.
    pub fn new(vit: &Vit, size: u32) -> Result<Self, Error> {
        vit.config.check_size(size)?;
        let grid = size as usize / vit.config.patch;
        let mut writer =
            Writer { vit, grid, graph: GraphProto::default(), tensors: BTreeMap::new() };
        writer.write(size as usize)?;
        let model = ModelProto {
            ir_version: 8,
            opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPSET }],
            producer_name: "medforge-packer".into(),
            producer_version: env!("CARGO_PKG_VERSION").into(),
            graph: Some(writer.graph),
            ..ModelProto::default()
        };
        Ok(Graph { model, tensors: writer.tensors })
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

struct Writer<'a> {
    vit: &'a Vit,
    grid: usize,
    graph: GraphProto,
    tensors: BTreeMap<String, Tensor>,
}

impl Writer<'_> {
    fn write(&mut self, size: usize) -> Result<(), Error> {
        let config = &self.vit.config;
        let (hidden, heads) = (config.hidden as i64, config.heads as i64);
        self.graph.name = "base".into();
        self.input(
            "pixels",
            &[Dim::Symbol("N".into()), Dim::Size(3), Dim::Size(size), Dim::Size(size)],
        );
        let (patch, grid) = (config.patch as i64, self.grid as i64);
        self.integers("shape.cut", &[0, 3, grid, patch, grid, patch]);
        self.integers("shape.patches", &[0, grid * grid, 3 * patch * patch]);
        self.integers("shape.feature", &[0, config.features() as i64]);
        self.integers("shape.split", &[0, 0, heads, hidden / heads]);
        self.integers("shape.merge", &[0, 0, hidden]);
        self.integers("shape.cls", &[1, hidden]);
        for (name, value) in [("zero", 0), ("one", 1)] {
            self.integers(name, &[value]);
        }
        self.constant("attention.scale", 1.0 / ((config.hidden / config.heads) as f64).sqrt());
        match config.activation {
            Activation::Gelu => {
                self.constant("gelu.sqrt_half", std::f64::consts::FRAC_1_SQRT_2);
                self.constant("gelu.half", 0.5);
                self.constant("gelu.one", 1.0);
            }
            Activation::QuickGelu => self.constant("gelu.slope", 1.702),
        }
        let mut x = self.embed()?;
        for block in 0..config.layers {
            x = self.block(&x, block, block + 1 == config.layers)?;
        }
        let flat = |this: &mut Self, x: &str| {
            this.node("Reshape", "cls.flat", &[x, "shape.feature"], vec![])
        };
        let feature = match config.projection {
            None => {
                let x = flat(self, &x);
                self.layer_norm(&x, "norm")?
            }
            // A product with factors of each image needs the tokens' dimension, though there is one
            // token.
            Some(width) => {
                let x = self.layer_norm(&x, "norm")?;
                let x = self.linear(&x, PROJECTION, config.hidden, width, false)?;
                flat(self, &x)
            }
        };
        self.node_named("Identity", "output", &[&feature], vec![], "feature");
        let dims = [Dim::Symbol("N".into()), Dim::Size(config.features())];
        self.graph.output.push(value_info("feature", &dims));
        Ok(())
    }

    /// Patches, CLS and positions: `[N, 1 + G*G, D]`. The patches are cut out by reshaping and go
    /// through a product, not a convolution: after one, a general engine would keep the channels
    /// before the tokens in every block, at half the speed.
    fn embed(&mut self) -> Result<String, Error> {
        let (d, p) = (self.vit.config.hidden, self.vit.config.patch);
        let weight = self.tensor("embed.patch.weight", &[d, 3, p, p])?;
        let data = transposed(&weight.data, d, 3 * p * p);
        self.initialiser("embed.patch.weight", vec![3 * p * p, d], data);
        let (bias, pre_norm) = (!self.vit.config.pre_norm(), self.vit.config.pre_norm());
        if bias {
            self.weight("embed.patch.bias", &[d], None)?;
        }
        self.weight("embed.cls", &[d], Some(&[1, 1, d]))?;
        self.positions()?;
        let x = self.node("Reshape", "embed.patch.cut", &["pixels", "shape.cut"], vec![]);
        let order = integers_attribute("perm", &[0, 2, 4, 1, 3, 5]);
        let x = self.node("Transpose", "embed.patch.rows", &[&x], vec![order]);
        let x = self.node("Reshape", "embed.patch.flat", &[&x, "shape.patches"], vec![]);
        let x = self.node("MatMul", "embed.patch.product", &[&x, "embed.patch.weight"], vec![]);
        let x = if bias {
            self.node("Add", "embed.patch", &[&x, "embed.patch.bias"], vec![])
        } else {
            x
        };
        let shape = self.node("Shape", "embed.shape", &["pixels"], vec![]);
        let batch = self.node(
            "Gather",
            "embed.batch",
            &[&shape, "zero"],
            vec![integer_attribute("axis", 0)],
        );
        let shape = self.node(
            "Concat",
            "embed.cls.shape",
            &[&batch, "shape.cls"],
            vec![integer_attribute("axis", 0)],
        );
        let cls = self.node("Expand", "embed.cls.rows", &["embed.cls", &shape], vec![]);
        let x =
            self.node("Concat", "embed.tokens", &[&cls, &x], vec![integer_attribute("axis", 1)]);
        let x = self.node("Add", "embed", &[&x, "embed.positions"], vec![]);
        if pre_norm { self.layer_norm(&x, "embed.norm") } else { Ok(x) }
    }

    /// One transformer block. In the last one only the CLS row goes on, since no other row reaches
    /// the feature.
    fn block(&mut self, x: &str, number: usize, last: bool) -> Result<String, Error> {
        let config = &self.vit.config;
        let (hidden, mlp, bias, scaled) =
            (config.hidden, config.mlp, config.qkv_bias, config.layer_scale);
        let name = |part: &str| format!("blocks.{number}.{part}");
        let y = self.layer_norm(x, &name("norm1"))?;
        let (rows, x) = if last {
            (self.cls_row(&y, &name("norm1.cls")), self.cls_row(x, &name("cls")))
        } else {
            (y.clone(), x.to_owned())
        };
        let q = self.linear(&rows, &name("attn.q"), hidden, hidden, bias)?;
        let k = self.linear(&y, &name("attn.k"), hidden, hidden, bias)?;
        let v = self.linear(&y, &name("attn.v"), hidden, hidden, bias)?;
        let q = self.node("Mul", &name("attn.q.scaled"), &[&q, "attention.scale"], vec![]);
        let q = self.heads(&q, &name("attn.q"), &[0, 2, 1, 3]);
        let k = self.heads(&k, &name("attn.k"), &[0, 2, 3, 1]);
        let v = self.heads(&v, &name("attn.v"), &[0, 2, 1, 3]);
        let scores = self.node("MatMul", &name("attn.scores"), &[&q, &k], vec![]);
        let share = self.node(
            "Softmax",
            &name("attn.softmax"),
            &[&scores],
            vec![integer_attribute("axis", -1)],
        );
        let y = self.node("MatMul", &name("attn.mixed"), &[&share, &v], vec![]);
        let y = self.node(
            "Transpose",
            &name("attn.rows"),
            &[&y],
            vec![integers_attribute("perm", &[0, 2, 1, 3])],
        );
        let y = self.node("Reshape", &name("attn.merged"), &[&y, "shape.merge"], vec![]);
        let y = self.linear(&y, &name("attn.o"), hidden, hidden, true)?;
        let y = self.layer_scale(y, &name("scale1"), scaled)?;
        let x = self.node("Add", &name("attn"), &[&x, &y], vec![]);
        let y = self.layer_norm(&x, &name("norm2"))?;
        let y = self.linear(&y, &name("mlp.fc1"), hidden, mlp, true)?;
        let y = self.activation(&y, &name("mlp.activation"));
        let y = self.linear(&y, &name("mlp.fc2"), mlp, hidden, true)?;
        let y = self.layer_scale(y, &name("scale2"), scaled)?;
        Ok(self.node("Add", &name("mlp"), &[&x, &y], vec![]))
    }

    /// A site: `(x W + (x A) B) * s + b`; A, B and s are graph inputs.
    fn linear(
        &mut self,
        x: &str,
        site: &str,
        inputs: usize,
        outputs: usize,
        bias: bool,
    ) -> Result<String, Error> {
        let (weight, lora_a, lora_b) =
            (format!("{site}.weight"), format!("{site}.lora_a"), format!("{site}.lora_b"));
        let tensor = self.tensor(&weight, &[outputs, inputs])?;
        let data = transposed(&tensor.data, outputs, inputs);
        self.initialiser(&weight, vec![inputs, outputs], data);
        let y = self.node("MatMul", &format!("{site}.product"), &[x, &weight], vec![]);
        let rank = format!("rank_{}", site.replace('.', "_"));
        let batch = || Dim::Symbol("N".into());
        self.input(&lora_a, &[batch(), Dim::Size(inputs), Dim::Symbol(rank.clone())]);
        self.input(&lora_b, &[batch(), Dim::Symbol(rank), Dim::Size(outputs)]);
        let low = self.node("MatMul", &format!("{site}.lora_down"), &[x, &lora_a], vec![]);
        let delta = self.node("MatMul", &format!("{site}.lora_up"), &[&low, &lora_b], vec![]);
        let y = self.node("Add", &format!("{site}.adapted"), &[&y, &delta], vec![]);
        let lora_scale = format!("{site}.lora_scale");
        self.input(&lora_scale, &[batch(), Dim::Size(1), Dim::Size(outputs)]);
        let y = self.node("Mul", &format!("{site}.lora_scaled"), &[&y, &lora_scale], vec![]);
        if !bias {
            return Ok(y);
        }
        let name = format!("{site}.bias");
        self.weight(&name, &[outputs], None)?;
        Ok(self.node("Add", &format!("{site}.biased"), &[&y, &name], vec![]))
    }

    fn heads(&mut self, x: &str, site: &str, order: &[i64]) -> String {
        let x = self.node("Reshape", &format!("{site}.split"), &[x, "shape.split"], vec![]);
        self.node(
            "Transpose",
            &format!("{site}.heads"),
            &[&x],
            vec![integers_attribute("perm", order)],
        )
    }

    fn cls_row(&mut self, x: &str, name: &str) -> String {
        self.node("Slice", name, &[x, "zero", "one", "one"], vec![])
    }

    fn layer_norm(&mut self, x: &str, name: &str) -> Result<String, Error> {
        let (scale, bias) = (format!("{name}.weight"), format!("{name}.bias"));
        for part in [&scale, &bias] {
            self.weight(part, &[self.vit.config.hidden], None)?;
        }
        let epsilon = float_attribute("epsilon", self.vit.config.eps as f32);
        Ok(self.node(
            "LayerNormalization",
            name,
            &[x, &scale, &bias],
            vec![integer_attribute("axis", -1), epsilon],
        ))
    }

    fn layer_scale(&mut self, x: String, name: &str, present: bool) -> Result<String, Error> {
        if !present {
            return Ok(x);
        }
        self.weight(name, &[self.vit.config.hidden], None)?;
        Ok(self.node("Mul", &format!("{name}.product"), &[&x, name], vec![]))
    }

    /// GELU as `(x / 2) (1 + erf(x / sqrt 2))`, the form that engines run as one operation, or `x
    /// sigmoid(1.702 x)`.
    fn activation(&mut self, x: &str, name: &str) -> String {
        let part = |p: &str| format!("{name}.{p}");
        match self.vit.config.activation {
            Activation::Gelu => {
                let e = self.node("Mul", &part("scaled"), &[x, "gelu.sqrt_half"], vec![]);
                let e = self.node("Erf", &part("erf"), &[&e], vec![]);
                let e = self.node("Add", &part("shifted"), &[&e, "gelu.one"], vec![]);
                let half = self.node("Mul", &part("half"), &[x, "gelu.half"], vec![]);
                self.node("Mul", name, &[&half, &e], vec![])
            }
            Activation::QuickGelu => {
                let e = self.node("Mul", &part("scaled"), &[x, "gelu.slope"], vec![]);
                let e = self.node("Sigmoid", &part("sigmoid"), &[&e], vec![]);
                self.node("Mul", name, &[x, &e], vec![])
            }
        }
    }

    fn positions(&mut self) -> Result<(), Error> {
        let (name, hidden) = ("embed.positions", self.vit.config.hidden);
        let own = self.vit.config.image_size / self.vit.config.patch;
        let table = &self.tensor(name, &[1 + own * own, hidden])?.data;
        let data = positions::interpolate(table, own, self.grid);
        self.initialiser(name, vec![1, 1 + self.grid * self.grid, hidden], data);
        Ok(())
    }

    fn tensor(&self, name: &str, shape: &[usize]) -> Result<&Tensor, Error> {
        let vit = self.vit;
        let wrong = |what: String| Error::BaseTensor { tensor: name.to_owned(), what };
        let tensor = vit.tensors.get(name).ok_or_else(|| wrong("is missing".into()))?;
        if tensor.shape != shape || tensor.data.len() != shape.iter().product::<usize>() {
            return Err(wrong(format!(
                "has shape {:?} where the configuration asks for {shape:?}",
                tensor.shape
            )));
        }
        Ok(tensor)
    }

    /// Adds a tensor of the base as it is, under its own name, seen as `stored` when given.
    fn weight(
        &mut self,
        name: &str,
        shape: &[usize],
        stored: Option<&[usize]>,
    ) -> Result<(), Error> {
        let data = self.tensor(name, shape)?.data.clone();
        self.initialiser(name, stored.unwrap_or(shape).to_vec(), data);
        Ok(())
    }

    fn initialiser(&mut self, name: &str, shape: Vec<usize>, data: Vec<f32>) {
        self.graph.initializer.push(TensorProto {
            name: name.into(),
            dims: shape.iter().map(|&d| d as i64).collect(),
            data_type: DataType::Float as i32,
            data_location: Some(DataLocation::External as i32),
            ..TensorProto::default()
        });
        let dtype = if data.iter().all(|&v| half::f16::from_f32(v).to_f32() == v) {
            Dtype::F16
        } else {
            Dtype::F32
        };
        self.tensors.insert(name.into(), Tensor { shape, data, dtype });
    }

    fn constant(&mut self, name: &str, value: f64) {
        self.graph.initializer.push(TensorProto {
            name: name.into(),
            data_type: DataType::Float as i32,
            raw_data: (value as f32).to_le_bytes().to_vec(),
            ..TensorProto::default()
        });
    }

    fn integers(&mut self, name: &str, values: &[i64]) {
        self.graph.initializer.push(TensorProto {
            name: name.into(),
            dims: vec![values.len() as i64],
            data_type: DataType::Int64 as i32,
            raw_data: values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            ..TensorProto::default()
        });
    }

    fn input(&mut self, name: &str, dims: &[Dim]) {
        self.graph.input.push(value_info(name, dims));
    }

    /// Adds an operation and gives the name of its output.
    fn node(
        &mut self,
        op: &str,
        name: &str,
        inputs: &[&str],
        attributes: Vec<AttributeProto>,
    ) -> String {
        let output = format!("{name}.out");
        self.node_named(op, name, inputs, attributes, &output);
        output
    }

    fn node_named(
        &mut self,
        op: &str,
        name: &str,
        inputs: &[&str],
        attribute: Vec<AttributeProto>,
        output: &str,
    ) {
        self.graph.node.push(NodeProto {
            op_type: op.into(),
            name: name.into(),
            input: inputs.iter().map(|&i| i.to_owned()).collect(),
            output: vec![output.to_owned()],
            attribute,
            ..NodeProto::default()
        });
    }
}

enum Dim {
    Size(usize),
    Symbol(String),
}

fn value_info(name: &str, dims: &[Dim]) -> ValueInfoProto {
    let dim = dims.iter().map(|d| match d {
        Dim::Size(size) => DimensionValue::DimValue(*size as i64),
        Dim::Symbol(symbol) => DimensionValue::DimParam(symbol.clone()),
    });
    let dim = dim.map(|value| Dimension { value: Some(value) }).collect();
    let tensor =
        TensorType { elem_type: DataType::Float as i32, shape: Some(TensorShapeProto { dim }) };
    ValueInfoProto { name: name.into(), r#type: Some(TypeProto { tensor_type: Some(tensor) }) }
}

fn integer_attribute(name: &str, i: i64) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::Int as i32,
        i,
        ..AttributeProto::default()
    }
}

fn integers_attribute(name: &str, ints: &[i64]) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::Ints as i32,
        ints: ints.to_vec(),
        ..Default::default()
    }
}

fn float_attribute(name: &str, f: f32) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::Float as i32,
        f,
        ..AttributeProto::default()
    }
}

/// A row-major matrix of `rows` x `columns`, columns first.
pub(super) fn transposed(data: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|c| (0..rows).map(move |r| data[r * columns + c])).collect()
}
