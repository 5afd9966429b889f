//! Whether a graph is the vision transformer that `packer export-onnx` writes, and which weight is
//! what.
//!
//! The graph is read node by node in the order in which it is written; every node, input, attribute
//! and constant must be the expected one and nothing may be left over. Refused: everything else,
//! with the first node that is not the expected one; and a weight or site in two places, each of
//! which would be packed and laid out again.

use std::collections::{BTreeMap, BTreeSet};

use crate::kernel::Activation;
use crate::onnx::{
    AttributeProto, AttributeType, DataLocation, GraphProto, NodeProto, TensorProto,
};

/// The transformer that a graph is: its sizes, and the names of its weights.
#[derive(Debug, PartialEq)]
pub(crate) struct Layout {
    pub patch: usize,
    /// Patches on a side of the image.
    pub grid: usize,
    pub hidden: usize,
    pub heads: usize,
    pub epsilon: f32,
    /// What scores are multiplied with before softmax.
    pub scale: f32,
    pub activation: Activation,
    /// `[3 * patch * patch, hidden]`
    pub patch_weight: String,
    pub patch_bias: Option<String>,
    /// `[1, 1, hidden]`
    pub cls: String,
    /// `[1, 1 + grid * grid, hidden]`
    pub positions: String,
    /// Before the first block (CLIP).
    pub pre_norm: Option<NormNames>,
    pub blocks: Vec<BlockNames>,
    pub norm: NormNames,
    /// After the last norm (CLIP).
    pub projection: Option<LinearNames>,
}

impl Layout {
    /// Values of a feature.
    pub fn feature(&self) -> usize {
        self.projection.as_ref().map_or(self.hidden, |projection| projection.outputs)
    }

    /// The layers that are sites.
    pub fn linears(&self) -> impl Iterator<Item = &LinearNames> {
        let blocks = self
            .blocks
            .iter()
            .flat_map(|block| block.qkv.iter().chain([&block.o, &block.fc1, &block.fc2]));
        blocks.chain(&self.projection)
    }
}

#[derive(Debug, PartialEq)]
pub(crate) struct BlockNames {
    pub norm1: NormNames,
    /// q, k, v
    pub qkv: [LinearNames; 3],
    pub o: LinearNames,
    pub scale1: Option<String>,
    pub norm2: NormNames,
    pub fc1: LinearNames,
    pub fc2: LinearNames,
    pub scale2: Option<String>,
}

#[derive(Debug, PartialEq)]
pub(crate) struct NormNames {
    pub weight: String,
    pub bias: String,
}

#[derive(Debug, PartialEq)]
pub(crate) struct LinearNames {
    pub site: String,
    /// `[inputs, outputs]`
    pub weight: String,
    pub bias: Option<String>,
    pub inputs: usize,
    pub outputs: usize,
    /// Whether the graph takes what the site's outputs are multiplied with before the bias.
    pub scaled: bool,
}

/// The layout of `graph` for square images of `side` pixels, or what is not as `packer` writes it.
pub(crate) fn recognise(graph: &GraphProto, side: usize) -> Result<Layout, String> {
    let initialisers =
        graph.initializer.iter().map(|tensor| (tensor.name.as_str(), tensor)).collect();
    let mut reader = Reader {
        nodes: &graph.node,
        initialisers,
        epsilon: None,
        used: BTreeSet::new(),
        twice: None,
    };
    reader.graph(side).ok_or_else(|| {
        if let Some(name) = reader.twice {
            return format!("has {name:?} in two places");
        }
        let read = graph.node.len() - reader.nodes.len();
        let at = graph
            .node
            .get(read)
            .map_or("its end".into(), |node| format!("{} ({:?})", node.op_type, node.name));
        format!("is not a transformer as packer writes it, from node {read} on, {at}")
    })
}

