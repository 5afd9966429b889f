//! PEFT's `adapter_config.json` and `adapter_model.safetensors`, in and out.
//!
//! A folder may have rslora's scale (Kalajdzievski 2023: alpha / sqrt(rank)) and ranks and alphas
//! of their own at some sites. Where scales differ they are folded into B, and smaller ranks padded
//! with zeros, so that a module has one rank and one scale. With DoRA (`use_dora`) every layer has
//! its `lora_magnitude_vector` beside its factors.
//!
//! Adapters of timm's models have one layer for q, k and v: its A is the A of each, its B and its
//! magnitudes are cut into three. A head that was trained and saved with the factors is read too
//! ([`Saved`]).
//!
//! Refused when reading, because the factors would mean something else: trained biases, transposed
//! layers, other trained layers, starts that change the base itself; a pattern that is no regular
//! expression or stands with another value for the same layer; magnitudes without `use_dora`, or of
//! some layers only; and
//! every tensor that matches no site.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use medforge_runtime::tensors::{self, Tensor};
use regex::Regex;
use serde_json::{Value, json};

use crate::Error;
use crate::base::{Family, VitConfig, adapter_path, sites_of_adapter_path};

use super::{Factors, Module, Saved, dora, site_shape};

type Sites = BTreeMap<String, Factors>;

/// What the two files hold.
#[derive(Debug)]
pub struct Adapter {
    pub rank: usize,
    pub alpha: f64,
    pub sites: Sites,
    /// The head among them.
    pub saved: Option<Saved>,
}

/// Reads the two files, given by name; messages name them as files of `place`.
pub fn read(
    place: &Path,
    file: impl Fn(&str) -> Result<Vec<u8>, Error>,
    config: &VitConfig,
) -> Result<Adapter, Error> {
    let mut settings =
        Settings::read(&place.join("adapter_config.json"), &file("adapter_config.json")?)?;
    let path = place.join("adapter_model.safetensors");
    let bytes = file("adapter_model.safetensors")?;
    let mut halves: BTreeMap<String, [Option<Tensor>; 3]> = BTreeMap::new();
    let mut scales = BTreeMap::new();
    let mut unknown = Vec::new();
    let mut saved = settings.saved.take();
    for (name, tensor) in tensors::read(&bytes, &path.display().to_string())? {
        let left = match &mut saved {
            Some(saved) => saved.take(&name, tensor),
            None => Err(tensor),
        };
        let Err(tensor) = left else { continue };
        let Some((sites, layer, half)) = parse_name(config, &name) else {
            unknown.push(name);
            continue;
        };
        let (rank, scale) = settings.of(layer)?;
        let Some((out, inputs)) = site_shape(config, &sites[0]) else {
            unknown.push(name);
            continue;
        };
        let outs = sites.len() * out;
        let expected = [vec![rank, inputs], vec![outs, rank], vec![outs]]
            .into_iter()
            .nth(half)
            .unwrap_or_default();
        if half == MAGNITUDE && !settings.dora {
            let what = format!("holds {name}, and adapter_config.json does not say use_dora");
            return Err(Error::Config { path, what });
        }
        if tensor.shape != expected {
            return Err(Error::TensorShape { path, tensor: name, found: tensor.shape, expected });
        }
        for (n, site) in sites.iter().enumerate() {
            scales.insert(site.clone(), scale);
            let own = if half == 0 { tensor.clone() } else { rows(&tensor, n * out, out) };
            if halves.entry(site.clone()).or_default()[half].replace(own).is_some() {
                return Err(Error::Config {
                    path,
                    what: format!("holds two tensors for {site}; one of them is {name}"),
                });
            }
        }
    }
    if !unknown.is_empty() {
        return Err(Error::TensorUnknown { path, tensors: unknown.join(", ") });
    }
    let mut sites = BTreeMap::new();
    for (site, halves) in halves {
        match halves {
            [Some(a), Some(b), magnitude] if magnitude.is_some() == settings.dora => {
                sites.insert(site, Factors { a, b, magnitude })
            }
            [a, b, _] => {
                let parts = [
                    (a.is_none(), "lora_A"),
                    (b.is_none(), "lora_B"),
                    (true, "lora_magnitude_vector"),
                ];
                let (_, missing) =
                    parts.into_iter().find(|(missing, _)| *missing).expect("the last is");
                return Err(Error::TensorMissing { path, tensor: format!("{missing} of {site}") });
            }
        };
    }
    let (rank, alpha, sites) = one_scale(settings, &scales, sites);
    Ok(Adapter { rank, alpha, sites, saved })
}

