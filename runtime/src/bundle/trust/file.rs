//! Trust files: TOML that names keys, their roles and what is revoked.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::keys::{Key, Trust, refuse};
use crate::Class;
use crate::bundle::moment::Moment;
use crate::bundle::rules::{MAX_COUNT, Role, check_digest, sha256_hex};
use crate::bundle::signature;
use crate::error::{Error, Refusal};
use crate::words::shown;

/// Reads a trust file.
pub(super) fn read(text: &str) -> Result<Trust, Error> {
    let file: File =
        toml::from_str(text).map_err(|error| refuse(shown(&error.message().replace('\n', " "))))?;
    file.into_trust()
}

/// The one value of a trust file's `format`.
const FORMAT: &str = "medforge-trust-1";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: String,
    version: u64,
    expires: Option<Moment>,
    threshold: BTreeMap<Role, usize>,
    keys: Vec<FileKey>,
    #[serde(default)]
    revoked: Revoked,
    /// Bundle name -> the oldest version that is taken.
    #[serde(default)]
    minimum: BTreeMap<String, u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileKey {
    name: String,
    public_key: String,
    /// SHA-256 of the key's bytes: for people; never used to find a key.
    id: Option<String>,
    roles: BTreeSet<Role>,
    from: Option<Moment>,
    until: Option<Moment>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Revoked {
    #[serde(default)]
    keys: Vec<String>,
    #[serde(default)]
    bundles: BTreeSet<String>,
}

impl File {
    fn into_trust(self) -> Result<Trust, Error> {
        if self.format != FORMAT {
            return Err(refuse(format!(
                "its format is {:?}, and this program reads {FORMAT:?}",
                self.format
            )));
        }
        if self.version == 0 || self.version > MAX_COUNT {
            return Err(refuse(format!("versions are counted from 1 to {MAX_COUNT}")));
        }
        let mut keys: Vec<Key> = Vec::with_capacity(self.keys.len());
        for key in self.keys {
            let key = key.check(&keys)?;
            keys.push(key);
        }
        let revoked_keys = self
            .revoked
            .keys
            .iter()
            .map(|key| signature::key_bytes(key))
            .collect::<Result<BTreeSet<_>, _>>()?;
        for bundle in &self.revoked.bundles {
            check_digest("revoked.bundles", bundle).map_err(|error| refuse(error.to_string()))?;
        }
        let trust = Trust {
            keys,
            thresholds: self.threshold,
            version: self.version,
            expires: self.expires,
            revoked_keys,
            revoked_bundles: self.revoked.bundles,
            minimum: self.minimum,
            now: None,
        };
        check_thresholds(&trust)?;
        Ok(trust)
    }
}

impl FileKey {
    /// The key, which must be none of those `before` it and share its name with none.
    fn check(self, before: &[Key]) -> Result<Key, Error> {
        let FileKey { name, public_key, id, roles, from, until } = self;
        let bytes = signature::key_bytes(&public_key)?;
        if let Some(id) = id.filter(|id| *id != sha256_hex(&bytes)) {
            let what = format!("key {name:?} is said to have the id {id:?}");
            return Err(Refusal::new(Class::KeyidLies, what).into());
        }
        if let Some(twin) = before.iter().find(|other| other.key.as_bytes() == &bytes) {
            let what = format!("{name:?} and {:?} are one key; a key counts once", twin.name);
            return Err(Refusal::new(Class::SameKeyTwoIds, what).into());
        }
        if name.trim().is_empty()
            || name.contains(char::is_control)
            || before.iter().any(|other| other.name == name)
        {
            return Err(refuse(format!("a key is called {name:?}; give each a name of its own")));
        }
        Ok(Key { key: signature::verifying_key(&bytes)?, name, roles, from, until })
    }
}

/// Refuses thresholds that the keys cannot reach.
fn check_thresholds(trust: &Trust) -> Result<(), Error> {
    for (role, threshold) in &trust.thresholds {
        let able = trust
            .keys
            .iter()
            .filter(|key| key.roles.contains(role))
            .filter(|key| !trust.revoked_keys.contains(key.key.as_bytes()))
            .count();
        if *threshold == 0 || *threshold > able {
            let what =
                format!("{threshold} signatures as {} are asked for, of {able} keys", role.name());
            return Err(refuse(what));
        }
    }
    Ok(())
}
