//! Heads that PEFT saved in an adapter.

use std::collections::BTreeMap;
use std::fs;

use medforge_runtime::tensors;
use serde_json::json;

use super::*;
use crate::base::tests::small;
use crate::base::{Family, Pooling};
use crate::lora::tests::module;
use crate::lora::{Module, peft};

/// A module's folder as PEFT writes it, with the head saved as `layer` in the adapter's file, and
/// packer's card.
fn saved_as(layer: &str, family: Family) -> (crate::base::Vit, Module, tempfile::TempDir) {
    saved_on(small(family), layer)
}

fn saved_on(vit: crate::base::Vit, layer: &str) -> (crate::base::Vit, Module, tempfile::TempDir) {
    let module = module(&vit, "q,v", None);
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in module.files().unwrap() {
        fs::write(dir.path().join(name), bytes).unwrap();
    }
    fs::remove_file(dir.path().join("head.safetensors")).unwrap();
    let path = dir.path().join("adapter_model.safetensors");
    let mut all = tensors::read(&fs::read(&path).unwrap(), "x").unwrap();
    all.insert(format!("base_model.model.{layer}.weight"), module.head.weight.clone());
    all.insert(format!("base_model.model.{layer}.bias"), module.head.bias.clone());
    let named = all.iter().map(|(n, t)| (n.as_str(), t));
    fs::write(&path, tensors::write(named, &BTreeMap::new()).unwrap()).unwrap();
    list(dir.path(), json!([layer]));
    (vit, module, dir)
}

fn list(dir: &Path, value: Value) {
    let path = dir.join("adapter_config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    config["modules_to_save"] = value;
    fs::write(path, config.to_string()).unwrap();
}

#[test]
fn a_head_that_peft_saved_with_the_factors_is_the_modules() {
    for (layer, family) in
        [("classifier", Family::Vit), ("head", Family::Vit), ("head", Family::Dinov2)]
    {
        let (vit, module, dir) = saved_as(layer, family);
        let read = Module::open(dir.path(), &vit).unwrap();
        assert_eq!(
            (read.head.weight.data, read.head.bias.data),
            (module.head.weight.data, module.head.bias.data)
        );
        assert_eq!(read.sites.keys().collect::<Vec<_>>(), module.sites.keys().collect::<Vec<_>>());
    }
}

/// transformers' classifiers take what their class says, and a base may pool so.
#[test]
fn a_classifier_is_taken_where_the_base_pools_as_it_does() {
    for (family, pooling) in [(Family::Dinov2, Pooling::ClassMean), (Family::Siglip, Pooling::Mean)]
    {
        let mut vit = small(family);
        vit.tensors.retain(|name, _| !name.starts_with("pool."));
        vit.config.pooling = pooling;
        let (vit, module, dir) = saved_on(vit, "classifier");
        let read = Module::open(dir.path(), &vit).unwrap();
        assert_eq!(read.head.weight.data, module.head.weight.data);
        assert_eq!(read.head.weight.shape[1], vit.config.features());
    }
}

/// `head.safetensors` is used, since somebody put it there. The saved head is left out, with a
/// warning.
#[test]
fn a_head_beside_is_taken_instead() {
    let (vit, mut module, dir) = saved_as("classifier", Family::Dinov2);
    module.head.bias.data[0] += 1.0;
    fs::write(dir.path().join("head.safetensors"), module.head.file().unwrap()).unwrap();
    assert_eq!(Module::open(dir.path(), &vit).unwrap().head.bias.data, module.head.bias.data);
}

#[test]
fn what_is_no_head_on_the_feature_is_refused() {
    for (family, takes) in [
        (Family::Dinov2, "takes the class token and the mean of the patches, and the base's"),
        (Family::Siglip, "takes the mean of the patches, and the base's feature is what a head"),
        (Family::Clip, "takes the mean of the patches before the last norm"),
        (Family::Dinov3, "takes what transformers, which has no such class"),
    ] {
        let (vit, _, dir) = saved_as("classifier", family);
        let said = Module::open(dir.path(), &vit).unwrap_err().to_string();
        assert!(said.contains(takes) && said.contains("adapter_model.safetensors"), "{said}");
    }
    let (vit, _, dir) = saved_as("classifier", Family::Vit);
    for (value, words) in [
        (json!(["layernorm"]), "modules_to_save is [\"layernorm\"]"),
        (json!(["classifier", "vit.layernorm"]), "no part of the base"),
        (json!("classifier"), "is not a list"),
        (json!([]), "base_model.model.classifier.bias"),
        (json!(["head"]), "base_model.model.classifier.bias"),
    ] {
        list(dir.path(), value);
        let said = Module::open(dir.path(), &vit).unwrap_err().to_string();
        assert!(said.contains(words), "{words}: {said}");
    }
    list(dir.path(), json!(["classifier"]));
    let path = dir.path().join("adapter_model.safetensors");
    let mut all = tensors::read(&fs::read(&path).unwrap(), "x").unwrap();
    all.insert("base_model.model.classifier.bias".into(), Tensor::f32(vec![3], vec![0.0; 3]));
    fs::write(
        &path,
        tensors::write(all.iter().map(|(n, t)| (n.as_str(), t)), &BTreeMap::new()).unwrap(),
    )
    .unwrap();
    let said = Module::open(dir.path(), &vit).unwrap_err().to_string();
    assert!(said.contains("base_model.model.classifier.bias has shape [3]"), "{said}");
}

#[test]
fn starts_that_leave_the_base_alone_are_read_and_others_are_not() {
    let vit = small(Family::Vit);
    let files: BTreeMap<&str, Vec<u8>> =
        module(&vit, "q,v", None).files().unwrap().into_iter().collect();
    let with = |start: Value| {
        let mut config: Value = serde_json::from_slice(&files["adapter_config.json"]).unwrap();
        config["init_lora_weights"] = start;
        let changed = config.to_string().into_bytes();
        let file = |name: &str| {
            Ok(if name == "adapter_config.json" { changed.clone() } else { files[name].clone() })
        };
        peft::read(Path::new("x"), file, &vit.config).map_err(|e| e.to_string())
    };
    for start in [
        json!(true),
        json!(false),
        json!(null),
        json!("gaussian"),
        json!("eva"),
        json!("orthogonal"),
    ] {
        assert!(with(start.clone()).is_ok(), "{start}");
    }
    assert!(with(json!("mica")).is_ok() && with(json!("MiCA")).is_ok());
    for start in ["pissa", "pissa_niter_16", "olora", "corda", "loftq", "lora_ga", "something new"]
    {
        let said = with(json!(start)).unwrap_err();
        assert!(said.contains("init_lora_weights") && said.contains(start), "{said}");
    }
}
