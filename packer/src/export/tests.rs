//! Bundles as a whole: the runtime against packer's own forward pass, and every way in which the
//! parts can fail to fit.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::EncodePublicKey;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use medforge_runtime::bundle::{Manifest, Trust, VerifiedBundle, assemble, list, verify};
use medforge_runtime::classify::{Classifier, Precision};
use medforge_runtime::image::RgbImage8;
use medforge_runtime::onnx::{
    DataLocation, GraphProto, ModelProto, NodeProto, StringStringEntryProto,
};
use medforge_runtime::tensors::{self, Tensor};
use medforge_runtime::{Class, Error as RuntimeError};
use prost::Message;

use super::*;
use crate::Error;
use crate::base::tests::{FAMILIES, small};
use crate::base::{Family, Vit};
use crate::data::Dataset;
use crate::device::cpu::Cpu;
use crate::lora::Module;
use crate::lora::tests::{dora, module};
use crate::merge::compose::sites;
use crate::merge::model::{Composition, Model};
use crate::merge::routed::{Prototypes, Seen};
use crate::predict::{Predictor, probabilities};

mod calibrated;
mod costly;
mod prepared;

const ALL: &str = "q,k,v,o,fc1,fc2";

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn options() -> Options {
    Options {
        name: "test".into(),
        counter: 1,
        predecessor: None,
        intended_use: "tests".into(),
        least_probability: 0.0,
    }
}

fn verified(bytes: Vec<u8>) -> VerifiedBundle {
    let pem = key().verifying_key().to_public_key_pem(LineEnding::LF).unwrap();
    verify(bytes, &Trust::from_pem(&pem).unwrap()).unwrap()
}

fn load(bytes: Vec<u8>) -> Result<Classifier, RuntimeError> {
    Classifier::load(verified(bytes))
}

fn picture(width: u32, height: u32) -> RgbImage8 {
    let data = (0..width * height * 3).map(|i| (i * 37 % 251) as u8).collect();
    RgbImage8::new(data, width, height).unwrap()
}

/// A head whose probabilities give the feature back, up to a constant.
fn reveal(module: &mut Module, features: usize) {
    let names: Vec<String> = (0..features).map(|i| format!("f{i}")).collect();
    let diagonal = |i: usize| if i.is_multiple_of(features + 1) { 1.0 } else { 0.0 };
    module.head.weight =
        Tensor::f32(vec![features, features], (0..features * features).map(diagonal).collect());
    module.head.bias = Tensor::f32(vec![features], vec![0.0; features]);
    (module.head.classes, module.card.classes) = (names.clone(), names);
}

fn centred_logarithms(probabilities: impl Iterator<Item = f64>) -> Vec<f64> {
    let logs: Vec<f64> = probabilities.map(f64::ln).collect();
    let mean = logs.iter().sum::<f64>() / logs.len() as f64;
    logs.into_iter().map(|log| log - mean).collect()
}

/// The relative difference of the runtime's feature and packer's own for one picture.
fn difference(vit: &Vit, module: &Module) -> f64 {
    let classifier =
        load(build_bundle(vit, std::slice::from_ref(module), &options(), &[key()]).unwrap())
            .unwrap();
    let picture = picture(30, 41);
    let theirs = classifier.classify(picture.view(), None).unwrap();
    let size = module.card.image_size as usize;
    let mut pixels = vec![0.0; 3 * size * size];
    vit.preprocessing_for(module.card.image_size)
        .unwrap()
        .apply(&picture.view(), &mut pixels)
        .unwrap();
    let feature =
        Predictor::new(&Cpu::<f32>::new(), vit, Some(module), size).features(&pixels).unwrap();
    let ours = centred_logarithms(probabilities(&module.head, &feature).into_iter());
    let theirs = centred_logarithms(theirs.probabilities.iter().map(|&p| f64::from(p)));
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    norm(&mut ours.iter().zip(&theirs).map(|(a, b)| a - b)) / norm(&mut ours.iter().copied())
}

