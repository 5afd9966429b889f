//! The good bundle that all cases are made from, of a small network of random weights.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use ed25519_dalek::SigningKey;
use medforge_packer::base::Vit;
use medforge_packer::export::{Options, build_bundle};
use medforge_packer::lora::{Factors, Head, Module, ModuleCard, Target, Targets};
use medforge_packer::output;
use medforge_runtime::bundle::{Manifest, assemble, frame, list};
use medforge_runtime::tensors::Tensor;

use crate::{Good, trust};

/// Writes `good.medforge` and `trust.toml`.
pub fn write(corpus: &Path) {
    let place = tempfile::tempdir().unwrap();
    let config = r#"{"model_type":"vit","hidden_size":16,"num_hidden_layers":1,"num_attention_heads":2,
        "intermediate_size":16,"image_size":16,"patch_size":8}"#;
    let processor =
        r#"{"size":{"height":16,"width":16},"resample":3,"image_mean":[0.5,0.5,0.5],"image_std":[0.5,0.5,0.5]}"#;
    fs::write(place.path().join("config.json"), config).unwrap();
    fs::write(place.path().join("preprocessor_config.json"), processor).unwrap();
    let vit = Vit::random(place.path(), 1).unwrap();
    let key = SigningKey::from_bytes(&[1; 32]);
    let options = Options { name: "corpus".into(), counter: 3, predecessor: None, intended_use: "tests".into() };
    let bytes = build_bundle(&vit, &[module(&vit)], &options, std::slice::from_ref(&key)).unwrap();
    // The list of crates is most of so small a bundle; a short one serves as well here.
    let entries = frame::parse(&bytes).unwrap();
    let mut payload: BTreeMap<String, Vec<u8>> =
        entries[2..].iter().map(|(name, range)| (name.clone(), bytes[range.clone()].to_vec())).collect();
    payload.insert("sbom.json".into(), br#"{"bomFormat":"CycloneDX","specVersion":"1.6","version":1}"#.to_vec());
    let mut manifest: Manifest = serde_json::from_slice(&bytes[entries[0].1.clone()]).unwrap();
    manifest.entries = list(&payload);
    fs::create_dir_all(corpus).unwrap();
    fs::write(corpus.join("good.medforge"), assemble(&manifest, &payload, &[key]).unwrap()).unwrap();
    fs::write(corpus.join("trust.toml"), trust::file(&Good::open(), 1, 1, "")).unwrap();
}

fn module(vit: &Vit) -> Module {
    let numbers = |shape: Vec<usize>, seed: usize| {
        let data = (0..shape.iter().product()).map(|i: usize| ((i * 31 + seed * 17) % 23) as f32 / 23.0 - 0.5);
        Tensor::f32(shape.clone(), data.collect())
    };
    let sites = "q,v".parse::<Targets>().unwrap().sites(&vit.config, None);
    let site = |(i, (site, target)): (usize, (String, Target))| {
        let (out, inputs) = target.shape(&vit.config);
        (site, Factors { a: numbers(vec![2, inputs], i), b: numbers(vec![out, 2], i + 9) })
    };
    let classes = vec!["benign".to_owned(), "malignant".to_owned()];
    Module {
        rank: 2,
        alpha: 2.0,
        sites: sites.into_iter().enumerate().map(site).collect(),
        head: Head { classes: classes.clone(), weight: numbers(vec![2, 16], 3), bias: numbers(vec![2], 4) },
        card: ModuleCard {
            format: ModuleCard::FORMAT.into(),
            version: ModuleCard::VERSION,
            task: "breast".into(),
            contributor: "tests".into(),
            licence: "CC0-1.0".into(),
            family: vit.config.family,
            base_digest: vit.digest(),
            image_size: 16,
            preprocessing: vit.preprocessing_for(16).unwrap(),
            created: output::now(),
            classes,
            training: serde_json::json!({}),
            metrics: vec![],
        },
    }
}
