//! Module folders: what is written reads back, what does not belong is refused.

use std::fs;

use medforge_runtime::tensors::{self, Tensor};

use crate::base::tests::{FAMILIES, small};

use super::*;

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
        let norms = super::dora::row_norms(&vit.tensors[&format!("{site}.weight")]);
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

/// What opening says after one change to a good folder.
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

#[test]
fn magnitudes_stand_at_every_layer_of_a_folder_with_dora_and_at_none_of_another() {
    let vit = small(Family::Dinov2);
    let (plain, decomposed) = (module(&vit, "q,v", None), dora(&vit, module(&vit, "q,v", None)));
    let magnitude = "base_model.model.encoder.layer.1.attention.v_proj.lora_magnitude_vector";
    let config =
        |dir: &Path, value: bool| edit(&dir.join("adapter_config.json"), "use_dora", value.into());
    let said = refusal_of(&vit, &decomposed, |d| {
        edit_tensors(d, |all| drop(all.remove(magnitude).unwrap()))
    });
    assert!(said.contains("lora_magnitude_vector of blocks.1.attn.v"), "{said}");
    let said = refusal_of(&vit, &plain, |d| config(d, true));
    assert!(said.contains("lora_magnitude_vector of blocks.0.attn.q"), "{said}");
    let said = refusal_of(&vit, &decomposed, |d| config(d, false));
    assert!(
        said.contains("lora_magnitude_vector") && said.contains("does not say use_dora"),
        "{said}"
    );
    let said = refusal_of(&vit, &decomposed, |d| {
        edit_tensors(d, |all| {
            let tensor = all.get_mut(magnitude).unwrap();
            (tensor.shape, tensor.data) = (vec![3], vec![1.0; 3]);
        });
    });
    assert!(said.contains(magnitude) && said.contains("shape [3]"), "{said}");
    // PEFT's own name of the parameter is read too, and two names for one are not.
    let dir = write(&decomposed);
    edit_tensors(dir.path(), |all| {
        let tensor = all.remove(magnitude).unwrap();
        all.insert(format!("{magnitude}.weight"), tensor);
    });
    let read = Module::open(dir.path(), &vit).unwrap();
    assert_eq!(
        read.sites["blocks.1.attn.v"].magnitude,
        decomposed.sites["blocks.1.attn.v"].magnitude
    );
    let said = refusal_of(&vit, &decomposed, |d| {
        edit_tensors(d, |all| {
            drop(all.insert(format!("{magnitude}.weight"), all[magnitude].clone()))
        });
    });
    assert!(said.contains("two tensors for blocks.1.attn.v"), "{said}");
    let mut some = decomposed;
    some.sites.get_mut("blocks.0.attn.v").unwrap().magnitude = None;
    assert!(
        some.files().unwrap_err().to_string().contains("site blocks.0.attn.v has no magnitudes")
    );
}

