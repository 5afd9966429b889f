//! PEFT's `adapter_config.json` and `adapter_model.safetensors`, in and out.
//!
//! Refused when reading, because the factors would mean something else than alpha/rank * B * A: rslora, DoRA, rank and
//! alpha patterns, trained biases, transposed layers, extra trained layers; and every tensor that matches no site.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use medforge_runtime::tensors::{self, Tensor};
use serde_json::{Value, json};

use crate::Error;
use crate::base::{Family, VitConfig, adapter_path, site_of_adapter_path};

use super::{Factors, Module, site_shape};

type Sites = BTreeMap<String, Factors>;

/// Rank, alpha and factors of the two files, given by name; messages name them as files of `place`.
pub fn read(
    place: &Path,
    file: impl Fn(&str) -> Result<Vec<u8>, Error>,
    config: &VitConfig,
) -> Result<(usize, f64, Sites), Error> {
    let (rank, alpha) = read_config(&place.join("adapter_config.json"), &file("adapter_config.json")?)?;
    let path = place.join("adapter_model.safetensors");
    let bytes = file("adapter_model.safetensors")?;
    let mut halves: BTreeMap<String, [Option<Tensor>; 2]> = BTreeMap::new();
    let mut unknown = Vec::new();
    for (name, tensor) in tensors::read(&bytes, &path.display().to_string())? {
        let Some((site, half)) = site_and_half(config, &name) else {
            unknown.push(name);
            continue;
        };
        let Some((out, inputs)) = site_shape(config, &site) else {
            unknown.push(name);
            continue;
        };
        let expected = if half == 0 { vec![rank, inputs] } else { vec![out, rank] };
        if tensor.shape != expected {
            return Err(Error::TensorShape { path, tensor: name, found: tensor.shape, expected });
        }
        if halves.entry(site.clone()).or_default()[half].replace(tensor).is_some() {
            return Err(Error::Config { path, what: format!("holds two tensors for {site}; one of them is {name}") });
        }
    }
    if !unknown.is_empty() {
        return Err(Error::TensorUnknown { path, tensors: unknown.join(", ") });
    }
    let mut sites = BTreeMap::new();
    for (site, halves) in halves {
        match halves {
            [Some(a), Some(b)] => sites.insert(site, Factors { a, b }),
            [a, _] => {
                let missing = if a.is_none() { "lora_A" } else { "lora_B" };
                return Err(Error::TensorMissing { path, tensor: format!("{missing} of {site}") });
            }
        };
    }
    Ok((rank, alpha, sites))
}

/// Both files; names as transformers 5 has its modules.
pub fn write(module: &Module) -> Result<[Vec<u8>; 2], Error> {
    write_factors(module.card.family, module.rank, module.alpha, &module.sites)
}

/// Both files of factors that have no head or card of their own.
pub fn write_factors(family: Family, rank: usize, alpha: f64, sites: &Sites) -> Result<[Vec<u8>; 2], Error> {
    let path = |site: &str| adapter_path(family, site).expect("a module's sites belong to its family");
    let targets: BTreeSet<String> = sites.keys().map(|site| path(site)).collect();
    let config = json!({
        "peft_type": "LORA",
        "task_type": null,
        "base_model_name_or_path": null,
        "inference_mode": true,
        "r": rank,
        "lora_alpha": alpha,
        "target_modules": targets,
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": false,
        "use_rslora": false,
        "use_dora": false,
        "rank_pattern": {},
        "alpha_pattern": {},
        "modules_to_save": null,
        "layers_to_transform": null,
    });
    let mut config = serde_json::to_vec_pretty(&config).expect("a JSON value can be written");
    config.push(b'\n');
    let named = sites.iter().flat_map(|(site, factors)| {
        let prefix = format!("base_model.model.{}", path(site));
        [(format!("{prefix}.lora_A.weight"), &factors.a), (format!("{prefix}.lora_B.weight"), &factors.b)]
    });
    let named: Vec<_> = named.collect();
    let metadata = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
    let model = tensors::write(named.iter().map(|(n, t)| (n.as_str(), *t)), &metadata)?;
    Ok([config, model])
}

fn read_config(path: &Path, bytes: &[u8]) -> Result<(usize, f64), Error> {
    let refuse = |what: &str| Error::Config { path: path.to_owned(), what: what.to_owned() };
    let config: Value = serde_json::from_slice(bytes).map_err(|e| refuse(&format!("is not JSON: {e}")))?;
    let plain = |key: &str| match config.get(key) {
        None | Some(Value::Null | Value::Bool(false)) => true,
        Some(Value::Object(map)) => map.is_empty(),
        Some(Value::Array(list)) => list.is_empty(),
        Some(_) => false,
    };
    if config.get("peft_type").and_then(Value::as_str) != Some("LORA") {
        return Err(refuse("peft_type is not LORA; packer reads LoRA adapters"));
    }
    for key in [
        "use_rslora",
        "use_dora",
        "rank_pattern",
        "alpha_pattern",
        "modules_to_save",
        "fan_in_fan_out",
        "lora_bias",
        "layer_replication",
        "trainable_token_indices",
    ] {
        if !plain(key) {
            return Err(refuse(&format!("{key} is set, which packer does not represent")));
        }
    }
    // PiSSA, OLoRA, CorDA and LoftQ change the base's own weights before they train.
    let initial = config.get("init_lora_weights").and_then(Value::as_str);
    if initial.is_some_and(|how| !["gaussian", "eva", "orthogonal"].contains(&how)) {
        return Err(refuse("init_lora_weights names a method that changes the base, which packer does not represent"));
    }
    if config.get("bias").and_then(Value::as_str).is_some_and(|b| b != "none") {
        return Err(refuse("bias is not none; packer does not represent trained biases"));
    }
    let rank = config.get("r").and_then(Value::as_u64).filter(|r| (1..=1024).contains(r));
    let alpha = config.get("lora_alpha").and_then(Value::as_f64).filter(|a| a.is_finite());
    match (rank, alpha) {
        (Some(rank), Some(alpha)) => Ok((rank as usize, alpha)),
        (None, _) => Err(refuse("r is not a rank from 1 to 1024")),
        _ => Err(refuse("lora_alpha is not a number")),
    }
}

/// The site that a tensor belongs to, and 0 for A, 1 for B.
fn site_and_half(config: &VitConfig, name: &str) -> Option<(String, usize)> {
    let name = name.strip_prefix("base_model.model.")?;
    let (path, half) = match name.strip_suffix(".lora_A.weight") {
        Some(path) => (path, 0),
        None => (name.strip_suffix(".lora_B.weight")?, 1),
    };
    Some((site_of_adapter_path(config.family, path)?, half))
}
