//! The reader against what transformers computes, and what it refuses.

use std::collections::BTreeMap;
use std::path::PathBuf;

use medforge_runtime::tensors;

use crate::device::cpu::Cpu;
use crate::device::{Activation, Device};
use crate::tape::{Tape, Tensor, Var};

use super::file::File;
use super::*;

mod elsewhere;
mod preprocessors;

/// The real base, where the machine has it.
fn real_base() -> Option<PathBuf> {
    let shared = std::env::var("MEDFORGE_SHARED").unwrap_or_else(|_| "../shared".into());
    let dir =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(shared).join("models/vits14");
    dir.exists().then_some(dir)
}

pub(crate) const FAMILIES: [Family; 6] = [
    Family::Clip,
    Family::Dinov2,
    Family::Dinov2WithRegisters,
    Family::Dinov3,
    Family::Siglip,
    Family::Vit,
];

/// A small folder with random weights.
pub(crate) fn small(family: Family) -> Vit {
    let dir = tempfile::tempdir().unwrap();
    let more = match family {
        Family::Clip => {
            r#""model_type":"clip_vision_model","intermediate_size":16,"projection_dim":6"#
        }
        Family::Dinov2 => r#""model_type":"dinov2","mlp_ratio":2"#,
        Family::Dinov2WithRegisters => {
            r#""model_type":"dinov2_with_registers","mlp_ratio":3,"num_register_tokens":3,
            "use_swiglu_ffn":true"#
        }
        Family::Dinov3 => {
            r#""model_type":"dinov3_vit","intermediate_size":16,"num_register_tokens":2"#
        }
        Family::Siglip => r#""model_type":"siglip_vision_model","intermediate_size":16"#,
        Family::Vit => r#""model_type":"vit","intermediate_size":16"#,
    };
    let config = format!(
        r#"{{{more},"hidden_size":8,"num_hidden_layers":2,"num_attention_heads":2,"image_size":8,
        "patch_size":4}}"#
    );
    std::fs::write(dir.path().join("config.json"), config).unwrap();
    let processor =
        r#"{"size":{"height":8,"width":8},"image_mean":[0.5,0.5,0.5],"image_std":[0.5,0.5,0.5]}"#;
    std::fs::write(dir.path().join("preprocessor_config.json"), processor).unwrap();
    Vit::random(dir.path(), 7).unwrap()
}

fn write(vit: &Vit) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in vit.files().unwrap() {
        std::fs::write(dir.path().join(name), bytes).unwrap();
    }
    dir
}

#[test]
fn golden_features_of_the_real_base() {
    let Some(dir) = real_base() else { return };
    let vit = Vit::open(&dir).unwrap();
    let golden =
        tensors::read(&std::fs::read(dir.join("golden.safetensors")).unwrap(), "golden").unwrap();
    let device = Cpu::<f32>::poisoned();
    for size in [224usize, 112, 56] {
        let pixels: Vec<f32> = (0..3 * size * size)
            .map(|i| {
                let (c, y, x) = (i / size / size, i / size % size, i % size);
                (0.05 * (3 * y + 7 * x + 11 * c) as f64).sin() as f32
            })
            .collect();
        let weights = Weights::frozen(&device, &vit, size);
        let images = Var::constant(Tensor::new(&device, &pixels, 1, pixels.len()));
        let feature = forward(&Tape::new(&device), &weights, &BTreeMap::new(), &device, &images);
        let ours = device.download(&feature.value.buffer).unwrap();
        let theirs = &golden[&format!("cls_{size}")].data;
        let error = distance(&ours, theirs);
        assert!(error < 1e-4, "relative error {error:e} at {size} pixels");
    }
}

/// ||a - b|| / ||b||
fn distance(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let sum = |f: &dyn Fn(usize) -> f32| {
        (0..a.len()).map(|i| f64::from(f(i)).powi(2)).sum::<f64>().sqrt()
    };
    sum(&|i| a[i] - b[i]) / sum(&|i| b[i])
}

#[test]
fn a_written_folder_reads_back_the_same() {
    for family in FAMILIES {
        let vit = small(family);
        let read = Vit::open(write(&vit).path()).unwrap();
        assert_eq!(read.config, vit.config);
        assert_eq!(read.digest(), vit.digest());
        assert_eq!(read.preprocessing, vit.preprocessing);
    }
}

