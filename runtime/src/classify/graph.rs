//! `base.onnx`: how long it may be, which network it is, and whether weights fit it.
//!
//! Refused: a graph that packer does not write, or that keeps weights in another file. Refused too:
//! weights that the graph asks for and `base.safetensors` lacks, has in another shape, or has
//! beside it.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message;

use crate::Class;
use crate::error::{Error, Refusal};
use crate::onnx::{self, DataLocation, DataType, GraphProto, ModelProto, TensorProto};
use crate::tensors::View;
use crate::vit::{self, Shape};

/// The entry that errors name.
const ENTRY: &str = "base.onnx";

/// Longest graph, in bytes, and most fields in it. The largest base that is known has 0.4 MB and
/// 40,000.
const LONGEST: usize = 4 << 20;
const MOST_FIELDS: usize = 100_000;

/// One linear layer that LoRA can adapt: its input and output widths.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct SiteWidths {
    pub inputs: usize,
    pub outputs: usize,
    /// Whether the graph takes a magnitude scale there, as DoRA needs it.
    pub scalable: bool,
}

/// What goes into a graph and what comes out.
#[derive(Debug)]
pub(super) struct Signature {
    /// Height and width of `pixels`, the first input.
    pub image: [usize; 2],
    /// The sites that the inputs after `pixels` make up, by name.
    pub sites: BTreeMap<String, SiteWidths>,
    /// Length of `feature`, the one output.
    pub feature: usize,
}

impl Signature {
    /// Of the graph of a network.
    pub fn of(shape: &Shape) -> Self {
        let scalable = shape.magnitude_scales;
        let sites = shape.sites().map(|site| {
            let (inputs, outputs) = shape.widths(site);
            (site.to_string(), SiteWidths { inputs, outputs, scalable })
        });
        let sites = sites.collect();
        Signature { image: [shape.side(); 2], sites, feature: shape.feature() }
    }
}

/// Reads a graph for these weights. Every initialiser that it marks as external must be among them
/// in its shape, and nothing else.
pub(super) fn read(onnx: &[u8], weights: &BTreeMap<String, View>) -> Result<Shape, Error> {
    let graph = decode(onnx)?;
    no_other_files(&graph)?;
    let shape = vit::recognise(&graph).map_err(refuse)?;
    check_weights(&graph, weights)?;
    Ok(shape)
}

/// The messages of `onnx`, unless they are too many.
fn decode(onnx: &[u8]) -> Result<GraphProto, Error> {
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
    Ok(model.graph.ok_or_else(|| malformed("it holds no graph".into()))?)
}

/// Something in the graph that is refused.
fn refuse(what: impl AsRef<str>) -> Error {
    let what = format!("it {}; pack the bundle again", what.as_ref());
    Refusal::new(Class::OnnxRefused, what).entry(ENTRY).into()
}

/// Weights come from the bundle alone. An initialiser that names a file is refused before anything
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
