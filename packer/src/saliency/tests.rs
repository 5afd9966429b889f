//! Maps: the gradient and the runtime's rollout against computations of their own, and on images of
//! which one region alone carries the class.

use std::cell::RefCell;
use std::collections::BTreeMap;

use ed25519_dalek::SigningKey;
use medforge_runtime::bundle::{Trust, verify};
use medforge_runtime::classify::{Cancel, Classifier, Map, Selection};
use medforge_runtime::image::RgbImage8;

use super::*;
use crate::base::tests::{FAMILIES, small};
use crate::base::{Family, embedded};
use crate::data::phantom::{self, HOSPITALS, Specimen};
use crate::data::{Augment, Dataset, Split};
use crate::device::cpu::Cpu;
use crate::export::{self, build_bundle};
use crate::gpu_variants::variants;
use crate::lora::tests::module;
use crate::train::{About, Examples, Job, Method, TrainSettings, Unobserved};

const SIDE: usize = 64;
/// Side of the window in pixels: 10 % of the image.
const WINDOW: usize = 20;

/// Images of regular tissue with a window of it `dark` or `pale`, and where that lies (top, left)
/// by the image's path.
fn data(images: usize) -> (tempfile::TempDir, Dataset, BTreeMap<String, [usize; 2]>) {
    let dir = tempfile::tempdir().unwrap();
    let mut table = String::from("path,label,group,split\n");
    let mut places = BTreeMap::new();
    let label = phantom::CLASSES.iter().position(|class| *class == "regular").unwrap();
    for image in 0..images {
        let specimen =
            Specimen { hospital: &HOSPITALS[0], label, patient: image, image, split: Split::Train };
        let mut pixels = phantom::draw(&specimen, SIDE, 5).unwrap().data().to_vec();
        let (dark, path) = (image % 2 == 0, format!("{image}.png"));
        let [top, left] = [7, 11].map(|step| image * step % (SIDE - WINDOW));
        for row in pixels.chunks_exact_mut(3 * SIDE).skip(top).take(WINDOW) {
            for value in &mut row[3 * left..3 * (left + WINDOW)] {
                *value = if dark { *value / 2 } else { 255 - (255 - *value) / 3 };
            }
        }
        let png = phantom::png(&RgbImage8::new(pixels, SIDE as u32, SIDE as u32).unwrap()).unwrap();
        std::fs::write(dir.path().join(&path), png).unwrap();
        let (class, split) =
            (if dark { "dark" } else { "pale" }, if image % 4 < 2 { "train" } else { "test" });
        table += &format!("{path},{class},{image},{split}\n");
        places.insert(path, [top, left]);
    }
    std::fs::write(dir.path().join("splits.csv"), table).unwrap();
    let data = Dataset::open(dir.path()).unwrap();
    (dir, data, places)
}

fn trained(vit: &Vit, data: &Dataset) -> Module {
    let settings = TrainSettings {
        size: SIDE,
        epochs: 5,
        batch: 16,
        learning_rate: 3e-3,
        weight_decay: 0.01,
        warm_up: 0.1,
        augment: Augment { flip_horizontal: true, flip_vertical: true, colour_jitter: 0.0 },
        seed: 0,
        method: Method::Lora {
            rank: 8,
            alpha: 8.0,
            targets: "q,v".into(),
            last_layers: None,
            dora: false,
            dropout: 0.0,
        },
    };
    let images = Images::load(
        data,
        &data.indices(Split::Train),
        &vit.preprocessing_for(SIDE as u32).unwrap(),
    )
    .unwrap();
    let training: Vec<usize> = (0..images.len()).collect();
    let examples = Examples {
        classes: &data.classes,
        images: &images,
        training: &training,
        validation: &[],
        head: None,
    };
    let device = Cpu::<f32>::new();
    let trained = Job::new(&device, vit, examples, &settings).run(&mut Unobserved).unwrap();
    let about =
        About { task: "window".into(), contributor: "tests".into(), licence: "CC0-1.0".into() };
    trained.into_module(vit, &settings, about).unwrap()
}