#[test]
fn both_naming_schemes_give_the_same_base() {
    for (family, prefix) in [(Family::Dinov2, "dinov2."), (Family::Vit, "vit.")] {
        let vit = small(family);
        let dir = write(&vit);
        let path = dir.path().join("model.safetensors");
        let old = tensors::read(&std::fs::read(&path).unwrap(), "old").unwrap();
        let renamed: BTreeMap<String, _> = old
            .into_iter()
            .map(|(name, tensor)| {
                let mut name = name
                    .replace("attention.attention.query", "attention.q_proj")
                    .replace("attention.attention.key", "attention.k_proj")
                    .replace("attention.attention.value", "attention.v_proj")
                    .replace("attention.output.dense", "attention.o_proj");
                if family == Family::Vit {
                    name = name
                        .replace("encoder.layer.", "layers.")
                        .replace("intermediate.dense", "mlp.fc1");
                    name = name.replace(".output.dense", ".mlp.fc2");
                }
                (format!("{prefix}{name}"), tensor)
            })
            .collect();
        std::fs::write(
            &path,
            tensors::write(renamed.iter().map(|(n, t)| (n.as_str(), t)), &BTreeMap::new()).unwrap(),
        )
        .unwrap();
        assert_eq!(Vit::open(dir.path()).unwrap().digest(), vit.digest());
    }
}

#[test]
fn trained_weights_compute_what_frozen_ones_do() {
    let vit = small(Family::Dinov2);
    let device = Cpu::<f32>::poisoned();
    let pixels: Vec<f32> = (0..2 * 3 * 12 * 12).map(|i| (i as f32 * 0.7).sin()).collect();
    let tape = Tape::new(&device);
    let images = Var::constant(Tensor::new(&device, &pixels, 2, 3 * 12 * 12));
    let upload = |(name, t): (&String, &StoredTensor)| {
        (
            name.clone(),
            tape.parameter(super::weights::matrix(
                &device,
                &t.shape,
                &t.values.read(),
                Tensor::new,
            )),
        )
    };
    let trained =
        Weights::trained(vit.config.clone(), 12, vit.tensors.iter().map(upload).collect());
    let frozen = Weights::frozen(&device, &vit, 12);
    let [a, b] = [trained, frozen].map(|w| {
        let feature = forward(&tape, &w, &BTreeMap::new(), &device, &images);
        device.download(&feature.value.buffer).unwrap()
    });
    assert!(distance(&a, &b) < 1e-6);
}

/// What reading says after one change to a good folder.
fn refusal(change: impl FnOnce(&std::path::Path)) -> String {
    let dir = write(&small(Family::Vit));
    change(dir.path());
    Vit::open(dir.path()).err().expect("the folder is refused").to_string()
}

fn edit_config(dir: &std::path::Path, key: &str, value: serde_json::Value) {
    let path = dir.join("config.json");
    let mut config: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    config[key] = value;
    std::fs::write(path, config.to_string()).unwrap();
}

#[test]
fn refusals_name_the_file_and_the_reason() {
    use serde_json::json;
    let missing = refusal(|d| std::fs::remove_file(d.join("model.safetensors")).unwrap());
    assert!(missing.contains("model.safetensors"), "{missing}");
    let truncated = refusal(|d| {
        let path = d.join("model.safetensors");
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(path, &bytes[..bytes.len() - 5]).unwrap();
    });
    assert!(truncated.contains("model.safetensors"), "{truncated}");
    for (key, value, word) in [
        ("model_type", json!("swin"), "swin"),
        ("hidden_act", json!("relu"), "relu"),
        ("hidden_size", json!(0), "hidden_size"),
        ("hidden_size", json!(1e9), "hidden_size"),
        ("num_attention_heads", json!(3), "heads"),
        ("image_size", json!(9), "image_size"),
        ("num_hidden_layers", json!(3), "encoder.layer.2"),
        ("intermediate_size", json!(17), "shape"),
    ] {
        let said = refusal(|d| edit_config(d, key, value.clone()));
        assert!(said.contains(word), "{key} = {value}: {said}");
    }
}

#[test]
fn the_width_of_the_mlp_survives_writing() {
    for (hidden, mlp) in [(56, 488), (88, 120), (384, 1536)] {
        let mut vit = small(Family::Dinov2);
        (vit.config.hidden, vit.config.mlp) = (hidden, mlp);
        let written = super::config::write(&vit.config);
        let written: serde_json::Value = serde_json::from_slice(&written).unwrap();
        assert_eq!((written["mlp_ratio"].as_f64().unwrap() * hidden as f64) as usize, mlp);
    }
}

