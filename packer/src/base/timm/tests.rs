//! What timm's folders become, and what of timm is refused. Equal numbers are the business of
//! `crate::parity`.

use std::fs;

use medforge_runtime::preprocess::{CropOffset, Filter, Resize, Size};
use medforge_runtime::tensors::{self, Tensor};
use serde_json::{Value, json};

use crate::base::{Choices, Family, Feature, Vit};
use crate::device::Activation;
use crate::parity::folder;

use super::*;

mod architectures;
mod goldens;
mod layouts;

/// A copy of a golden folder of timm after changes to its configuration and its tensors.
fn changed(
    family: &str,
    config: impl FnOnce(&mut Value),
    weights: impl FnOnce(&mut BTreeMap<String, Tensor>),
) -> Result<Vit, String> {
    chosen(family, config, weights, &Choices::default())
}

/// The same, read with choices.
fn chosen(
    family: &str,
    config: impl FnOnce(&mut Value),
    weights: impl FnOnce(&mut BTreeMap<String, Tensor>),
    choices: &Choices,
) -> Result<Vit, String> {
    let source = folder(family);
    let mut json: Value =
        serde_json::from_slice(&fs::read(source.join("config.json")).unwrap()).unwrap();
    config(&mut json);
    let mut tensors =
        tensors::read(&fs::read(source.join("model.safetensors")).unwrap(), "timm").unwrap();
    weights(&mut tensors);
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("config.json"), json.to_string()).unwrap();
    let bytes =
        tensors::write(tensors.iter().map(|(n, t)| (n.as_str(), t)), &BTreeMap::new()).unwrap();
    fs::write(dir.path().join("model.safetensors"), bytes).unwrap();
    Vit::open_with(dir.path(), choices).map_err(|e| e.to_string())
}

#[test]
fn the_shape_is_that_of_the_tensors() {
    let [vit, dinov2] =
        ["timm/vit", "timm/dinov2"].map(|family| Vit::open(&folder(family)).unwrap());
    assert_eq!((vit.config.family, vit.config.layer_scale), (Family::Vit, false));
    assert_eq!((dinov2.config.family, dinov2.config.layer_scale), (Family::Dinov2, true));
    for VitConfig { image_size, patch, hidden, layers, heads, mlp, eps, .. } in
        [vit.config, dinov2.config]
    {
        assert_eq!((image_size, patch, hidden, layers, heads, mlp, eps), (8, 4, 8, 2, 2, 16, 1e-6));
    }
}

/// What packer writes of it is a folder of Hugging Face's form, and the same base.
#[test]
fn a_folder_of_timm_written_for_transformers_is_the_same_base() {
    for family in ["timm/vit", "timm/dinov2"] {
        let vit = Vit::open(&folder(family)).unwrap();
        let dir = tempfile::tempdir().unwrap();
        for (name, bytes) in vit.files().unwrap() {
            fs::write(dir.path().join(name), bytes).unwrap();
        }
        assert_eq!(Vit::open(dir.path()).unwrap().identity(), vit.identity(), "{family}");
    }
}

fn config(json: Value) -> File {
    File::parse("config.json".into(), json.to_string().as_bytes()).unwrap()
}

