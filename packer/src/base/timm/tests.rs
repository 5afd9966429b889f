//! What timm's folders become, and what of timm is refused. Equal numbers are the business of
//! `crate::parity`.

use std::fs;

use medforge_runtime::preprocess::{CropOffset, Filter, Resize, Size};
use medforge_runtime::tensors::{self, Tensor};
use serde_json::{Value, json};

use crate::base::{Family, Vit};
use crate::device::Activation;
use crate::parity::folder;

use super::*;

/// A copy of a golden folder of timm after changes to its configuration and its tensors.
fn changed(
    family: &str,
    config: impl FnOnce(&mut Value),
    weights: impl FnOnce(&mut BTreeMap<String, Tensor>),
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
    Vit::open(dir.path()).map_err(|e| e.to_string())
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

/// timm's registry, version 1.0.31: every name that is read with the width, blocks and heads that
/// `timm.create_model` gives it.
const REGISTRY: [(&str, [usize; 3]); 14] = [
    ("vit_tiny_patch16_224", [192, 12, 3]),
    ("vit_small_patch32_384", [384, 12, 6]),
    ("deit_small_patch16_224", [384, 12, 6]),
    ("vit_base_patch8_224", [768, 12, 12]),
    ("deit_base_patch16_384", [768, 12, 12]),
    ("vit_base_patch16_plus_240", [896, 12, 14]),
    ("vit_large_patch16_384", [1024, 24, 16]),
    ("vit_huge_patch14_224", [1280, 32, 16]),
    ("vit_giant_patch14_224", [1408, 40, 16]),
    ("vit_gigantic_patch14_224", [1664, 48, 16]),
    ("vit_small_patch14_dinov2", [384, 12, 6]),
    ("vit_base_patch14_dinov2", [768, 12, 12]),
    ("vit_large_patch14_dinov2", [1024, 24, 16]),
    ("vit_giant_patch14_dinov2", [1536, 40, 24]),
];

fn config(json: Value) -> File {
    File::parse("config.json".into(), json.to_string().as_bytes()).unwrap()
}

#[test]
fn heads_are_the_architectures_where_width_and_depth_are() {
    let heads = |file: &File, shape| {
        heads(file, architecture(file).unwrap(), shape).map_err(|e| e.to_string())
    };
    for (name, [width, blocks, expected]) in REGISTRY {
        let named = config(json!({ "architecture": name, "model_args": { "num_heads": null } }));
        assert_eq!(heads(&named, [width, blocks]), Ok(expected), "{name}");
        for other in [[width, blocks + 1], [2 * width, blocks]] {
            let said = heads(&named, other).unwrap_err();
            for words in
                ["config.json", name, "not in the files", "\"model_args\": {\"num_heads\": N}"]
            {
                assert!(said.contains(words), "{words}: {said}");
            }
        }
        let told = config(json!({ "architecture": name, "model_args": { "num_heads": 32 } }));
        assert_eq!(
            (heads(&told, [width, blocks]), heads(&told, [64, 2])),
            (Ok(32), Ok(32)),
            "{name}"
        );
    }
}

/// UNI2-h has this name, another width and 24 heads, which its users pass in code.
#[test]
fn a_name_that_another_network_was_given_tells_no_heads() {
    let named = config(json!({ "architecture": "vit_giant_patch14_224" }));
    let said = heads(&named, architecture(&named).unwrap(), [1536, 24]).unwrap_err().to_string();
    assert!(
        said.contains("1408 wide with 40 blocks") && said.contains("1536 wide with 24"),
        "{said}"
    );
    let silent = |c: &mut Value| drop(c["model_args"].as_object_mut().unwrap().remove("num_heads"));
    let said = changed("timm/vit", silent, |_| ()).err().unwrap();
    assert!(said.contains("192 wide with 12 blocks") && said.contains("8 wide with 2"), "{said}");
}

#[test]
fn other_architectures_are_refused_by_name() {
    let heads = |name: &str| {
        architecture(&config(json!({ "architecture": name }))).map_err(|e| e.to_string())
    };
    for name in [
        "vit_base_patch16_clip_224",
        "vit_base_patch16_siglip_224",
        "vit_large_patch14_reg4_dinov2",
        "vit_base_patch16_xp_224",
        "vit_small_patch16_18x2_224",
        "vit_base_patch16_rope_224",
        "deit3_small_patch16_224",
        "deit_tiny_distilled_patch16_224",
        "eva02_base_patch14_224",
        "vit_base_r50_s16_224",
        "vit_base_patch_224",
        "resnet50",
        "",
    ] {
        let said = heads(name).unwrap_err();
        assert!(
            said.contains("config.json") && said.contains(name) && said.contains("not read"),
            "{said}"
        );
    }
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
        ("input_size", json!([3, 16, 16])),
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
        ("global_pool", json!("avg")),
        ("fc_norm", json!(true)),
        ("qk_norm", json!(true)),
        ("no_embed_class", json!(true)),
        ("pre_norm", json!(true)),
        ("final_norm", json!(false)),
        ("pos_embed", json!("none")),
        ("act_layer", json!("gelu_tanh")),
        ("mlp_layer", json!("swiglu")),
        ("norm_layer", json!("rmsnorm")),
        ("use_rope", json!(true)),
        ("img_size", json!(16)),
    ] {
        let said =
            changed("timm/vit", |c| c["model_args"][key] = value.clone(), |_| ()).err().expect(key);
        assert!(said.contains("config.json") && said.contains(key), "{key} = {value}: {said}");
    }
    let said = changed("timm/vit", |c| c["global_pool"] = json!("avg"), |_| ()).err().unwrap();
    assert!(said.contains("global_pool"), "{said}");
    let said =
        changed("timm/vit", |c| c["model_type"] = json!("timm_wrapper"), |_| ()).err().unwrap();
    assert!(said.contains("timm_wrapper") || said.contains("preprocessor_config.json"), "{said}");
    let quick = changed("timm/vit", |c| c["model_args"]["act_layer"] = json!("quick_gelu"), |_| ())
        .unwrap();
    assert_eq!(quick.config.activation, Activation::QuickGelu);
}