#[test]
fn adapter_paths_of_both_schemes_mean_the_same_site() {
    let config = |family| VitConfig { layers: 12, ..small(family).config };
    for (family, gated, site, path) in [
        (Family::Dinov2, false, "blocks.3.attn.q", "encoder.layer.3.attention.q_proj"),
        (Family::Dinov2, true, "blocks.3.mlp.fc1", "encoder.layer.3.mlp.up_proj"),
        (Family::Dinov2, true, "blocks.3.mlp.gate", "encoder.layer.3.mlp.gate_proj"),
        (Family::Dinov2, false, "blocks.3.mlp.fc1", "encoder.layer.3.mlp.fc1"),
        (Family::Dinov3, false, "blocks.3.mlp.fc1", "model.layer.3.mlp.up_proj"),
        (Family::Siglip, false, "blocks.3.attn.o", "encoder.layers.3.self_attn.out_proj"),
        (Family::Siglip, false, "pool.mlp.fc1", "head.mlp.fc1"),
        (Family::Vit, false, "blocks.3.mlp.fc2", "layers.3.mlp.fc2"),
        (Family::Clip, false, PROJECTION, "visual_projection"),
        (Family::Clip, false, "blocks.3.attn.q", "vision_model.encoder.layers.3.self_attn.q_proj"),
    ] {
        assert_eq!(adapter_path(family, gated, site).unwrap(), path);
    }
    for (family, path, site) in [
        (Family::Dinov2, "encoder.layer.3.attention.attention.query", "blocks.3.attn.q"),
        (Family::Dinov2, "dinov2.encoder.layer.11.attention.o_proj", "blocks.11.attn.o"),
        (Family::Vit, "vit.layers.0.mlp.fc1", "blocks.0.mlp.fc1"),
        (Family::Vit, "encoder.layer.0.output.dense", "blocks.0.mlp.fc2"),
        (Family::Vit, "encoder.layer.0.attention.output.dense", "blocks.0.attn.o"),
        (Family::Clip, "vision_model.encoder.layers.11.self_attn.out_proj", "blocks.11.attn.o"),
        (Family::Clip, "clip.visual_projection", PROJECTION),
        (Family::Dinov3, "layer.5.attention.k_proj", "blocks.5.attn.k"),
        (Family::Dinov3, "model.layer.5.attention.k_proj", "blocks.5.attn.k"),
        (Family::Siglip, "vision_model.encoder.layers.0.mlp.fc2", "blocks.0.mlp.fc2"),
        (Family::Siglip, "vision_model.head.mlp.fc2", "pool.mlp.fc2"),
        (Family::Siglip, "attn_pool.q", "pool.attn.q"),
        (Family::Vit, "blocks.7.attn.proj", "blocks.7.attn.o"),
        (Family::Dinov2, "blocks.7.mlp.fc2", "blocks.7.mlp.fc2"),
        (Family::Dinov2WithRegisters, "blocks.7.mlp.fc1_x", "blocks.7.mlp.fc1"),
        (Family::Dinov2WithRegisters, "blocks.7.mlp.fc1_g", "blocks.7.mlp.gate"),
    ] {
        assert_eq!(sites_of_adapter_path(&config(family), path), [site], "{path}");
    }
}

#[test]
fn one_layer_of_a_path_may_be_several_sites_in_the_order_of_its_rows() {
    let config = |family| VitConfig { layers: 12, ..small(family).config };
    let attention = ["blocks.3.attn.q", "blocks.3.attn.k", "blocks.3.attn.v"];
    let gated = ["blocks.3.mlp.gate", "blocks.3.mlp.fc1"];
    let pool = ["pool.attn.k", "pool.attn.v"];
    for (family, path, sites) in [
        (Family::Vit, "blocks.3.attn.qkv", &attention[..]),
        (Family::Dinov3, "blocks.3.attn.qkv", &attention[..]),
        (Family::Dinov2WithRegisters, "blocks.3.mlp.fc1", &gated[..]),
        (Family::Dinov2WithRegisters, "encoder.layer.3.mlp.weights_in", &gated[..]),
        (Family::Siglip, "attn_pool.kv", &pool[..]),
        (Family::Dinov2, "blocks.3.mlp.fc1", &["blocks.3.mlp.fc1"][..]),
    ] {
        assert_eq!(sites_of_adapter_path(&config(family), path), sites, "{path}");
    }
}

#[test]
fn paths_of_no_site_are_none() {
    for (family, path) in [
        (Family::Vit, "layers.0.layernorm_before"),
        (Family::Vit, "layers.2.mlp.fc1"),
        (Family::Dinov2, "visual_projection"),
        (Family::Dinov2, "encoder.layer.0.mlp.gate_proj"),
        (Family::Dinov2, "head.mlp.fc1"),
        (Family::Clip, "text_model.encoder.layers.0.self_attn.q_proj"),
        (Family::Clip, "encoder.layers.0.self_attn.q_proj"),
        (Family::Siglip, "text_model.encoder.layers.0.self_attn.q_proj"),
        (Family::Vit, "blocks.0.attn.q"),
        (Family::Vit, "blocks.0.norm1"),
    ] {
        assert!(sites_of_adapter_path(&small(family).config, path).is_empty(), "{path}");
    }
}

