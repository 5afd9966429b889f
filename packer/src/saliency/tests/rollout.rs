//! The runtime's map against attention rollout.

use std::cell::RefCell;

use super::*;
use crate::base::tests::FAMILIES;

/// Attention rollout over the last three blocks in f64, from the inputs of each block's queries and
/// keys in packer's forward pass.
pub fn rollout(vit: &Vit, module: Option<&Module>, pixels: &[f32], size: usize) -> Vec<f64> {
    let device = Cpu::<f32>::poisoned();
    let (config, tokens) = (&vit.config, vit.config.tokens(size));
    let hidden = config.hidden;
    let inputs = RefCell::new(BTreeMap::new());
    let observe = |site: &str, x: &crate::tape::Var<Cpu<f32>>| {
        inputs.borrow_mut().insert(site.to_owned(), device.download(&x.value.buffer).unwrap());
    };
    Predictor::new(&device, vit, module, size).features_observed(pixels, &observe).unwrap();
    let linear = |site: String| -> Vec<f64> {
        let x = &inputs.borrow()[&site];
        let (weight, bias) =
            (vit.tensor(&format!("{site}.weight")).data, vit.tensor(&format!("{site}.bias")).data);
        let mut rows = Vec::new();
        for x in x.chunks_exact(hidden) {
            let dot = |w: &[f32]| {
                w.iter().zip(x).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum::<f64>()
            };
            let mut y: Vec<f64> = weight
                .chunks_exact(hidden)
                .zip(&bias)
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
        row = before(&row, &q, &k, config);
    }
    let patches = &row[config.shape(size).patches()];
    let total: f64 = patches.iter().sum();
    patches.iter().map(|weight| weight / total).collect()
}

/// The row of weights `row` one block earlier: half of each weight stays, and half goes where that
/// token attends to, by the block's queries and keys.
fn before(row: &[f64], q: &[f64], k: &[f64], config: &VitConfig) -> Vec<f64> {
    let (hidden, width) = (config.hidden, config.hidden / config.heads);
    let mut next: Vec<f64> = row.iter().map(|weight| 0.5 * weight).collect();
    for (from, weight) in row.iter().enumerate() {
        for head in 0..config.heads {
            let of = |x: &[f64], token: usize| x[token * hidden + head * width..][..width].to_vec();
            let scores = (0..row.len()).map(|to| {
                let product: f64 = of(q, from).iter().zip(of(k, to)).map(|(q, k)| q * k).sum();
                (product / (width as f64).sqrt()).exp()
            });
            let scores: Vec<f64> = scores.collect();
            let total: f64 = scores.iter().sum();
            for (next, score) in next.iter_mut().zip(scores) {
                *next += 0.5 * weight * score / total / config.heads as f64;
            }
        }
    }
    next
}

#[test]
fn the_runtimes_map_is_attention_rollout() {
    // The formulas above know neither rotation nor what pools but the class token. The runtime's
    // own tests compare its maps with such networks.
    let known = |family: &Family| ![Family::Dinov3, Family::Siglip].contains(family);
    for family in FAMILIES.into_iter().filter(known) {
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
