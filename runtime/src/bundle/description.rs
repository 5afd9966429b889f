//! What a signed archive says of itself: a bundle's manifest, or the description of another kind of archive.
//!
//! Frame, canonical JSON, signatures, trust and digests are one code for all kinds. A kind brings its type, its payload type (so that
//! a signature over a description of one kind never passes for one of another) and its own rules.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::frame::{self, LIMITS};
use super::manifest::{Entry, MANIFEST};
use super::trust::Role;
use crate::error::{Error, Refusal};
use crate::{Class, json};

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
        let kind: Kind = serde_json::from_slice(bytes).map_err(|error| unreadable(&error, MANIFEST))?;
        check_version::<Self>(&kind.format, kind.version)?;
        let description: Self = from_canonical(bytes, MANIFEST)?;
        description.check()?;
        Ok(description)
    }
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

/// Refuses entries that are out of order, twice there, or of names, digests or lengths that no archive has.
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
        frame::check_name(&entry.name)?;
        check_digest(&entry.name, &entry.sha256)?;
        require(entry.length <= MAX_COUNT, || format!("entry {} is too long", entry.name))?;
    }
    Ok(())
}

/// Refuses an empty text, one of more than 256 bytes, or one that moves a terminal's cursor or colours it.
///
/// # Errors
/// [`Class::Contradiction`].
pub fn check_text(field: &str, value: &str) -> Result<(), Error> {
    require(!value.trim().is_empty(), || format!("{field} is empty"))?;
    check_length(field, value, MAX_NAME)
}

/// Refuses control characters and more than `limit` bytes.
///
/// # Errors
/// [`Class::Contradiction`].
pub fn check_length(field: &str, value: &str, limit: usize) -> Result<(), Error> {
    require(!value.contains(char::is_control), || format!("{field} has control characters"))?;
    require(value.len() <= limit, || format!("{field} has {} bytes, more than {limit}", value.len()))
}

/// Refuses a task that could not be one part of an entry's name.
///
/// # Errors
/// [`Class::Contradiction`], and the classes of names.
pub fn check_task(value: &str) -> Result<(), Error> {
    require(!value.contains('/'), || format!("task {value:?} has a slash"))?;
    frame::check_name(value)
}

/// Refuses fewer than two classes, or two of one name.
///
/// # Errors
/// [`Class::Contradiction`].
pub fn check_classes(task: &str, classes: &[String]) -> Result<(), Error> {
    let distinct: std::collections::BTreeSet<_> = classes.iter().collect();
    require(distinct.len() == classes.len() && classes.len() >= 2, || {
        format!("task {task} needs at least two classes of different names")
    })?;
    classes.iter().try_for_each(|class| check_text("class", class))
}

/// Refuses what is no SHA-256 of 64 lower-case hex digits.
///
/// # Errors
/// [`Class::Contradiction`].
pub fn check_digest(of: &str, value: &str) -> Result<(), Error> {
    let hex = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
    require(value.len() == 64 && value.as_bytes().iter().all(hex), || {
        format!("{of}: {value:?} is not a SHA-256 of 64 lower-case hex digits")
    })
}

/// Refuses a number that not every JSON reader keeps.
///
/// # Errors
/// [`Class::Contradiction`].
pub fn check_count(field: &str, value: u64) -> Result<(), Error> {
    require(value <= MAX_COUNT, || format!("{field} is {value}, over {MAX_COUNT}"))
}

/// Refuses JSON of another form with numbers that not every reader keeps: whole ones from 2^53 on. Write those as text.
///
/// # Errors
/// [`Class::Contradiction`].
pub fn check_numbers(field: &str, value: &serde_json::Value) -> Result<(), Error> {
    match value {
        serde_json::Value::Number(number) => {
            let whole = number.as_u64().or(number.as_i64().map(i64::unsigned_abs));
            check_count(field, whole.unwrap_or(0))
        }
        serde_json::Value::Array(values) => values.iter().try_for_each(|value| check_numbers(field, value)),
        serde_json::Value::Object(map) => map.values().try_for_each(|value| check_numbers(field, value)),
        _ => Ok(()),
    }
}

/// Refuses a time that is not RFC 3339, UTC, to the second, on a day that exists; no leap seconds.
///
/// # Errors
/// [`Class::Contradiction`].
pub fn check_time(field: &str, value: &str) -> Result<(), Error> {
    require(is_utc_second(value), || format!("{field} {value:?} is not like 2026-01-31T23:59:59Z"))
}

/// [`Class::Contradiction`] saying `what` unless it `holds`.
///
/// # Errors
/// [`Class::Contradiction`].
pub fn require(holds: bool, what: impl FnOnce() -> String) -> Result<(), Error> {
    if holds { Ok(()) } else { Err(contradiction(what())) }
}

/// The refusal of a manifest that contradicts itself.
pub fn contradiction(what: impl Into<String>) -> Error {
    Refusal::new(Class::Contradiction, what).entry(MANIFEST).into()
}

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
pub fn from_canonical<T: Serialize + DeserializeOwned>(bytes: &[u8], entry: &str) -> Result<T, Error> {
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

fn check_json(bytes: &[u8], entry: &str) -> Result<(), Error> {
    json::check(bytes, LIMITS.nesting).map_err(|(class, what)| Refusal::new(class, what).entry(entry).into())
}

/// JSON that is well formed and not what was expected.
fn unreadable(error: &serde_json::Error, entry: &str) -> Error {
    let what = error.to_string();
    let class = if what.starts_with("unknown field") { Class::UnknownField } else { Class::BadJson };
    Refusal::new(class, what).entry(entry).into()
}

/// The largest integer that every JSON reader keeps (RFC 8785, appendix D).
pub const MAX_COUNT: u64 = (1 << 53) - 1;
/// Longest name of a person, class or bundle, in bytes; longer ones are mistakes or attacks on a display.
pub const MAX_NAME: usize = 256;

pub(super) fn is_utc_second(value: &str) -> bool {
    let shape = value.bytes().map(|byte| if byte.is_ascii_digit() { b'0' } else { byte });
    if !shape.eq("0000-00-00T00:00:00Z".bytes()) {
        return false;
    }
    let number = |at: usize, digits: usize| value[at..at + digits].parse::<u32>().unwrap_or(u32::MAX);
    let (year, month, day) = (number(0, 4), number(5, 2), number(8, 2));
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    (1..=days).contains(&day) && number(11, 2) < 24 && number(14, 2) < 60 && number(17, 2) < 60
}
