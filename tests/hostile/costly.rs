//! Bundles of a trusted signer that ask for memory and work beyond all proportion. But for one they
//! are made when the tests run: most are megabytes of zeros.

use std::collections::BTreeMap;

use medforge_runtime::bundle::manifest::{
    Calibration, Composition, Head, Manifest, Metric, Mode, Module, WeightedModule,
};
use medforge_runtime::bundle::sha256_hex;
use medforge_runtime::tensors::{Dtype, Tensor};

use crate::case::{Case, Good};
use crate::signer::payload::{Payload, another, made};

mod graphs;
mod network;

use network::{Shape, on};

pub fn cases(good: &Good) -> Vec<Case> {
    let (payload, manifest) =
        on(good, &Shape { wide: 1, side: 140, patch: 1, heads: 1, layers: 1 });
    let kept = Case::bundle("too_costly", made(good, &payload, manifest));
    [bases(good), fusions(good), graphs::cases(good), texts(good)]
        .concat()
        .into_iter()
        .map(Case::unkept)
        .chain([kept])
        .collect()
}

/// Bases of narrow networks with many tokens.
fn bases(good: &Good) -> Vec<Case> {
    let costly = |name, payload: &Payload, manifest| {
        Case::bundle("too_costly", made(good, payload, manifest)).called(name)
    };
    let plain = |name, base: Shape| {
        let (payload, manifest) = on(good, &base);
        costly(name, &payload, manifest)
    };
    let mixed = |name, mode| {
        let (payload, mut manifest, ids) = with_modules(good, 60);
        manifest.compositions[0].parts = ids.iter().map(part).collect();
        manifest.compositions[0].mode = mode;
        costly(name, &payload, manifest)
    };
    let (payload, manifest) = many_tasks(good);
    let golden = costly("golden_vectors_of_many_tasks", &payload, manifest);
    vec![
        plain("patches_of_one_pixel", Shape { wide: 16, side: 224, patch: 1, heads: 2, layers: 1 }),
        plain(
            "patches_of_one_pixel_in_many_blocks",
            Shape { wide: 16, side: 112, patch: 1, heads: 16, layers: 128 },
        ),
        plain(
            "patches_of_two_pixels",
            Shape { wide: 16, side: 400, patch: 2, heads: 2, layers: 4 },
        ),
        plain("heads_of_one_value", Shape { wide: 16, side: 128, patch: 1, heads: 16, layers: 80 }),
        mixed("mixture_of_sixty", Mode::Mixture),
        golden,
    ]
}

/// A network and so many modules for it. What one image takes here is below the limit, and a few
/// parts of a mixture are above it.
fn with_modules(good: &Good, count: usize) -> (Payload, Manifest, Vec<String>) {
    let middling = Shape { wide: 16, side: 64, patch: 1, heads: 16, layers: 32 };
    let (mut payload, mut manifest) = on(good, &middling);
    let ids: Vec<String> = (0..count)
        .map(|n| {
            another(&mut payload, &mut manifest, |all| {
                all.values_mut().for_each(|t| t.data[0] = n as f32)
            })
        })
        .collect();
    payload.remove(&manifest.modules.remove(0).entry);
    (payload, manifest, ids)
}

fn part<T: Into<String>>(module: T) -> WeightedModule {
    WeightedModule { module: module.into(), weight: 1.0 }
}

/// A task and a head for each of many modules, each with golden vectors.
fn many_tasks(good: &Good) -> (Payload, Manifest) {
    let (mut payload, mut manifest, ids) = with_modules(good, 700);
    let (head, bytes) = (manifest.heads.remove(0), payload["heads/breast.safetensors"].clone());
    payload.remove(&head.entry);
    manifest.compositions.clear();
    for (number, id) in ids.iter().enumerate() {
        let task = format!("t{number}");
        let entry = format!("heads/{task}.safetensors");
        payload.insert(entry.clone(), bytes.clone());
        manifest.heads.push(Head { task: task.clone(), entry, ..head.clone() });
        manifest.compositions.push(Composition { task, mode: Mode::Fusion, parts: vec![part(id)] });
    }
    (payload, manifest)
}

