//! What a device remembers between bundles: the newest version of each that it accepted, and when.
//! So nobody can give it an older one.
//!
//! Only accepted bundles get in: [`State::accept`] takes nothing else. The caller keeps the bytes,
//! which never expire. Refused are
//!
//! - older versions, and another bundle under the same version,
//! - versions absurdly far ahead,
//! - an older trust file,
//! - a clock that went backwards,
//! - a file that no accepted bundle left.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::canonical::{canonical, from_canonical};
use super::manifest::Manifest;
use super::moment::Moment;
use super::rules::{MAX_COUNT, check_digest};
use super::texts::MAX_NAME;
use super::trust::Trust;
use super::verify::Verified;
use crate::Class;
use crate::error::{Error, Refusal};

/// What was accepted so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    format: String,
    version: u32,
    /// The newest trust file that something was accepted under.
    trust_version: u64,
    /// The latest moment that something was accepted at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    time: Option<Moment>,
    /// Bundle name -> the newest version of it.
    bundles: BTreeMap<String, Release>,
}

/// A version of a bundle that was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Release {
    counter: u64,
    id: String,
}

/// How far a version may lie ahead of the one accepted before it. One that is further would make
/// the device refuse every real release after it.
pub const STEP: u64 = 1_000_000;

const FORMAT: &str = "medforge-state";
const VERSION: u32 = 1;
/// What errors call the file.
const FILE: &str = "state file";

impl Default for State {
    fn default() -> Self {
        State {
            format: FORMAT.into(),
            version: VERSION,
            trust_version: 0,
            time: None,
            bundles: BTreeMap::new(),
        }
    }
}

impl State {
    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// # Errors
    /// [`Class::RejectedStateCached`] for whatever else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let refuse = |what: String| Refusal::new(Class::RejectedStateCached, what).entry(FILE);
        let state: State =
            from_canonical(bytes, FILE).map_err(|error| refuse(error.to_string()))?;
        if state.format != FORMAT || state.version != VERSION {
            return Err(refuse(format!(
                "its format is {:?}, version {}",
                state.format, state.version
            ))
            .into());
        }
        if state.trust_version > MAX_COUNT {
            return Err(
                refuse(format!("its trust file has version {}", state.trust_version)).into()
            );
        }
        for (name, release) in &state.bundles {
            check_digest(name, &release.id).map_err(|error| refuse(error.to_string()))?;
            if name.len() > MAX_NAME || release.counter > MAX_COUNT {
                return Err(refuse(format!(
                    "version {} of {name:?} is no bundle's",
                    release.counter
                ))
                .into());
            }
        }
        Ok(state)
    }

    /// The state in its one byte form, canonical JSON. Write it beside the old one, flush, and
    /// rename.
    ///
    /// # Errors
    /// None in practice; [`Class::BadJson`] if it could not be written.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        canonical(self, FILE)
    }

    /// The newest version of `name` that was accepted.
    pub fn newest(&self, name: &str) -> Option<u64> {
        self.bundles.get(name).map(|release| release.counter)
    }

    /// The state after `bundle`, which was verified under `trust`. This one is not changed.
    ///
    /// # Errors
    /// [`Class::Rollback`], [`Class::FastForward`], [`Class::ClockBackwards`].
    pub fn accept(&self, bundle: &Verified<Manifest>, trust: &Trust) -> Result<State, Error> {
        let manifest = bundle.manifest();
        let (name, counter) = (&manifest.name, manifest.counter);
        let refuse = |class, what: String| Err(Refusal::new(class, what).into());
        if let (Some(before), Some(now)) = (&self.time, trust.now())
            && now < before
        {
            return refuse(
                Class::ClockBackwards,
                format!("now is said to be {now}, and it was {before} before"),
            );
        }
        if trust.version() < self.trust_version {
            let (old, new) = (trust.version(), self.trust_version);
            return refuse(
                Class::Rollback,
                format!("the trust file is version {old}, and version {new} was in use before"),
            );
        }
        let newest = self.bundles.get(name);
        match newest {
            Some(release) if counter < release.counter => {
                let newest = release.counter;
                return refuse(
                    Class::Rollback,
                    format!("version {counter} of {name:?}, and {newest} was accepted before"),
                );
            }
            Some(release) if counter == release.counter && bundle.id() != release.id => {
                let what = format!(
                    "another bundle was accepted as version {counter} of {name:?}: {}",
                    release.id
                );
                return refuse(Class::Rollback, what);
            }
            _ => {}
        }
        if let Some(before) =
            newest.map(|release| release.counter).filter(|before| counter - before > STEP)
        {
            let what = format!(
                "version {counter} of {name:?} after version {before}: more than {STEP} at once"
            );
            return refuse(Class::FastForward, what);
        }
        let mut next = self.clone();
        next.bundles.insert(name.clone(), Release { counter, id: bundle.id().to_owned() });
        next.trust_version = trust.version();
        next.time = trust.now().cloned().or(next.time);
        Ok(next)
    }
}

#[cfg(test)]
mod tests;
