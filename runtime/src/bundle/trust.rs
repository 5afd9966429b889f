//! Whom a verifier trusts, for what, until when, and how many of them must have signed.
//!
//! A trust file is TOML (`docs/format.md`, section 10); one public key alone is the shortest trust
//! there is. Refused: weak keys, a key that stands under two names, ids that are not a key's own,
//! thresholds that cannot be reached, files that have expired, and successors that do not follow
//! the file before them or that too few of its maintainers have signed.

use std::collections::{BTreeMap, BTreeSet};

use ed25519_dalek::VerifyingKey;
use ed25519_dalek::pkcs8::DecodePublicKey;
use serde::{Deserialize, Serialize};

use super::description::{MAX_COUNT, check_digest, is_utc_second};
use super::{sha256_hex, signature};
use crate::Class;
use crate::error::{Error, Refusal};
use crate::words::shown;

/// What a key is trusted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Signs contributions.
    Contributor,
    /// Signs trust files, and what a forge makes of contributions.
    Maintainer,
    /// Signs bundles for devices.
    Release,
}

/// A moment, UTC to the second: `2026-01-31T23:59:59Z`. The caller gives it; nothing here asks a
/// clock.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Moment(String);

impl TryFrom<String> for Moment {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        // In this form, of fixed width, the order of texts is that of moments.
        if is_utc_second(&text) {
            Ok(Moment(text))
        } else {
            Err(format!("{text:?} is not like 2026-01-31T23:59:59Z"))
        }
    }
}

impl From<Moment> for String {
    fn from(moment: Moment) -> String {
        moment.0
    }
}

impl std::fmt::Display for Moment {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Whose signatures count, for what, and how many of them are needed.
#[derive(Debug, Clone)]
pub struct Trust {
    keys: Vec<Key>,
    thresholds: BTreeMap<Role, usize>,
    /// Counts trust files; 0 where there is none.
    version: u64,
    expires: Option<Moment>,
    revoked_keys: BTreeSet<[u8; 32]>,
    revoked_bundles: BTreeSet<String>,
    minimum: BTreeMap<String, u64>,
    now: Option<Moment>,
}

/// One key, known by its bytes.
#[derive(Debug, Clone)]
struct Key {
    name: String,
    key: VerifyingKey,
    roles: BTreeSet<Role>,
    from: Option<Moment>,
    until: Option<Moment>,
}

/// What the signatures of a trust file are over.
pub const TRUST_TYPE: &str = "application/vnd.medforge.trust+toml";
/// The longest trust file that is read, in bytes.
pub const LONGEST: usize = 1 << 20;

impl Trust {
    /// Asks for signatures by `threshold` of `keys`, for whatever role; a key given twice counts
    /// once.
    ///
    /// # Errors
    /// [`Class::WeakKey`], [`Class::NoncanonicalA`]; [`Class::BadTrustFile`] for a threshold of
    /// zero or of more than the keys.
    pub fn new(keys: Vec<VerifyingKey>, threshold: usize) -> Result<Self, Error> {
        let mut distinct: Vec<Key> = Vec::with_capacity(keys.len());
        for key in keys {
            signature::verifying_key(key.as_bytes())?;
            if !distinct.iter().any(|known| known.key.as_bytes() == key.as_bytes()) {
                let name = hex::encode(key.as_bytes());
                let roles = [Role::Contributor, Role::Maintainer, Role::Release].into();
                distinct.push(Key { name, key, roles, from: None, until: None });
            }
        }
        if threshold == 0 || threshold > distinct.len() {
            return Err(refuse(format!(
                "{threshold} signatures of {} keys cannot be asked for",
                distinct.len()
            )));
        }
        Ok(Trust {
            keys: distinct,
            thresholds: [Role::Contributor, Role::Maintainer, Role::Release]
                .map(|role| (role, threshold))
                .into(),
            version: 0,
            expires: None,
            revoked_keys: BTreeSet::new(),
            revoked_bundles: BTreeSet::new(),
            minimum: BTreeMap::new(),
            now: None,
        })
    }

    /// Asks for one signature by any of the keys in `text`: SPKI PEM, one `PUBLIC KEY` block or
    /// several.
    ///
    /// # Errors
    /// [`Class::BadTrustFile`] if there is no such block, or one that is not a usable Ed25519 key.
    pub fn from_pem(text: &str) -> Result<Self, Error> {
        let mut keys = Vec::new();
        for block in text.split(BEGIN).skip(1) {
            let body = block.split_once(END).map_or(block, |(body, _)| body);
            let key = VerifyingKey::from_public_key_pem(&format!("{BEGIN}{body}{END}\n")).map_err(
                |_| {
                    refuse(format!(
                        "PUBLIC KEY block {} is not an Ed25519 key in SPKI PEM",
                        keys.len() + 1
                    ))
                },
            )?;
            keys.push(key);
        }
        if keys.is_empty() {
            return Err(refuse(
                "no PUBLIC KEY block in PEM form is there; give the .pub file".into(),
            ));
        }
        Trust::new(keys, 1)
    }

