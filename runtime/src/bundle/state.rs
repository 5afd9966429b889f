//! What a device remembers between bundles: the newest version of each that it accepted, and when,
//! so that nobody gives it an older one.
//!
//! Only accepted bundles get in ([`State::accept`] takes nothing else); the caller keeps the bytes.
//! It never expires: a version seen long ago is still a version seen. Refused: older versions,
//! another bundle under the same version, versions absurdly far ahead, an older trust file, a clock
//! that went backwards, a file that no accepted bundle left.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::description::{MAX_COUNT, MAX_NAME, canonical, check_digest, from_canonical};
use super::{Moment, Trust, VerifiedBundle};
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
    bundles: BTreeMap<String, Seen>,
}

/// One version of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Seen {
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
        for (name, seen) in &state.bundles {
            check_digest(name, &seen.id).map_err(|error| refuse(error.to_string()))?;
            if name.len() > MAX_NAME || seen.counter > MAX_COUNT {
                return Err(
                    refuse(format!("version {} of {name:?} is no bundle's", seen.counter)).into()
                );
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
        self.bundles.get(name).map(|seen| seen.counter)
    }

    /// The state after `bundle`, which was verified under `trust`. This one is not changed.
    ///
    /// # Errors
    /// [`Class::Rollback`], [`Class::FastForward`], [`Class::ClockBackwards`].
    pub fn accept(&self, bundle: &VerifiedBundle, trust: &Trust) -> Result<State, Error> {
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
        let seen = self.bundles.get(name);
        match seen {
            Some(seen) if counter < seen.counter => {
                let newest = seen.counter;
                return refuse(
                    Class::Rollback,
                    format!("version {counter} of {name:?}, and {newest} was accepted before"),
                );
            }
            Some(seen) if counter == seen.counter && bundle.id() != seen.id => {
                let what = format!(
                    "another bundle was accepted as version {counter} of {name:?}: {}",
                    seen.id
                );
                return refuse(Class::Rollback, what);
            }
            _ => {}
        }
        if let Some(before) = seen.map(|seen| seen.counter).filter(|before| counter - before > STEP)
        {
            let what = format!(
                "version {counter} of {name:?} after version {before}: more than {STEP} at once"
            );
            return refuse(Class::FastForward, what);
        }
        let mut next = self.clone();
        next.bundles.insert(name.clone(), Seen { counter, id: bundle.id().to_owned() });
        next.trust_version = trust.version();
        next.time = trust.now().cloned().or(next.time);
        Ok(next)
    }
}

#[cfg(test)]
mod tests;
