//! Packer's own keys of `config.json`: what Hugging Face has no key for, such as `pooling`, which
//! says what becomes the feature. They stand beside the other keys, and only where a base has
//! something else than those say. transformers does not know them.
//!
//! `pooling` is `class`, `mean`, `norm_of_mean`, `class_mean` or `attention`; the last may also
//! be `{"attention": {"heads": 16, "mlp": 4304}}`.

use serde_json::{Map, Value, json};

use super::super::file::File;
use super::super::vit_config::{Pooling, VitConfig};
use crate::Error;

/// A key, and what it has where a serialised configuration leaves it out.
type Key = (&'static str, fn() -> Value);

const KEYS: [Key; 13] = [
    ("mlp", || Value::Null),
    ("activation", || Value::Null),
    ("layer_scale", || Value::Null),
    ("qkv_bias", || Value::Null),
    ("projection", || Value::Null),
    ("no_class_token", || json!(false)),
    ("registers", || json!(0)),
    ("positions", || json!("learned")),
    ("interpolation", || json!("plain")),
    ("gated", || json!(false)),
    ("no_key_bias", || json!(false)),
    ("qk_norm", || json!(false)),
    ("pooling", || json!("class")),
];

/// `config`, which a file's other keys say, with what its own keys say.
///
/// # Errors
/// [`Error::Config`] for a value that the key does not have.
pub fn overlaid(file: &File, mut config: VitConfig) -> Result<VitConfig, Error> {
    for (key, _) in KEYS {
        let value = match file.object.get(key) {
            None => continue,
            Some(Value::Null) if key != "projection" => continue,
            Some(value) if key == "pooling" => pooling(value, &config),
            Some(value) => value.clone(),
        };
        let mut fields = fields(&config);
        fields.insert(key.to_owned(), value);
        config = match serde_json::from_value(Value::Object(fields)) {
            Ok(config) => config,
            Err(error) => return file.refuse(format!("{key} is not read: {error}")),
        };
    }
    Ok(config)
}

/// Adds the keys that `out`, written by the family of `config`, needs to be read as that again.
pub fn add(out: &mut Value, config: &VitConfig) {
    let file = match out {
        Value::Object(object) => File { path: Default::default(), object: object.clone() },
        _ => return,
    };
    let family = config.family;
    let plain = VitConfig { family, ..VitConfig::PLAIN };
    let said = fields(&(family.form().read)(&file).unwrap_or(plain));
    let own = fields(config);
    for (key, left_out) in KEYS {
        let value = |fields: &Map<String, Value>| fields.get(key).cloned().unwrap_or_else(left_out);
        if value(&own) != value(&said) {
            out[key] = match config.pooling {
                pooling if key == "pooling" && pooling == by_attention(config) => {
                    json!("attention")
                }
                _ => value(&own),
            };
        }
    }
}

/// The value of `pooling` as configurations have it: by attention as the blocks of `config` do it,
/// where nothing else is said.
fn pooling(value: &Value, config: &VitConfig) -> Value {
    if value == "attention" { json!(by_attention(config)) } else { value.clone() }
}

fn by_attention(config: &VitConfig) -> Pooling {
    Pooling::Attention { heads: config.heads, mlp: config.mlp }
}

/// A configuration's fields.
fn fields(config: &VitConfig) -> Map<String, Value> {
    match serde_json::to_value(config) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}
