//! Bundles of a trusted signer that ask for memory and work beyond all proportion. But for one they
//! are made when the tests run: most are megabytes of zeros.

use std::collections::BTreeMap;
use std::path::Path;

use medforge_packer::base::Vit;
use medforge_packer::export::onnx::Graph;
use medforge_runtime::bundle::manifest::{
    Calibration, Composition, Head, Manifest, Metric, Mode, Module, WeightedModule,
};
use medforge_runtime::bundle::sha256_hex;
use medforge_runtime::onnx::{DimensionValue, GraphProto, ModelProto, NodeProto};
use medforge_runtime::preprocess::{Resize, Size};
use medforge_runtime::tensors::{self, Dtype, Tensor};
use prost::Message;

use crate::signer::{Payload, another, made};
use crate::{Case, Good};

pub fn cases(good: &Good) -> Vec<Case> {
    let (payload, manifest) =
        on(good, &Shape { wide: 1, side: 140, patch: 1, heads: 1, layers: 1 });
    let kept = Case::bundle("too_costly", made(good, &payload, manifest));
    [bases(good), fusions(good), graphs(good), texts(good)]
        .concat()
        .into_iter()
        .map(Case::unkept)
        .chain([kept])
        .collect()
}

/// Bases of narrow networks with many tokens.
fn bases(good: &Good) -> Vec<Case> {
    let costly = |name, payload: &Payload, manifest| {
        Case::bundle("too_costly", made(good, payload, manifest)).called(name)
    };
    let plain = |name, base: Shape| {
        let (payload, manifest) = on(good, &base);
        costly(name, &payload, manifest)
    };
    // What one image takes here is below the limit, and a few parts of a mixture are above it.
    let middling = Shape { wide: 16, side: 64, patch: 1, heads: 16, layers: 32 };
    let with_modules = |count: usize| {
        let (mut payload, mut manifest) = on(good, &middling);
        let ids: Vec<String> = (0..count)
            .map(|n| {
                another(&mut payload, &mut manifest, |all| {
                    all.values_mut().for_each(|t| t.data[0] = n as f32)
                })
            })
            .collect();
        payload.remove(&manifest.modules.remove(0).entry);
        (payload, manifest, ids)
    };
    let part = |module: &String| WeightedModule { module: module.clone(), weight: 1.0 };
    let mixed = |name, mode| {
        let (payload, mut manifest, ids) = with_modules(60);
        manifest.compositions[0].parts = ids.iter().map(part).collect();
        manifest.compositions[0].mode = mode;
        costly(name, &payload, manifest)
    };
    let golden = {
        let (mut payload, mut manifest, ids) = with_modules(700);
        let (head, bytes) = (manifest.heads.remove(0), payload["heads/breast.safetensors"].clone());
        payload.remove(&head.entry);
        manifest.compositions.clear();
        for (number, id) in ids.iter().enumerate() {
            let task = format!("t{number}");
            let entry = format!("heads/{task}.safetensors");
            payload.insert(entry.clone(), bytes.clone());
            manifest.heads.push(Head { task: task.clone(), entry, ..head.clone() });
            manifest.compositions.push(Composition {
                task,
                mode: Mode::Fusion,
                parts: vec![part(id)],
            });
        }
        costly("golden_vectors_of_many_tasks", &payload, manifest)
    };
    vec![
        plain("patches_of_one_pixel", Shape { wide: 16, side: 224, patch: 1, heads: 2, layers: 1 }),
        plain(
            "patches_of_one_pixel_in_many_blocks",
            Shape { wide: 16, side: 112, patch: 1, heads: 16, layers: 128 },
        ),
        plain(
            "patches_of_two_pixels",
            Shape { wide: 16, side: 400, patch: 2, heads: 2, layers: 4 },
        ),
        plain("heads_of_one_value", Shape { wide: 16, side: 128, patch: 1, heads: 16, layers: 80 }),
        mixed("mixture_of_sixty", Mode::Mixture),
        golden,
    ]
}

