//! Graphs that take memory before anything is known of them, and one whose blocks all have the same
//! weights.

use medforge_runtime::onnx::{DimensionValue, GraphProto, ModelProto, NodeProto};
use prost::Message;

use super::network::{Shape, on};
use crate::case::{Case, Good};
use crate::signer::payload::{Payload, made};

pub fn cases(good: &Good) -> Vec<Case> {
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