    /// Reads a trust file.
    ///
    /// # Errors
    /// [`Class::BadTrustFile`], [`Class::WeakKey`], [`Class::NoncanonicalA`], [`Class::BadLength`],
    /// [`Class::SameKeyTwoIds`], [`Class::KeyidLies`].
    pub fn from_toml(text: &str) -> Result<Self, Error> {
        if text.len() > LONGEST {
            return Err(refuse(format!("it has {} bytes, more than {LONGEST}", text.len())));
        }
        let file: File = toml::from_str(text)
            .map_err(|error| refuse(shown(&error.message().replace('\n', " "))))?;
        file.into_trust()
    }

    /// Reads a public key in PEM or a trust file, whichever `bytes` are.
    ///
    /// # Errors
    /// As [`from_pem`](Self::from_pem) and [`from_toml`](Self::from_toml).
    pub fn read(bytes: &[u8]) -> Result<Self, Error> {
        let text = std::str::from_utf8(bytes).map_err(|_| refuse("it is not text".into()))?;
        // A file that begins as PEM does is PEM; one that has a key in PEM somewhere inside is a
        // trust file that is wrong.
        if text.trim_start().starts_with(BEGIN) {
            Trust::from_pem(text)
        } else {
            Trust::from_toml(text)
        }
    }

    /// All keys, whatever they are trusted for.
    pub fn keys(&self) -> impl Iterator<Item = &VerifyingKey> {
        self.keys.iter().map(|key| &key.key)
    }

    /// The same trust at this moment: keys count within their time only, and a file that has
    /// expired counts for nothing. Without a moment, on a device that has no clock, neither is
    /// looked at.
    ///
    /// # Errors
    /// [`Class::Expired`].
    pub fn at(mut self, now: Moment) -> Result<Self, Error> {
        if let Some(expires) = self.expires.as_ref().filter(|expires| **expires <= now) {
            let what = format!("the trust file was good until {expires}, and now is {now}");
            return Err(Refusal::new(Class::Expired, what).into());
        }
        self.now = Some(now);
        Ok(self)
    }

    /// The version of the trust file, 0 for keys given without one.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The moment that was given.
    pub fn now(&self) -> Option<&Moment> {
        self.now.as_ref()
    }

    /// The name that the trust file gives a key; of a key given without one its bytes in hex.
    pub fn name_of(&self, key: &VerifyingKey) -> Option<&str> {
        self.keys
            .iter()
            .find(|known| known.key.as_bytes() == key.as_bytes())
            .map(|known| known.name.as_str())
    }

    /// The trust file that takes the place of this one: the next version, signed by enough
    /// maintainers of this one and of its own (The Update Framework 1.0.33, section 5.3.4).
    /// `signatures` has the form of `signatures.json`, over [`TRUST_TYPE`]. Keys count within their
    /// time if there is a moment; that this file itself has expired does not keep the next one
    /// away.
    ///
    /// # Errors
    /// [`Class::TrustRotationUnsigned`], [`Class::RootVersionSkip`], and as
    /// [`from_toml`](Self::from_toml) and [`signature::verify`].
    pub fn successor(
        &self,
        file: &[u8],
        signatures: &[u8],
        now: Option<Moment>,
    ) -> Result<Self, Error> {
        let signers = signature::verify(signatures, TRUST_TYPE, file)?;
        let text = std::str::from_utf8(file).map_err(|_| refuse("it is not text".into()))?;
        let next = Trust { now: now.clone(), ..Trust::from_toml(text)? };
        let before = Trust { now, ..self.clone() };
        for (whose, trust) in [("the trust file before it", &before), ("its own", &next)] {
            trust.enough(&signers, Role::Maintainer).map_err(|refusal| {
                let what = format!("of the maintainers of {whose}: {}", refusal.what);
                Refusal::new(Class::TrustRotationUnsigned, what)
            })?;
        }
        if self.version.checked_add(1) != Some(next.version) {
            let what = format!("version {} cannot follow version {}", next.version, self.version);
            return Err(Refusal::new(Class::RootVersionSkip, what).into());
        }
        Ok(next)
    }

    /// Whether nothing speaks against what enough keys have signed: its id, and of what counts its
    /// releases the name and counter.
    pub(super) fn permits(&self, id: &str, release: Option<(&str, u64)>) -> Result<(), Refusal> {
        if self.revoked_bundles.contains(id) {
            return Err(Refusal::new(Class::RevokedBundle, format!("the trust file revokes {id}")));
        }
        if let Some((name, counter)) = release
            && let Some(least) = self.minimum.get(name).filter(|least| counter < **least)
        {
            let what = format!(
                "version {counter} of {name:?}, and the trust file asks for {least} or later"
            );
            return Err(Refusal::new(Class::Rollback, what));
        }
        Ok(())
    }

