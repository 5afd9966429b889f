//! Maps on images of which one region alone carries the class: drawn tissue into which a window of other tissue was put.

use std::cell::RefCell;
use std::collections::BTreeMap;

use ed25519_dalek::SigningKey;
use medforge_runtime::bundle::{Trust, verify};
use medforge_runtime::classify::{Cancel, Classifier, Map, Selection};
use medforge_runtime::image::RgbImage8;

use super::*;
use crate::base::tests::{FAMILIES, small};
use crate::data::phantom::{self, HOSPITALS, Specimen};
use crate::data::{Augment, Dataset, Split};
use crate::device::cpu::Cpu;
use crate::export::{self, build_bundle};
use crate::lora::tests::module;
use crate::train::{About, Examples, Method, Settings, Unobserved, train};

const SIDE: usize = 64;
/// Side of the window in pixels: 14 % of the image.
const WINDOW: usize = 24;

/// Images of regular tissue with a window of other regular tissue (`none`) or of invasive tissue (`lesion`), and where the window lies
/// (top, left) by the image's path.
fn data(images: usize) -> (tempfile::TempDir, Dataset, BTreeMap<String, [usize; 2]>) {
    let dir = tempfile::tempdir().unwrap();
    let mut table = String::from("path,label,group,split\n");
    let mut places = BTreeMap::new();
    let [_, invasive, regular] = [0, 1, 2];
    for i in 0..images {
        let drawn = |label: usize, number: usize| {
            let specimen =
                Specimen { hospital: &HOSPITALS[0], label, patient: number, image: number, split: Split::Train };
            phantom::draw(&specimen, SIDE, 5).unwrap()
        };
        let (lesion, path) = (i % 2 == 0, format!("{i}.png"));
        let window = drawn(if lesion { invasive } else { regular }, 2 * i + 1);
        let mut pixels = drawn(regular, 2 * i).data().to_vec();
        let place = [i * 7 % (SIDE - WINDOW), i * 11 % (SIDE - WINDOW)];
        for y in place[0]..place[0] + WINDOW {
            let row = 3 * (y * SIDE + place[1])..3 * (y * SIDE + place[1] + WINDOW);
            pixels[row.clone()].copy_from_slice(&window.data()[row]);
        }
        let png = phantom::png(&RgbImage8::new(pixels, SIDE as u32, SIDE as u32).unwrap()).unwrap();
        std::fs::write(dir.path().join(&path), png).unwrap();
        let (label, split) = (if lesion { "lesion" } else { "none" }, if i % 4 < 2 { "train" } else { "test" });
        table += &format!("{path},{label},{i},{split}\n");
        places.insert(path, place);
    }
    std::fs::write(dir.path().join("splits.csv"), table).unwrap();
    let data = Dataset::open(dir.path()).unwrap();
    (dir, data, places)
}

fn trained(vit: &Vit, data: &Dataset, epochs: usize) -> Module {
    let settings = Settings {
        size: SIDE,
        epochs,
        batch: 16,
        learning_rate: 2e-3,
        weight_decay: 0.01,
        warm_up: 0.1,
        augment: Augment { flip_horizontal: true, flip_vertical: true, colour_jitter: 0.0 },
        seed: 0,
        method: Method::Lora {
            rank: 8,
            alpha: 8.0,
            targets: "q,k,v".into(),
            last_layers: None,
            dora: false,
            dropout: 0.0,
        },
    };
    let images = Images::load(data, &data.indices(Split::Train), &vit.preprocessing_for(SIDE as u32).unwrap()).unwrap();
    let training: Vec<usize> = (0..images.len()).collect();
    let examples =
        Examples { classes: &data.classes, images: &images, training: &training, validation: &[], head: None };
    let trained = train(&Cpu::<f32>::new(), vit, examples, &settings, None, &mut Unobserved).unwrap();
    let about = About { task: "lesion".into(), contributor: "tests".into(), licence: "CC0-1.0".into() };
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
    let bundle = build_bundle(vit, std::slice::from_ref(module), &options, std::slice::from_ref(&key)).unwrap();
    Classifier::load(verify(bundle, &Trust::new(vec![key.verifying_key()], 1).unwrap()).unwrap()).unwrap()
}

fn explained(classifier: &Classifier, image: &RgbImage8, selection: &Selection) -> Map {
    let cancel = Cancel::default();
    let (with, map) = classifier.explain(image.view(), None, selection, &cancel).unwrap();
    assert_eq!(with, classifier.classify_with(image.view(), None, selection, &cancel).unwrap(), "bit for bit");
    map
}

