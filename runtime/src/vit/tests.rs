//! Networks with every part in every company: the device's forward pass against the formulas in
//! f64, and the graph as another engine runs it.

use super::shape::{Shape, variants};
use super::*;
use crate::kernel::Level;
use made::{BySite, adapter, factors, image, vit, weights};
use oracle::Oracle;
use reference::Reference;

mod made;
mod oracle;
mod reference;

/// The distance of `ours` from `exact` by the length of that; NaN if a value is not finite.
fn apart(ours: &[f32], exact: &[f64]) -> f64 {
    assert_eq!(ours.len(), exact.len());
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    norm(&mut ours.iter().zip(exact).map(|(a, b)| f64::from(*a) - b))
        / norm(&mut exact.iter().copied())
}

/// Factors at all sites, at none, and only after the last block, where there are sites.
fn adapted(shape: &Shape) -> [BySite; 3] {
    let after = |name: &str| if name.starts_with("blocks.") { 0 } else { 3 };
    [factors(shape, 1, |_| 2), BySite::new(), factors(shape, 2, after)]
}

fn outputs(vit: &Vit, images: &[Vec<f32>], modules: &[BySite]) -> Vec<Output> {
    let adapters: Vec<_> = modules.iter().map(|by_site| adapter(vit, by_site)).collect();
    let rows: Vec<_> =
        adapters.iter().flat_map(|a| (0..images.len()).map(move |image| (image, a))).collect();
    vit.run(images, &rows, true, &|| false).unwrap()
}

/// What the formulas say of each image under each of `modules`.
fn exact(
    shape: &Shape,
    weights: &made::Weights,
    images: &[Vec<f32>],
    modules: &[BySite],
) -> Vec<(Vec<f64>, Vec<f64>)> {
    let under = |factors| {
        let network = Reference { shape, weights, factors };
        images.iter().map(move |image| network.run(image))
    };
    modules.iter().flat_map(under).collect()
}

/// Some of the variants, wider and deeper, so that registers of vectors are filled and not whole.
fn wide() -> impl Iterator<Item = Shape> {
    // A step that shares no factor with how often parts change.
    variants().into_iter().step_by(37).enumerate().map(|(index, shape)| {
        let mlp = Mlp { width: 40, ..shape.mlp };
        let norms = Norms { layer_scale: index % 2 == 0, ..shape.norms };
        let (grid, magnitude_scales) = (5, index % 5 > 0);
        Shape { hidden: 48, heads: 4, grid, blocks: 4, mlp, norms, magnitude_scales, ..shape }
    })
}

#[test]
fn every_part_in_every_company_is_what_its_formula_says() {
    for shape in variants() {
        let (weights, images) = (weights(&shape), [image(&shape, 0)]);
        let modules = [factors(&shape, 1, |_| 2)];
        let vit = vit(Level::best(), &shape, &weights, Precision::F32, None);
        let exact = exact(&shape, &weights, &images, &modules);
        for (ours, (feature, map)) in outputs(&vit, &images, &modules).iter().zip(&exact) {
            let found = [apart(&ours.feature, feature), apart(ours.map.as_ref().unwrap(), map)];
            assert!(found.iter().all(|apart| *apart < 1e-5), "{shape:?}: {found:?}");
        }
    }
}