/// Both files; names as transformers 5 has its modules.
pub fn write(module: &Module) -> Result<[Vec<u8>; 2], Error> {
    write_factors(module.card.family, module.rank, module.alpha, &module.sites)
}

/// Both files of factors that have no head or card of their own.
///
/// # Errors
/// [`Error::Merge`] where some sites have magnitudes and others have none.
pub fn write_factors(
    family: Family,
    rank: usize,
    alpha: f64,
    sites: &Sites,
) -> Result<[Vec<u8>; 2], Error> {
    let path =
        |site: &str| adapter_path(family, site).expect("a module's sites belong to its family");
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

/// What scales a folder's factors.
struct Settings {
    path: PathBuf,
    rank: usize,
    alpha: f64,
    /// Whether the scale is alpha / sqrt(rank).
    rslora: bool,
    dora: bool,
    ranks: Vec<(Regex, f64)>,
    alphas: Vec<(Regex, f64)>,
    /// What was saved beside the factors, without its tensors.
    saved: Option<Saved>,
}

impl Settings {
    fn read(path: &Path, bytes: &[u8]) -> Result<Self, Error> {
        let refuse = |what: &str| Error::Config { path: path.to_owned(), what: what.to_owned() };
        let config: Value =
            serde_json::from_slice(bytes).map_err(|e| refuse(&format!("is not JSON: {e}")))?;
        let plain = |key: &str| match config.get(key) {
            None | Some(Value::Null | Value::Bool(false)) => true,
            Some(Value::Object(map)) => map.is_empty(),
            Some(Value::Array(list)) => list.is_empty(),
            Some(_) => false,
        };
        if config.get("peft_type").and_then(Value::as_str) != Some("LORA") {
            return Err(refuse("peft_type is not LORA; packer reads LoRA adapters"));
        }
        for key in UNREPRESENTED {
            if !plain(key) {
                return Err(refuse(&format!("{key} is set, which packer does not represent")));
            }
        }
        // PiSSA, OLoRA, CorDA, LoftQ and LoRA-GA change the base's own weights before they train.
        // MiCA freezes B, which changes nothing here.
        let initial = config.get("init_lora_weights").and_then(Value::as_str);
        if let Some(how) =
            initial.filter(|how| !STARTS.contains(&how.to_ascii_lowercase().as_str()))
        {
            let read = STARTS.join(", ");
            return Err(refuse(&format!(
                "init_lora_weights is {how:?}, which may change the base itself; of PEFT's named \
                 starts packer reads {read}"
            )));
        }
        let saved = Saved::named(&config).map_err(|what| refuse(&what))?;
        if config.get("bias").and_then(Value::as_str).is_some_and(|b| b != "none") {
            return Err(refuse("bias is not none; packer does not represent trained biases"));
        }
        let rank = config.get("r").and_then(Value::as_u64).filter(|r| (1..=MAX_RANK).contains(r));
        let Some(rank) = rank else { return Err(refuse("r is not a rank from 1 to 1024")) };
        let alpha = config.get("lora_alpha").and_then(Value::as_f64).filter(|a| a.is_finite());
        let Some(alpha) = alpha else { return Err(refuse("lora_alpha is not a number")) };
        let flag = |key: &str| match config.get(key) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(refuse(&format!("{key} is not true or false"))),
        };
        let (rslora, dora) = (flag("use_rslora")?, flag("use_dora")?);
        let pattern = |key: &str, fits: &dyn Fn(f64) -> bool| match config.get(key) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Object(map)) => {
                let rule = |(layer, value): (&String, &Value)| {
                    let value = value.as_f64().filter(|v| fits(*v));
                    let value = value.ok_or_else(|| {
                        refuse(&format!("{key} has no usable value for {layer:?}"))
                    })?;
                    // The end of a layer's path, as PEFT matches it
                    // (peft.utils.other.get_pattern_key).
                    let rule = Regex::new(&format!(r"^(?:.*\.)?(?:{layer})$"));
                    let rule = rule.map_err(|_| {
                        refuse(&format!("{key} names {layer:?}, which is no regular expression"))
                    })?;
                    Ok((rule, value))
                };
                map.iter().map(rule).collect()
            }
            Some(_) => Err(refuse(&format!("{key} is not an object"))),
        };
        let ranks =
            pattern("rank_pattern", &|v| v.fract() == 0.0 && (1.0..=MAX_RANK as f64).contains(&v))?;
        let alphas = pattern("alpha_pattern", &f64::is_finite)?;
        Ok(Settings {
            path: path.to_owned(),
            rank: rank as usize,
            alpha,
            rslora,
            dora,
            ranks,
            alphas,
            saved,
        })
    }

    /// Rank and scale of a layer, by its path in the model.
    fn of(&self, layer: &str) -> Result<(usize, f64), Error> {
        let own = |rules: &[(Regex, f64)], key: &str, default: f64| {
            let mut found =
                rules.iter().filter(|(rule, _)| rule.is_match(layer)).map(|(_, value)| *value);
            let value = found.next().unwrap_or(default);
            if found.all(|other| other == value) {
                Ok(value)
            } else {
                let what = format!(
                    "{key} has several values for {layer}, and the order in which PEFT tried them \
                     is lost"
                );
                Err(Error::Config { path: self.path.clone(), what })
            }
        };
        let rank = own(&self.ranks, "rank_pattern", self.rank as f64)?;
        let alpha = own(&self.alphas, "alpha_pattern", self.alpha)?;
        Ok((rank as usize, alpha / if self.rslora { rank.sqrt() } else { rank }))
    }
}