/// Fusions of modules with scales, and of more ranks than any site has inputs.
fn fusions(good: &Good) -> Vec<Case> {
    let fused = |name, rank: usize, scaled: bool| {
        let (mut payload, mut manifest) =
            on(good, &Shape { wide: 16, side: 16, patch: 8, heads: 2, layers: 1 });
        let ids: Vec<String> = (0..3)
            .map(|n| {
                another(&mut payload, &mut manifest, |all| {
                    for (name, tensor) in all.iter_mut() {
                        let place = usize::from(name.ends_with("lora_a"));
                        tensor.shape[place] = rank;
                        (tensor.data, tensor.dtype) = (vec![n as f32; 16 * rank], Dtype::F16);
                    }
                    for site in ["blocks.0.attn.q", "blocks.0.attn.v"].iter().filter(|_| scaled) {
                        all.insert(
                            format!("{site}.lora_scale"),
                            Tensor::f32(vec![16], vec![1.0; 16]),
                        );
                    }
                })
            })
            .collect();
        payload.remove(&manifest.modules.remove(0).entry);
        manifest.modules.iter_mut().for_each(|module| module.rank = rank as u32);
        let part = |module| WeightedModule { module, weight: 0.5 };
        manifest.compositions[0].parts = ids.into_iter().map(part).collect();
        Case::bundle("contradiction", made(good, &payload, manifest)).called(name)
    };
    vec![fused("ranks_without_end", 4096, false), fused("scales_fused", 2, true)]
}

/// A manifest and a tensor file of so many small values that reading them would take many times
/// their bytes.
fn texts(good: &Good) -> Vec<Case> {
    let mut manifest = good.manifest();
    manifest.heads[0].classes = vec![String::new(); 1 << 20];
    let payload: Payload = good.entries[2..].iter().cloned().collect();
    let values = made(good, &payload, manifest);
    let header = |count: usize| {
        let tensor = |n: usize| {
            let (from, to) = (4 * n, 4 * n + 4);
            format!("\"{n}\":{{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[{from},{to}]}}")
        };
        let text = format!("{{{}}}", (0..count).map(tensor).collect::<Vec<_>>().join(","));
        [&(text.len() as u64).to_le_bytes()[..], text.as_bytes(), &vec![0; 4 * count]].concat()
    };
    let tensors = |name, count| {
        let mut payload = payload.clone();
        payload.insert("heads/breast.safetensors".into(), header(count));
        Case::bundle("st_huge_header", made(good, &payload, good.manifest())).called(name)
    };
    vec![
        Case::bundle("contradiction", crowd(good)).called("parts_of_many_tasks"),
        Case::bundle("json_too_large", values).called("values_without_end"),
        tensors("tensors_without_end", 100_000),
        tensors("tensors_in_a_short_header", 50_000),
    ]
}

/// As many parts and modules as fit into a manifest, each to be looked for among all others. At the
/// end stands a metric that no evaluation gives.
fn crowd(good: &Good) -> Vec<u8> {
    let (mut payload, mut manifest): (Payload, _) =
        (good.entries[2..].iter().cloned().collect(), good.manifest());
    let (module, head) = (manifest.modules.remove(0), manifest.heads.remove(0));
    let (factors, rows) =
        (payload.remove(&module.entry).unwrap(), payload.remove(&head.entry).unwrap());
    manifest.compositions.clear();
    for number in 0..2800_u32 {
        let bytes = [&factors[..8], &number.to_le_bytes()].concat();
        let id = sha256_hex(&bytes);
        let entry = format!("modules/{id}.safetensors");
        payload.insert(entry.clone(), bytes);
        let (task, sites) = (format!("t{number}"), vec!["blocks.0.attn.q".to_owned()]);
        manifest.modules.push(Module { id, entry, task, sites, ..module.clone() });
    }
    for number in 0..250 {
        let task = format!("t{number}");
        let entry = format!("heads/{task}.safetensors");
        payload.insert(entry.clone(), rows[..8].to_vec());
        let calibration = Some(Calibration {
            temperature: 1.0,
            error: 0.1,
            threshold: 2.0,
            least_probability: 0.0,
            n: 40,
        });
        manifest.heads.push(Head { task: task.clone(), entry, calibration, ..head.clone() });
        // The task's own module comes last.
        let parts = (0..256).rev().map(|other| (number + other * 11) % 2800);
        let part = |module: usize| WeightedModule {
            module: manifest.modules[module].id.clone(),
            weight: 1.0,
        };
        let parts = parts.map(part).collect();
        manifest.compositions.push(Composition { task, mode: Mode::Mixture, parts });
    }
    let metric = Metric { name: "auc".into(), value: 0.65, low: 0.7, high: 0.6, n: 40 };
    manifest.metrics = BTreeMap::from([("t0".into(), metric)]);
    made(good, &payload, manifest)
}