#[test]
fn wide_networks_are_what_their_formulas_say_with_all_instructions_and_on_threads() {
    let mut rounded = Vec::new();
    for shape in wide() {
        let (weights, images) = (weights(&shape), [image(&shape, 1), image(&shape, 2)]);
        let modules = adapted(&shape);
        let exact = exact(&shape, &weights, &images, &modules);
        let of = |level, precision, threads| {
            outputs(&vit(level, &shape, &weights, precision, threads), &images, &modules)
        };
        let first = of(Level::best(), Precision::F32, None);
        for level in Level::all() {
            let ours = of(level, Precision::F32, None);
            for (ours, (feature, map)) in ours.iter().zip(&exact) {
                let found = [apart(&ours.feature, feature), apart(ours.map.as_ref().unwrap(), map)];
                assert!(found.iter().all(|apart| *apart < 1e-5), "{level:?} {shape:?}: {found:?}");
            }
        }
        for threads in [(2, Spread::Layers), (3, Spread::Layers), (2, Spread::Images)] {
            let ours = of(Level::best(), Precision::F32, Some(threads));
            let same = |(ours, first): (&Output, &Output)| {
                (&ours.feature, &ours.map) == (&first.feature, &first.map)
            };
            assert!(ours.iter().zip(&first).all(same), "{threads:?} {shape:?}");
        }
        for (ours, (feature, _)) in of(Level::best(), Precision::Int8, None).iter().zip(&exact) {
            let apart = apart(&ours.feature, feature);
            assert!(apart > 1e-6 && apart < 0.25, "{shape:?}: {apart}");
            rounded.push(apart);
        }
    }
    // In eight bits: what is computed wrongly would be as far apart as features of two images.
    let mean = rounded.iter().sum::<f64>() / rounded.len() as f64;
    assert!(mean < 0.04, "{mean}");
}

#[test]
fn each_part_and_each_site_makes_a_difference() {
    for shape in wide() {
        let (weights, images) = (weights(&shape), [image(&shape, 1)]);
        let vit = vit(Level::best(), &shape, &weights, Precision::F32, None);
        let plain = outputs(&vit, &images, &[BySite::new()]).remove(0).feature;
        for site in shape.sites() {
            let one = factors(&shape, 1, |name| usize::from(name == site.to_string()));
            let ours = outputs(&vit, &images, &[one]).remove(0).feature;
            assert_ne!(ours, plain, "{site} of {shape:?}");
        }
    }
}

#[test]
fn another_engine_computes_the_same_of_the_graph() {
    for shape in wide() {
        let (weights, images) = (weights(&shape), [image(&shape, 1)]);
        let (oracle, modules) = (Oracle::new(&shape, &weights), adapted(&shape));
        for (by_site, (feature, _)) in
            modules.iter().zip(exact(&shape, &weights, &images, &modules))
        {
            let found = oracle.feature(&images[0], by_site);
            let found: Vec<f32> = found.into_iter().map(|value| value as f32).collect();
            let apart = apart(&found, &feature);
            assert!(apart < 1e-5, "{shape:?}: {apart}");
        }
    }
}

/// Never less than what is there, and of a wide network not much more.
#[test]
fn no_network_takes_more_than_is_counted() {
    for shape in wide() {
        let (weights, images) = (weights(&shape), [image(&shape, 1)]);
        for precision in [Precision::F32, Precision::Int8] {
            let vit = vit(Level::best(), &shape, &weights, precision, None);
            let (found, counted) = (vit.bytes() as u128, shape.base(precision).bytes);
            assert!(found <= counted && counted < 2 * found, "{shape:?}: {found} {counted}");
            outputs(&vit, &images, &[BySite::new()]);
            let call = shape.activations(precision, 1, Spread::Layers, 0);
            assert!(vit.scratch() as u128 <= call, "{shape:?}");
        }
    }
}

#[test]
fn every_name_in_a_graph_stands_for_one_thing() {
    for shape in variants() {
        let graph = graph(&shape);
        let mut known: Vec<&String> = graph.input.iter().map(|input| &input.name).collect();
        known.extend(graph.initializer.iter().map(|tensor| &tensor.name));
        for node in &graph.node {
            for input in &node.input {
                assert!(known.contains(&input), "{shape:?}: {} takes {input}", node.name);
            }
            known.extend(&node.output);
        }
        let mut nodes: Vec<&String> = graph.node.iter().map(|node| &node.name).collect();
        for names in [&mut known, &mut nodes] {
            names.sort();
            let twice = names.windows(2).find(|pair| pair[0] == pair[1]);
            assert!(twice.is_none(), "{twice:?} of {shape:?}");
        }
    }
}
