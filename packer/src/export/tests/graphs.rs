//! Graphs: their names and weights, and those that are no base.

use std::collections::BTreeSet;

use medforge_runtime::onnx::{
    DataLocation, GraphProto, ModelProto, NodeProto, StringStringEntryProto,
};
use medforge_runtime::tensors::Dtype;
use prost::Message;

use super::*;
use crate::base::tests::FAMILIES;

/// Factors [N, in, R] need tokens [N, T, in]: a general engine would take [N, in] for one image
/// with N tokens.
#[test]
fn factors_meet_tokens_in_every_graph() {
    for family in FAMILIES {
        let model =
            ModelProto::decode(&*onnx::Graph::new(&small(family), 8).unwrap().self_contained())
                .unwrap();
        let nodes = model.graph.unwrap().node;
        let flat = nodes.iter().rposition(|node| node.name.ends_with(".flat")).unwrap();
        let adapted = |node: &NodeProto| {
            node.input.iter().any(|i| i.ends_with(".lora_a") || i.ends_with(".lora_b"))
        };
        assert!(
            nodes[..flat].iter().any(adapted) && !nodes[flat..].iter().any(adapted),
            "{family:?}"
        );
    }
}

#[test]
fn graphs_that_are_no_base_are_refused() {
    let forge = |change: &dyn Fn(&mut ModelProto)| {
        forged(|payload, _| {
            let bytes = payload.get_mut("base.onnx").unwrap();
            let mut model = ModelProto::decode(bytes.as_slice()).unwrap();
            change(&mut model);
            *bytes = model.encode_to_vec();
        })
    };
    fn graph(model: &mut ModelProto) -> &mut GraphProto {
        model.graph.as_mut().unwrap()
    }
    type Change<'a> = (&'a str, &'a dyn Fn(&mut ModelProto));
    let changes: [Change; 12] = [
        ("an operation of another kind", &|m| graph(m).node[0].op_type = "Loop".into()),
        ("an operation of another domain", &|m| graph(m).node[0].domain = "com.example".into()),
        ("a weight in another file", &|m| {
            let weight = graph(m).initializer.iter_mut().find(|i| i.name == "norm.bias").unwrap();
            weight
                .external_data
                .push(StringStringEntryProto { key: "location".into(), value: "/x".into() });
        }),
        ("a weight of another type", &|m| {
            graph(m).initializer.iter_mut().find(|i| i.name == "norm.bias").unwrap().data_type = 7;
        }),
        ("a shape that is a weight", &|m| {
            graph(m).initializer[0].data_location = Some(DataLocation::External as i32)
        }),
        ("no inputs", &|m| graph(m).input.clear()),
        ("half a site", &|m| graph(m).input.retain(|i| i.name != "blocks.0.attn.q.lora_b")),
        ("a scale that is no input", &|m| {
            graph(m).input.retain(|i| i.name != "blocks.0.attn.q.lora_scale")
        }),
        ("a scale of another width", &|m| {
            let at = |m: &mut ModelProto, name: &str| {
                graph(m).input.iter().position(|i| i.name == name).unwrap()
            };
            let [q, fc1] = ["blocks.0.attn.q.lora_scale", "blocks.0.mlp.fc1.lora_scale"]
                .map(|name| at(m, name));
            graph(m).input[q].r#type = graph(m).input[fc1].r#type.clone();
        }),
        ("an input with another name", &|m| graph(m).input[0].name = "image".into()),
        ("no graph", &|m| m.graph = None),
        ("nodes that nothing feeds", &|m| drop(graph(m).node.drain(..5))),
    ];
    for (what, change) in changes {
        let error = forge(change);
        assert!(error.is_refusal(), "{what}: {error}");
        assert!(!error.to_string().contains('\n'), "{what}: {error}");
    }
    for length in [0, 1, 100] {
        let error = forged(|payload, _| payload.get_mut("base.onnx").unwrap().truncate(length));
        assert!(error.is_refusal(), "{length} bytes: {error}");
    }
}

/// Other runtimes read a graph by its names.
#[test]
fn every_name_in_a_graph_stands_for_one_thing() {
    for family in FAMILIES {
        let model =
            ModelProto::decode(&*onnx::Graph::new(&small(family), 8).unwrap().without_weights())
                .unwrap();
        let graph = model.graph.unwrap();
        let mut names: Vec<&String> = graph.node.iter().map(|node| &node.name).collect();
        names.sort();
        assert!(
            names.windows(2).all(|pair| pair[0] != pair[1]),
            "{family:?}: a node's name is there twice"
        );
        let mut known: BTreeSet<&String> = graph.input.iter().map(|input| &input.name).collect();
        known.extend(graph.initializer.iter().map(|tensor| &tensor.name));
        for node in &graph.node {
            assert!(
                node.input.iter().all(|input| known.contains(input)),
                "{family:?}: {} has no input",
                node.name
            );
            assert!(known.insert(&node.output[0]), "{family:?}: {} is there twice", node.output[0]);
        }
    }
}

#[test]
fn weights_are_stored_in_16_bits_only_where_that_is_exact() {
    let mut vit = small(Family::Vit);
    let fine = "blocks.0.norm1.bias";
    // Too small for f16.
    vit.change(fine, |data| data.fill(2f32.powi(-40)));
    vit.change("norm.bias", |data| data.fill(0.1));
    vit.change("norm.weight", |data| data.fill(0.5));
    let graph = onnx::Graph::new(&vit, 8).unwrap();
    assert_eq!(graph.tensors["norm.bias"].dtype, Dtype::F32);
    assert_eq!(graph.tensors["norm.weight"].dtype, Dtype::F16);
    assert_eq!(graph.tensors[fine].dtype, Dtype::BF16);
}