/// Scales that are folded into B and ranks that are padded change neither the product nor, so, its
/// rows' norms.
#[test]
fn dora_with_scales_and_ranks_of_its_own_has_the_gains_that_it_had() {
    let vit = small(Family::Dinov2);
    let written = dora(&vit, module(&vit, "q,v", None));
    let dir = write(&written);
    let path = dir.path().join("adapter_config.json");
    for (key, value) in [
        ("r", serde_json::json!(3)),
        ("rank_pattern", serde_json::json!({"q_proj": 2, "layer.0.attention.v_proj": 2})),
        ("alpha_pattern", serde_json::json!({"q_proj": 5})),
        ("use_rslora", true.into()),
    ] {
        edit(&path, key, value);
    }
    // The last layer's v has the rank 3.
    let wide = written.sites["blocks.1.attn.v"].clone().padded(3);
    edit_tensors(dir.path(), |all| {
        let of =
            |part: &str| format!("base_model.model.encoder.layer.1.attention.v_proj.{part}.weight");
        all.insert(of("lora_A"), wide.a.clone());
        all.insert(of("lora_B"), wide.b.clone());
    });
    let read = Module::open(dir.path(), &vit).unwrap();
    assert_eq!((read.rank, read.scale()), (3, 1.0));
    for (site, factors) in &written.sites {
        let scale = match site.as_str() {
            "blocks.1.attn.v" => 4.0 / 3f64.sqrt(),
            "blocks.0.attn.v" => 4.0 / 2f64.sqrt(),
            _ => 5.0 / 2f64.sqrt(),
        };
        let weight = &vit.tensors[&format!("{site}.weight")];
        let expected = factors.scaled(scale).gains(weight).unwrap();
        let found = read.sites[site].gains(weight).unwrap();
        assert!(found.iter().zip(&expected).all(|(f, e)| (f / e - 1.0).abs() < 1e-5), "{site}");
        assert!(
            found
                .iter()
                .zip(factors.gains(weight).unwrap())
                .any(|(f, e)| (f / e - 1.0).abs() > 1e-3),
            "{site}"
        );
    }
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
        ("use_dora", json!("yes")),
        ("rank_pattern", json!({"q_proj": 0.5})),
        ("rank_pattern", json!([4])),
        ("alpha_pattern", json!({"q_proj": "x"})),
        ("alpha_pattern", json!({"(q_proj": 4})),
        ("alpha_pattern", json!({"q_proj": 4, ".*q_proj": 5})),
        ("modules_to_save", json!(["layernorm"])),
        ("kasa_config", json!({"beta": 0.1})),
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

/// An adapter whose names do not match must never be ignored in silence (PEFT issue 1746, vLLM
/// issue 34186).
#[test]
fn every_unmatched_tensor_is_listed() {
    let said = refusal(|d| {
        let path = d.join("adapter_model.safetensors");
        let mut tensors = tensors::read(&fs::read(&path).unwrap(), "x").unwrap();
        let renamed = tensors
            .remove("base_model.model.encoder.layer.0.attention.q_proj.lora_A.weight")
            .unwrap();
        tensors.insert(
            "base_model.model.encoder.layer.0.attention.qq.lora_A.weight".into(),
            renamed.clone(),
        );
        tensors.insert(
            "base_model.model.encoder.layer.9.attention.q_proj.lora_A.weight".into(),
            renamed,
        );
        fs::write(
            &path,
            tensors::write(tensors.iter().map(|(n, t)| (n.as_str(), t)), &BTreeMap::new()).unwrap(),
        )
        .unwrap();
    });
    assert!(
        said.contains("layer.0.attention.qq.lora_A")
            && said.contains("layer.9.attention.q_proj.lora_A"),
        "{said}"
    );
}

/// Which of two would win is nobody's guess.
#[test]
fn two_names_for_one_site_are_refused() {
    let said = refusal(|d| {
        let path = d.join("adapter_model.safetensors");
        let mut tensors = tensors::read(&fs::read(&path).unwrap(), "x").unwrap();
        let old = "base_model.model.encoder.layer.0.attention.attention.query.lora_A.weight";
        let same =
            tensors["base_model.model.encoder.layer.0.attention.q_proj.lora_A.weight"].clone();
        tensors.insert(old.into(), same);
        fs::write(
            &path,
            tensors::write(tensors.iter().map(|(n, t)| (n.as_str(), t)), &BTreeMap::new()).unwrap(),
        )
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
            fs::write(
                &path,
                tensors::write(tensors.iter().map(|(n, t)| (n.as_str(), t)), &BTreeMap::new())
                    .unwrap(),
            )
            .unwrap();
        })
    };
    let said = without(
        "adapter_model.safetensors",
        "base_model.model.encoder.layer.1.attention.v_proj.lora_B.weight",
    );
    assert!(said.contains("lora_B of blocks.1.attn.v"), "{said}");
    let said = without("head.safetensors", "bias");
    assert!(said.contains("head.safetensors") && said.contains("bias"), "{said}");
    let said =
        refusal(|d| edit(&d.join("module.json"), "classes", serde_json::json!(["a", "b", "c"])));
    assert!(said.contains("weight has shape"), "{said}");
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