/// The part of a map's mass that lies in the window, every patch's spread evenly over its pixels.
fn inside(map: &[f32], grid: usize, [top, left]: [usize; 2]) -> f64 {
    let patch = SIDE / grid;
    let overlap = |first: usize, place: usize| {
        (first + patch).min(place + WINDOW).saturating_sub(first.max(place)) as f64 / patch as f64
    };
    let of = |(i, value): (usize, &f32)| {
        f64::from(*value) * overlap(i / grid * patch, top) * overlap(i % grid * patch, left)
    };
    map.iter().enumerate().map(of).sum::<f64>() / map.iter().map(|v| f64::from(*v)).sum::<f64>()
}

fn classifier(vit: &Vit, module: &Module) -> Classifier {
    let key = SigningKey::from_bytes(&[7; 32]);
    let options = export::Options {
        name: "test".into(),
        counter: 1,
        predecessor: None,
        intended_use: "tests".into(),
        least_probability: 0.0,
    };
    let bundle =
        build_bundle(vit, std::slice::from_ref(module), &options, std::slice::from_ref(&key))
            .unwrap();
    Classifier::load(verify(bundle, &Trust::new(vec![key.verifying_key()], 1).unwrap()).unwrap())
        .unwrap()
}

fn explained(classifier: &Classifier, image: &RgbImage8, selection: &Selection) -> Map {
    let cancel = Cancel::default();
    let (with, map) = classifier.explain(image.view(), None, selection, &cancel).unwrap();
    assert_eq!(
        with,
        classifier.classify_with(image.view(), None, selection, &cancel).unwrap(),
        "bit for bit"
    );
    map
}

/// Attention rollout over the last three blocks in f64, from what packer's forward pass shows of
/// each block's queries and keys.
fn rollout(vit: &Vit, module: Option<&Module>, pixels: &[f32], size: usize) -> Vec<f64> {
    let device = Cpu::<f32>::poisoned();
    let (config, tokens) = (&vit.config, vit.config.tokens(size));
    let (hidden, width) = (config.hidden, config.hidden / config.heads);
    let inputs = RefCell::new(BTreeMap::new());
    let observe = |site: &str, x: &crate::tape::Var<Cpu<f32>>| {
        inputs.borrow_mut().insert(site.to_owned(), device.download(&x.value.buffer).unwrap());
    };
    Predictor::new(&device, vit, module, size).features_observed(pixels, &observe).unwrap();
    let linear = |site: String| -> Vec<f64> {
        let x = &inputs.borrow()[&site];
        let (weight, bias) = (
            &vit.tensors[&format!("{site}.weight")].data,
            &vit.tensors[&format!("{site}.bias")].data,
        );
        let mut rows = Vec::new();
        for x in x.chunks_exact(hidden) {
            let dot = |w: &[f32]| {
                w.iter().zip(x).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum::<f64>()
            };
            let mut y: Vec<f64> = weight
                .chunks_exact(hidden)
                .zip(bias)
                .map(|(w, b)| dot(w) + f64::from(*b))
                .collect();
            if let Some((f, scale)) = module.and_then(|m| Some((m.sites.get(&site)?, m.scale()))) {
                let low: Vec<f64> = f.a.data.chunks_exact(hidden).map(dot).collect();
                for (y, b) in y.iter_mut().zip(f.b.data.chunks_exact(low.len())) {
                    *y += scale * b.iter().zip(&low).map(|(b, l)| f64::from(*b) * l).sum::<f64>();
                }
            }
            rows.extend(y);
        }
        rows
    };
    let mut row = vec![0.0; tokens];
    row[0] = 1.0;
    for block in (config.layers.saturating_sub(3)..config.layers).rev() {
        let [q, k] = ["q", "k"].map(|name| linear(format!("blocks.{block}.attn.{name}")));
        let mut next: Vec<f64> = row.iter().map(|share| 0.5 * share).collect();
        for (from, share) in row.iter().enumerate() {
            for head in 0..config.heads {
                let of =
                    |x: &[f64], token: usize| x[token * hidden + head * width..][..width].to_vec();
                let scores = (0..tokens).map(|to| {
                    let product: f64 =
                        of(&q, from).iter().zip(of(&k, to)).map(|(q, k)| q * k).sum();
                    (product / (width as f64).sqrt()).exp()
                });
                let scores: Vec<f64> = scores.collect();
                let total: f64 = scores.iter().sum();
                for (next, score) in next.iter_mut().zip(scores) {
                    *next += 0.5 * share * score / total / config.heads as f64;
                }
            }
        }
        row = next;
    }
    let patches = &row[config.shape(size).patches()];
    let total: f64 = patches.iter().sum();
    patches.iter().map(|share| share / total).collect()
}