/// Settings under which the tensors would mean something else than scale * B * A and its
/// magnitudes.
const UNREPRESENTED: [&str; 12] = [
    "use_qalora",
    "use_bdlora",
    "alora_invocation_tokens",
    "arrow_config",
    "kasa_config",
    "monteclora_config",
    "megatron_config",
    "fan_in_fan_out",
    "lora_bias",
    "layer_replication",
    "target_parameters",
    "trainable_token_indices",
];

/// Starts of A and B that leave the base as it is.
const STARTS: [&str; 4] = ["gaussian", "eva", "orthogonal", "mica"];

const MAX_RANK: u64 = 1024;

/// A layer's third tensor, after A and B.
const MAGNITUDE: usize = 2;

/// Rank, alpha and factors with one scale, alpha / rank, for all sites.
fn one_scale(
    settings: Settings,
    scales: &BTreeMap<String, f64>,
    mut sites: Sites,
) -> (usize, f64, Sites) {
    let ranks: BTreeSet<usize> = sites.values().map(|f| f.a.shape[0]).collect();
    let rank = ranks.last().copied().unwrap_or(settings.rank);
    let first = scales.values().next().copied().unwrap_or(settings.alpha / settings.rank as f64);
    if ranks.len() <= 1 && scales.values().all(|scale| *scale == first) {
        let alpha = if settings.rslora || !settings.alphas.is_empty() {
            first * rank as f64
        } else {
            settings.alpha
        };
        return (rank, alpha, sites);
    }
    for (site, factors) in &mut sites {
        factors.b.data.iter_mut().for_each(|b| *b = (f64::from(*b) * scales[site]) as f32);
    }
    let sites = sites.into_iter().map(|(site, factors)| (site, factors.padded(rank))).collect();
    (rank, rank as f64, sites)
}

/// `count` rows of a tensor from the row `first` on.
fn rows(tensor: &Tensor, first: usize, count: usize) -> Tensor {
    let width = tensor.data.len() / tensor.shape[0];
    let data = tensor.data[first * width..][..count * width].to_vec();
    let shape = [&[count], &tensor.shape[1..]].concat();
    Tensor { shape, data, dtype: tensor.dtype }
}

/// The sites that a tensor belongs to, the path of its layer in the model, and 0 for A, 1 for B,
/// [`MAGNITUDE`] for the magnitudes.
fn parse_name<'a>(config: &VitConfig, name: &'a str) -> Option<(Vec<String>, &'a str, usize)> {
    let name = name.strip_prefix("base_model.model.")?;
    let parts =
        [(".lora_A.weight", 0), (".lora_B.weight", 1), (".lora_magnitude_vector", MAGNITUDE)];
    // PEFT keeps magnitudes as a module with a weight, and reads and writes files without that
    // word.
    let also = (".lora_magnitude_vector.weight", MAGNITUDE);
    let mut found = parts
        .into_iter()
        .chain([also])
        .filter_map(|(part, half)| Some((name.strip_suffix(part)?, half)));
    let (layer, half) = found.next()?;
    let sites = sites_of_adapter_path(config.family, layer);
    (!sites.is_empty()).then_some((sites, layer, half))
}