#[test]
fn other_tensors_of_timm_are_refused_by_name() {
    let odd = || Tensor::f32(vec![8], vec![0.0; 8]);
    for name in [
        "reg_token",
        "dist_token",
        "fc_norm.weight",
        "norm_pre.weight",
        "blocks.0.attn.q_norm.weight",
        "blocks.1.mlp.w12.weight",
        "blocks.1.gamma_1",
        "blocks.0.attn.rel_pos",
        "blocks.7.norm2.weight",
        "attn_pool.latent",
    ] {
        let said =
            changed("timm/vit", |_| (), |t| drop(t.insert(name.into(), odd()))).err().expect(name);
        assert!(
            said.contains("model.safetensors") && said.contains(name) && said.contains("not read"),
            "{said}"
        );
    }
    for name in [
        "cls_token",
        "pos_embed",
        "blocks.0.attn.qkv.weight",
        "blocks.1.attn.proj.bias",
        "norm.bias",
    ] {
        let said = changed("timm/vit", |_| (), |t| drop(t.remove(name))).err().expect(name);
        assert!(said.contains("model.safetensors") && said.contains(name), "{said}");
    }
    for (name, shape, word) in [
        ("pos_embed", vec![1, 4, 8], "none for the class token"),
        ("pos_embed", vec![1, 7, 8], "not one and a square"),
        ("pos_embed", vec![1, 1, 8], "pos_embed"),
        ("pos_embed", vec![5, 8], "pos_embed"),
        ("patch_embed.proj.weight", vec![8, 1, 4, 4], "patch_embed"),
        ("patch_embed.proj.weight", vec![8, 3, 4, 5], "square"),
        ("blocks.0.attn.qkv.weight", vec![16, 8], "blocks.0.attn.qkv.weight"),
        ("blocks.0.mlp.fc1.weight", vec![32, 8], "SwiGLU"),
        ("cls_token", vec![1, 1, 9], "cls_token"),
    ] {
        let values = shape.iter().product();
        let tensor = Tensor::f32(shape, vec![0.1; values]);
        let said =
            changed("timm/vit", |_| (), |t| drop(t.insert(name.into(), tensor))).err().expect(name);
        assert!(said.contains("model.safetensors") && said.contains(word), "{name}: {said}");
    }
    changed("timm/vit", |_| (), |t| drop(t.insert("mask_token".into(), odd()))).unwrap();
}

#[test]
fn random_weights_need_a_shape() {
    let said = Vit::random(&folder("timm/vit"), 1).err().unwrap().to_string();
    assert!(said.contains("config.json") && said.contains("timm"), "{said}");
}