/// Fusions of modules with scales, and of more ranks than any site has inputs.
fn fusions(good: &Good) -> Vec<Case> {
    let fused = |name, rank: usize, scaled: bool| {
        let (mut payload, mut manifest) =
            on(good, &Shape { wide: 16, side: 16, patch: 8, heads: 2, layers: 1 });
        let ids: Vec<String> = (0..3)
            .map(|n| {
                another(&mut payload, &mut manifest, |all| {
                    for (name, tensor) in all.iter_mut() {
                        let place = usize::from(name.ends_with("lora_a"));
                        tensor.shape[place] = rank;
                        (tensor.data, tensor.dtype) = (vec![n as f32; 16 * rank], Dtype::F16);
                    }
                    for site in ["blocks.0.attn.q", "blocks.0.attn.v"].iter().filter(|_| scaled) {
                        all.insert(
                            format!("{site}.lora_scale"),
                            Tensor::f32(vec![16], vec![1.0; 16]),
                        );
                    }
                })
            })
            .collect();
        payload.remove(&manifest.modules.remove(0).entry);
        manifest.modules.iter_mut().for_each(|module| module.rank = rank as u32);
        let part = |module| WeightedModule { module, weight: 0.5 };
        manifest.compositions[0].parts = ids.into_iter().map(part).collect();
        Case::bundle("contradiction", made(good, &payload, manifest)).called(name)
    };
    vec![fused("ranks_without_end", 4096, false), fused("scales_fused", 2, true)]
}

/// A network, by the width of its layers.
struct Shape {
    wide: usize,
    side: usize,
    patch: usize,
    heads: usize,
    layers: usize,
}