struct Reader<'a> {
    nodes: &'a [NodeProto],
    initialisers: BTreeMap<&'a str, &'a TensorProto>,
    /// Of the LayerNorms so far: all have the same.
    epsilon: Option<f32>,
    /// Weights and sites so far, and the first that came again.
    used: BTreeSet<&'a str>,
    twice: Option<&'a str>,
}

impl<'a> Reader<'a> {
    fn graph(&mut self, side: usize) -> Option<Layout> {
        let [batch, channels, grid, patch, grid2, patch2] =
            self.integers(self.nodes.first()?.input.get(1)?)?[..]
        else {
            return None;
        };
        let (grid, patch) = (usize::try_from(grid).ok()?, usize::try_from(patch).ok()?);
        let square =
            (grid as i64, patch as i64) == (grid2, patch2) && grid.checked_mul(patch)? == side;
        if !square || (batch, channels) != (0, 3) || grid == 0 {
            return None;
        }
        let (area, tokens) =
            (patch.checked_mul(patch)?.checked_mul(3)?, grid.checked_mul(grid)?.checked_add(1)?);
        let (x, _) = self.node("Reshape", &["pixels"], &[])?;
        let x = self.take("Transpose", &[x], &[("perm", &[0, 2, 4, 1, 3, 5])])?;
        let x = self.reshape(x, &[0, (grid * grid) as i64, area as i64])?;
        let (x, patch_weight) = self.node("MatMul", &[x], &[])?;
        let hidden = match self.initialisers.get(patch_weight?)?.dims[..] {
            [_, hidden] => usize::try_from(hidden).ok()?,
            _ => return None,
        };
        self.shaped(patch_weight?, &[area, hidden])?;
        let (x, patch_bias) = if self.next("Add") {
            self.weighted("Add", x, &[hidden]).map(|(x, bias)| (x, Some(bias)))?
        } else {
            (x, None)
        };
        let shape = self.take("Shape", &["pixels"], &[])?;
        let (batch, zero) = self.node("Gather", &[shape], &[("axis", &[0])])?;
        let (shape, rest) = self.node("Concat", &[batch], &[("axis", &[0])])?;
        if self.integers(zero?)? != [0] || self.integers(rest?)? != [1, hidden as i64] {
            return None;
        }
        let expand = self.nodes.first()?;
        let cls = expand.input.first()?;
        let rows = self.take("Expand", &[cls, shape], &[])?;
        self.shaped(cls, &[1, 1, hidden])?;
        let x = self.take("Concat", &[rows, x], &[("axis", &[1])])?;
        let (mut x, positions) = self.weighted("Add", x, &[1, tokens, hidden])?;
        let mut pre_norm = None;
        if self.nodes.get(1)?.op_type == "LayerNormalization" {
            let (y, norm) = self.layer_norm(x, hidden)?;
            (x, pre_norm) = (y, Some(norm));
        }
        let mut blocks: Vec<BlockNames> = Vec::new();
        let (mut heads, mut scale, mut activation) = (None, None, None);
        let mut last = false;
        while !last {
            // The last block is the one that goes on with the CLS row alone.
            last = self.nodes.get(1)?.op_type == "Slice";
            let (names, out) =
                self.block(x, hidden, last, &mut heads, &mut scale, &mut activation)?;
            blocks.push(names);
            x = out;
        }
        let (x, norm, projection) = if self.next("Reshape") {
            let x = self.reshape(x, &[0, hidden as i64])?;
            let (x, norm) = self.layer_norm(x, hidden)?;
            (x, norm, None)
        } else {
            let (x, norm) = self.layer_norm(x, hidden)?;
            let outputs = self.outputs()?;
            let (x, names) = self.linear(x, hidden, outputs)?;
            (self.reshape(x, &[0, outputs as i64])?, norm, Some(names))
        };
        let feature = self.take("Identity", &[x], &[])?;
        (feature == "feature" && self.nodes.is_empty()).then_some(())?;
        Some(Layout {
            patch,
            grid,
            hidden,
            heads: heads?,
            epsilon: self.epsilon?,
            scale: scale?,
            activation: activation?,
            patch_weight: patch_weight?.to_owned(),
            patch_bias,
            cls: cls.clone(),
            positions,
            pre_norm,
            blocks,
            norm,
            projection,
        })
    }

