//! Trusted keys: which of them count for what, and whether enough of them have signed.

use std::collections::{BTreeMap, BTreeSet};

use ed25519_dalek::VerifyingKey;

use crate::Class;
use crate::bundle::moment::Moment;
use crate::bundle::rules::Role;
use crate::bundle::signature;
use crate::error::{Error, Refusal};

/// Whose signatures count, for what, and how many of them are needed.
#[derive(Debug, Clone)]
pub struct Trust {
    pub(super) keys: Vec<Key>,
    pub(super) thresholds: BTreeMap<Role, usize>,
    /// Counts trust files; 0 where there is none.
    pub(super) version: u64,
    pub(super) expires: Option<Moment>,
    pub(super) revoked_keys: BTreeSet<[u8; 32]>,
    pub(super) revoked_bundles: BTreeSet<String>,
    pub(super) minimum: BTreeMap<String, u64>,
    pub(super) now: Option<Moment>,
}

/// One key, known by its bytes.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) name: String,
    pub(super) key: VerifyingKey,
    pub(super) roles: BTreeSet<Role>,
    pub(super) from: Option<Moment>,
    pub(super) until: Option<Moment>,
}

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

    /// All keys, whatever they are trusted for.
    pub fn keys(&self) -> impl Iterator<Item = &VerifyingKey> {
        self.keys.iter().map(|key| &key.key)
    }

    /// The same trust at this moment: keys count only within their time, and a file that has
    /// expired counts for nothing. Without a moment, on a device that has no clock, neither is
    /// checked.
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

    /// The name that the trust file gives a key. A key given without one has its bytes in hex.
    pub fn name_of(&self, key: &VerifyingKey) -> Option<&str> {
        self.key(key).map(|known| known.name.as_str())
    }

    /// Whether the trust file allows an archive that enough keys have signed: by its id, and by
    /// name and counter if it counts its releases.
    pub(in crate::bundle) fn permits(
        &self,
        id: &str,
        release: Option<(&str, u64)>,
    ) -> Result<(), Refusal> {
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
    pub(in crate::bundle) fn enough(
        &self,
        signers: &[VerifyingKey],
        role: Role,
    ) -> Result<Vec<VerifyingKey>, Refusal> {
        let threshold = self.thresholds.get(&role).copied().unwrap_or(usize::MAX);
        let (mut counted, mut revoked, mut lapsed) = (Vec::new(), None, None);
        for signer in signers {
            let Some(key) = self.key(signer).filter(|key| key.roles.contains(&role)) else {
                continue;
            };
            if self.revoked_keys.contains(signer.as_bytes()) {
                revoked = Some(key);
            } else if !key.valid(self.now.as_ref()) {
                lapsed = Some(key);
            } else {
                counted.push(*signer);
            }
        }
        if counted.len() >= threshold {
            return Ok(counted);
        }
        if let Some(key) = revoked {
            let what = format!("key {} signed it and was revoked", key.name);
            return Err(Refusal::new(Class::RevokedKey, what));
        }
        if let Some(key) = lapsed {
            let now = self.now.as_ref().map(ToString::to_string).unwrap_or_default();
            let what = format!("key {} signed it and is not valid at {now}", key.name);
            return Err(Refusal::new(Class::Expired, what));
        }
        if !self.thresholds.contains_key(&role) {
            let what = format!("the trust file trusts nobody as {}", role.name());
            return Err(Refusal::new(Class::WrongKey, what));
        }
        Err(too_few(counted.len(), threshold, signers))
    }

    fn key(&self, key: &VerifyingKey) -> Option<&Key> {
        self.keys.iter().find(|known| known.key.as_bytes() == key.as_bytes())
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

/// The refusal of what fewer trusted keys have signed than must.
fn too_few(counted: usize, threshold: usize, signers: &[VerifyingKey]) -> Refusal {
    let class = if counted == 0 { Class::WrongKey } else { Class::BelowThreshold };
    let signed_by: Vec<String> = signers.iter().map(|key| hex::encode(key.as_bytes())).collect();
    let what = format!(
        "{counted} of the trusted keys signed it and {threshold} must; it is signed by {}; do not \
         use it, and ask its maker for one that enough trusted keys signed",
        signed_by.join(", ")
    );
    Refusal::new(class, what)
}

pub(super) fn refuse(what: String) -> Error {
    Refusal::new(Class::BadTrustFile, what).into()
}