#[test]
fn preprocessing_is_timms() {
    let read = |change: &dyn Fn(&mut Value)| {
        changed("timm/vit", |c| change(&mut c["pretrained_cfg"]), |_| ())
    };
    let plain = read(&|_| ()).unwrap().preprocessing;
    assert_eq!(
        (plain.resize, plain.filter),
        (Resize::ShortestEdge(8), Filter::Bicubic),
        "floor(8 / 0.9)"
    );
    assert_eq!(
        (plain.crop, plain.crop_offset),
        (Some(Size { height: 8, width: 8 }), CropOffset::Even)
    );
    assert_eq!((plain.mean, plain.std), ([0.5, 0.4, 0.3], [0.2, 0.3, 0.4]));
    let bare = read(&|c| *c = json!({ "input_size": [3, 8, 8], "interpolation": "" }))
        .unwrap()
        .preprocessing;
    assert_eq!(
        (bare.resize, bare.filter),
        (Resize::ShortestEdge(9), Filter::Bicubic),
        "floor(8 / 0.875)"
    );
    assert_eq!((bare.mean[0], bare.std[2]), (0.485, 0.225));
    let squash = read(&|c| c["crop_mode"] = json!("squash")).unwrap().preprocessing;
    assert_eq!(squash.resize, Resize::Exact(Size { height: 8, width: 8 }));
    let old = changed(
        "timm/vit",
        |c| {
            *c = json!({ "architecture": "vit_tiny_patch16_224", "model_args": { "num_heads": 2 },
                "input_size": [3, 8, 8],
                         "crop_pct": 0.5, "interpolation": "bilinear" })
        },
        |_| (),
    );
    let old = old.unwrap().preprocessing;
    assert_eq!((old.resize, old.filter), (Resize::ShortestEdge(16), Filter::Bilinear));
    for (key, value) in [
        ("crop_mode", json!("border")),
        ("crop_pct", json!(1.2)),
        ("crop_pct", json!(-1)),
        ("crop_pct", json!(1e-9)),
        ("interpolation", json!("random")),
        ("input_size", json!([3, 18, 18])),
        ("input_size", json!([3, 16, 12])),
        ("input_size", json!([3, 0, 0])),
        ("input_size", json!([1, 8, 8])),
        ("mean", json!([0.5])),
        ("std", json!([0.2, 0.0, 0.2])),
    ] {
        let said = read(&|c| c[key] = value.clone()).err().expect(key);
        assert!(
            said.contains("config.json") && said.contains(key.split('_').next().unwrap()),
            "{key} = {value}: {said}"
        );
    }
}

#[test]
fn other_networks_of_timm_are_refused_with_the_argument() {
    for (key, value) in [
        ("reg_tokens", json!(4)),
        ("class_token", json!(false)),
        ("global_pool", json!("max")),
        ("fc_norm", json!(true)),
        ("qk_norm", json!(true)),
        ("qkv_bias", json!(false)),
        ("init_values", json!(1e-5)),
        ("embed_dim", json!(16)),
        ("depth", json!(3)),
        ("patch_size", json!(8)),
        ("no_embed_class", json!(true)),
        ("pre_norm", json!(true)),
        ("final_norm", json!(false)),
        ("pos_embed", json!("none")),
        ("act_layer", json!("relu")),
        ("mlp_layer", json!("swiglu")),
        ("norm_layer", json!("rmsnorm")),
        ("use_rope", json!(true)),
        ("use_rot_pos_emb", json!(true)),
        ("scale_attn_norm", json!(true)),
        ("img_size", json!(16)),
    ] {
        let said =
            changed("timm/vit", |c| c["model_args"][key] = value.clone(), |_| ()).err().expect(key);
        assert!(said.contains("config.json") && said.contains(key), "{key} = {value}: {said}");
    }
    for (key, value) in [
        ("reg_tokens", json!(0)),
        ("class_token", json!(true)),
        ("no_embed_class", json!(false)),
        ("qk_norm", json!(false)),
        ("fc_norm", Value::Null),
        ("init_values", Value::Null),
        ("depth", json!(2)),
        ("embed_dim", json!(8)),
        ("patch_size", json!([4, 4])),
        ("norm_layer", json!("layernorm")),
    ] {
        changed("timm/vit", |c| c["model_args"][key] = value.clone(), |_| ()).expect(key);
    }
}

#[test]
fn the_activation_is_what_the_arguments_say() {
    for (name, expected) in [
        ("gelu", Activation::Gelu),
        ("gelu_tanh", Activation::GeluTanh),
        ("quick_gelu", Activation::QuickGelu),
        ("silu", Activation::Silu),
    ] {
        let read = changed("timm/vit", |c| c["model_args"]["act_layer"] = json!(name), |_| ());
        assert_eq!(read.unwrap().config.activation, expected);
    }
}

