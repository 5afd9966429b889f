//! A base ready to run, and the LoRA factors it runs with.
//!
//! The graphs that `packer` writes run on the transformer's own kernels; any other graph of the allowed operations runs as tract's plan,
//! which is slower and otherwise the same. Refused: what tract cannot read or optimise, and features that are not finite. A panic in either
//! comes back as an error.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use rayon::ThreadPool;
use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::{
    Framework, InferenceModelExt, IntoRunnable, IntoTValue, TValue, TVec, Tensor as TractTensor, TractResult,
    TypedSimplePlan,
};

use super::graph::{self, Signature};
use crate::Error;
use crate::kernel::Level;
use crate::tensors::View;
use crate::vit::{self, Precision, Spread, Vit};

/// A base ready to run.
pub(super) struct Base {
    engine: Engine,
    pub signature: Signature,
}

enum Engine {
    Vit(Box<Vit>),
    /// With the bytes of its weights.
    Plan(Arc<TypedSimplePlan>, usize),
}

/// The LoRA factors of one composition. Swapping is passing another one.
pub(super) enum Adapter {
    Vit(vit::Adapter),
    /// In the order of the graph's inputs.
    Plan(Vec<Arc<TractTensor>>),
}

/// The factors of one site, scaling and weights folded into `b`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Factors {
    pub rank: usize,
    /// `[inputs, rank]`
    pub a: Vec<f32>,
    /// `[rank, outputs]`
    pub b: Vec<f32>,
}

impl Base {
    /// Prepares `onnx` with its weights to run on `threads`, or on each caller's own thread (as tract's plan always does).
    pub fn load(
        onnx: &[u8],
        weights: &BTreeMap<String, View>,
        precision: Precision,
        threads: Option<(Arc<ThreadPool>, Spread)>,
    ) -> Result<Self, Error> {
        let (model, signature) = graph::read(onnx, weights)?;
        let layout = match (&model.graph, signature.image) {
            (Some(graph), [height, width]) if height == width => vit::recognise(graph, height),
            _ => None,
        };
        let engine = match layout {
            None if precision == Precision::Int8 => {
                return Err(graph::refuse("is no graph of packer's, which alone run in eight bits"));
            }
            None => plan(model, weights)?,
            Some(layout) => Engine::Vit(Box::new(
                guarded(|| Ok(Vit::new(Level::best(), layout, weights, precision, threads))).map_err(device)??,
            )),
        };
        Ok(Base { engine, signature })
    }

    /// Lays out the factors of a composition. A site that is not named gets rank 0.
    pub fn adapter(&self, by_site: &BTreeMap<String, Factors>) -> Result<Adapter, Error> {
        if let Engine::Vit(vit) = &self.engine {
            let by_site = by_site.iter().map(|(site, f)| (site.clone(), (f.rank, &f.a[..], &f.b[..]))).collect();
            let adapter = guarded(|| Ok(vit.adapter(&by_site))).map_err(device)?;
            let adapter = adapter.ok_or_else(|| device("LoRA factors do not have the shape of their site".into()));
            return adapter.map(Adapter::Vit);
        }
        let none = Factors::default();
        let tensors = self.signature.factors.iter().map(|factor| {
            let site = self.signature.sites[&factor.site];
            let factors = by_site.get(&factor.site).unwrap_or(&none);
            let tensor = match factor.is_a {
                true => tensor(&[1, site.inputs, factors.rank], &factors.a),
                false => tensor(&[1, factors.rank, site.outputs], &factors.b),
            };
            tensor.map(Arc::new)
        });
        tensors.collect::<Result<_, _>>().map(Adapter::Plan)
    }

