//! `forge.zip`: the base that a forge is for, who may contribute, and the key that signs its items.
//! Made once, signed by that key.

use std::collections::BTreeMap;
use std::path::Path;

use ed25519_dalek::VerifyingKey;
use ed25519_dalek::pkcs8::DecodePublicKey;
use medforge_runtime::Error as RuntimeError;
use medforge_runtime::bundle::description::{
    check_digest, check_entries, check_text, check_time, check_version, require,
};
use medforge_runtime::bundle::manifest::{Entry, Tool};
use medforge_runtime::bundle::{Description, Role};
use medforge_runtime::words::shown;
use serde::{Deserialize, Serialize};

use crate::base::FILES;
use crate::{Error, input};

/// The signed description of a forge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Root {
    /// `medforge-forge`.
    pub format: String,
    /// 1.
    pub version: u32,
    /// UTC, to the second.
    pub created: String,
    pub base_digest: String,
    /// The base's files, each an object of the forge, sorted by name.
    pub base: Vec<Entry>,
    /// By name, the one key that signs a contributor's work: 64 hex digits.
    pub contributors: BTreeMap<String, String>,
    /// The forge's own key: 64 hex digits.
    pub key: String,
    pub tool: Tool,
}

impl Description for Root {
    const PAYLOAD_TYPE: &'static str = "application/vnd.medforge.forge+json";
    const FORMAT: &'static str = "medforge-forge";
    const VERSION: u32 = 1;
    const ROLE: Role = Role::Maintainer;

    fn check(&self) -> Result<(), RuntimeError> {
        check_version::<Self>(&self.format, self.version.into())?;
        check_time("created", &self.created)?;
        check_digest("base_digest", &self.base_digest)?;
        check_entries(&self.base)?;
        let named = |name: &str| self.base.iter().any(|entry| entry.name == name);
        require(self.base.len() == FILES.len() && FILES.iter().all(|name| named(name)), || {
            format!("base must list {}", FILES.join(", "))
        })?;
        for name in self.contributors.keys() {
            check_text("contributor", name)?;
        }
        let keys: std::collections::BTreeSet<_> = self.contributors.values().collect();
        require(keys.len() == self.contributors.len(), || "two contributors have one key".into())?;
        check_text("tool.name", &self.tool.name)?;
        check_text("tool.version", &self.tool.version)
    }

    fn entries(&self) -> &[Entry] {
        &[]
    }
}

/// Reads the list of contributors: a TOML file of `[[contributor]]` tables with `name` and `key`. A
/// key is a file beside it (SPKI PEM), that PEM itself, or 64 hex digits.
///
/// # Errors
/// [`Error::Contributors`] for another form, a name or key given twice, or an unusable key.
pub fn read_contributors(path: &Path) -> Result<BTreeMap<String, VerifyingKey>, Error> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        contributor: Vec<Contributor>,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Contributor {
        name: String,
        key: String,
    }
    let refuse = |what: String| Error::Contributors { path: path.to_owned(), what };
    let text = String::from_utf8(input::read(path, 1 << 20)?)
        .map_err(|_| refuse("is not UTF-8 text".into()))?;
    let file: File = toml::from_str(&text).map_err(|e| {
        let line = e.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
        refuse(format!("line {line}: {}", shown(&e.message().replace('\n', " "))))
    })?;
    let mut contributors = BTreeMap::new();
    for Contributor { name, key } in file.contributor {
        let what = |what: &str| refuse(format!("contributor {name:?} {what}"));
        check_text("name", &name)
            .map_err(|_| what("has a name that is not 1 to 256 printable bytes"))?;
        let pem = match key.contains("-----BEGIN") {
            true => Some(key.clone()),
            false if key.len() == 64 && hex::decode(&key).is_ok() => None,
            false => {
                let file = path.parent().unwrap_or(Path::new("")).join(&key);
                Some(String::from_utf8_lossy(&input::read(&file, 1 << 20)?).into_owned())
            }
        };
        let key = match pem {
            Some(pem) => VerifyingKey::from_public_key_pem(&pem).ok(),
            None => key_of(&key.to_ascii_lowercase()),
        };
        let key = key
            .filter(|key| !key.is_weak())
            .ok_or_else(|| what("has no usable Ed25519 public key"))?;
        if contributors.values().any(|other: &VerifyingKey| other.as_bytes() == key.as_bytes()) {
            return Err(what("has the key of another; each needs its own"));
        }
        if contributors.insert(name.clone(), key).is_some() {
            return Err(what("is there twice; each has one key"));
        }
    }
    if contributors.is_empty() {
        Err(refuse("names no contributor".into()))
    } else {
        Ok(contributors)
    }
}

/// The key of 64 hex digits.
pub(super) fn key_of(hex: &str) -> Option<VerifyingKey> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(hex, &mut bytes).ok()?;
    VerifyingKey::from_bytes(&bytes).ok()
}
