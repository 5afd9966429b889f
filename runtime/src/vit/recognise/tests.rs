//! Networks that are written are recognised, and sizes that none has are refused.

use super::*;
use crate::vit::graph;
use crate::vit::shape::variants;

#[test]
fn each_network_is_read_off_its_graph() {
    let quick = Mlp { width: 12, activation: Activation::QuickGelu, gated: false };
    let norms = Norms { first: true, layer_scale: true, ..Shape::small().norms };
    for shape in [
        Shape::small(),
        Shape { magnitude_scales: false, ..Shape::small() },
        Shape { qkv_bias: false, patch_bias: false, ..Shape::small() },
        Shape { mlp: quick, norms, projection: Some(6), ..Shape::small() },
        Shape { patch: 1, grid: 1, blocks: 1, heads: 8, ..Shape::small() },
        Shape { blocks: MOST_BLOCKS, ..Shape::small() },
    ] {
        assert_eq!(recognise(&graph(&shape)), Ok(shape));
    }
}

#[test]
fn every_part_is_read_off_in_every_company() {
    let all = variants();
    for (index, shape) in all.iter().enumerate() {
        assert_eq!(recognise(&graph(shape)).as_ref(), Ok(shape));
        assert!(!all[..index].contains(shape), "{shape:?} is there twice");
    }
    assert!(all.len() > 1000, "{}", all.len());
}

#[test]
fn sizes_that_no_network_has_are_refused() {
    for shape in [
        Shape { blocks: 0, ..Shape::small() },
        Shape { blocks: MOST_BLOCKS + 1, ..Shape::small() },
        Shape { heads: 3, ..Shape::small() },
        Shape { grid: 1 << 8, patch: 1 << 9, ..Shape::small() },
        Shape { hidden: 1 << 17, ..Shape::small() },
        Shape { registers: 1 << 17, ..Shape::small() },
        Shape { class_token: false, ..Shape::small() },
        Shape { class_token: false, pooling: Pooling::ClassMean, ..Shape::small() },
        Shape { pooling: Pooling::Attention { heads: 3, mlp: 4 }, ..Shape::small() },
        Shape { positions: Positions::Rotary, heads: 4, ..Shape::small() },
    ] {
        let error = recognise(&graph(&shape)).unwrap_err();
        assert!(error.starts_with("is not a transformer as packer writes it"), "{error}");
    }
}

#[test]
fn the_first_difference_is_named() {
    let found = |change: &dyn Fn(&mut GraphProto)| {
        let mut graph = graph(&Shape::small());
        change(&mut graph);
        recognise(&graph).unwrap_err()
    };
    type Change<'a> = (&'a str, &'a dyn Fn(&mut GraphProto));
    let changes: [Change; 6] = [
        ("node 7 on, Tanh (\"embed", &|graph| graph.node[7].op_type = "Tanh".into()),
        ("node 20 on, the end", &|graph| graph.node.truncate(20)),
        ("input 1 on, \"blocks.0.attn.q.lora_b\"", &|graph| graph.input.swap(1, 2)),
        ("output 0 on, the end", &|graph| graph.output.clear()),
        ("its name or its extensions", &|graph| graph.name = "other".into()),
        ("shape.cut is missing", &|graph| drop(graph.initializer.remove(0))),
    ];
    for (words, change) in changes {
        let error = found(change);
        assert!(error.contains(words), "{error} does not say: {words}");
    }
}