/// Attention rollout in f64, from what packer's forward pass shows of each block's queries and keys.
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
        let (weight, bias) = (&vit.tensors[&format!("{site}.weight")].data, &vit.tensors[&format!("{site}.bias")].data);
        let mut rows = Vec::new();
        for x in x.chunks_exact(hidden) {
            let dot = |w: &[f32]| w.iter().zip(x).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum::<f64>();
            let mut y: Vec<f64> = weight.chunks_exact(hidden).zip(bias).map(|(w, b)| dot(w) + f64::from(*b)).collect();
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
    for block in (0..config.layers).rev() {
        let [q, k] = ["q", "k"].map(|name| linear(format!("blocks.{block}.attn.{name}")));
        let mut next: Vec<f64> = row.iter().map(|share| 0.5 * share).collect();
        for (from, share) in row.iter().enumerate() {
            for head in 0..config.heads {
                let of = |x: &[f64], token: usize| x[token * hidden + head * width..][..width].to_vec();
                let scores = (0..tokens).map(|to| {
                    let product: f64 = of(&q, from).iter().zip(of(&k, to)).map(|(q, k)| q * k).sum();
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
    let total: f64 = row[1..].iter().sum();
    row[1..].iter().map(|share| share / total).collect()
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
            let image = RgbImage8::new((0..30 * 41 * 3).map(|i| (i * 37 % 251) as u8).collect(), 30, 41).unwrap();
            let mut pixels = vec![0.0; 3 * (size * size) as usize];
            module.card.preprocessing.apply(&image.view(), &mut pixels).unwrap();
            let mut maps = Vec::new();
            for (module, selection) in [(Some(&module), Selection::Default), (None, Selection::Frozen)] {
                let map = explained(&classifier, &image, &selection);
                let expected = rollout(&vit, module, &pixels, size as usize);
                assert_eq!((map.grid * map.grid, map.values.len()), (expected.len(), expected.len()));
                assert_eq!(map.seen, [0.0, 0.0, 30.0, 41.0]);
                for (ours, expected) in map.values.iter().zip(&expected) {
                    assert!(
                        (f64::from(*ours) - expected).abs() < 1e-4 * expected.max(0.1),
                        "{family:?}: {ours}, {expected}"
                    );
                }
                assert!((map.values.iter().sum::<f32>() - 1.0).abs() < 1e-6 && map.values.iter().all(|v| *v >= 0.0));
                maps.push(map.values);
            }
            assert_ne!(maps[0], maps[1], "{family:?}: the module changes nothing");
        }
    }
}

/// Small changes of the pixels change the tokens that enter a block, and the logit by as much as the gradient there says.
#[test]
fn the_gradient_at_a_block_is_what_changed_tokens_cost_the_logit() {
    for family in FAMILIES {
        let vit = small(family);
        let module = module(&vit, "q,v,fc2", None);
        let device = Cpu::<f32>::poisoned();
        let slope: Vec<f32> = (0..vit.config.features()).map(|i| ((i * 5 % 7) as f32 - 3.0) / 3.0).collect();
        for (module, block) in [(Some(&module), 0), (Some(&module), 1), (None, 0), (None, 1)] {
            let predictor = Predictor::new(&device, &vit, module, 12);
            let traced =
                |pixels: &[f32]| predictor.traced(pixels, block, |_| [&slope[..], &slope[..]].concat()).unwrap();
            let product =
                |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
            let pixels: Vec<f32> = (0..2 * 3 * 144).map(|i| ((i * 37) as f32 * 0.01).sin()).collect();
            let [features, tokens, gradient] = traced(&pixels);
            assert_eq!(features, predictor.features(&pixels).unwrap(), "the leaf changes the features");
            for direction in 1..4 {
                let moved = |step: f32| -> [Vec<f32>; 3] {
                    let change = |(i, v): (usize, &f32)| v + step * ((i * 31 * direction) as f32).sin();
                    traced(&pixels.iter().enumerate().map(change).collect::<Vec<_>>())
                };
                let ([up, tokens_up, _], [down, tokens_down, _]) = (moved(5e-3), moved(-5e-3));
                let slopes = [&slope[..], &slope[..]].concat();
                let numeric = product(&up, &slopes) - product(&down, &slopes);
                let exact = product(&gradient, &tokens_up) - product(&gradient, &tokens_down);
                let scale = product(&gradient, &gradient).sqrt() * product(&tokens, &tokens).sqrt() * 1e-4;
                assert!((numeric - exact).abs() < 2e-2 * exact.abs() + scale, "{family:?} {block}: {numeric}, {exact}");
                assert!(exact.abs() > 3.0 * scale, "{family:?} {block}: {exact} says nothing");
            }
        }
    }
}
