//! The names of things in a forge's store, and objects: bytes under the name of their digest.

use super::{Object, Store};
use crate::Error;

/// Numbers have six digits.
pub(super) const MAX_NUMBER: u64 = 999_999;
/// Records are descriptions with their signatures.
pub(super) const MAX_RECORD: u64 = 1 << 24;
pub(super) const ROOT: &str = "forge.zip";
pub(super) const PUSHES: &str = "pushes";
pub(super) const ITEMS: &str = "items";
pub(super) const OBJECTS: &str = "objects";

/// The name of a numbered record.
pub(super) fn numbered(folder: &str, number: u64) -> String {
    format!("{folder}/{number:06}.zip")
}

/// Stores `bytes` as an object. An object that is there already is checked.
pub(super) fn put(store: &Store, bytes: Vec<u8>) -> Result<Object, Error> {
    let found = Object::of(&bytes);
    if !store.create(&format!("{OBJECTS}/{}", found.sha256), bytes)? {
        // The object of this name may have been changed since it was stored.
        object(store, &found.sha256, found.length)?;
    }
    Ok(found)
}

/// The bytes of an object, once their length and digest are checked.
pub(super) fn object(store: &Store, sha256: &str, length: u64) -> Result<Vec<u8>, Error> {
    let refuse = |what: String| Error::ForgeObject { sha256: sha256.to_owned(), what };
    let bytes = store
        .read(&format!("{OBJECTS}/{sha256}"), length)?
        .ok_or_else(|| refuse("is missing".into()))?;
    let found = Object::of(&bytes);
    if found.sha256 == sha256 && found.length == length {
        Ok(bytes)
    } else {
        Err(refuse(format!("was changed: its SHA-256 is {}", found.sha256)))
    }
}
