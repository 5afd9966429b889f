//! Whether a graph is one that packer writes, and of which network.
//!
//! The shape is read off the graph, and the graph is written anew from it. Refused is a graph that
//! differs from that in any message, with the first that does, and a graph in which a weight or a
//! site's input is in two places: each place would be packed and laid out again.

use std::collections::{BTreeMap, BTreeSet};

use super::shape::{Activation, Mlp, Norms, Pooling, Positions, Shape};
use super::site::{Layer, Site};
use super::writer;
use crate::onnx::{DataLocation, GraphProto, TensorProto};

/// Most blocks of a network. The deepest that is known has 48.
pub const MOST_BLOCKS: usize = 128;

/// Longest side of an image and of any weight. More is a mistake, or an attack on memory.
const LONGEST: usize = 1 << 16;

/// The network that `graph` is of, or what is not as packer writes it.
pub(crate) fn recognise(graph: &GraphProto) -> Result<Shape, String> {
    let shape = Reader::new(graph).shape()?;
    if let Some(name) = twice(graph) {
        return Err(format!("has {name:?} in two places"));
    }
    let own = writer::graph(&shape);
    alike("node", &graph.node, &own.node, |node| format!("{} ({:?})", node.op_type, node.name))?;
    alike("input", &graph.input, &own.input, |input| format!("{:?}", input.name))?;
    alike("output", &graph.output, &own.output, |output| format!("{:?}", output.name))?;
    let tensor = |tensor: &TensorProto| format!("{:?}", tensor.name);
    alike("initialiser", &graph.initializer, &own.initializer, tensor)?;
    if *graph == own { Ok(shape) } else { Err(other("its name or its extensions")) }
}

/// Whether a network can have these sizes. What is beyond the countable ones is also beyond what
/// numbers of 32 bits can count.
fn possible(shape: &Shape) -> bool {
    let Shape { patch, grid, hidden, heads, .. } = *shape;
    let square = |side: usize, times: usize| side.checked_mul(side)?.checked_mul(times);
    let leading = usize::from(shape.class_token).checked_add(shape.registers);
    let tokens = square(grid, 1).zip(leading).and_then(|(patches, more)| patches.checked_add(more));
    let countable = grid.checked_mul(patch).is_some_and(|side| side <= LONGEST)
        && square(patch, 3).is_some()
        && tokens.is_some();
    let pools = match shape.pooling {
        Pooling::Class | Pooling::ClassMean => shape.class_token,
        Pooling::Mean | Pooling::NormOfMean => true,
        Pooling::Attention { heads, .. } => hidden.is_multiple_of(heads),
    };
    let turns = shape.positions == Positions::Learned || shape.head_width().is_multiple_of(4);
    (1..=MOST_BLOCKS).contains(&shape.blocks)
        && countable
        && hidden.is_multiple_of(heads)
        && pools
        && turns
}

/// A weight, or an input of a site, that several nodes take.
fn twice(graph: &GraphProto) -> Option<&str> {
    let external = Some(DataLocation::External as i32);
    let weights = graph.initializer.iter().filter(|tensor| tensor.data_location == external);
    let mut left: BTreeSet<&str> = weights.map(|tensor| tensor.name.as_str()).collect();
    left.extend(graph.input.iter().skip(1).map(|input| input.name.as_str()));
    let known = left.clone();
    let mut taken = graph.node.iter().flat_map(|node| &node.input).map(String::as_str);
    taken.find(|name| known.contains(name) && !left.remove(name))
}

/// Refuses the first message that is not the one that packer writes there.
fn alike<T: PartialEq>(
    what: &str,
    found: &[T],
    own: &[T],
    name: impl Fn(&T) -> String,
) -> Result<(), String> {
    let same = found.iter().zip(own).take_while(|(found, own)| found == own).count();
    if same == found.len().max(own.len()) {
        return Ok(());
    }
    let at = found.get(same).map_or("the end".into(), name);
    Err(other(&format!("{what} {same} on, {at}")))
}

fn other(what: &str) -> String {
    format!("is not a transformer as packer writes it, from {what}")
}

/// Reads a shape off a graph by the names of its initialisers.
struct Reader<'a> {
    graph: &'a GraphProto,
    tensors: BTreeMap<&'a str, &'a TensorProto>,
}

impl<'a> Reader<'a> {
    fn new(graph: &'a GraphProto) -> Self {
        let named = graph.initializer.iter().map(|tensor| (tensor.name.as_str(), tensor));
        Reader { graph, tensors: named.collect() }
    }

