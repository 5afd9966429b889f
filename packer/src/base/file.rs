//! A JSON object in a file, read key by key. What is missing or of another kind is refused with the
//! file and the key.

use medforge_runtime::preprocess::{Preprocessing, Size};
use serde_json::{Map, Value};

use super::vit_config::MAX_IMAGE_SIZE;
use crate::Error;
use crate::device::Activation;

/// A JSON object in a file, so that each complaint names the file and the key.
pub struct File {
    pub path: std::path::PathBuf,
    pub object: Map<String, Value>,
}

impl File {
    pub fn parse(path: std::path::PathBuf, bytes: &[u8]) -> Result<Self, Error> {
        match serde_json::from_slice(bytes) {
            Ok(Value::Object(object)) => Ok(File { path, object }),
            Ok(_) => Err(Error::Config { path, what: "is not a JSON object".into() }),
            Err(e) => Err(Error::Config { path, what: format!("is not JSON: {e}") }),
        }
    }

    pub fn refuse<T>(&self, what: String) -> Result<T, Error> {
        Err(Error::Config { path: self.path.clone(), what })
    }

    pub fn has(&self, key: &str) -> bool {
        self.object.get(key).is_some_and(|v| !v.is_null())
    }

    pub fn get(&self, key: &str) -> Result<&Value, Error> {
        match self.object.get(key) {
            Some(value) => Ok(value),
            None => self.refuse(format!("has no {key}")),
        }
    }

    pub fn text(&self, key: &str) -> Result<&str, Error> {
        match self.get(key)?.as_str() {
            Some(text) => Ok(text),
            None => self.refuse(format!("{key} is not a string")),
        }
    }

    pub fn flag(&self, key: &str, default: bool) -> Result<bool, Error> {
        match self.object.get(key) {
            None | Some(Value::Null) => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => self.refuse(format!("{key} is not true or false")),
        }
    }

    pub fn number(&self, key: &str, default: f64) -> Result<f64, Error> {
        match self.object.get(key) {
            None | Some(Value::Null) => Ok(default),
            Some(value) => {
                value.as_f64().map_or_else(|| self.refuse(format!("{key} is not a number")), Ok)
            }
        }
    }

    pub fn index(&self, key: &str) -> Result<usize, Error> {
        match self.get(key)?.as_u64() {
            Some(n) => Ok(usize::try_from(n).unwrap_or(usize::MAX)),
            None => self.refuse(format!("{key} is not a whole number")),
        }
    }

    pub fn count(&self, key: &str, most: usize) -> Result<usize, Error> {
        let n = self.index(key)?;
        if (1..=most).contains(&n) {
            Ok(n)
        } else {
            self.refuse(format!("{key} is {n}, outside 1 to {most}"))
        }
    }

    pub fn count_or(&self, key: &str, most: usize, default: usize) -> Result<usize, Error> {
        if self.has(key) { self.count(key, most) } else { Ok(default) }
    }

    /// A number that may be 0.
    pub fn count_or_none(&self, key: &str, most: usize, default: usize) -> Result<usize, Error> {
        match self.has(key).then(|| self.index(key)).transpose()? {
            None => Ok(default),
            Some(n) if n <= most => Ok(n),
            Some(n) => self.refuse(format!("{key} is {n}, outside 0 to {most}")),
        }
    }

    /// Whether the list under `key` has this text.
    pub fn lists(&self, key: &str, text: &str) -> bool {
        let list = self.object.get(key).and_then(Value::as_array);
        list.is_some_and(|list| list.iter().any(|v| v == text))
    }

    /// The activation of an MLP, under Hugging Face's key.
    pub fn activation(&self, default: &str) -> Result<Activation, Error> {
        match if self.has("hidden_act") { self.text("hidden_act")? } else { default } {
            "gelu" => Ok(Activation::Gelu),
            "quick_gelu" => Ok(Activation::QuickGelu),
            "gelu_pytorch_tanh" => Ok(Activation::GeluTanh),
            "silu" => Ok(Activation::Silu),
            other => self.refuse(format!(
                "hidden_act {other:?} is not read; packer reads gelu, quick_gelu, \
                 gelu_pytorch_tanh and silu"
            )),
        }
    }

    /// `preprocessing`, unless it is none that images can be prepared with.
    pub fn usable(&self, preprocessing: Preprocessing) -> Result<Preprocessing, Error> {
        match preprocessing.check() {
            Ok(()) => Ok(preprocessing),
            Err(error) => self.refuse(error.to_string()),
        }
    }

    /// The object under `key`; empty where there is none.
    pub fn part(&self, key: &str) -> Result<File, Error> {
        let object = match self.object.get(key) {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(object)) => object.clone(),
            Some(_) => return self.refuse(format!("{key} is not an object")),
        };
        Ok(File { path: self.path.clone(), object })
    }

    pub fn side(&self, value: &Value, key: &str) -> Result<u32, Error> {
        match value.as_u64() {
            Some(n) if (1..=MAX_IMAGE_SIZE as u64 * 2).contains(&n) => Ok(n as u32),
            _ => self.refuse(format!("{key} is not a side in pixels, 1 to {}", MAX_IMAGE_SIZE * 2)),
        }
    }

    /// `{"height": h, "width": w}`, or one number for both.
    pub fn sides(&self, value: &Value, key: &str) -> Result<Size, Error> {
        match value {
            Value::Object(o) => match (o.get("height"), o.get("width")) {
                (Some(height), Some(width)) => {
                    Ok(Size { height: self.side(height, key)?, width: self.side(width, key)? })
                }
                _ => self.refuse(format!("{key} has neither shortest_edge nor height and width")),
            },
            one => self.side(one, key).map(|side| Size { height: side, width: side }),
        }
    }

    pub fn triple(&self, key: &str) -> Result<[f64; 3], Error> {
        let values: Option<Vec<f64>> =
            self.get(key)?.as_array().and_then(|a| a.iter().map(Value::as_f64).collect());
        match values.and_then(|v| <[f64; 3]>::try_from(v).ok()) {
            Some(triple) => Ok(triple),
            None => self.refuse(format!("{key} is not three numbers")),
        }
    }
}
