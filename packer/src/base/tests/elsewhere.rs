//! Folders of open_clip and files of Facebook's: what is refused, and with what words.

use std::path::Path;

use serde_json::{Value, json};

use super::*;
use crate::parity::folder;

/// What reading says of a copy of the base `name`, after `change`.
fn refused(name: &str, change: impl FnOnce(&Path)) -> String {
    let dir = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(folder("bases").join(name)).unwrap() {
        let path = entry.unwrap().path();
        // The goldens are no part of a base.
        if path.is_file() && !path.ends_with("golden.safetensors") {
            std::fs::copy(&path, dir.path().join(path.file_name().unwrap())).unwrap();
        }
    }
    change(dir.path());
    Vit::open(dir.path()).err().expect("the folder is refused").to_string()
}

/// `open_clip_config.json` with another value at `at`.
fn edit(dir: &Path, at: &str, value: Value) {
    let path = dir.join("open_clip_config.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    match config.pointer_mut(at) {
        Some(own) => *own = value,
        None => {
            let (object, key) = at.rsplit_once('/').unwrap();
            config.pointer_mut(object).unwrap()[key] = value;
        }
    }
    std::fs::write(path, config.to_string()).unwrap();
}

#[test]
fn towers_of_open_clip_that_are_not_read_are_refused_by_name() {
    for (at, value, words) in [
        ("/model_cfg/vision_cfg/attentional_pool", json!(true), "attentional_pool"),
        ("/model_cfg/vision_cfg/no_ln_pre", json!(true), "no_ln_pre"),
        ("/model_cfg/vision_cfg/pool_type", json!("avg"), "pool_type \"avg\""),
        ("/model_cfg/vision_cfg/pos_embed_type", json!("sin_cos_2d"), "sin_cos_2d"),
        ("/model_cfg/vision_cfg/layers", json!([3, 4, 6, 3]), "layers is not a whole number"),
        ("/model_cfg/vision_cfg/layers", json!(3), "visual.transformer.resblocks.2"),
        ("/model_cfg/vision_cfg/width", json!(24), "shape"),
        ("/model_cfg/vision_cfg/image_size", json!([16, 20]), "no square"),
        ("/model_cfg/embed_dim", json!(7), "visual.proj has shape [16, 6]"),
        ("/preprocess_cfg/resize_mode", json!("longest"), "resize_mode \"longest\""),
        ("/preprocess_cfg/interpolation", json!("lanczos"), "interpolation \"lanczos\""),
        ("/preprocess_cfg/std", json!([0.0, 0.1, 0.1]), "open_clip_config.json"),
    ] {
        let said = refused("open-clip", |dir| edit(dir, at, value.clone()));
        assert!(said.contains(words), "{at} = {value}: {said}");
    }
}

#[test]
fn images_of_open_clip_are_prepared_as_its_file_says() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["open_clip_config.json", "open_clip_model.safetensors"] {
        std::fs::copy(folder("bases/open-clip").join(name), dir.path().join(name)).unwrap();
    }
    let prepared = || Vit::open(dir.path()).unwrap().preprocessing;
    let own = prepared();
    assert_eq!(own.mean, [0.48145466, 0.4578275, 0.40821073]);
    assert_eq!(own.crop.unwrap().width, 16);
    edit(dir.path(), "/preprocess_cfg/resize_mode", json!("squash"));
    edit(dir.path(), "/preprocess_cfg/interpolation", json!("bilinear"));
    edit(dir.path(), "/preprocess_cfg/mean", json!(0.5));
    let other = prepared();
    assert_eq!(other.filter, medforge_runtime::preprocess::Filter::Bilinear);
    assert_ne!(other.resize, own.resize);
    assert_eq!(other.mean, [0.5; 3]);
}

/// A number of heads would be a guess, in all of these.
#[test]
fn heads_that_no_file_says_are_asked_for() {
    for name in ["facebook-dinov2-reg", "facebook-mae", "open-clip-timm"] {
        let said = refused(name, |_| ());
        assert!(said.contains("heads"), "{name}: {said}");
    }
    let said = refused("facebook-dinov2-reg", |_| ());
    assert!(said.contains("packer base convert --heads N"), "{said}");
}

#[test]
fn a_folder_without_any_configuration_says_what_is_missing() {
    let said = refused("registers", |dir| std::fs::remove_file(dir.join("config.json")).unwrap());
    assert!(said.contains("config.json"), "{said}");
}

/// The periods show the heads: their number is a quarter of a head's width.
#[test]
fn dinov3s_own_file_needs_no_heads() {
    let file = "bases/facebook-dinov3/dinov3_vits16plus_pretrain_lvd1689m.pth";
    let choices = Choices { size: Some(16), ..Choices::default() };
    let config = Vit::open_with(&folder(file), &choices).unwrap().config;
    assert_eq!((config.heads, config.image_size), (2, 16));
    let choices = Choices { heads: Some(4), ..choices };
    let said = Vit::open_with(&folder(file), &choices).err().unwrap().to_string();
    assert!(said.contains("heads"), "{said}");
}
