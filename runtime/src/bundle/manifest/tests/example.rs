//! An example of a manifest with every field, and values to put into it.

use std::collections::BTreeMap;

use crate::bundle::manifest::*;
use crate::bundle::measured::tests::example as measured;
use crate::bundle::{list, sha256_hex};
use crate::preprocess::{CropOffset, Filter, Preprocessing, Resize, Size};

/// A payload that is whole for the manifest (its parts are not what their names say; loading is
/// tested elsewhere).
pub(crate) fn payload() -> BTreeMap<String, Vec<u8>> {
    let module = b"module".to_vec();
    BTreeMap::from([
        ("base.onnx".into(), b"graph".to_vec()),
        ("base.safetensors".into(), vec![7; 65]),
        ("golden.safetensors".into(), b"g".to_vec()),
        ("heads/breast.safetensors".into(), b"head".to_vec()),
        ("model_card.md".into(), vec![]),
        ("sbom.json".into(), vec![]),
        (format!("modules/{}.safetensors", sha256_hex(&module)), module),
    ])
}

/// A manifest of [`payload`] with every optional field.
pub(crate) fn example() -> Manifest {
    let id = sha256_hex(b"module");
    Manifest {
        format: FORMAT.into(),
        version: VERSION,
        name: "breast é".into(),
        counter: 3,
        created: "2024-02-29T23:59:59Z".into(),
        predecessor: Some(sha256_hex(b"before")),
        entries: list(&payload()),
        base: Base {
            family: "dinov2".into(),
            digest: sha256_hex(b"base"),
            image_size: [112, 112],
            feature_size: 384,
            layers: 12,
            heads: Some(6),
            licence: Some("MIT".into()),
        },
        modules: vec![Module {
            id: id.clone(),
            contributor: "Hospital A".into(),
            task: "breast".into(),
            rank: 16,
            sites: vec!["blocks.0.attn.q".into(), "blocks.0.attn.v".into()],
            licence: "CC-BY-4.0".into(),
            base: sha256_hex(b"base"),
            entry: format!("modules/{id}.safetensors"),
        }],
        heads: vec![Head {
            task: "breast".into(),
            entry: "heads/breast.safetensors".into(),
            classes: vec!["benign".into(), "malignant".into()],
            zero_shot: vec![],
            codes: vec![],
            calibration: None,
        }],
        compositions: vec![Composition {
            task: "breast".into(),
            mode: Mode::Fusion,
            parts: vec![WeightedModule { module: id, weight: 0.1 }],
        }],
        routing: None,
        preprocessing: preprocessing(),
        intended_use: "Research only.\nNot for diagnosis.".into(),
        metrics: BTreeMap::from([(
            "breast".into(),
            Metric { name: "balanced_accuracy".into(), value: 0.9, low: 0.8, high: 1.0, n: 252 },
        )]),
        measured: BTreeMap::new(),
        members: Vec::new(),
        int8: BTreeMap::new(),
        tool: Tool { name: "packer".into(), version: "0.1.0".into() },
    }
}

fn preprocessing() -> Preprocessing {
    Preprocessing {
        resize: Resize::ShortestEdge(128),
        filter: Filter::Bicubic,
        crop: Some(Size { height: 112, width: 112 }),
        crop_offset: CropOffset::Floor,
        rescale: 1.0 / 255.0,
        mean: [0.485, 0.456, 0.406],
        std: [0.229, 0.224, 0.225],
    }
}

pub fn routing() -> Routing {
    Routing { entry: PROTOTYPES.into() }
}

/// Adds a module with an entry of its own and gives its id.
pub fn extra(manifest: &mut Manifest) -> String {
    let id = "f".repeat(64);
    let entry = format!("modules/{id}.safetensors");
    manifest.entries.insert(6, Entry { name: entry.clone(), length: 1, sha256: id.clone() });
    manifest.modules.push(Module { id: id.clone(), entry, ..manifest.modules[0].clone() });
    id
}

pub fn member() -> Member {
    let (contributor, task, licence) = ("hospital".into(), "breast".into(), "MIT".into());
    Member {
        contributor,
        task,
        licence,
        contribution: Some("a".repeat(64)),
        card: None,
        measured: Some(measured()),
    }
}

pub fn calibration(temperature: f64) -> Calibration {
    Calibration { temperature, error: 0.1, threshold: 2.0, least_probability: 0.0, n: 40 }
}

pub fn cost() -> Int8Cost {
    Int8Cost {
        name: "balanced_accuracy".into(),
        f32: 0.9,
        int8: 0.89,
        low: -0.02,
        high: 0.0,
        n: 40,
    }
}

pub fn code(scheme: &str, value: &str) -> Code {
    Code { scheme: scheme.into(), value: value.into(), meaning: "Benign neoplasm".into() }
}