#[test]
fn the_runtimes_map_is_attention_rollout() {
    for family in FAMILIES {
        let vit = small(family);
        let mut module = module(&vit, "q,k,v,o,fc1,fc2", None);
        for size in [8, 12] {
            module.card.image_size = size;
            module.card.preprocessing = vit.preprocessing_for(size).unwrap();
            let classifier = classifier(&vit, &module);
            let image =
                RgbImage8::new((0..30 * 41 * 3).map(|i| (i * 37 % 251) as u8).collect(), 30, 41)
                    .unwrap();
            let mut pixels = vec![0.0; 3 * (size * size) as usize];
            module.card.preprocessing.apply(&image.view(), &mut pixels).unwrap();
            let mut maps = Vec::new();
            for (module, selection) in
                [(Some(&module), Selection::Default), (None, Selection::Frozen)]
            {
                let map = explained(&classifier, &image, &selection);
                let expected = rollout(&vit, module, &pixels, size as usize);
                assert_eq!(
                    (map.grid * map.grid, map.values.len()),
                    (expected.len(), expected.len())
                );
                assert_eq!(map.seen, [0.0, 0.0, 30.0, 41.0]);
                for (ours, expected) in map.values.iter().zip(&expected) {
                    assert!(
                        (f64::from(*ours) - expected).abs() < 1e-4 * expected.max(0.1),
                        "{family:?}: {ours}, {expected}"
                    );
                }
                assert!(
                    (map.values.iter().sum::<f32>() - 1.0).abs() < 1e-6
                        && map.values.iter().all(|v| *v >= 0.0)
                );
                maps.push(map.values);
            }
            assert_ne!(maps[0], maps[1], "{family:?}: the module changes nothing");
        }
    }
}

/// A small transformer whose features depend on the picture by more than rounding, as those of
/// random small weights do not.
fn lively(family: Family) -> Vit {
    let mut vit = small(family);
    let layers = vit
        .tensors
        .iter_mut()
        .filter(|(name, _)| !name.contains("norm") && name.ends_with(".weight"));
    layers.for_each(|(_, tensor)| tensor.data.iter_mut().for_each(|v| *v *= 12.0));
    vit
}

#[test]
fn a_gpu_finds_the_maps_that_the_processor_finds() {
    for family in FAMILIES {
        let vit = lively(family);
        let module = module(&vit, "q,v,fc2", None);
        let pixels: Vec<f32> = (0..3 * 3 * 144).map(|i| ((i * 37) as f32 * 0.01).sin()).collect();
        let ours = maps(
            &Predictor::new(&Cpu::<f32>::poisoned(), &vit, Some(&module), 12),
            &vit.config,
            &pixels,
            &module.head,
        );
        let ours = ours.unwrap();
        assert!(
            ours.len() == 3 && ours.iter().any(|one| one.map.len() == 9 && one.map.contains(&1.0)),
            "{ours:?}"
        );
        for variant in variants().iter().filter(|variant| !variant.half) {
            let predictor = Predictor::new(&variant.gpu, &vit, Some(&module), 12);
            let theirs = maps(&predictor, &vit.config, &pixels, &module.head).unwrap();
            for (ours, theirs) in ours.iter().zip(&theirs) {
                let apart = ours
                    .map
                    .iter()
                    .zip(&theirs.map)
                    .map(|(a, b)| (a - b).abs())
                    .fold(0.0, f32::max);
                assert!(ours.class == theirs.class && apart < 1e-3, "{family:?}: {apart}");
            }
        }
    }
}