/// What Hugging Face has no key for, in every family.
#[test]
fn every_setting_survives_writing_in_every_family() {
    let pooled = |pooling| move |c: &mut VitConfig| c.pooling = pooling;
    type Change = Box<dyn Fn(&mut VitConfig)>;
    let changes: [(&str, Change); 13] = [
        ("nothing", Box::new(|_| ())),
        ("registers", Box::new(|c| c.registers = 5)),
        ("no registers", Box::new(|c| c.registers = 0)),
        ("table", Box::new(|c| c.positions = Positions::Learned)),
        ("rotation", Box::new(|c| c.positions = Positions::Rotary { theta: 71.25 })),
        ("interpolation", Box::new(|c| c.interpolation = vit_config::Interpolation::Antialias)),
        ("gate", Box::new(|c| (c.gated, c.mlp, c.activation) = (true, 13, Activation::Gelu))),
        ("no layer scale", Box::new(|c| c.layer_scale = false)),
        ("layer scale", Box::new(|c| c.layer_scale = true)),
        ("no bias", Box::new(|c| (c.qkv_bias, c.no_key_bias) = (false, false))),
        ("no bias of keys", Box::new(|c| (c.no_key_bias, c.qk_norm) = (true, true))),
        ("projection", Box::new(|c| c.projection = Some(5))),
        ("no projection", Box::new(|c| (c.projection, c.eps) = (None, 1e-3))),
    ];
    let poolings = [
        Pooling::Class,
        Pooling::Mean,
        Pooling::NormOfMean,
        Pooling::ClassMean,
        Pooling::Attention { heads: 2, mlp: 16 },
        Pooling::Attention { heads: 4, mlp: 9 },
    ];
    for family in FAMILIES {
        let own = small(family).config;
        let pooled = poolings.map(pooled).map(|p| ("pooling", Box::new(p) as Change));
        for (what, change) in changes.iter().chain(&pooled) {
            let mut config = VitConfig { no_class_token: false, ..own.clone() };
            if what != &"pooling" && family == Family::Siglip {
                config = own.clone();
            }
            change(&mut config);
            let file = File::parse("config.json".into(), &config::write(&config)).unwrap();
            let read = config::vit_config(&file).unwrap_or_else(|e| panic!("{what}: {e}"));
            assert_eq!(read, config, "{family:?}, {what}");
        }
    }
}

/// A key that changes nothing would be another digest of nothing.
#[test]
fn own_keys_stand_only_where_they_say_something() {
    for family in FAMILIES {
        let written = config::write(&small(family).config);
        let written: serde_json::Value = serde_json::from_slice(&written).unwrap();
        for key in ["pooling", "interpolation", "registers", "positions", "gated", "qk_norm"] {
            assert!(written.get(key).is_none(), "{family:?}: {key}");
        }
    }
}

#[test]
fn own_keys_of_no_meaning_are_refused_by_name() {
    use serde_json::json;
    for (key, value, words) in [
        ("pooling", json!("first"), "pooling is not read: unknown variant `first`"),
        ("pooling", json!({"attention": {"heads": 3, "mlp": 16}}), "attention with 3 heads"),
        ("interpolation", json!("cubic"), "interpolation is not read"),
        ("positions", json!({"rotary": {"theta": 0.5}}), "rope_theta 0.5 is out of range"),
        ("no_class_token", json!(true), "has no class token; \"pooling\": \"mean\""),
        ("registers", json!(-1), "registers is not read"),
        ("registers", json!(100_000), "registers are out of range"),
        ("projection", json!(0), "projection or registers are out of range"),
    ] {
        let said = refusal(|d| edit_config(d, key, value.clone()));
        assert!(said.contains(words) && said.contains("config.json"), "{key} = {value}: {said}");
    }
}

#[test]
fn a_head_that_pools_and_is_not_there_is_named_with_what_to_do() {
    let dir = write(&small(Family::Siglip));
    let path = dir.path().join("model.safetensors");
    let mut all = tensors::read(&std::fs::read(&path).unwrap(), "x").unwrap();
    all.remove("head.probe").unwrap();
    let named = all.iter().map(|(n, t)| (n.as_str(), t));
    std::fs::write(&path, tensors::write(named, &BTreeMap::new()).unwrap()).unwrap();
    let said = Vit::open(dir.path()).err().unwrap().to_string();
    assert!(said.contains("head.probe") && said.contains("\"pooling\": \"mean\""), "{said}");
    edit_config(dir.path(), "pooling", "mean".into());
    assert_eq!(Vit::open(dir.path()).unwrap().config.pooling, Pooling::Mean);
}