    /// One block. Its heads, scale and activation are those of the blocks before.
    fn block(
        &mut self,
        x: &'a str,
        hidden: usize,
        last: bool,
        heads: &mut Option<usize>,
        scale: &mut Option<f32>,
        activation: &mut Option<Activation>,
    ) -> Option<(BlockNames, &'a str)> {
        let (y, norm1) = self.layer_norm(x, hidden)?;
        let (rows, x) = if last { (self.cls_row(y)?, self.cls_row(x)?) } else { (y, x) };
        let (q, q_names) = self.linear(rows, hidden, hidden)?;
        let (k, k_names) = self.linear(y, hidden, hidden)?;
        let (v, v_names) = self.linear(y, hidden, hidden)?;
        let (q, factor) = self.node("Mul", &[q], &[])?;
        same(scale, self.number(factor?)?)?;
        let q = self.split(q, hidden, heads, &[0, 2, 1, 3])?;
        let k = self.split(k, hidden, heads, &[0, 2, 3, 1])?;
        let v = self.split(v, hidden, heads, &[0, 2, 1, 3])?;
        let scores = self.take("MatMul", &[q, k], &[])?;
        let share = self.take("Softmax", &[scores], &[("axis", &[-1])])?;
        let y = self.take("MatMul", &[share, v], &[])?;
        let y = self.take("Transpose", &[y], &[("perm", &[0, 2, 1, 3])])?;
        let y = self.reshape(y, &[0, 0, hidden as i64])?;
        let (y, o) = self.linear(y, hidden, hidden)?;
        let (y, scale1) = self.layer_scale(y, hidden)?;
        let x = self.take("Add", &[x, y], &[])?;
        let (y, norm2) = self.layer_norm(x, hidden)?;
        let mlp = self.outputs()?;
        let (y, fc1) = self.linear(y, hidden, mlp)?;
        let (y, used) = self.activation(y)?;
        same(activation, used)?;
        let (y, fc2) = self.linear(y, mlp, hidden)?;
        let (y, scale2) = self.layer_scale(y, hidden)?;
        let x = self.take("Add", &[x, y], &[])?;
        let qkv = [q_names, k_names, v_names];
        Some((BlockNames { norm1, qkv, o, scale1, norm2, fc1, fc2, scale2 }, x))
    }

    /// `(x W + (x A) B) * s (+ b)`, or as packer wrote it before DoRA, `x W (+ b) + (x A) B`.
    fn linear(
        &mut self,
        x: &'a str,
        inputs: usize,
        outputs: usize,
    ) -> Option<(&'a str, LinearNames)> {
        let (mut y, weight) = self.weighted("MatMul", x, &[inputs, outputs])?;
        let mut bias = self.bias(&mut y, outputs)?;
        let (low, a) = self.node("MatMul", &[x], &[])?;
        let (delta, b) = self.node("MatMul", &[low], &[])?;
        let site = a?.strip_suffix(".lora_a")?;
        (b?.strip_suffix(".lora_b")? == site).then_some(())?;
        self.once(site)?;
        let mut y = self.take("Add", &[y, delta], &[])?;
        let factor = format!("{site}.lora_scale");
        let scaled = self.next("Mul") && self.nodes.first()?.input.get(1) == Some(&factor);
        if scaled {
            // Added before, a bias would be scaled too.
            bias.is_none().then_some(())?;
            y = self.take("Mul", &[y, &factor], &[])?;
            bias = self.bias(&mut y, outputs)?;
        }
        Some((y, LinearNames { site: site.to_owned(), weight, bias, inputs, outputs, scaled }))
    }

