//! `base.onnx`: what it is made of, its inputs and output, and whether weights fit it.
//!
//! Refused: an operation or a structure that no base needs (loops, functions, files), inputs that
//! are not `pixels` and LoRA factors with, or in older graphs without, their scales, and weights
//! that the graph asks for and `base.safetensors` lacks, has in another shape, or has beside it.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message;

use crate::Class;
use crate::error::{Error, Refusal};
use crate::onnx::{
    self, AttributeProto, DataLocation, DataType, DimensionValue, GraphProto, ModelProto,
    NodeProto, TensorProto, ValueInfoProto,
};
use crate::tensors::View;

/// The entry that errors name.
const ENTRY: &str = "base.onnx";

/// What a base is made of.
const OPERATIONS: [&str; 17] = [
    "Add",
    "Concat",
    "Conv",
    "Div",
    "Erf",
    "Expand",
    "Gather",
    "Identity",
    "LayerNormalization",
    "MatMul",
    "Mul",
    "Reshape",
    "Shape",
    "Sigmoid",
    "Slice",
    "Softmax",
    "Transpose",
];

/// Longest graph, in bytes, and most fields in it. The largest base that is known has 0.4 MB and
/// 40,000.
const LONGEST: usize = 4 << 20;
const MOST_FIELDS: usize = 100_000;

/// Longest side of any input or output: a wider base is a mistake or an attack on memory.
const MAX_WIDTH: i64 = 1 << 16;

/// One linear layer that LoRA can adapt: its input and output widths.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct SiteWidths {
    pub inputs: usize,
    pub outputs: usize,
    /// Whether the graph takes what its outputs are multiplied with before the bias, as DoRA needs
    /// it.
    pub scalable: bool,
}

/// What goes into a graph and what comes out.
#[derive(Debug)]
pub(super) struct Signature {
    /// Height and width of `pixels`, the first input.
    pub image: [usize; 2],
    /// The sites that the inputs after `pixels`, LoRA factors and scales, make up.
    pub sites: BTreeMap<String, SiteWidths>,
    /// Length of `feature`, the one output.
    pub feature: usize,
}

/// Reads a graph for these weights: every initialiser that it marks as external must be among them
/// in its shape, and nothing else.
pub(super) fn read(
    onnx: &[u8],
    weights: &BTreeMap<String, View>,
) -> Result<(GraphProto, Signature), Error> {
    let malformed = |what: String| Refusal::new(Class::OnnxMalformed, what).entry(ENTRY);
    if onnx.len() > LONGEST {
        return Err(refuse(format!("has {} bytes, more than {LONGEST}", onnx.len())));
    }
    let fields = onnx::fields(onnx).ok_or_else(|| malformed("it cannot be read".into()))?;
    if fields > MOST_FIELDS {
        return Err(refuse(format!("has {fields} fields, more than {MOST_FIELDS}")));
    }
    let model = ModelProto::decode(onnx)
        .map_err(|error| malformed(format!("it cannot be read: {error}")))?;
    if !model.functions.is_empty() || !model.training_info.is_empty() {
        return Err(refuse("holds functions or training information, which no base needs"));
    }
    let Some(graph) = model.graph else {
        return Err(malformed("it holds no graph".into()).into());
    };
    no_other_files(&graph)?;
    graph.node.iter().try_for_each(check_node)?;
    if !graph.sparse_initializer.is_empty() || !graph.quantization_annotation.is_empty() {
        return Err(refuse("holds sparse or quantised weights, which no base needs"));
    }
    let signature = signature(&graph)?;
    check_weights(&graph, weights)?;
    Ok((graph, signature))
}

/// Something in the graph that is refused.
pub(super) fn refuse(what: impl AsRef<str>) -> Error {
    let what = format!("it {}; pack the bundle again", what.as_ref());
    Refusal::new(Class::OnnxRefused, what).entry(ENTRY).into()
}

/// Weights come from the bundle alone: an initialiser that names a file is refused before anything
/// could open it.
fn no_other_files(graph: &GraphProto) -> Result<(), Error> {
    match graph.initializer.iter().find(|initialiser| !initialiser.external_data.is_empty()) {
        None => Ok(()),
        Some(initialiser) => {
            let what = format!("{} is said to be in another file", initialiser.name);
            Err(Refusal::new(Class::OnnxExternalDataPath, what).entry(ENTRY).into())
        }
    }
}

fn check_node(node: &NodeProto) -> Result<(), Error> {
    if !node.domain.is_empty() || !OPERATIONS.contains(&node.op_type.as_str()) {
        return Err(refuse(format!("has the operation {:?}, which no base needs", node.op_type)));
    }
    let holds_more = |a: &AttributeProto| {
        a.g.is_some()
            || a.t.is_some()
            || a.sparse_tensor.is_some()
            || !a.ref_attr_name.is_empty()
            || !a.graphs.is_empty()
            || !a.tensors.is_empty()
            || !a.sparse_tensors.is_empty()
    };
    if node.attribute.iter().any(holds_more) {
        Err(refuse(format!("has a graph or a tensor inside of node {:?}", node.name)))
    } else {
        Ok(())
    }
}