#[test]
fn other_tensors_of_timm_are_refused_by_name() {
    let odd = || Tensor::f32(vec![8], vec![0.0; 8]);
    for name in [
        "dist_token",
        "head_dist.weight",
        "fc_norm.weight",
        "rel_pos_bias.relative_position_bias_table",
        "blocks.0.attn.relative_position_bias_table",
        "rope.freqs",
        "blocks.0.attn.k_norm.weight",
        "blocks.1.mlp.w12.weight",
        "blocks.1.mlp.norm.weight",
        "blocks.1.gamma_1",
        "blocks.0.attn.rel_pos",
        "blocks.7.norm2.weight",
        "attn_pool.q.weight.more",
        "extra",
    ] {
        let pool = |c: &mut Value| {
            if name.starts_with("attn_pool") {
                c["model_args"]["global_pool"] = json!("map");
            }
        };
        let said =
            changed("timm/vit", pool, |t| drop(t.insert(name.into(), odd()))).err().expect(name);
        assert!(said.contains("model.safetensors"), "{said}");
        let named = name.starts_with("attn_pool") || said.contains(name);
        assert!(named && (said.contains("not read") || said.contains("missing")), "{said}");
    }
    let said = changed("timm/vit", |_| (), |t| drop(t.remove("cls_token"))).err().unwrap();
    assert!(said.contains("pos_embed has 5 rows") && said.contains("0 class tokens"), "{said}");
    for name in [
        "pos_embed",
        "blocks.0.attn.qkv.weight",
        "blocks.1.attn.proj.bias",
        "norm.bias",
        "norm.weight",
    ] {
        let said = changed("timm/vit", |_| (), |t| drop(t.remove(name))).err().expect(name);
        assert!(said.contains("model.safetensors") && said.contains(name), "{said}");
    }
    for (name, shape, word) in [
        ("pos_embed", vec![1, 7, 8], "no square"),
        ("pos_embed", vec![5, 8], "pos_embed"),
        ("patch_embed.proj.weight", vec![8, 1, 4, 4], "patch_embed"),
        ("patch_embed.proj.weight", vec![8, 3, 4, 5], "square"),
        ("blocks.0.attn.qkv.weight", vec![16, 8], "blocks.0.attn.qkv.weight"),
        ("blocks.0.mlp.fc1.weight", vec![31, 8], "blocks.0.mlp.fc1.weight"),
        ("cls_token", vec![1, 1, 9], "cls_token"),
        ("reg_token", vec![2, 8], "reg_token"),
        ("blocks.0.attn.q_norm.weight", vec![4, 2], "q_norm"),
    ] {
        let values = shape.iter().product();
        let tensor = Tensor::f32(shape, vec![0.1; values]);
        let said =
            changed("timm/vit", |_| (), |t| drop(t.insert(name.into(), tensor))).err().expect(name);
        assert!(said.contains("model.safetensors") && said.contains(word), "{name}: {said}");
    }
    changed("timm/vit", |_| (), |t| drop(t.insert("mask_token".into(), odd()))).unwrap();
}

/// H-optimus-0 got such keys by a change on the hub; transformers' wrapper writes its own.
#[test]
fn the_keys_of_transformers_may_stand_beside_timms() {
    let plain = Vit::open(&folder("timm/vit")).unwrap().digest();
    let both = changed("timm/vit", |c| c["model_type"] = json!("dinov2"), |_| ()).unwrap();
    assert_eq!(both.digest(), plain);
    let wrapper = |t: &mut BTreeMap<String, Tensor>| {
        *t = std::mem::take(t).into_iter().map(|(n, t)| (format!("timm_model.{n}"), t)).collect();
    };
    let wrapped = changed("timm/vit", |c| c["model_type"] = json!("timm_wrapper"), wrapper);
    assert_eq!(wrapped.unwrap().digest(), plain);
}

#[test]
fn random_weights_need_a_shape() {
    let said = Vit::random(&folder("timm/vit"), 1).err().unwrap().to_string();
    assert!(said.contains("config.json") && said.contains("timm"), "{said}");
}
