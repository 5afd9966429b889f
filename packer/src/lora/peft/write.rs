//! Writing PEFT's two files.

use std::collections::{BTreeMap, BTreeSet};

use medforge_runtime::tensors;
use serde_json::json;

use super::super::{Factors, Module, dora};
use crate::Error;
use crate::base::{Family, adapter_path};

/// Both files. Tensors are named after the modules of transformers 5.
///
/// # Errors
/// Those of [`write_factors`].
pub fn write(module: &Module) -> Result<[Vec<u8>; 2], Error> {
    let (family, gated) = (module.card.family, module.card.gated);
    write_factors(family, gated, module.rank, module.alpha, &module.sites)
}

/// Both files of factors that have no head or card of their own. `gated`: whether the base's MLP
/// has a gate.
///
/// # Errors
/// [`Error::Merge`] if some sites have magnitudes and others have none.
pub fn write_factors(
    family: Family,
    gated: bool,
    rank: usize,
    alpha: f64,
    sites: &BTreeMap<String, Factors>,
) -> Result<[Vec<u8>; 2], Error> {
    let path = |site: &str| {
        adapter_path(family, gated, site).expect("a module's sites belong to its family")
    };
    let dora = dora::has_magnitudes(sites);
    if let Some((site, _)) = sites.iter().find(|(_, factors)| factors.magnitude.is_some() != dora) {
        return Err(Error::Merge {
            what: format!(
                "site {site} has no magnitudes and others have; PEFT has them at all or none"
            ),
        });
    }
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
        "use_dora": dora,
        "rank_pattern": {},
        "alpha_pattern": {},
        "modules_to_save": null,
        "layers_to_transform": null,
    });
    let mut config = serde_json::to_vec_pretty(&config).expect("a JSON value can be written");
    config.push(b'\n');
    let named = sites.iter().flat_map(|(site, factors)| {
        let prefix = format!("base_model.model.{}", path(site));
        let magnitude = factors.magnitude.iter().map({
            let prefix = prefix.clone();
            move |magnitude| (format!("{prefix}.lora_magnitude_vector"), magnitude)
        });
        let pair = [
            (format!("{prefix}.lora_A.weight"), &factors.a),
            (format!("{prefix}.lora_B.weight"), &factors.b),
        ];
        pair.into_iter().chain(magnitude)
    });
    let named: Vec<_> = named.collect();
    let metadata = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
    let model = tensors::write(named.iter().map(|(n, t)| (n.as_str(), *t)), &metadata)?;
    Ok([config, model])
}
