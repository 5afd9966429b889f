//! The graph of a network as tract runs it, one image at a time.

use std::sync::Arc;

use prost::Message;
use tract_onnx::pb::{tensor_shape_proto::dimension::Value, type_proto};
use tract_onnx::prelude::{
    Framework, InferenceModelExt, IntoRunnable, IntoTValue, TValue, TVec, Tensor, TypedSimplePlan,
};

use super::made::{BySite, Weights};
use crate::onnx::{ModelProto, OperatorSetIdProto};
use crate::vit::{OPSET, Shape, graph};

pub struct Oracle<'a> {
    shape: &'a Shape,
    plan: Arc<TypedSimplePlan>,
    /// The names of its inputs after `pixels`.
    inputs: Vec<String>,
}

impl<'a> Oracle<'a> {
    pub fn new(shape: &'a Shape, weights: &Weights) -> Self {
        let mut graph = graph(shape);
        for initialiser in &mut graph.initializer {
            if let Some(tensor) = weights.get(&initialiser.name) {
                initialiser.data_location = None;
                initialiser.raw_data = tensor.data.iter().flat_map(|v| v.to_le_bytes()).collect();
            }
        }
        let opset = OperatorSetIdProto { domain: String::new(), version: OPSET };
        let model = ModelProto {
            ir_version: 8,
            opset_import: vec![opset],
            graph: Some(graph),
            ..ModelProto::default()
        };
        let mut model =
            tract_onnx::pb::ModelProto::decode(&*model.encode_to_vec()).expect("it is a model");
        let graph = model.graph.as_mut().unwrap();
        for input in &mut graph.input {
            let Some(type_proto::Value::TensorType(tensor)) =
                &mut input.r#type.as_mut().unwrap().value
            else {
                panic!()
            };
            tensor.shape.as_mut().unwrap().dim[0].value = Some(Value::DimValue(1));
        }
        let inputs = graph.input[1..].iter().map(|input| input.name.clone()).collect();
        let inference = tract_onnx::onnx().model_for_proto_model(&model).unwrap();
        Oracle { shape, plan: inference.into_optimized().unwrap().into_runnable().unwrap(), inputs }
    }

    pub fn feature(&self, image: &[f32], by_site: &BySite) -> Vec<f64> {
        let tensor = |shape: &[usize], values: &[f32]| {
            Tensor::from_shape(shape, values).unwrap().into_tvalue()
        };
        let factor = |name: &String| {
            let (name, part) = name.rsplit_once('.').unwrap();
            let (inputs, outputs) = self.shape.widths(self.shape.site(name).unwrap());
            let factors = by_site.get(name);
            let rank = factors.map_or(0, |factors| factors.rank);
            match part {
                "lora_a" => tensor(&[1, inputs, rank], factors.map_or(&[][..], |f| &f.a)),
                "lora_b" => tensor(&[1, rank, outputs], factors.map_or(&[][..], |f| &f.b)),
                _ => {
                    let scale = factors.and_then(|factors| factors.magnitude_scale.clone());
                    tensor(&[1, 1, outputs], &scale.unwrap_or_else(|| vec![1.0; outputs]))
                }
            }
        };
        let pixels = tensor(&[1, 3, self.shape.side(), self.shape.side()], image);
        let inputs: TVec<TValue> =
            std::iter::once(pixels).chain(self.inputs.iter().map(factor)).collect();
        let outputs = self.plan.run(inputs).unwrap();
        let values = outputs[0].to_plain_array_view::<f32>().unwrap();
        values.iter().map(|value| f64::from(*value)).collect()
    }
}