    /// What is added to `y` next, if a vector of the weights is; `y` is then the sum.
    fn bias(&mut self, y: &mut &'a str, outputs: usize) -> Option<Option<String>> {
        if !self.next("Add") || self.nodes.first()?.input.first().map(String::as_str) != Some(*y) {
            return Some(None);
        }
        let (biased, bias) = self.weighted("Add", y, &[outputs])?;
        *y = biased;
        Some(Some(bias))
    }

    /// `[N, T, hidden]` to heads, in `order`.
    fn split(
        &mut self,
        x: &'a str,
        hidden: usize,
        heads: &mut Option<usize>,
        order: &[i64],
    ) -> Option<&'a str> {
        let [0, 0, count, width] = self.integers(self.nodes.first()?.input.get(1)?)?[..] else {
            return None;
        };
        let count = usize::try_from(count).ok()?;
        (count.checked_mul(usize::try_from(width).ok()?)? == hidden).then_some(())?;
        same(heads, count)?;
        let x = self.reshape(x, &[0, 0, count as i64, width])?;
        self.take("Transpose", &[x], &[("perm", order)])
    }

    fn cls_row(&mut self, x: &'a str) -> Option<&'a str> {
        let [_, start, end, axis] = &self.nodes.first()?.input[..] else { return None };
        let bounds = [start, end, axis].map(|name| self.integers(name));
        (bounds == [Some(vec![0]), Some(vec![1]), Some(vec![1])]).then_some(())?;
        self.take("Slice", &[x, start, end, axis], &[])
    }

    fn layer_norm(&mut self, x: &'a str, hidden: usize) -> Option<(&'a str, NormNames)> {
        let node = self.nodes.first()?;
        let [_, weight, bias] = &node.input[..] else { return None };
        self.shaped(weight, &[hidden])?;
        self.shaped(bias, &[hidden])?;
        let epsilon = node.attribute.iter().find(|attribute| attribute.name == "epsilon")?.f;
        same(&mut self.epsilon, epsilon)?;
        let y = self.take("LayerNormalization", &[x, weight, bias], &[("axis", &[-1])])?;
        Some((y, NormNames { weight: weight.clone(), bias: bias.clone() }))
    }

    fn layer_scale(&mut self, x: &'a str, hidden: usize) -> Option<(&'a str, Option<String>)> {
        if self.next("Mul") {
            self.weighted("Mul", x, &[hidden]).map(|(y, scale)| (y, Some(scale)))
        } else {
            Some((x, None))
        }
    }

    fn activation(&mut self, x: &'a str) -> Option<(&'a str, Activation)> {
        let close = |found: f32, exact: f64| (f64::from(found) - exact).abs() < 1e-6;
        let (e, factor) = self.node("Mul", &[x], &[])?;
        let factor = self.number(factor?)?;
        if self.next("Sigmoid") {
            close(factor, 1.702).then_some(())?;
            let e = self.take("Sigmoid", &[e], &[])?;
            return Some((self.take("Mul", &[x, e], &[])?, Activation::QuickGelu));
        }
        close(factor, std::f64::consts::FRAC_1_SQRT_2).then_some(())?;
        let e = self.take("Erf", &[e], &[])?;
        let (e, one) = self.node("Add", &[e], &[])?;
        let (half, factor) = self.node("Mul", &[x], &[])?;
        (self.number(one?)? == 1.0 && self.number(factor?)? == 0.5).then_some(())?;
        Some((self.take("Mul", &[half, e], &[])?, Activation::Gelu))
    }

    fn reshape(&mut self, x: &'a str, shape: &[i64]) -> Option<&'a str> {
        let (y, to) = self.node("Reshape", &[x], &[])?;
        (self.integers(to?)? == shape).then_some(y)
    }

    /// Whether the next node is `op`.
    fn next(&self, op: &str) -> bool {
        self.nodes.first().is_some_and(|node| node.op_type == op)
    }

    /// The second dimension of the next node's weight.
    fn outputs(&self) -> Option<usize> {
        let weight = self.initialisers.get(self.nodes.first()?.input.get(1)?.as_str())?;
        usize::try_from(*weight.dims.get(1)?).ok()
    }

    /// The next node, an operation of `x` with a weight of `shape`: its output and the weight's
    /// name.
    fn weighted(&mut self, op: &str, x: &str, shape: &[usize]) -> Option<(&'a str, String)> {
        let (y, weight) = self.node(op, &[x], &[])?;
        self.shaped(weight?, shape)?;
        Some((y, weight?.to_owned()))
    }

    /// The next node, with exactly these inputs: its output.
    fn take(
        &mut self,
        op: &str,
        inputs: &[&str],
        attributes: &[(&str, &[i64])],
    ) -> Option<&'a str> {
        (self.nodes.first()?.input.len() == inputs.len()).then_some(())?;
        self.node(op, inputs, attributes).map(|(output, _)| output)
    }

    /// The next node, which must be `op` with these first inputs and these attributes: its output,
    /// and the one input beyond.
    fn node(
        &mut self,
        op: &str,
        inputs: &[&str],
        attributes: &[(&str, &[i64])],
    ) -> Option<(&'a str, Option<&'a str>)> {
        let (node, rest) = self.nodes.split_first()?;
        let [output] = &node.output[..] else { return None };
        let beyond = node.input.get(inputs.len()..)?;
        let same = node.op_type == op
            && node.input.iter().zip(inputs).all(|(a, b)| a == b)
            && beyond.len() <= 1;
        let known = |a: &AttributeProto| {
            a.name == "epsilon"
                || attributes.iter().any(|(name, values)| *name == a.name && holds(a, values))
        };
        let complete =
            attributes.iter().all(|(name, _)| node.attribute.iter().any(|a| a.name == *name));
        (same && complete && node.attribute.iter().all(known)).then_some(())?;
        self.nodes = rest;
        Some((output, beyond.first().map(String::as_str)))
    }

    /// Notes what may be in one place only.
    fn once(&mut self, name: &'a str) -> Option<()> {
        let new = self.used.insert(name);
        self.twice = self.twice.or((!new).then_some(name));
        new.then_some(())
    }

    /// A weight that comes from the tensor file, in this shape, and is in no other place.
    fn shaped(&mut self, name: &'a str, shape: &[usize]) -> Option<()> {
        self.once(name)?;
        let tensor = self.initialisers.get(name)?;
        let dims = &tensor.dims;
        let external = tensor.data_location == Some(DataLocation::External as i32);
        let equal = external
            && dims.len() == shape.len()
            && dims.iter().zip(shape).all(|(&d, &s)| usize::try_from(d) == Ok(s));
        equal.then_some(())
    }

    fn integers(&self, name: &str) -> Option<Vec<i64>> {
        let bytes = self.initialisers.get(name)?.raw_data.as_chunks::<8>();
        bytes.1.is_empty().then(|| bytes.0.iter().map(|&value| i64::from_le_bytes(value)).collect())
    }

    fn number(&self, name: &str) -> Option<f32> {
        let tensor = self.initialisers.get(name)?;
        let value = f32::from_le_bytes(*tensor.raw_data.first_chunk()?);
        (tensor.dims.is_empty() && tensor.raw_data.len() == 4 && value.is_finite()).then_some(value)
    }
}

/// Whether an attribute is this integer or these integers, as its type says.
fn holds(attribute: &AttributeProto, values: &[i64]) -> bool {
    match attribute.r#type {
        kind if kind == AttributeType::Int as i32 => *values == [attribute.i],
        kind if kind == AttributeType::Ints as i32 => attribute.ints == values,
        _ => false,
    }
}

/// Notes the first value; later ones must be equal.
fn same<T: PartialEq + Copy>(known: &mut Option<T>, value: T) -> Option<()> {
    (*known.get_or_insert(value) == value).then_some(())
}