#[test]
fn the_runtime_computes_what_packer_does() {
    for family in FAMILIES {
        let vit = small(family);
        let projected = [("q,v,projection", None, 8), ("projection", None, 8)];
        let projected = projected.into_iter().filter(|_| family == Family::Clip);
        let plain = [("q,v", None, 8), (ALL, None, 8), (ALL, Some(1), 12), ("fc1", None, 4)];
        for (targets, last, size) in plain.into_iter().chain(projected) {
            let plain = module(&vit, targets, last);
            for mut module in [dora(&vit, plain.clone()), plain] {
                module.card.image_size = size;
                module.card.preprocessing = vit.preprocessing_for(size).unwrap();
                reveal(&mut module, vit.config.features());
                let difference = difference(&vit, &module);
                assert!(difference < 1e-4, "{family:?} {targets} at {size}: {difference:.1e}");
            }
        }
    }
}

/// Factors `[N, in, R]` want tokens `[N, T, in]`: of `[N, in]` a general engine makes one image
/// with N tokens.
#[test]
fn factors_meet_tokens_in_every_graph() {
    for family in FAMILIES {
        let model =
            ModelProto::decode(&*onnx::Graph::new(&small(family), 8).unwrap().self_contained())
                .unwrap();
        let nodes = model.graph.unwrap().node;
        let flat = nodes.iter().position(|node| node.name == "cls.flat").unwrap();
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
fn the_runtime_computes_what_packer_does_on_the_real_base() {
    let shared = std::env::var("MEDFORGE_SHARED").unwrap_or_else(|_| "../shared".into());
    let dir =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(shared).join("models/vits14");
    if !dir.exists() {
        return;
    }
    let vit = Vit::open(&dir).unwrap();
    let mut module = module(&vit, ALL, None);
    module.alpha = 0.02;
    module.card.image_size = 112;
    module.card.preprocessing = vit.preprocessing_for(112).unwrap();
    reveal(&mut module, vit.config.features());
    let difference = difference(&vit, &module);
    assert!(difference < 1e-4, "{difference:.1e}");
}

#[test]
fn the_module_makes_a_difference() {
    let vit = small(Family::Dinov2);
    let mut module = module(&vit, ALL, None);
    reveal(&mut module, vit.config.features());
    let classify = |module: &Module| {
        let bytes = build_bundle(&vit, std::slice::from_ref(module), &options(), &[key()]).unwrap();
        load(bytes).unwrap().classify(picture(9, 9).view(), None).unwrap().probabilities
    };
    let with = classify(&module);
    module.alpha = 0.0;
    assert_ne!(with, classify(&module));
}

#[test]
fn each_task_runs_its_own_module_and_says_so() {
    let vit = small(Family::Vit);
    let (one, mut two) = (module(&vit, "q,v", None), module(&vit, "k,fc2", None));
    two.card.task = "lung".into();
    let both = load(build_bundle(&vit, &[one.clone(), two.clone()], &options(), &[key()]).unwrap())
        .unwrap();
    assert_eq!(both.active().tasks().collect::<Vec<_>>(), ["breast", "lung"]);
    let picture = picture(20, 20);
    for module in [&one, &two] {
        let bundle =
            build_bundle(&vit, std::slice::from_ref(module), &options(), &[key()]).unwrap();
        let alone = load(bundle).unwrap().classify(picture.view(), None).unwrap();
        let task = module.card.task.as_str();
        let together = both.classify(picture.view(), Some(task)).unwrap();
        assert_eq!(
            (&together.probabilities, &together.modules),
            (&alone.probabilities, &alone.modules)
        );
        assert_eq!(
            (together.task.as_str(), &*together.bundle),
            (task, both.active().bundles().next().unwrap())
        );
        assert!((together.probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        let batch = both.classify_batch(&[picture.view(), picture.view()], Some(task)).unwrap();
        assert_eq!(batch, [together.clone(), together]);
    }
    assert!(matches!(both.classify(picture.view(), None), Err(RuntimeError::TaskNeeded { .. })));
    let error = both.classify_batch(&[picture.view()], Some("colon")).unwrap_err();
    assert_eq!(error.to_string(), "the bundle has no task \"colon\"; it has breast, lung");
}

#[test]
fn modules_that_cannot_be_together_are_refused() {
    let vit = small(Family::Dinov2);
    let module = module(&vit, "q", None);
    let build = |modules: &[Module]| {
        build_bundle(&vit, modules, &options(), &[key()]).unwrap_err().to_string()
    };
    assert!(build(&[]).contains("a bundle needs a module"));
    assert!(
        build(&[module.clone(), module.clone()]).contains("two modules are for the task breast")
    );
    let mut other = module.clone();
    (other.card.task, other.card.image_size) = ("lung".into(), 12);
    assert!(build(&[module.clone(), other]).contains("was trained at 12 pixels"));
    let mut other = module.clone();
    other.card.base_digest = "0".repeat(64);
    assert!(build(&[other]).contains("trained on another base"));
    let mut other = module.clone();
    other.card.image_size = 9;
    assert!(matches!(
        build_bundle(&vit, &[other], &options(), &[key()]),
        Err(Error::ImageSize { .. })
    ));
    let mut other = module;
    other.sites.clear();
    assert!(build(&[other]).contains("adapts no site"));
}

/// A bundle that is signed and whole, but in which `change` went over the payload before.
fn forged(change: impl FnOnce(&mut BTreeMap<String, Vec<u8>>, &mut Manifest)) -> RuntimeError {
    let vit = small(Family::Dinov2);
    let bundle =
        verified(build_bundle(&vit, &[module(&vit, "q,fc1", None)], &options(), &[key()]).unwrap());
    let mut manifest = bundle.manifest().clone();
    let entries =
        manifest.entries.iter().map(|e| (e.name.clone(), bundle.entry(&e.name).unwrap().to_vec()));
    let mut payload: BTreeMap<_, _> = entries.collect();
    change(&mut payload, &mut manifest);
    let module =
        payload.iter().find(|(name, _)| name.starts_with("modules/")).map(|(name, bytes)| {
            let id = medforge_runtime::bundle::sha256_hex(bytes);
            (name.clone(), id)
        });
    if let Some((name, id)) = module {
        let bytes = payload.remove(&name).unwrap();
        manifest.modules[0].entry = format!("modules/{id}.safetensors");
        payload.insert(manifest.modules[0].entry.clone(), bytes);
        manifest.compositions[0].parts[0].module.clone_from(&id);
        manifest.modules[0].id = id;
    }
    manifest.entries = list(&payload);
    match load(assemble(&manifest, &payload, &[key()]).unwrap()) {
        Ok(_) => panic!("the forged bundle was loaded"),
        Err(error) => error,
    }
}

fn change_tensors(bytes: &mut Vec<u8>, change: impl FnOnce(&mut BTreeMap<String, Tensor>)) {
    let mut all = tensors::read(bytes, "forged").unwrap();
    change(&mut all);
    *bytes =
        tensors::write(all.iter().map(|(name, tensor)| (name.as_str(), tensor)), &BTreeMap::new())
            .unwrap();
}

#[test]
fn a_device_that_disagrees_with_the_golden_vectors_is_refused() {
    for name in ["feature.breast", "probabilities.breast"] {
        let error = forged(|payload, _| {
            change_tensors(payload.get_mut("golden.safetensors").unwrap(), |all| {
                all.get_mut(name).unwrap().data[1] += 0.02;
            });
        });
        assert!(matches!(error, RuntimeError::GoldenMismatch { .. }), "{name}: {error}");
        assert_eq!(error.class(), Some(Class::GoldenMismatch));
    }
}

#[test]
fn tensors_that_do_not_fit_are_refused_by_name() {
    let misshapen = |all: &mut BTreeMap<String, Tensor>, name: &str| {
        let tensor = all.get_mut(name).unwrap();
        tensor.shape = vec![tensor.data.len()];
    };
    for (entry, name) in [
        ("base.safetensors", "blocks.1.mlp.fc2.weight"),
        ("modules/", "blocks.0.attn.q.lora_b"),
        ("modules/", "blocks.1.mlp.fc1.lora_a"),
        ("heads/breast.safetensors", "weight"),
        ("golden.safetensors", "feature.breast"),
        ("golden.safetensors", "pixels"),
    ] {
        for kind in 0..3 {
            let error = forged(|payload, _| {
                let bytes = payload.iter_mut().find(|(n, _)| n.starts_with(entry)).unwrap().1;
                change_tensors(bytes, |all| match kind {
                    0 => drop(all.remove(name)),
                    1 => misshapen(all, name),
                    _ => drop(all.insert("stranger".into(), Tensor::f32(vec![1], vec![0.0]))),
                });
            });
            let culprit = if kind == 2 { "stranger" } else { name };
            let expected = if kind == 1 { Class::ModuleWrongShape } else { Class::TensorsMisfit };
            let expected = if entry.starts_with("base") { Class::TensorsMisfit } else { expected };
            assert_eq!(error.class(), Some(expected), "{entry} {name} {kind}: {error}");
            assert!(error.to_string().contains(culprit), "{error} does not name {culprit}");
        }
    }
    let rank = forged(|_, manifest| manifest.modules[0].rank = 3);
    assert!(rank.to_string().contains("the largest rank is 2 and the manifest says 3"), "{rank}");
    let site = forged(|_, manifest| manifest.modules[0].sites[0] = "blocks.0.attn.nothing".into());
    assert!(site.to_string().contains("site blocks.0.attn.nothing is not in the base"), "{site}");
    let size = forged(|_, manifest| manifest.base.feature_size = 9);
    assert_eq!(size.class(), Some(Class::Contradiction), "{size}");
    let depth = forged(|_, manifest| manifest.base.layers += 1);
    assert!(depth.to_string().contains("blocks, and base says"), "{depth}");
    let heads = forged(|_, manifest| manifest.base.heads = Some(7));
    assert!(heads.to_string().contains("heads, and base says 7"), "{heads}");
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

#[test]
fn features_that_are_not_finite_are_an_error() {
    let error = forged(|payload, _| {
        change_tensors(payload.get_mut("base.safetensors").unwrap(), |all| {
            // Of values whose mean is zero one is above it.
            for name in ["norm.weight", "norm.bias"] {
                let tensor = all.get_mut(name).unwrap();
                tensor.dtype = tensors::Dtype::F32;
                tensor.data.fill(f32::MAX);
            }
        });
    });
    assert!(error.to_string().contains("a feature that is not finite"), "{error}");
    assert_eq!(error.class(), Some(Class::GoldenMismatch));
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
fn weights_are_stored_in_half_only_where_that_is_exact() {
    let mut vit = small(Family::Vit);
    vit.tensors.get_mut("norm.bias").unwrap().data.fill(0.1);
    vit.tensors.get_mut("norm.weight").unwrap().data.fill(0.5);
    let graph = onnx::Graph::new(&vit, 8).unwrap();
    assert_eq!(graph.tensors["norm.bias"].dtype, tensors::Dtype::F32);
    assert_eq!(graph.tensors["norm.weight"].dtype, tensors::Dtype::F16);
}

/// Images of two classes, each of two groups, in the test split.
fn images(dir: &Path, classes: [&str; 2]) -> Dataset {
    let mut rows = String::from("path,label,group,split\n");
    for i in 0..12_u8 {
        let data =
            (0..20 * 20 * 3).map(|p: usize| (p * (17 + usize::from(i)) % 241) as u8).collect();
        let image = image::RgbImage::from_raw(20, 20, data).unwrap();
        image.save(dir.join(format!("{i}.png"))).unwrap();
        let split = if i < 4 { "train" } else { "test" };
        rows += &format!("{i}.png,{},g{},{split}\n", classes[usize::from(i % 2)], i);
    }
    std::fs::write(dir.join("splits.csv"), rows).unwrap();
    Dataset::open(dir).unwrap()
}

#[test]
fn eight_bits_are_measured_written_and_checked_like_all_the_rest() {
    let vit = small(Family::Dinov2);
    let module = module(&vit, ALL, None);
    let task = module.card.task.clone();
    let dir = tempfile::tempdir().unwrap();
    let classes = [module.card.classes[0].as_str(), module.card.classes[1].as_str()];
    let data = BTreeMap::from([(task.clone(), images(dir.path(), classes))]);
    let plain = build_bundle(&vit, std::slice::from_ref(&module), &options(), &[key()]).unwrap();
    let eight =
        || medforge_runtime::classify::Options { precision: Precision::Int8, ..Default::default() };
    let error = Classifier::load_with(&verified(plain.clone()), eight()).err().unwrap();
    assert!(matches!(error, RuntimeError::Precision { .. }), "{error}");

    let measured = int8::measured(&plain, &data, &[key()]).unwrap();
    let cost = verified(measured.clone()).manifest().int8[&task].clone();
    assert!(
        cost.n == 8 && cost.low <= cost.int8 - cost.f32 && cost.int8 - cost.f32 <= cost.high,
        "{cost:?}"
    );
    let card =
        String::from_utf8(verified(measured.clone()).entry("model_card.md").unwrap().to_vec())
            .unwrap();
    assert!(card.contains("In eight bits") && card.contains(&task), "{card}");
    let exact = load(measured.clone()).unwrap().classify(picture(9, 9).view(), None).unwrap();
    let classifier = Classifier::load_with(&verified(measured.clone()), eight()).unwrap();
    let rounded = classifier.classify(picture(9, 9).view(), None).unwrap();
    assert_ne!(exact.probabilities, rounded.probabilities);
    let worst = exact
        .probabilities
        .iter()
        .zip(&rounded.probabilities)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max);
    assert!(worst < 0.05, "{worst}");
    assert!(classifier.memory().base < load(measured.clone()).unwrap().memory().base);

    // Golden vectors in eight bits that are not what this device computes.
    let bundle = verified(measured.clone());
    let manifest = bundle.manifest();
    let mut payload: BTreeMap<String, Vec<u8>> = manifest
        .entries
        .iter()
        .map(|e| (e.name.clone(), bundle.entry(&e.name).unwrap().to_vec()))
        .collect();
    change_tensors(payload.get_mut("golden.safetensors").unwrap(), |all| {
        all.get_mut(&format!("int8.feature.{task}"))
            .unwrap()
            .data
            .iter_mut()
            .for_each(|v| *v *= 1.5);
    });
    let forged = Manifest { entries: list(&payload), ..manifest.clone() };
    let forged = assemble(&forged, &payload, &[key()]).unwrap();
    assert!(load(forged.clone()).is_ok(), "in 32 bits nothing is wrong");
    let error = Classifier::load_with(&verified(forged), eight()).err().unwrap();
    assert!(matches!(error, RuntimeError::GoldenMismatch { .. }), "{error}");

    for (data, words) in [
        (BTreeMap::new(), "no images of"),
        (BTreeMap::from([("other".to_owned(), data[&task].clone())]), "no task other"),
        (
            BTreeMap::from([(
                task.clone(),
                images(tempfile::tempdir().unwrap().path(), ["x", "y"]),
            )]),
            "has the classes",
        ),
    ] {
        let error = int8::measured(&plain, &data, &[key()]).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

/// Three modules of three tasks, each with a head of its own.
fn three(vit: &Vit) -> [Module; 3] {
    let mut all =
        [module(vit, "q,v", None), module(vit, "k,fc2", None), module(vit, "v,o", Some(1))];
    for (i, (module, task)) in all.iter_mut().zip(["breast", "colon", "lung"]).enumerate() {
        module.card.task = task.into();
        module.head.bias.data[0] += 0.3 * i as f32;
    }
    all
}

/// What the runtime says of a picture with the task given (and not), against the model on packer's
/// own features.
fn agrees(
    vit: &Vit,
    modules: &[Module],
    model: &Model,
    task: Option<&str>,
) -> medforge_runtime::classify::Classification {
    let classifier =
        load(build_merged_bundle(vit, packed(model, modules), &options(), &[key()]).unwrap())
            .unwrap();
    let (picture, size) = (picture(20, 23), modules[0].card.image_size as usize);
    let mut pixels = vec![0.0; 3 * size * size];
    vit.preprocessing_for(size as u32).unwrap().apply(&picture.view(), &mut pixels).unwrap();
    let device = Cpu::<f32>::new();
    let features: Vec<Vec<f32>> = model
        .networks()
        .iter()
        .map(|sites| Predictor::changed(&device, vit, sites, size).features(&pixels).unwrap())
        .collect();
    let views: Vec<&[f32]> = features.iter().map(Vec::as_slice).collect();
    let ours = model.answer(&views, task);
    let theirs = classifier.classify(picture.view(), task).unwrap();
    assert_eq!(ours.task, theirs.task);
    for (ours, theirs) in ours.probabilities.iter().zip(&theirs.probabilities) {
        assert!((ours - f64::from(*theirs)).abs() < 1e-4, "{ours} {theirs}");
    }
    theirs
}

/// A merged model of which nothing else is known.
fn packed<'a>(model: &'a Model, modules: &'a [Module]) -> Packed<'a> {
    Packed { model, modules, measured: BTreeMap::new(), origins: &[] }
}

fn merged(modules: &[Module], composition: Composition) -> Model {
    let heads = modules.iter().map(|m| (m.card.task.clone(), m.head.clone())).collect();
    Model { heads, composition, routing: None }
}

#[test]
fn a_fusion_is_packed_as_one_module_of_all_contributors() {
    let vit = small(Family::Dinov2);
    let modules = three(&vit);
    let sum: Vec<_> = modules.iter().map(sites).collect();
    let mut fused = sum[0].clone();
    fused.extend(sum[1].clone());
    let model = merged(&modules, Composition::Fusion(fused));
    for task in ["breast", "colon", "lung"] {
        let said = agrees(&vit, &modules, &model, Some(task));
        assert_eq!((said.modules.len(), said.modules[0].weight), (1, 1.0));
    }
    let bundle = verified(
        build_merged_bundle(&vit, packed(&model, &modules), &options(), &[key()]).unwrap(),
    );
    assert_eq!(bundle.manifest().modules[0].contributor, "someone");
    assert!(bundle.manifest().metrics.is_empty());

    let mut many = modules.clone();
    for (i, module) in many.iter_mut().enumerate() {
        module.card.contributor = format!("hospital {i} {}", "x".repeat(100));
    }
    let bundle =
        verified(build_merged_bundle(&vit, packed(&model, &many), &options(), &[key()]).unwrap());
    assert_eq!(bundle.manifest().modules[0].contributor, "3 contributors, named in model_card.md");
    assert!(
        build_merged_bundle(&vit, packed(&model, &modules[..2]), &options(), &[key()]).is_err()
    );
}

#[test]
fn a_mixture_runs_every_module_that_has_a_weight() {
    let vit = small(Family::Dinov2);
    let modules = three(&vit);
    let weights =
        [("breast", [0.5, -0.2, 0.7]), ("colon", [0.0, 1.0, 0.0]), ("lung", [0.0, 0.4, 0.6])];
    let weights = weights.iter().map(|(t, w)| ((*t).to_owned(), w.to_vec())).collect();
    let model = merged(
        &modules,
        Composition::Mixture { modules: modules.iter().map(sites).collect(), weights },
    );
    let weights = |task: &str| -> Vec<f64> {
        agrees(&vit, &modules, &model, Some(task)).modules.iter().map(|m| m.weight).collect()
    };
    assert_eq!(weights("breast"), [0.5, -0.2, 0.7]);
    assert_eq!(weights("colon"), [1.0]);
    assert_eq!(weights("lung"), [0.4, 0.6]);
}

/// One alone is exact, several mix, and no fusion is asked of them in vain.
#[test]
fn dora_modules_mix_and_do_not_fuse() {
    use medforge_runtime::bundle::manifest::{Mode, WeightedModule};
    use medforge_runtime::classify::{Cancel, Selection};
    let vit = small(Family::Dinov2);
    let mut modules = three(&vit);
    modules[0] = dora(&vit, modules[0].clone());
    modules[2] = dora(&vit, modules[2].clone());
    let weights =
        [("breast", [0.5, 0.2, 0.3]), ("colon", [0.0, 1.0, 0.0]), ("lung", [0.0, 0.4, 0.6])];
    let weights = weights.iter().map(|(t, w)| ((*t).to_owned(), w.to_vec())).collect();
    let model = merged(
        &modules,
        Composition::Mixture { modules: modules.iter().map(sites).collect(), weights },
    );
    for task in ["breast", "colon", "lung"] {
        agrees(&vit, &modules, &model, Some(task));
    }
    let alone = merged(&modules, Composition::Fusion(sites(&modules[0])));
    agrees(&vit, &modules, &alone, Some("breast"));

    let bundle = build_merged_bundle(&vit, packed(&model, &modules), &options(), &[key()]).unwrap();
    let ids: Vec<String> =
        verified(bundle.clone()).manifest().modules.iter().map(|m| m.id.clone()).collect();
    let classifier = load(bundle).unwrap();
    let ask = |parts: &[(usize, f64)]| {
        let part = |(m, weight): &(usize, f64)| WeightedModule {
            module: ids[*m].clone(),
            weight: *weight,
        };
        let selection = Selection::Composition(Mode::Fusion, parts.iter().map(part).collect());
        classifier.classify_with(
            picture(9, 9).view(),
            Some("breast"),
            &selection,
            &Cancel::default(),
        )
    };
    assert!(ask(&[(0, 1.0)]).is_ok());
    for parts in [&[(0, 0.5)][..], &[(0, 1.0), (1, 1.0)], &[(1, 1.0), (2, 1.0)]] {
        let said = ask(parts).unwrap_err().to_string();
        let named = parts.iter().any(|(m, _)| *m != 1 && said.contains(&ids[*m]));
        assert!(said.contains("DoRA modules mix but do not fuse") && named, "{said}");
    }
}

#[test]
fn a_routed_bundle_tells_the_task_and_weighs_modules_by_the_image() {
    let vit = small(Family::Vit);
    let modules = three(&vit);
    let hidden = vit.config.hidden;
    let features: Vec<Vec<f32>> = (0..3)
        .map(|t| (0..4 * hidden).map(|i| ((i * 31 + t * 57) % 17) as f32 / 17.0 - 0.5).collect())
        .collect();
    let seen: Vec<Seen> = modules
        .iter()
        .zip(&features)
        .map(|(m, features)| Seen {
            task: &m.card.task,
            classes: 2,
            features,
            labels: &[0, 0, 1, 1],
        })
        .collect();
    let mut prototypes = Prototypes::new(&seen).unwrap();
    // Wide enough that no share is all of one.
    for tensor in prototypes.tasks.values_mut() {
        tensor.data.iter_mut().for_each(|v| *v *= 1e-3);
    }
    let modules_of = modules.iter().map(sites).collect();
    let mut model = merged(&modules, Composition::Routed { modules: modules_of });
    model.routing = Some(prototypes);
    let told = agrees(&vit, &modules, &model, Some("lung"));
    assert!(told.modules.iter().all(|m| m.weight > 0.01), "{:?}", told.modules);
    assert!((told.modules.iter().map(|m| m.weight).sum::<f64>() - 1.0).abs() < 1e-6);
    let untold = agrees(&vit, &modules, &model, None);
    let largest = untold.modules.iter().map(|m| m.weight).fold(0.0, f64::max);
    let names = ["breast", "colon", "lung"];
    let place = names.iter().position(|n| *n == untold.task).unwrap();
    assert_eq!(untold.modules[place].weight, largest);

    // The same routing tells the task of a mixture, whose weights are its own.
    let weights = names.map(|t| (t.to_owned(), vec![0.25, 0.25, 0.5])).into();
    let mixed = Composition::Mixture { modules: modules.iter().map(sites).collect(), weights };
    let mixed = Model { composition: mixed, ..model.clone() };
    let told = agrees(&vit, &modules, &mixed, None);
    assert_eq!(told.task, untold.task);
    assert_eq!(told.modules.iter().map(|m| m.weight).collect::<Vec<_>>(), [0.25, 0.25, 0.5]);

    let mut damaged = prototypes_changed(&vit, &model, &modules, |all| drop(all.remove("lung")));
    assert!(damaged.contains("lung is missing"), "{damaged}");
    damaged = prototypes_changed(&vit, &model, &modules, |all| {
        all.get_mut("lung").unwrap().shape = vec![hidden + 1, 2]
    });
    assert!(damaged.contains("lung has shape"), "{damaged}");
}

/// Why a bundle with other prototypes is refused.
fn prototypes_changed(
    vit: &Vit,
    model: &Model,
    modules: &[Module],
    change: impl FnOnce(&mut BTreeMap<String, Tensor>),
) -> String {
    let bundle =
        verified(build_merged_bundle(vit, packed(model, modules), &options(), &[key()]).unwrap());
    let mut manifest = bundle.manifest().clone();
    let mut payload: BTreeMap<String, Vec<u8>> = manifest
        .entries
        .iter()
        .map(|e| (e.name.clone(), bundle.entry(&e.name).unwrap().to_vec()))
        .collect();
    change_tensors(payload.get_mut("prototypes.safetensors").unwrap(), change);
    manifest.entries = list(&payload);
    load(assemble(&manifest, &payload, &[key()]).unwrap()).err().unwrap().to_string()
}
