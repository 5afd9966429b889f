//! Canonical JSON (RFC 8785): the one byte form of every JSON that an archive has.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::rules::LIMITS;
use crate::error::{Error, Refusal};
use crate::words::shown;
use crate::{Class, json};

/// RFC 8785's form of `value`.
///
/// # Errors
/// [`Class::BadJson`].
pub fn canonical(value: &impl Serialize, entry: &str) -> Result<Vec<u8>, Error> {
    serde_json_canonicalizer::to_vec(value).map_err(|error| unreadable(&error, entry))
}

/// A value from RFC 8785's form of it; no other bytes will do.
///
/// # Errors
/// [`Error::Refused`] with one of the classes of JSON.
pub fn from_canonical<T: Serialize + DeserializeOwned>(
    bytes: &[u8],
    entry: &str,
) -> Result<T, Error> {
    check_json(bytes, entry)?;
    let value: T = serde_json::from_slice(bytes).map_err(|error| unreadable(&error, entry))?;
    let again = canonical(&value, entry)?;
    if again != bytes {
        let offset = again.iter().zip(bytes).take_while(|(ours, theirs)| ours == theirs).count();
        let what = format!("it is not in canonical JSON (RFC 8785): its byte {offset} differs");
        return Err(Refusal::new(Class::Noncanonical, what).entry(entry).into());
    }
    Ok(value)
}

/// Refuses JSON that libraries read in different ways, or at great cost.
///
/// # Errors
/// [`Error::Refused`] with one of the classes of JSON.
pub(super) fn check_json(bytes: &[u8], entry: &str) -> Result<(), Error> {
    json::check(bytes, LIMITS.nesting)
        .map_err(|(class, what)| Refusal::new(class, shown(&what)).entry(entry).into())
}

/// JSON that is well formed and not what was expected.
pub(super) fn unreadable(error: &serde_json::Error, entry: &str) -> Error {
    let what = error.to_string();
    let class =
        if what.starts_with("unknown field") { Class::UnknownField } else { Class::BadJson };
    Refusal::new(class, shown(&what)).entry(entry).into()
}