/// The good bundle on another base, all of whose weights are zero.
fn on(good: &Good, shape: &Shape) -> (Payload, Manifest) {
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

    /// Makes a graph for two by two patches one for as many as the image has: packer itself writes
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

/// Graphs that take memory before anything is known of them, and one whose blocks all have the same
/// weights.
fn graphs(good: &Good) -> Vec<Case> {
    let bundle = |graph: Vec<u8>, layers: usize| {
        let mut payload: Payload = good.entries[2..].iter().cloned().collect();
        payload.insert("base.onnx".into(), graph);
        let mut manifest = good.manifest();
        manifest.base.layers = layers as u32;
        made(good, &payload, manifest)
    };
    let node = NodeProto::default();
    let empty = GraphProto { node: vec![node; 200_000], ..GraphProto::default() };
    let empty = ModelProto { graph: Some(empty), ..ModelProto::default() }.encode_to_vec();
    let long = [good.entry("base.onnx"), &vec![0x92; 4 << 20]].concat();
    let shared = {
        let (mut payload, mut manifest) =
            on(good, &Shape { wide: 16, side: 16, patch: 8, heads: 2, layers: 2 });
        let mut model = ModelProto::decode(&*payload["base.onnx"]).unwrap();
        manifest.base.layers = 60;
        again(model.graph.as_mut().unwrap(), 58);
        payload.insert("base.onnx".into(), model.encode_to_vec());
        made(good, &payload, manifest)
    };
    let shorter = {
        let mut payload: Payload = good.entries[2..].iter().cloned().collect();
        let mut model = ModelProto::decode(&*payload["base.onnx"]).unwrap();
        let feature = model.graph.as_mut().unwrap().output[0].r#type.as_mut().unwrap();
        let dims = &mut feature.tensor_type.as_mut().unwrap().shape.as_mut().unwrap().dim;
        dims[1].value = Some(DimensionValue::DimValue(8));
        payload.insert("base.onnx".into(), model.encode_to_vec());
        let mut manifest = good.manifest();
        manifest.base.feature_size = 8;
        made(good, &payload, manifest)
    };
    vec![
        Case::bundle("onnx_refused", shorter).called("feature_of_another_length"),
        Case::bundle("onnx_refused", bundle(empty, 1)).called("graph_of_empty_nodes"),
        Case::bundle("onnx_refused", bundle(long, 1)).called("graph_without_end"),
        Case::bundle("onnx_refused", shared).called("block_sixty_times"),
    ]
}

/// Puts the first block of a graph of two there `times` more, each with the same weights and sites.
fn again(graph: &mut GraphProto, times: usize) {
    let norms: Vec<usize> = graph
        .node
        .iter()
        .enumerate()
        .filter(|(_, n)| n.op_type == "LayerNormalization")
        .map(|n| n.0)
        .collect();
    let (from, to) = (norms[0], norms[2]);
    let mut nodes: Vec<NodeProto> = graph.node[..to].to_vec();
    let (first, mut last) =
        (graph.node[from].input[0].clone(), graph.node[to - 1].output[0].clone());
    let out = last.clone();
    for time in 0..times {
        let made: Vec<String> =
            graph.node[from..to].iter().flat_map(|node| node.output.clone()).collect();
        let renamed = |name: &String| match made.contains(name) {
            true => format!("{name}.{time}"),
            false if *name == first => last.clone(),
            false => name.clone(),
        };
        let copies = graph.node[from..to].iter().map(|node| NodeProto {
            name: format!("{}.{time}", node.name),
            input: node.input.iter().map(renamed).collect(),
            output: node.output.iter().map(renamed).collect(),
            ..node.clone()
        });
        let copies: Vec<NodeProto> = copies.collect();
        nodes.extend(copies);
        last = format!("{out}.{time}");
    }
    for mut node in graph.node[to..].iter().cloned() {
        node.input
            .iter_mut()
            .filter(|input| **input == out)
            .for_each(|input| input.clone_from(&last));
        nodes.push(node);
    }
    graph.node = nodes;
}

/// A manifest and a tensor file of so many small values that reading them would take many times
/// their bytes.
fn texts(good: &Good) -> Vec<Case> {
    let mut manifest = good.manifest();
    manifest.heads[0].classes = vec![String::new(); 1 << 20];
    let payload: Payload = good.entries[2..].iter().cloned().collect();
    let values = made(good, &payload, manifest);
    let header = |count: usize| {
        let tensor = |n: usize| {
            let (from, to) = (4 * n, 4 * n + 4);
            format!("\"{n}\":{{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[{from},{to}]}}")
        };
        let text = format!("{{{}}}", (0..count).map(tensor).collect::<Vec<_>>().join(","));
        [&(text.len() as u64).to_le_bytes()[..], text.as_bytes(), &vec![0; 4 * count]].concat()
    };
    let tensors = |name, count| {
        let mut payload = payload.clone();
        payload.insert("heads/breast.safetensors".into(), header(count));
        Case::bundle("st_huge_header", made(good, &payload, good.manifest())).called(name)
    };
    vec![
        Case::bundle("contradiction", crowd(good)).called("parts_of_many_tasks"),
        Case::bundle("json_too_large", values).called("values_without_end"),
        tensors("tensors_without_end", 100_000),
        tensors("tensors_in_a_short_header", 50_000),
    ]
}

/// As many parts and modules as fit into a manifest, each to be looked for among all others, and at
/// last a metric that no evaluation gives.
fn crowd(good: &Good) -> Vec<u8> {
    let (mut payload, mut manifest): (Payload, _) =
        (good.entries[2..].iter().cloned().collect(), good.manifest());
    let (module, head) = (manifest.modules.remove(0), manifest.heads.remove(0));
    let (factors, rows) =
        (payload.remove(&module.entry).unwrap(), payload.remove(&head.entry).unwrap());
    manifest.compositions.clear();
    for number in 0..2800_u32 {
        let bytes = [&factors[..8], &number.to_le_bytes()].concat();
        let id = sha256_hex(&bytes);
        let entry = format!("modules/{id}.safetensors");
        payload.insert(entry.clone(), bytes);
        let (task, sites) = (format!("t{number}"), vec!["blocks.0.attn.q".to_owned()]);
        manifest.modules.push(Module { id, entry, task, sites, ..module.clone() });
    }
    for number in 0..250 {
        let task = format!("t{number}");
        let entry = format!("heads/{task}.safetensors");
        payload.insert(entry.clone(), rows[..8].to_vec());
        let calibration = Some(Calibration {
            temperature: 1.0,
            error: 0.1,
            threshold: 2.0,
            least_probability: 0.0,
            n: 40,
        });
        manifest.heads.push(Head { task: task.clone(), entry, calibration, ..head.clone() });
        // The task's own module comes last.
        let parts = (0..256).rev().map(|other| (number + other * 11) % 2800);
        let part = |module: usize| WeightedModule {
            module: manifest.modules[module].id.clone(),
            weight: 1.0,
        };
        let parts = parts.map(part).collect();
        manifest.compositions.push(Composition { task, mode: Mode::Mixture, parts });
    }
    let metric = Metric { name: "auc".into(), value: 0.65, low: 0.7, high: 0.6, n: 40 };
    manifest.metrics = BTreeMap::from([("t0".into(), metric)]);
    made(good, &payload, manifest)
}