/// Small changes of the pixels change the tokens that enter a block, and the logit by as much as
/// the gradient there says.
#[test]
fn the_gradient_at_a_block_is_what_changed_tokens_cost_the_logit() {
    for family in FAMILIES {
        let vit = lively(family);
        let module = module(&vit, "q,v,fc2", None);
        let device = Cpu::<f32>::poisoned();
        let slope: Vec<f32> =
            (0..vit.config.features()).map(|i| ((i * 5 % 7) as f32 - 3.0) / 3.0).collect();
        let slopes = [&slope[..], &slope[..]].concat();
        for (module, block) in [(Some(&module), 0), (Some(&module), 1), (None, 0), (None, 1)] {
            let predictor = Predictor::new(&device, &vit, module, 12);
            let traced =
                |pixels: &[f32]| predictor.traced(pixels, block, |_| slopes.clone()).unwrap();
            let product = |a: &[f32], b: &[f32]| {
                a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>()
            };
            let pixels: Vec<f32> =
                (0..2 * 3 * 144).map(|i| ((i * 37) as f32 * 0.01).sin()).collect();
            let [features, _, gradient] = traced(&pixels);
            assert_eq!(
                features,
                predictor.features(&pixels).unwrap(),
                "the leaf changes the features"
            );
            let (mut apart, mut size) = (0.0, 0.0);
            for direction in 1..7 {
                let moved = |step: f32| {
                    let change =
                        |(i, v): (usize, &f32)| v + step * ((i * 31 * direction) as f32).sin();
                    traced(&pixels.iter().enumerate().map(change).collect::<Vec<_>>())
                };
                let ([up, tokens_up, _], [down, tokens_down, _]) = (moved(1e-2), moved(-1e-2));
                let numeric = product(&up, &slopes) - product(&down, &slopes);
                let exact = product(&gradient, &tokens_up) - product(&gradient, &tokens_down);
                apart += (numeric - exact).powi(2);
                size += exact.powi(2);
            }
            assert!(size.sqrt() > 1e-3, "{family:?} {block}: {size:e} says nothing");
            assert!(apart.sqrt() < 0.05 * size.sqrt(), "{family:?} {block}: {apart:e} of {size:e}");
        }
    }
}

/// A tenth of each image carries its class. What speaks for the dark window is in it; an even map
/// would have its area's share of the mass. A pale window is told by what it lacks, which a
/// gradient does not show: it is not asked for.
#[test]
fn maps_lie_where_the_class_is() {
    let vit = embedded::open().unwrap();
    let (_dir, data, places) = data(160);
    let module = trained(&vit, &data);
    let indices = data.indices(Split::Test);
    let images =
        Images::load(&data, &indices, &vit.preprocessing_for(SIDE as u32).unwrap()).unwrap();
    let all: Vec<usize> = (0..images.len()).collect();
    let found = of(&Cpu::<f32>::new(), &vit, &module, &images, &all).unwrap();
    let classifier = classifier(&vit, &module);
    let (mut gradient, mut attention, mut right) = (Vec::new(), Vec::new(), 0);
    for (row, (saliency, &index)) in found.iter().zip(&indices).enumerate() {
        let item = &data.items[index];
        let place = places[item.path.to_str().unwrap()];
        right += usize::from(saliency.class == item.label);
        let most = saliency.map.iter().copied().fold(0.0, f32::max);
        assert!(
            most == 1.0 && saliency.map.iter().all(|v| (0.0..=1.0).contains(v)),
            "{:?}",
            saliency.map
        );
        if saliency.class == item.label && data.classes[item.label] == "dark" {
            gradient.push(inside(&saliency.map, saliency.grid, place));
        }
        let image = RgbImage8::new(images.pixels(row).to_vec(), SIDE as u32, SIDE as u32).unwrap();
        let map = explained(&classifier, &image, &Selection::Default);
        if row == 0 {
            let mut pixels = Vec::new();
            images.batch(&[row], None, &mut pixels).unwrap();
            let expected = rollout(&vit, Some(&module), &pixels, SIDE);
            assert!(
                map.values
                    .iter()
                    .zip(&expected)
                    .all(|(ours, other)| (f64::from(*ours) - other).abs() < 1e-4)
            );
        }
        attention.push(inside(&map.values, map.grid, place));
    }
    let mean = |all: &[f64]| all.iter().sum::<f64>() / all.len() as f64;
    let area = (WINDOW * WINDOW) as f64 / (SIDE * SIDE) as f64;
    let (gradient, attention) = (mean(&gradient), mean(&attention));
    println!(
        "area {area:.3}, gradient {gradient:.3}, rollout {attention:.3}, {right} of {} right",
        indices.len()
    );
    assert!(
        right * 10 > indices.len() * 9,
        "only {right} of {} were classified rightly",
        indices.len()
    );
    assert!(gradient > 3.0 * area, "{gradient:.3} of the gradient's mass on {area:.3} of the area");
    assert!(
        attention > 1.3 * area,
        "{attention:.3} of the rollout's mass on {area:.3} of the area"
    );
}