    /// The features of rows, each an index into the normalised `images` (`[3, H, W]`) and what it runs with. `cancelled` is asked
    /// between parts of the work.
    pub fn features(
        &self,
        images: &[Vec<f32>],
        rows: &[(usize, &Adapter)],
        cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Result<Vec<Vec<f32>>, Error> {
        let [height, width] = self.signature.image;
        if images.iter().any(|image| image.len() != 3 * height * width) {
            return Err(device(format!("an image does not have 3 x {height} x {width} values")));
        }
        let features = match &self.engine {
            Engine::Vit(vit) => {
                let own = rows.iter().filter_map(|(image, adapter)| match adapter {
                    Adapter::Vit(adapter) => Some((*image, adapter)),
                    Adapter::Plan(_) => None,
                });
                let own: Vec<_> = own.collect();
                guarded(|| Ok(vit.features(images, &own, cancelled))).map_err(device)?.ok_or(Error::Cancelled)?
            }
            Engine::Plan(plan, _) => {
                let mut features = Vec::with_capacity(rows.len());
                for (image, adapter) in rows {
                    if cancelled() {
                        return Err(Error::Cancelled);
                    }
                    let Adapter::Plan(factors) = adapter else { continue };
                    let mut inputs: TVec<TValue> = TVec::new();
                    inputs.push(tensor(&[1, 3, height, width], &images[*image])?.into_tvalue());
                    inputs.extend(factors.iter().map(|factor| factor.clone().into_tvalue()));
                    features.push(run(plan, inputs)?);
                }
                features
            }
        };
        if features.len() != rows.len() {
            return Err(device("an adapter was laid out for another base".into()));
        }
        for feature in &features {
            if feature.len() != self.signature.feature {
                return Err(device(format!("the base gave {} values for one image", feature.len())));
            }
            if !feature.iter().all(|value| value.is_finite()) {
                return Err(device("the base gave a feature that is not finite".into()));
            }
        }
        Ok(features)
    }

    /// Bytes of weights, and of buffers that wait for the next call (a plan's are not known).
    pub fn bytes(&self) -> (usize, usize) {
        match &self.engine {
            Engine::Vit(vit) => (vit.bytes(), vit.scratch()),
            Engine::Plan(_, bytes) => (*bytes, 0),
        }
    }
}

impl Adapter {
    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        match self {
            Adapter::Vit(adapter) => adapter.bytes(),
            Adapter::Plan(factors) => factors.iter().map(|factor| factor.len() * size_of::<f32>()).sum(),
        }
    }
}

/// Joins the graph with its weights and optimises it. Each form of the model is dropped once the next one stands.
fn plan(mut model: ModelProto, weights: &BTreeMap<String, View>) -> Result<Engine, Error> {
    let bytes = weights.values().map(|view| view.shape.iter().product::<usize>() * size_of::<f32>()).sum();
    if let Some(graph) = &mut model.graph {
        graph::join(graph, weights)?;
    }
    let plan = guarded(move || {
        let inference = tract_onnx::onnx().model_for_proto_model(&model)?;
        drop(model);
        inference.into_optimized()?.into_runnable()
    });
    let plan = plan.map_err(|what| graph::refuse(format!("cannot be prepared to run: {what}")))?;
    Ok(Engine::Plan(plan, bytes))
}

fn run(plan: &Arc<TypedSimplePlan>, inputs: TVec<TValue>) -> Result<Vec<f32>, Error> {
    let outputs = guarded(|| {
        let outputs = plan.run(inputs)?;
        let views = outputs.iter().map(|output| output.to_plain_array_view::<f32>());
        views.map(|view| Ok(view?.iter().copied().collect::<Vec<f32>>())).collect::<TractResult<Vec<_>>>()
    });
    Ok(outputs.map_err(device)?.pop().unwrap_or_default())
}

/// Runs `work`; an error or a panic there becomes a sentence.
pub(super) fn guarded<T>(work: impl FnOnce() -> TractResult<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(|error| format!("{error:#}").replace('\n', " ")),
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().map(|text| text.to_string());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            Err(format!("it panicked: {}", text.unwrap_or_default()))
        }
    }
}

fn tensor(shape: &[usize], values: &[f32]) -> Result<TractTensor, Error> {
    if shape.iter().product::<usize>() != values.len() {
        return Err(device(format!("{} values do not fill the shape {shape:?}", values.len())));
    }
    guarded(|| TractTensor::from_shape(shape, values)).map_err(device)
}

fn device(what: String) -> Error {
    Error::Device { what }
}

#[cfg(test)]
mod tests;
