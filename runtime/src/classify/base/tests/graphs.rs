//! What is not taken for the transformer, and why.

use super::*;
use crate::onnx::{DimensionValue, GraphProto, NodeProto};
use crate::vit;

fn decoded(onnx: &[u8]) -> GraphProto {
    crate::onnx::ModelProto::decode(onnx).unwrap().graph.unwrap()
}

#[test]
fn a_graph_that_differs_anywhere_is_not_taken_for_the_transformer() {
    let graph = decoded(bundle().entry("base.onnx").unwrap());
    let known = |graph: &GraphProto| vit::recognise(graph).is_ok();
    assert!(known(&graph));
    let mut larger = graph.clone();
    let pixels = larger.input[0].r#type.as_mut().unwrap().tensor_type.as_mut().unwrap();
    for dim in &mut pixels.shape.as_mut().unwrap().dim[2..] {
        let Some(DimensionValue::DimValue(side)) = &mut dim.value else { panic!() };
        *side += 1;
    }
    assert!(!known(&larger), "another size of images");
    for index in 0..graph.node.len() {
        let node_before = |index: usize| graph.node[index].name.clone();
        let change = |change: &dyn Fn(&mut NodeProto)| {
            let mut graph = graph.clone();
            change(&mut graph.node[index]);
            assert!(
                !known(&graph),
                "node {index}: {:?} in place of {:?}",
                graph.node[index],
                node_before(index)
            );
        };
        change(&|node| node.op_type = "Neg".into());
        change(&|node| node.output[0] = "elsewhere".into());
        for input in 0..graph.node[index].input.len() {
            change(&|node| node.input[input] = "pixels.other".into());
        }
        for attribute in 0..graph.node[index].attribute.len() {
            let name = &graph.node[index].attribute[attribute].name;
            change(&|node| node.attribute[attribute].name = "other".into());
            if name == "epsilon" {
                // One of several that must be alike.
                change(&|node| node.attribute[attribute].f = 0.5)
            } else {
                change(&|node| {
                    let attribute = &mut node.attribute[attribute];
                    attribute.i += 1;
                    attribute.ints.push(0);
                })
            }
        }
        let mut shorter = graph.clone();
        shorter.node.remove(index);
        assert!(!known(&shorter), "without node {index}");
        let mut longer = graph.clone();
        longer.node.insert(index, graph.node[index].clone());
        assert!(!known(&longer), "node {index} twice");
    }
    for index in 0..graph.initializer.len() {
        let mut changed = graph.clone();
        let tensor = &mut changed.initializer[index];
        tensor.dims.push(2);
        if let Some(byte) = tensor.raw_data.first_mut() {
            *byte ^= 5;
        }
        assert!(!known(&changed), "{} changed", graph.initializer[index].name);
    }
}

/// Packed and laid out once for each place, a weight or site in many would be many times the file.
#[test]
fn each_weight_and_each_site_is_in_one_place() {
    let graph = decoded(bundle().entry("base.onnx").unwrap());
    vit::recognise(&graph).unwrap();
    for (from, to) in [
        ("blocks.0.attn.k.weight", "blocks.0.attn.q.weight"),
        ("blocks.1.mlp.fc1.bias", "blocks.0.mlp.fc1.bias"),
        ("blocks.0.norm2.weight", "norm.weight"),
        ("embed.patch.bias", "blocks.0.norm1.bias"),
        ("blocks.1.attn.o.lora_a", "blocks.0.attn.v.lora_a"),
    ] {
        let mut graph = graph.clone();
        let (mut changed, inputs) = (0, graph.node.iter_mut().flat_map(|node| &mut node.input));
        // Of a site both halves.
        let halves = [from, to].map(|name| name.replace("lora_a", "lora_b"));
        for input in inputs {
            if *input == from || *input == halves[0] {
                *input = if *input == from { to.to_owned() } else { halves[1].clone() };
                changed += 1;
            }
        }
        assert!(changed > 0, "{from} is not there");
        let error = vit::recognise(&graph).unwrap_err();
        assert!(error.contains("in two places"), "{from}: {error}");
    }
}

/// A node of two bytes takes more than a hundred once it is read.
#[test]
fn a_graph_of_many_fields_is_refused_before_it_is_read() {
    let (bundle, weights) = (bundle(), BTreeMap::new());
    let onnx = bundle.entry("base.onnx").unwrap();
    let fields = crate::onnx::fields(onnx).unwrap();
    // A base of the largest known depth, of which this has two blocks, is far from the limit.
    assert!(48 / 2 * fields < 60_000, "{fields}");
    let graph = |nodes: usize| GraphProto {
        node: vec![NodeProto::default(); nodes],
        ..GraphProto::default()
    };
    let written = |nodes| {
        crate::onnx::ModelProto { graph: Some(graph(nodes)), ..Default::default() }.encode_to_vec()
    };
    for (onnx, words) in [
        (written(100_000), "fields, more than"),
        (vec![0x92; (4 << 20) + 1], "bytes, more than"),
        (onnx[..onnx.len() / 2].to_vec(), "cannot be read"),
    ] {
        let error = graph::read(&onnx, &weights).unwrap_err();
        assert!(error.is_refusal() && error.to_string().contains(words), "{words}: {error}");
    }
}