    /// The signers that count as `role`, if they are enough.
    pub(super) fn enough(
        &self,
        signers: &[VerifyingKey],
        role: Role,
    ) -> Result<Vec<VerifyingKey>, Refusal> {
        let threshold = self.thresholds.get(&role).copied().unwrap_or(usize::MAX);
        let (mut counted, mut revoked, mut lapsed) = (Vec::new(), None, None);
        for signer in signers {
            let Some(known) =
                self.keys.iter().find(|known| known.key.as_bytes() == signer.as_bytes())
            else {
                continue;
            };
            if !known.roles.contains(&role) {
                continue;
            }
            if self.revoked_keys.contains(signer.as_bytes()) {
                revoked = Some(known);
            } else if !known.valid(self.now.as_ref()) {
                lapsed = Some(known);
            } else {
                counted.push(*signer);
            }
        }
        if counted.len() >= threshold {
            return Ok(counted);
        }
        if let Some(key) = revoked {
            return Err(Refusal::new(
                Class::RevokedKey,
                format!("key {} signed it and was revoked", key.name),
            ));
        }
        if let Some(key) = lapsed {
            let now = self.now.as_ref().map(ToString::to_string).unwrap_or_default();
            return Err(Refusal::new(
                Class::Expired,
                format!("key {} signed it and is not valid at {now}", key.name),
            ));
        }
        if !self.thresholds.contains_key(&role) {
            let what = format!("the trust file trusts nobody as {}", role_name(role));
            return Err(Refusal::new(Class::WrongKey, what));
        }
        let class = if counted.is_empty() { Class::WrongKey } else { Class::BelowThreshold };
        let signed_by: Vec<String> =
            signers.iter().map(|key| hex::encode(key.as_bytes())).collect();
        let what = format!(
            "{} of the trusted keys signed it and {threshold} must; it is signed by {}; do not use \
             it, and ask its maker for one that enough trusted keys signed",
            counted.len(),
            signed_by.join(", ")
        );
        Err(Refusal::new(class, what))
    }
}

impl Key {
    /// Whether the key is good at this moment; without one its time is not looked at.
    fn valid(&self, now: Option<&Moment>) -> bool {
        now.is_none_or(|now| {
            self.from.as_ref().is_none_or(|from| from <= now)
                && self.until.as_ref().is_none_or(|until| now < until)
        })
    }
}

const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const END: &str = "-----END PUBLIC KEY-----";

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
            let bytes = signature::key_bytes(&key.public_key)?;
            if key.id.as_ref().is_some_and(|id| *id != sha256_hex(&bytes)) {
                let what = format!(
                    "key {:?} is said to have the id {:?}",
                    key.name,
                    key.id.unwrap_or_default()
                );
                return Err(Refusal::new(Class::KeyidLies, what).into());
            }
            let name = key.name;
            if let Some(twin) = keys.iter().find(|known| known.key.as_bytes() == &bytes) {
                let what = format!("{name:?} and {:?} are one key; a key counts once", twin.name);
                return Err(Refusal::new(Class::SameKeyTwoIds, what).into());
            }
            if name.trim().is_empty()
                || name.contains(char::is_control)
                || keys.iter().any(|known| known.name == name)
            {
                return Err(refuse(format!(
                    "a key is called {name:?}; give each a name of its own"
                )));
            }
            let key = Key {
                key: signature::verifying_key(&bytes)?,
                name,
                roles: key.roles,
                from: key.from,
                until: key.until,
            };
            keys.push(key);
        }
        let revoked = self
            .revoked
            .keys
            .iter()
            .map(|key| signature::key_bytes(key))
            .collect::<Result<BTreeSet<_>, _>>()?;
        for bundle in &self.revoked.bundles {
            check_digest("revoked.bundles", bundle).map_err(|error| refuse(error.to_string()))?;
        }
        for (role, threshold) in &self.threshold {
            let able = keys
                .iter()
                .filter(|k| k.roles.contains(role) && !revoked.contains(k.key.as_bytes()))
                .count();
            if *threshold == 0 || *threshold > able {
                let what = format!(
                    "{threshold} signatures as {} are asked for, of {able} keys",
                    role_name(*role)
                );
                return Err(refuse(what));
            }
        }
        Ok(Trust {
            keys,
            thresholds: self.threshold,
            version: self.version,
            expires: self.expires,
            revoked_keys: revoked,
            revoked_bundles: self.revoked.bundles,
            minimum: self.minimum,
            now: None,
        })
    }
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::Contributor => "contributor",
        Role::Maintainer => "maintainer",
        Role::Release => "release",
    }
}

fn refuse(what: String) -> Error {
    Refusal::new(Class::BadTrustFile, what).into()
}

#[cfg(test)]
mod tests;
