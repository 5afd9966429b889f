//! What a signed archive says of itself: a bundle's manifest, or the description of another kind of
//! archive.
//!
//! Frame, canonical JSON, signatures, trust and digests are one code for all kinds. A kind brings
//! its type, its payload type and its own rules. The payload type keeps a signature over one kind
//! from passing for one over another.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub use super::canonical::{canonical, from_canonical};
use super::canonical::{check_json, unreadable};
use super::names::check_name;
use super::rules::MANIFEST;
pub use super::rules::{
    MAX_COUNT, Role, check_count, check_digest, check_numbers, check_time, contradiction, require,
};
pub use super::texts::{
    MAX_NAME, MOST_CLASSES, check_classes, check_length, check_task, check_text, fault_of_prose,
};
use crate::Class;
use crate::error::{Error, Refusal};

/// The signed description of an archive, its entry `manifest.json`.
pub trait Description: Serialize + DeserializeOwned {
    /// What the signed bytes are; no two kinds have the same.
    const PAYLOAD_TYPE: &'static str;
    /// The one value of the key `format`.
    const FORMAT: &'static str;
    /// The one value of the key `version`.
    const VERSION: u32;
    /// What a key must be trusted for to sign it.
    const ROLE: Role;

    /// Whether the description agrees with itself, its entries with [`check_entries`].
    ///
    /// # Errors
    /// [`Error::Refused`] saying what is wrong.
    fn check(&self) -> Result<(), Error>;

    /// The payload, sorted by name.
    fn entries(&self) -> &[Entry];

    /// Whether the bytes of a payload entry show people what they are. Every entry is checked
    /// before the archive is handed out.
    ///
    /// # Errors
    /// [`Error::Refused`] saying what is wrong.
    fn check_entry(&self, _name: &str, _bytes: &[u8]) -> Result<(), Error> {
        Ok(())
    }

    /// Name and counter, of what counts its releases, so that an older one is known.
    fn release(&self) -> Option<(&str, u64)> {
        None
    }

    /// The one byte form of this description; its SHA-256 is the archive's id.
    ///
    /// # Errors
    /// As [`check`](Self::check): what would be refused is not written.
    fn to_canonical(&self) -> Result<Vec<u8>, Error> {
        self.check()?;
        canonical(self, MANIFEST)
    }

    /// Reads a description from its one byte form.
    ///
    /// # Errors
    /// [`Error::Refused`] with one of the classes of JSON, or as [`check`](Self::check).
    fn from_canonical(bytes: &[u8]) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct Kind {
            format: String,
            version: u64,
        }
        check_json(bytes, MANIFEST)?;
        let kind: Kind =
            serde_json::from_slice(bytes).map_err(|error| unreadable(&error, MANIFEST))?;
        check_version::<Self>(&kind.format, kind.version)?;
        let description: Self = from_canonical(bytes, MANIFEST)?;
        description.check()?;
        Ok(description)
    }
}

/// One payload entry of the archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The name in the archive.
    pub name: String,
    /// Bytes.
    pub length: u64,
    /// SHA-256 of the bytes, 64 lower-case hex digits.
    pub sha256: String,
}

/// Refuses another format or version than `D`'s.
///
/// # Errors
/// [`Class::UnknownFormatVersion`].
pub fn check_version<D: Description>(format: &str, version: u64) -> Result<(), Error> {
    if format == D::FORMAT && version == u64::from(D::VERSION) {
        return Ok(());
    }
    let expected = format!("{} version {}", D::FORMAT, D::VERSION);
    let what = format!("it is {format:?} version {version}, and this program reads {expected}");
    Err(Refusal::new(Class::UnknownFormatVersion, what).entry(MANIFEST).into())
}

/// Refuses entries that are out of order, twice there, or of names, digests or lengths that no
/// archive has.
///
/// # Errors
/// [`Class::Contradiction`], and the classes of names.
pub fn check_entries(entries: &[Entry]) -> Result<(), Error> {
    for pair in entries.windows(2) {
        require(pair[0].name < pair[1].name, || {
            format!("entries {} and {} are out of order", pair[0].name, pair[1].name)
        })?;
    }
    for entry in entries {
        check_name(&entry.name)?;
        check_digest(&entry.name, &entry.sha256)?;
        require(entry.length <= MAX_COUNT, || format!("entry {} is too long", entry.name))?;
    }
    Ok(())
}
