//! The good bundle on other networks, of weights that are all zero.

use std::collections::BTreeMap;
use std::path::Path;

use medforge_packer::base::Vit;
use medforge_packer::export::onnx::Graph;
use medforge_runtime::bundle::manifest::Manifest;
use medforge_runtime::onnx::{DimensionValue, GraphProto, ModelProto};
use medforge_runtime::preprocess::{Resize, Size};
use medforge_runtime::tensors::{self, Dtype, Tensor};
use prost::Message;

use crate::case::Good;
use crate::signer::payload::Payload;

/// A network, by the width of its layers.
pub struct Shape {
    pub wide: usize,
    pub side: usize,
    pub patch: usize,
    pub heads: usize,
    pub layers: usize,
}

/// The good bundle on another base, all of whose weights are zero.
pub fn on(good: &Good, shape: &Shape) -> (Payload, Manifest) {
    let place = tempfile::tempdir().unwrap();
    let vit = shape.vit(place.path());
    let side = shape.side as u32;
    let graph = Graph::new(&vit, 2 * shape.patch as u32).unwrap();
    let mut model = ModelProto::decode(&*graph.without_weights()).unwrap();
    let mut tensors = graph.tensors;
    shape.stretch(model.graph.as_mut().unwrap(), &mut tensors);
    for tensor in tensors.values_mut() {
        tensor.data = vec![0.0; tensor.shape.iter().product()];
        tensor.dtype = Dtype::F16;
    }
    let mut payload: Payload = good.entries[2..].iter().cloned().collect();
    payload.insert("base.onnx".into(), model.encode_to_vec());
    let weights = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor));
    payload.insert("base.safetensors".into(), tensors::write(weights, &BTreeMap::new()).unwrap());
    let mut manifest = good.manifest();
    (manifest.base.image_size, manifest.base.feature_size) = ([side; 2], shape.wide as u32);
    (manifest.base.layers, manifest.base.heads) = (shape.layers as u32, Some(shape.heads as u32));
    let size = Size { height: side, width: side };
    (manifest.preprocessing.resize, manifest.preprocessing.crop) = (Resize::Exact(size), None);
    (payload, manifest)
}

impl Shape {
    fn vit(&self, place: &Path) -> Vit {
        let Shape { wide, patch, heads, layers, .. } = self;
        let side = 2 * patch;
        let config = format!(
            r#"{{"model_type":"vit","hidden_size":{wide},"num_hidden_layers":{layers},
            "num_attention_heads":{heads},
            "intermediate_size":16,"image_size":{side},"patch_size":{patch}}}"#
        );
        let processor = format!(
            r#"{{"size":{{"height":{side},"width":{side}}},"resample":3,
            "image_mean":[0.5,0.5,0.5],"image_std":[0.5,0.5,0.5]}}"#
        );
        std::fs::write(place.join("config.json"), config).unwrap();
        std::fs::write(place.join("preprocessor_config.json"), processor).unwrap();
        Vit::random(place, 1).unwrap()
    }

    /// Makes a graph for two by two patches one for as many as the image has. Packer itself writes
    /// none of more than 128 by 128.
    fn stretch(&self, graph: &mut GraphProto, tensors: &mut BTreeMap<String, Tensor>) {
        let (grid, patch, side) =
            (self.side as i64 / self.patch as i64, self.patch as i64, self.side as i64);
        let bytes = |values: &[i64]| {
            values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>()
        };
        let area = 3 * patch * patch;
        for initialiser in &mut graph.initializer {
            if initialiser.raw_data == bytes(&[0, 3, 2, patch, 2, patch]) {
                initialiser.raw_data = bytes(&[0, 3, grid, patch, grid, patch]);
            } else if initialiser.raw_data == bytes(&[0, 4, area]) {
                initialiser.raw_data = bytes(&[0, grid * grid, area]);
            } else if initialiser.dims == [1, 5, self.wide as i64] {
                initialiser.dims[1] = 1 + grid * grid;
                tensors.get_mut(&initialiser.name).unwrap().shape[1] = 1 + (grid * grid) as usize;
            }
        }
        let pixels = graph.input[0].r#type.as_mut().unwrap().tensor_type.as_mut().unwrap();
        for dim in &mut pixels.shape.as_mut().unwrap().dim[2..] {
            dim.value = Some(DimensionValue::DimValue(side));
        }
    }
}