    fn shape(&self) -> Result<Shape, String> {
        let [grid, patch] = self.numbers("shape.cut", [2, 3])?;
        let [heads] = self.numbers("shape.split", [2])?;
        let hidden = self.side("embed.patch.weight", 1)?;
        let registers = "embed.registers";
        let registers = self.has(registers).then(|| self.side(registers, 1)).transpose()?;
        let first = |layer| Site::Block(0, layer);
        let projection = Site::Projection.weight();
        let projection = self.has(&projection).then(|| self.side(&projection, 1)).transpose()?;
        let blocks =
            (0..=MOST_BLOCKS).take_while(|n| self.has(&format!("blocks.{n}.norm1.weight")));
        let qkv_bias = self.has(&first(Layer::Q).bias());
        let rotary = self.has("rotary.cos");
        let shape = Shape {
            patch,
            grid,
            hidden,
            blocks: blocks.count(),
            heads,
            class_token: self.has("embed.cls"),
            registers: registers.unwrap_or(0),
            positions: if rotary { Positions::Rotary } else { Positions::Learned },
            mlp: Mlp {
                width: self.side(&first(Layer::Fc1).weight(), 1)?,
                activation: self.activation(),
                gated: self.has(&first(Layer::Gate).weight()),
            },
            norms: Norms {
                epsilon: self.epsilon()?,
                first: self.has("embed.norm.weight"),
                layer_scale: self.has("blocks.0.scale1"),
                queries_and_keys: self.has("blocks.0.attn.q_norm.weight"),
            },
            patch_bias: self.has("embed.patch.bias"),
            qkv_bias,
            // Of no meaning where no layer of the three has one.
            key_bias: self.has(&first(Layer::K).bias()) || !qkv_bias,
            pooling: self.pooling()?,
            projection,
            magnitude_scales: self.takes(&first(Layer::Q).magnitude_scale()),
        };
        if possible(&shape) { Ok(shape) } else { Err(other("its sizes")) }
    }

    fn activation(&self) -> Activation {
        match ["gelu.slope", "gelu.cubic", "gelu.half"].map(|name| self.has(name)) {
            [true, ..] => Activation::QuickGelu,
            [_, true, _] => Activation::GeluTanh,
            [.., true] => Activation::Gelu,
            _ => Activation::Silu,
        }
    }

    fn pooling(&self) -> Result<Pooling, String> {
        if self.has("pool.probe") {
            let [heads] = self.numbers("pool.split", [2])?;
            let mlp = self.side(&Site::Pool(Layer::Fc1).weight(), 1)?;
            return Ok(Pooling::Attention { heads, mlp });
        }
        let place = |name: &str| self.graph.node.iter().rposition(|node| node.name == name);
        let mean = place("pool.mean");
        Ok(match mean {
            None => Pooling::Class,
            Some(_) if place("pool.cls_and_mean").is_some() => Pooling::ClassMean,
            Some(_) if mean < place("norm") => Pooling::NormOfMean,
            Some(_) => Pooling::Mean,
        })
    }

    fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    fn takes(&self, name: &str) -> bool {
        self.graph.input.iter().any(|input| input.name == name)
    }

    /// A side of a weight.
    fn side(&self, name: &str, place: usize) -> Result<usize, String> {
        let tensor = self.tensors.get(name).ok_or_else(|| missing(name))?;
        let side = tensor.dims.get(place).and_then(|&side| usize::try_from(side).ok());
        side.filter(|side| (1..=LONGEST).contains(side)).ok_or_else(|| missing(name))
    }

    /// Some of the whole numbers of a constant.
    fn numbers<const N: usize>(
        &self,
        name: &str,
        places: [usize; N],
    ) -> Result<[usize; N], String> {
        let tensor = self.tensors.get(name).ok_or_else(|| missing(name))?;
        let values = tensor.raw_data.as_chunks::<8>().0;
        let number = |place: usize| {
            let value = i64::from_le_bytes(*values.get(place)?);
            usize::try_from(value).ok().filter(|number| (1..=LONGEST).contains(number))
        };
        let mut numbers = [0; N];
        for (found, place) in numbers.iter_mut().zip(places) {
            *found = number(place).ok_or_else(|| missing(name))?;
        }
        Ok(numbers)
    }

    /// The epsilon of the first norm; the others have the same.
    fn epsilon(&self) -> Result<f64, String> {
        let mut nodes = self.graph.node.iter();
        let norm = nodes.find(|node| node.op_type == "LayerNormalization");
        let attribute = norm.and_then(|norm| norm.attribute.iter().find(|a| a.name == "epsilon"));
        attribute.map(|a| f64::from(a.f)).ok_or_else(|| missing("epsilon"))
    }
}

fn missing(name: &str) -> String {
    format!("is not a transformer as packer writes it: {name} is missing or of no use")
}

#[cfg(test)]
mod tests;
