//! The base as a tract plan, and the LoRA factors it runs with.
//!
//! Refused: what tract cannot read or optimise, and features that are not finite. A panic inside tract comes back as an
//! error.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tract_onnx::prelude::{
    Framework, InferenceModelExt, IntoRunnable, IntoTValue, TValue, TVec, Tensor as TractTensor, TractResult,
    TypedSimplePlan,
};

use super::graph::{self, Signature};
use crate::Error;
use crate::tensors::Tensor;

/// A base ready to run.
pub(super) struct Base {
    plan: Arc<TypedSimplePlan>,
    pub signature: Signature,
}

/// The LoRA factors of one composition, in the order of the graph's inputs. Swapping is passing another one.
pub(super) struct Adapter(Vec<Arc<TractTensor>>);

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
    /// Joins `onnx` with its weights and optimises it. Each form of the model is dropped once the next one stands.
    pub fn load(onnx: &[u8], weights: BTreeMap<String, Tensor>) -> Result<Self, Error> {
        let (model, signature) = graph::read(onnx, weights)?;
        let plan = guarded(move || {
            let inference = tract_onnx::onnx().model_for_proto_model(&model)?;
            drop(model);
            inference.into_optimized()?.into_runnable()
        });
        let plan = plan.map_err(|what| graph::refuse(format!("cannot be prepared to run: {what}")))?;
        Ok(Base { plan, signature })
    }

    /// Lays out the factors of a composition for the graph. A site that is not named gets rank 0.
    pub fn adapter(&self, by_site: &BTreeMap<String, Factors>) -> Result<Adapter, Error> {
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
        tensors.collect::<Result<_, _>>().map(Adapter)
    }

    /// The feature of one normalised image, `[3, H, W]`.
    pub fn feature(&self, pixels: &[f32], adapter: &Adapter) -> Result<Vec<f32>, Error> {
        let [height, width] = self.signature.image;
        let mut inputs: TVec<TValue> = TVec::new();
        inputs.push(tensor(&[1, 3, height, width], pixels)?.into_tvalue());
        inputs.extend(adapter.0.iter().map(|factor| factor.clone().into_tvalue()));
        let outputs = guarded(|| {
            let outputs = self.plan.run(inputs)?;
            let views = outputs.iter().map(|output| output.to_plain_array_view::<f32>());
            views.map(|view| Ok(view?.iter().copied().collect::<Vec<f32>>())).collect::<TractResult<Vec<_>>>()
        });
        let feature = outputs.map_err(device)?.pop().unwrap_or_default();
        if feature.len() != self.signature.feature {
            return Err(device(format!("the base gave {} values for one image", feature.len())));
        }
        match feature.iter().all(|value| value.is_finite()) {
            true => Ok(feature),
            false => Err(device("the base gave a feature that is not finite".into())),
        }
    }
}

/// Runs `work` in tract; an error or a panic there becomes a sentence.
pub(super) fn guarded<T>(work: impl FnOnce() -> TractResult<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(|error| format!("{error:#}").replace('\n', " ")),
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().map(|text| text.to_string());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            Err(format!("tract panicked: {}", text.unwrap_or_default()))
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
