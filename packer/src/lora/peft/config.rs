//! `adapter_config.json`: what scales the factors of each layer.

use std::path::{Path, PathBuf};

use regex::Regex;
use serde_json::Value;

use super::super::Saved;
use crate::Error;

/// The parts of `adapter_config.json` that say how factors are scaled.
pub struct AdapterConfig {
    path: PathBuf,
    pub rank: usize,
    pub alpha: f64,
    /// Whether the scale is alpha / sqrt(rank).
    pub rslora: bool,
    pub dora: bool,
    ranks: Vec<(Regex, f64)>,
    pub alphas: Vec<(Regex, f64)>,
    /// The head that was saved beside the factors, without its tensors.
    pub saved: Option<Saved>,
}

impl AdapterConfig {
    /// Reads the `bytes` of the file; errors name it `path`.
    ///
    /// # Errors
    /// [`Error::Config`] for settings that packer does not represent.
    pub fn read(path: &Path, bytes: &[u8]) -> Result<Self, Error> {
        Self::parse(path, bytes).map_err(|what| Error::Config { path: path.to_owned(), what })
    }

    fn parse(path: &Path, bytes: &[u8]) -> Result<Self, String> {
        let config: Value =
            serde_json::from_slice(bytes).map_err(|e| format!("is not JSON: {e}"))?;
        check_kind(&config)?;
        let saved = Saved::named(&config)?;
        if config.get("bias").and_then(Value::as_str).is_some_and(|b| b != "none") {
            return Err("bias is not none; packer does not represent trained biases".into());
        }
        let rank = config.get("r").and_then(Value::as_u64).filter(|r| (1..=MAX_RANK).contains(r));
        let rank = rank.ok_or("r is not a rank from 1 to 1024")? as usize;
        let alpha = config.get("lora_alpha").and_then(Value::as_f64).filter(|a| a.is_finite());
        let alpha = alpha.ok_or("lora_alpha is not a number")?;
        let (rslora, dora) = (flag(&config, "use_rslora")?, flag(&config, "use_dora")?);
        let is_rank = |v: f64| v.fract() == 0.0 && (1.0..=MAX_RANK as f64).contains(&v);
        let ranks = pattern(&config, "rank_pattern", is_rank)?;
        let alphas = pattern(&config, "alpha_pattern", f64::is_finite)?;
        Ok(AdapterConfig { path: path.to_owned(), rank, alpha, rslora, dora, ranks, alphas, saved })
    }

    /// Rank and scale of a layer, by its path in the model.
    ///
    /// # Errors
    /// [`Error::Config`] if patterns give the layer several values.
    pub fn of(&self, layer: &str) -> Result<(usize, f64), Error> {
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

/// Refuses adapters of other kinds, and those whose factors would mean something else.
fn check_kind(config: &Value) -> Result<(), String> {
    let plain = |key: &str| match config.get(key) {
        None | Some(Value::Null | Value::Bool(false)) => true,
        Some(Value::Object(map)) => map.is_empty(),
        Some(Value::Array(list)) => list.is_empty(),
        Some(_) => false,
    };
    if config.get("peft_type").and_then(Value::as_str) != Some("LORA") {
        return Err("peft_type is not LORA; packer reads LoRA adapters".into());
    }
    for key in UNREPRESENTED {
        if !plain(key) {
            return Err(format!("{key} is set, which packer does not represent"));
        }
    }
    // PiSSA, OLoRA, CorDA, LoftQ and LoRA-GA change the base's own weights before they train. MiCA
    // freezes B, which changes nothing here.
    let initial = config.get("init_lora_weights").and_then(Value::as_str);
    match initial.filter(|how| !STARTS.contains(&how.to_ascii_lowercase().as_str())) {
        Some(how) => Err(format!(
            "init_lora_weights is {how:?}, which may change the base itself; of PEFT's named \
             starts packer reads {}",
            STARTS.join(", ")
        )),
        None => Ok(()),
    }
}

fn flag(config: &Value, key: &str) -> Result<bool, String> {
    match config.get(key) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => Err(format!("{key} is not true or false")),
    }
}

/// The rules of a pattern: by the end of a layer's path, a value that `fits`.
fn pattern(
    config: &Value,
    key: &str,
    fits: impl Fn(f64) -> bool,
) -> Result<Vec<(Regex, f64)>, String> {
    let map = match config.get(key) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Object(map)) => map,
        Some(_) => return Err(format!("{key} is not an object")),
    };
    let rule = |(layer, value): (&String, &Value)| {
        let value = value.as_f64().filter(|v| fits(*v));
        let value = value.ok_or_else(|| format!("{key} has no usable value for {layer:?}"))?;
        // The end of a layer's path, as PEFT matches it (peft.utils.other.get_pattern_key).
        let rule = Regex::new(&format!(r"^(?:.*\.)?(?:{layer})$"));
        let rule =
            rule.map_err(|_| format!("{key} names {layer:?}, which is no regular expression"))?;
        Ok((rule, value))
    };
    map.iter().map(rule).collect()
}

/// Settings that give the tensors another meaning than scale * B * A and magnitudes.
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

/// Initialisations of A and B that leave the base as it is.
const STARTS: [&str; 4] = ["gaussian", "eva", "orthogonal", "mica"];

const MAX_RANK: u64 = 1024;
