//! Graphs that would be packed more than once, and sites that nothing computes.

use medforge_runtime::onnx::{GraphProto, ModelProto, NodeProto, ValueInfoProto};
use prost::Message;

use super::payload::{Payload, changed, with};
use crate::case::{Case, Good};

pub fn cases(good: &Good) -> Vec<Case> {
    let graph = |name, change: &dyn Fn(&mut GraphProto, &mut Payload)| {
        let bundle = changed(good, |payload, _| {
            let mut model = ModelProto::decode(good.entry("base.onnx")).unwrap();
            change(model.graph.as_mut().unwrap(), payload);
            payload.insert("base.onnx".into(), model.encode_to_vec());
        });
        Case::bundle("onnx_refused", bundle).called(name)
    };
    vec![
        graph("weight_in_two_places", &|graph, payload| {
            let weight = |site: &str| format!("blocks.0.attn.{site}.weight");
            for node in &mut graph.node {
                node.input
                    .iter_mut()
                    .filter(|input| **input == weight("k"))
                    .for_each(|input| *input = weight("q"));
            }
            graph.initializer.retain(|tensor| tensor.name != weight("k"));
            let bytes = with(&payload["base.safetensors"], |all| drop(all.remove(&weight("k"))));
            payload.insert("base.safetensors".into(), bytes);
        }),
        graph("norm_in_two_places", &|graph, payload| {
            for node in graph.node.iter_mut().filter(|node| node.op_type == "LayerNormalization") {
                let NodeProto { input, .. } = node;
                (input[1], input[2]) = ("norm.weight".into(), "norm.bias".into());
            }
            let norm = |name: &String| name.starts_with("blocks.") && name.contains("norm");
            graph.initializer.retain(|tensor| !norm(&tensor.name));
            let bytes = with(&payload["base.safetensors"], |all| all.retain(|name, _| !norm(name)));
            payload.insert("base.safetensors".into(), bytes);
        }),
        graph("site_in_two_places", &|graph, _| {
            let site = |half: &str, of: &str| format!("blocks.0.attn.{of}.lora_{half}");
            for half in ["a", "b", "scale"] {
                graph.input.retain(|input| input.name != site(half, "k"));
                let inputs = graph.node.iter_mut().flat_map(|node| &mut node.input);
                inputs
                    .filter(|input| **input == site(half, "k"))
                    .for_each(|input| *input = site(half, "q"));
            }
        }),
        graph("site_in_no_place", &|graph, _| {
            let own: Vec<ValueInfoProto> = graph
                .input
                .iter()
                .filter(|input| input.name.starts_with("blocks.0.attn.q."))
                .cloned()
                .collect();
            graph.input.extend(own.into_iter().map(|input| {
                let name = input.name.replace("attn.q", "attn.p");
                ValueInfoProto { name, ..input }
            }));
        }),
    ]
}
