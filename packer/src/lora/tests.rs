//! Module folders: what is written reads back, what does not belong is refused.

use std::fs;

use medforge_runtime::tensors::Tensor;

use crate::base::tests::{FAMILIES, small};

use super::*;

pub(crate) fn module(vit: &Vit, targets: &str, last_layers: Option<usize>) -> Module {
    let targets: Targets = targets.parse().unwrap();
    let numbers = |shape: Vec<usize>, seed: usize| {
        let data = (0..shape.iter().product()).map(|i| ((i * 7 + seed) % 13) as f32 / 13.0 - 0.5).collect();
        Tensor::f32(shape, data)
    };
    let rank = 2;
    let size = 2 * vit.config.patch as u32;
    let site = |(i, (site, target)): (usize, (String, Target))| {
        let (out, inputs) = target.shape(&vit.config);
        (site, Factors { a: numbers(vec![rank, inputs], i), b: numbers(vec![out, rank], i + 5) })
    };
    let classes = vec!["benign".to_owned(), "malignant".to_owned()];
    Module {
        rank,
        alpha: 4.0,
        sites: targets.sites(&vit.config, last_layers).unwrap().into_iter().enumerate().map(site).collect(),
        head: Head {
            classes: classes.clone(),
            weight: numbers(vec![2, vit.config.features()], 1),
            bias: numbers(vec![2], 2),
        },
        card: ModuleCard {
            format: ModuleCard::FORMAT.into(),
            version: 1,
            task: "breast".into(),
            contributor: "someone".into(),
            licence: "CC-BY-4.0".into(),
            family: vit.config.family,
            base_digest: vit.digest(),
            image_size: size,
            preprocessing: vit.preprocessing_for(size).unwrap(),
            created: "2026-01-01T00:00:00Z".into(),
            classes,
            training: serde_json::json!({}),
            metrics: vec![],
            subgroups: vec![],
        },
    }
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
        for (targets, last) in [("q,v", None), ("q,k,v,o,fc1,fc2", Some(1)), ("fc2", None)] {
            let written = module(&vit, targets, last);
            let read = Module::open(write(&written).path(), &vit).unwrap();
            assert_eq!((read.rank, read.alpha, &read.card), (written.rank, written.alpha, &written.card));
            assert_eq!(read.sites.len(), written.sites.len());
            for (site, factors) in &written.sites {
                assert_eq!((&read.sites[site].a, &read.sites[site].b), (&factors.a, &factors.b), "{site}");
            }
            assert_eq!((&read.head.weight, &read.head.bias), (&written.head.weight, &written.head.bias));
        }
    }
}

/// What opening says after one change to a good folder.
fn refusal(change: impl FnOnce(&Path)) -> String {
    let vit = small(Family::Dinov2);
    let dir = write(&module(&vit, "q,v", None));
    change(dir.path());
    Module::open(dir.path(), &vit).expect_err("the folder is refused").to_string()
}

fn edit(path: &Path, key: &str, value: serde_json::Value) {
    let mut json: serde_json::Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    json[key] = value;
    fs::write(path, json.to_string()).unwrap();
}

#[test]
fn what_packer_does_not_represent_is_refused_by_name() {
    use serde_json::json;
    for (key, value) in [
        ("use_rslora", json!("yes")),
        ("use_dora", json!(true)),
        ("rank_pattern", json!({"q_proj": 0.5})),
        ("rank_pattern", json!([4])),
        ("alpha_pattern", json!({"q_proj": "x"})),
        ("alpha_pattern", json!({"(q_proj": 4})),
        ("alpha_pattern", json!({"q_proj": 4, ".*q_proj": 5})),
        ("modules_to_save", json!(["classifier"])),
        ("fan_in_fan_out", json!(true)),
        ("bias", json!("all")),
        ("peft_type", json!("IA3")),
        ("init_lora_weights", json!("pissa")),
        ("layer_replication", json!([[0, 1]])),
        ("r", json!(0)),
        ("lora_alpha", json!("x")),
    ] {
        let said = refusal(|d| edit(&d.join("adapter_config.json"), key, value));
        assert!(said.contains("adapter_config.json") && said.contains(key), "{key}: {said}");
    }
}

/// An adapter whose names do not match must never be ignored in silence (PEFT issue 1746, vLLM issue 34186).
#[test]
fn every_unmatched_tensor_is_listed() {
    let said = refusal(|d| {
        let path = d.join("adapter_model.safetensors");
        let mut tensors = tensors::read(&fs::read(&path).unwrap(), "x").unwrap();
        let renamed = tensors.remove("base_model.model.encoder.layer.0.attention.q_proj.lora_A.weight").unwrap();
        tensors.insert("base_model.model.encoder.layer.0.attention.qq.lora_A.weight".into(), renamed.clone());
        tensors.insert("base_model.model.encoder.layer.9.attention.q_proj.lora_A.weight".into(), renamed);
        fs::write(&path, tensors::write(tensors.iter().map(|(n, t)| (n.as_str(), t)), &BTreeMap::new()).unwrap())
            .unwrap();
    });
    assert!(said.contains("layer.0.attention.qq.lora_A") && said.contains("layer.9.attention.q_proj.lora_A"), "{said}");
}

/// Which of two would win is nobody's guess.
#[test]
fn two_names_for_one_site_are_refused() {
    let said = refusal(|d| {
        let path = d.join("adapter_model.safetensors");
        let mut tensors = tensors::read(&fs::read(&path).unwrap(), "x").unwrap();
        let old = "base_model.model.encoder.layer.0.attention.attention.query.lora_A.weight";
        let same = tensors["base_model.model.encoder.layer.0.attention.q_proj.lora_A.weight"].clone();
        tensors.insert(old.into(), same);
        fs::write(&path, tensors::write(tensors.iter().map(|(n, t)| (n.as_str(), t)), &BTreeMap::new()).unwrap())
            .unwrap();
    });
    assert!(said.contains("two tensors for blocks.0.attn.q"), "{said}");
}

#[test]
fn another_base_is_refused() {
    let dir = write(&module(&small(Family::Dinov2), "q,v", None));
    let mut other = small(Family::Dinov2);
    other.tensors.get_mut("norm.bias").unwrap().data[0] += 1.0;
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
fn a_half_or_a_head_that_is_missing_or_misshapen_is_named() {
    let without = |file: &'static str, name: &'static str| {
        refusal(move |d| {
            let path = d.join(file);
            let mut tensors = tensors::read(&fs::read(&path).unwrap(), "x").unwrap();
            assert!(tensors.remove(name).is_some(), "{name}");
            fs::write(&path, tensors::write(tensors.iter().map(|(n, t)| (n.as_str(), t)), &BTreeMap::new()).unwrap())
                .unwrap();
        })
    };
    let said = without("adapter_model.safetensors", "base_model.model.encoder.layer.1.attention.v_proj.lora_B.weight");
    assert!(said.contains("lora_B of blocks.1.attn.v"), "{said}");
    let said = without("head.safetensors", "bias");
    assert!(said.contains("head.safetensors") && said.contains("bias"), "{said}");
    let said = refusal(|d| edit(&d.join("module.json"), "classes", serde_json::json!(["a", "b", "c"])));
    assert!(said.contains("weight has shape"), "{said}");
}

#[test]
fn targets_are_named_once_each() {
    assert_eq!("v,q".parse::<Targets>().unwrap().to_string(), "q,v");
    for (text, word) in [("q,q", "twice"), ("x", "none of"), ("", "none of"), ("q,,v", "none of")] {
        assert!(text.parse::<Targets>().unwrap_err().contains(word), "{text}");
    }
}
