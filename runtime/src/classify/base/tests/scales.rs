//! Outputs of sites that are scaled, as DoRA needs it: the same kernels against tract, and graphs
//! from before there were scales.

use super::*;
use crate::onnx::{self, GraphProto};
use crate::vit;

/// The frozen bundle's graph as packer writes it now: what a site computes is scaled, and its bias
/// added after that.
fn with_scales() -> Vec<u8> {
    let mut model = onnx::ModelProto::decode(bundle().entry("base.onnx").unwrap()).unwrap();
    let shape = vit::recognise(model.graph.as_ref().unwrap()).unwrap();
    assert!(!shape.magnitude_scales, "the frozen bundle is from before there were scales");
    model.graph = Some(vit::graph(&vit::Shape { magnitude_scales: true, ..shape }));
    model.encode_to_vec()
}

fn base(level: Level, precision: Precision) -> Base {
    load(&with_scales(), level, 1, Spread::Layers, precision)
}

/// Factors at all sites, at some, and with scales at some of them.
fn scaled(base: &Base) -> Vec<BTreeMap<String, Factors>> {
    let mut all = [factors(base, 1, |_, _| 4), factors(base, 2, |index, _| index % 4)];
    for (number, by_site) in all.iter_mut().enumerate() {
        for (index, (site, factors)) in by_site.iter_mut().enumerate().skip(number) {
            let outputs = base.signature.sites[site].outputs;
            factors.magnitude_scale =
                Some(numbers(index + 300, outputs).into_iter().map(|v| 1.0 + 0.5 * v).collect());
        }
    }
    all.to_vec()
}

fn features(base: &Base, compositions: &[BTreeMap<String, Factors>]) -> Vec<Vec<f32>> {
    let images = images(base);
    let adapters: Vec<_> =
        compositions.iter().map(|by_site| base.adapter(by_site).unwrap()).collect();
    let rows: Vec<_> =
        adapters.iter().flat_map(|adapter| (0..images.len()).map(move |i| (i, adapter))).collect();
    base.features(&images, &rows, &|| false).unwrap()
}

fn apart(ours: &[f32], expected: &[f32]) -> f32 {
    let square = |values: &mut dyn Iterator<Item = f32>| values.map(|v| v * v).sum::<f32>().sqrt();
    square(&mut ours.iter().zip(expected).map(|(a, b)| a - b))
        / square(&mut expected.iter().copied())
}

#[test]
fn scaled_sites_compute_what_tract_does_with_all_instructions() {
    let (oracle, first) = (Oracle::new(&with_scales()), base(Level::best(), Precision::F32));
    let compositions = scaled(&first);
    let images = images(&first);
    let one = |by_site| {
        images.iter().map(|image| oracle.feature(&first, image, by_site)).collect::<Vec<_>>()
    };
    let expected: Vec<_> = compositions.iter().flat_map(one).collect();
    for level in Level::all() {
        for (ours, expected) in
            features(&base(level, Precision::F32), &compositions).iter().zip(&expected)
        {
            let apart = apart(ours, expected);
            assert!(apart < 1e-5, "{level:?}: {apart}");
        }
    }
    let mut plain = compositions.clone();
    plain
        .iter_mut()
        .flat_map(BTreeMap::values_mut)
        .for_each(|factors| factors.magnitude_scale = None);
    let plain = features(&first, &plain);
    assert!(
        expected.iter().zip(&plain).all(|(scaled, plain)| apart(plain, scaled) > 0.01),
        "scales change nothing"
    );
    // In eight bits as near as without scales.
    for (ours, exact) in
        features(&base(Level::best(), Precision::Int8), &compositions).iter().zip(&expected)
    {
        let apart = apart(ours, exact);
        assert!(apart > 1e-6 && apart < 0.05, "{apart}");
    }
}

#[test]
fn without_scales_both_graphs_give_the_same_bits() {
    let (old, new) = (own(Level::best(), 1), base(Level::best(), Precision::F32));
    let compositions = compositions(&old);
    assert_eq!(features(&new, &compositions), features(&old, &compositions));
    assert!(
        new.signature.sites.values().all(|site| site.scalable)
            && old.signature.sites.values().all(|s| !s.scalable)
    );
}

#[test]
fn scales_that_do_not_fit_are_an_error() {
    let (old, new) = (own(Level::best(), 1), base(Level::best(), Precision::F32));
    let mut by_site = scaled(&new).remove(0);
    assert!(
        new.adapter(&by_site).is_ok() && old.adapter(&by_site).is_err(),
        "an older graph takes no scales"
    );
    let site = by_site.values_mut().next().unwrap();
    site.magnitude_scale = Some(vec![1.0; 3]);
    assert!(new.adapter(&by_site).is_err(), "a scale of another length");
    by_site.values_mut().next().unwrap().rank = 0;
    assert!(new.adapter(&by_site).is_err(), "a scale without factors");
}

#[test]
fn a_scaled_graph_that_differs_is_not_taken_for_the_transformer() {
    let graph = onnx::ModelProto::decode(&*with_scales()).unwrap().graph.unwrap();
    let known = |graph: &GraphProto| vit::recognise(graph).is_ok();
    assert!(known(&graph));
    for (index, node) in graph.node.iter().enumerate() {
        if node.name.ends_with(".lora_scaled") || node.name.ends_with(".biased") {
            let mut shorter = graph.clone();
            shorter.node.remove(index);
            assert!(!known(&shorter), "without {}", node.name);
            let mut longer = graph.clone();
            longer.node.insert(index, node.clone());
            assert!(!known(&longer), "{} twice", node.name);
            let mut swapped = graph.clone();
            swapped.node.swap(index, index - 1);
            assert!(!known(&swapped), "{} before its place", node.name);
        }
    }
}