fn signature(graph: &GraphProto) -> Result<Signature, Error> {
    let wrong = |what: &str| refuse(format!("has {what}"));
    let (pixels, rest) = graph.input.split_first().ok_or_else(|| wrong("no input"))?;
    let image = match (pixels.name.as_str(), dims(pixels)?.as_slice()) {
        ("pixels", &[None, Some(3), Some(height), Some(width)]) => [height, width],
        _ => return Err(wrong("a first input other than `pixels` of shape [N, 3, height, width]")),
    };
    let feature = match graph.output.as_slice() {
        [output] if output.name == "feature" => match dims(output)?.as_slice() {
            &[None, Some(width)] => width,
            _ => return Err(wrong("an output `feature` of another shape than [N, D]")),
        },
        _ => return Err(wrong("outputs other than `feature`")),
    };
    let mut widths: BTreeMap<&str, [Option<usize>; 3]> = BTreeMap::new();
    for input in rest {
        let wrong = |what: &str| refuse(format!("has an input {:?} that {what}", input.name));
        let (site, half) = input.name.rsplit_once('.').unwrap_or_default();
        let (place, width) = match (half, dims(input)?.as_slice()) {
            ("lora_a", &[None, Some(width), None]) => (0, width),
            ("lora_b", &[None, None, Some(width)]) => (1, width),
            ("lora_scale", &[None, Some(1), Some(width)]) => (2, width),
            _ => {
                return Err(wrong(
                    "is none of SITE.lora_a [N, in, R], SITE.lora_b [N, R, out] and \
                     SITE.lora_scale [N, 1, out]",
                ));
            }
        };
        if widths.entry(site).or_default()[place].replace(width).is_some() {
            return Err(wrong("is there twice"));
        }
    }
    let sites = widths.into_iter().map(|(site, widths)| match widths {
        [Some(inputs), Some(outputs), scale] if scale.is_none_or(|width| width == outputs) => {
            Ok((site.to_owned(), SiteWidths { inputs, outputs, scalable: scale.is_some() }))
        }
        [Some(_), Some(_), _] => {
            Err(wrong(&format!("lora_b and lora_scale of different widths at site {site}")))
        }
        _ => Err(wrong(&format!("not both of lora_a and lora_b at site {site}"))),
    });
    Ok(Signature { image, sites: sites.collect::<Result<_, _>>()?, feature })
}

/// Tensors that do not fit the graph or the manifest: every one of them.
pub(super) fn misfit(class: Class, entry: &str, tensors: &[String]) -> Error {
    let what = format!("{}; pack the bundle again", tensors.join("; "));
    Refusal::new(class, what).entry(entry).into()
}

fn check_weights(graph: &GraphProto, weights: &BTreeMap<String, View>) -> Result<(), Error> {
    let mut left: BTreeSet<&str> = weights.keys().map(String::as_str).collect();
    let mut wrong = Vec::new();
    for initialiser in &graph.initializer {
        left.remove(initialiser.name.as_str());
        wrong.extend(misfit_of(initialiser, weights.get(&initialiser.name)));
    }
    wrong.extend(left.iter().map(|name| format!("{name} is not in {ENTRY}")));
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(misfit(Class::TensorsMisfit, "base.safetensors", &wrong))
    }
}

/// What is wrong with an initialiser and the weight of its name.
fn misfit_of(initialiser: &TensorProto, tensor: Option<&View>) -> Option<String> {
    let name = &initialiser.name;
    let external = initialiser.data_location == Some(DataLocation::External as i32);
    let tensor = match (external, tensor) {
        (true, Some(tensor)) => tensor,
        (true, None) => return Some(format!("{name} is missing")),
        (false, Some(_)) => return Some(format!("{name} has values in {ENTRY} already")),
        (false, None) => return None,
    };
    let same = initialiser.dims.len() == tensor.shape.len()
        && initialiser
            .dims
            .iter()
            .zip(&tensor.shape)
            .all(|(&dim, &size)| usize::try_from(dim) == Ok(size));
    let fits = same && initialiser.data_type == DataType::Float as i32;
    let wrong = || {
        format!("{name} has shape {:?}, the graph asks for {:?}", tensor.shape, initialiser.dims)
    };
    (!fits).then(wrong)
}

/// The dimensions of an f32 input or output; `None` where one is symbolic.
fn dims(info: &ValueInfoProto) -> Result<Vec<Option<usize>>, Error> {
    let wrong = || refuse(format!("has no usable f32 shape for {:?}", info.name));
    let Some(tensor) = info.r#type.as_ref().and_then(|t| t.tensor_type.as_ref()) else {
        return Err(wrong());
    };
    if tensor.elem_type != DataType::Float as i32 {
        return Err(wrong());
    }
    let dims = tensor.shape.as_ref().ok_or_else(wrong)?.dim.iter().map(|dim| match &dim.value {
        Some(DimensionValue::DimValue(size @ 1..=MAX_WIDTH)) => Ok(Some(*size as usize)),
        Some(DimensionValue::DimParam(_)) => Ok(None),
        _ => Err(wrong()),
    });
    dims.collect()
}
