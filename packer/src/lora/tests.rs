//! Module folders: a written one reads back, and others are refused.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use medforge_runtime::tensors::{self, Tensor};

use super::*;
use crate::Error;
use crate::base::tests::{FAMILIES, small};
use crate::base::{Family, Vit};

mod dora_folders;
mod peft_folders;

pub(crate) fn module(vit: &Vit, targets: &str, last_layers: Option<usize>) -> Module {
    let targets: Targets = targets.parse().unwrap();
    let numbers = |shape: Vec<usize>, seed: usize| {
        let data = (0..shape.iter().product())
            .map(|i| ((i * 7 + seed) % 13) as f32 / 13.0 - 0.5)
            .collect();
        Tensor::f32(shape, data)
    };
    let rank = 2;
    let size = 2 * vit.config.patch as u32;
    let site = |(i, (site, target)): (usize, (String, Target))| {
        let (out, inputs) = target.shape(&vit.config);
        (site, Factors::plain(numbers(vec![rank, inputs], i), numbers(vec![out, rank], i + 5)))
    };
    let classes = vec!["benign".to_owned(), "malignant".to_owned()];
    Module {
        rank,
        alpha: 4.0,
        sites: targets
            .sites(&vit.config, last_layers)
            .unwrap()
            .into_iter()
            .enumerate()
            .map(site)
            .collect(),
        head: Head {
            classes: classes.clone(),
            weight: numbers(vec![2, vit.config.features()], 1),
            bias: numbers(vec![2], 2),
            logit_scale: None,
            temperature: 1.0,
            familiar: None,
        },
        card: ModuleCard {
            format: ModuleCard::FORMAT.into(),
            version: 1,
            task: "breast".into(),
            contributor: "someone".into(),
            licence: "CC-BY-4.0".into(),
            family: vit.config.family,
            gated: vit.config.gated,
            base_digest: vit.digest(),
            image_size: size,
            preprocessing: vit.preprocessing_for(size).unwrap(),
            created: None,
            run: Run { created: Some("2026-01-01T00:00:00Z".into()), ..Run::default() },
            classes,
            class_texts: BTreeMap::new(),
            calibration: None,
            uncalibrated: None,
            training: serde_json::json!({}),
            metrics: vec![],
            measured: None,
            subgroups: vec![],
        },
    }
}

/// The same as a DoRA module, with magnitudes around the norms of the base's rows.
pub(crate) fn dora(vit: &Vit, mut module: Module) -> Module {
    for (site, factors) in &mut module.sites {
        let norms = crate::lora::dora::row_norms(&vit.tensor(&format!("{site}.weight")));
        let magnitudes = norms
            .iter()
            .enumerate()
            .map(|(i, norm)| norm * (0.7 + (i % 5) as f32 / 10.0))
            .collect();
        factors.magnitude = Some(Tensor::f32(vec![norms.len()], magnitudes));
    }
    module
}

fn write(module: &Module) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in module.files().unwrap() {
        fs::write(dir.path().join(name), bytes).unwrap();
    }
    dir
}

#[test]
fn a_written_module_reads_back_the_same() {
    for family in FAMILIES {
        let vit = small(family);
        let all = [("q,v", None), ("q,k,v,o,fc1,fc2", Some(1)), ("fc2", None)];
        for ((targets, last), decomposed) in
            all.into_iter().flat_map(|targets| [(targets, false), (targets, true)])
        {
            let plain = module(&vit, targets, last);
            let written = if decomposed { dora(&vit, plain) } else { plain };
            let read = Module::open(write(&written).path(), &vit).unwrap();
            assert_eq!(
                (read.rank, read.alpha, &read.card),
                (written.rank, written.alpha, &written.card)
            );
            assert_eq!(read.sites.len(), written.sites.len());
            for (site, factors) in &written.sites {
                assert_eq!(
                    (&read.sites[site].a, &read.sites[site].b),
                    (&factors.a, &factors.b),
                    "{site}"
                );
                assert_eq!(
                    (&read.sites[site].magnitude, factors.magnitude.is_some()),
                    (&factors.magnitude, decomposed)
                );
            }
            assert_eq!(
                (&read.head.weight, &read.head.bias),
                (&written.head.weight, &written.head.bias)
            );
        }
    }
}

/// The error of opening a good folder after one change.
fn refusal(change: impl FnOnce(&Path)) -> String {
    let vit = small(Family::Dinov2);
    refusal_of(&vit, &module(&vit, "q,v", None), change)
}

fn refusal_of(vit: &Vit, module: &Module, change: impl FnOnce(&Path)) -> String {
    let dir = write(module);
    change(dir.path());
    Module::open(dir.path(), vit).expect_err("the folder is refused").to_string()
}

fn edit_tensors(dir: &Path, change: impl FnOnce(&mut BTreeMap<String, Tensor>)) {
    let path = dir.join("adapter_model.safetensors");
    let mut tensors = tensors::read(&fs::read(&path).unwrap(), "x").unwrap();
    change(&mut tensors);
    let named = tensors.iter().map(|(n, t)| (n.as_str(), t));
    fs::write(path, tensors::write(named, &BTreeMap::new()).unwrap()).unwrap();
}

fn edit(path: &Path, key: &str, value: serde_json::Value) {
    let mut json: serde_json::Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    json[key] = value;
    fs::write(path, json.to_string()).unwrap();
}

#[test]
fn another_base_is_refused() {
    let dir = write(&module(&small(Family::Dinov2), "q,v", None));
    let mut other = small(Family::Dinov2);
    other.change("norm.bias", |data| data[0] += 1.0);
    assert!(matches!(Module::open(dir.path(), &other), Err(Error::OtherBase { .. })));
}

/// The same weights under another normalisation would give wrong results in silence.
#[test]
fn another_preprocessing_is_refused() {
    let mut vit = small(Family::Dinov2);
    let dir = write(&module(&vit, "q,v", None));
    vit.preprocessing.mean[1] += 0.01;
    assert!(matches!(Module::open(dir.path(), &vit), Err(Error::OtherPreprocessing { .. })));
}

#[test]
fn the_time_stands_beside_the_card_and_in_older_cards_within() {
    let vit = small(Family::Dinov2);
    let own = module(&vit, "q,v", None);
    let dir = write(&own);
    let card = dir.path().join("module.json");
    let text = fs::read_to_string(&card).unwrap();
    assert!(!text.contains("2026-01-01") && !text.contains("created"), "{text}");
    assert_eq!(Module::open(dir.path(), &vit).unwrap().card, own.card);
    fs::remove_file(dir.path().join(Run::FILE)).unwrap();
    assert_eq!(Module::open(dir.path(), &vit).unwrap().card.created(), None);
    edit(&card, "created", serde_json::json!("2025-05-05T00:00:00Z"));
    assert_eq!(
        Module::open(dir.path(), &vit).unwrap().card.created(),
        Some("2025-05-05T00:00:00Z")
    );
    let said = refusal(|d| fs::write(d.join(Run::FILE), r#"{"created":"now","by":"me"}"#).unwrap());
    assert!(said.contains("run.json") && said.contains("`by`"), "{said}");
}

#[test]
fn targets_are_named_once_each() {
    assert_eq!("v,q".parse::<Targets>().unwrap().to_string(), "q,v");
    for (text, word) in [("q,q", "twice"), ("x", "none of"), ("", "none of"), ("q,,v", "none of")] {
        assert!(text.parse::<Targets>().unwrap_err().contains(word), "{text}");
    }
}
