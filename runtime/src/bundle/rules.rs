//! The rules that every signed archive keeps: limits, names of its own entries, roles, numbers,
//! digests and times.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::Class;
use crate::error::{Error, Refusal};

/// The name of the manifest's own entry.
pub const MANIFEST: &str = "manifest.json";
/// The name of the signatures' own entry.
pub const SIGNATURES: &str = "signatures.json";

/// What is refused for its size alone, before it costs memory or time.
pub struct Limits {
    /// Bytes of the whole bundle. ZIP's 32-bit fields end here, and ZIP64 has second copies of them
    /// that can disagree.
    pub bundle: usize,
    /// Entries. Thousands of modules fit, and a listing of empty ones does not cost more than it
    /// should.
    pub entries: usize,
    /// Bytes of a name: `modules/`, 64 hex digits and `.safetensors` are 84.
    pub name: usize,
    /// Bytes of `manifest.json` and `signatures.json` each. They are parsed before the entries are
    /// checked.
    pub json: usize,
    /// Objects and lists in one another in those two; the format needs five.
    pub nesting: usize,
    /// Signatures. Each costs a curve operation before anybody is trusted.
    pub signatures: usize,
}

/// The limits of format version 1.
pub const LIMITS: Limits = Limits {
    bundle: u32::MAX as usize,
    entries: 4096,
    name: 128,
    json: 8 << 20,
    nesting: 16,
    signatures: 64,
};

pub(super) fn too_large() -> Refusal {
    Refusal::new(Class::TooLarge, format!("it has more than {} bytes", LIMITS.bundle))
}

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

impl Role {
    /// Its name in trust files.
    pub fn name(self) -> &'static str {
        match self {
            Role::Contributor => "contributor",
            Role::Maintainer => "maintainer",
            Role::Release => "release",
        }
    }
}

/// The largest integer that every JSON reader keeps (RFC 8785, appendix D).
pub const MAX_COUNT: u64 = (1 << 53) - 1;

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

/// The refusal of a manifest that does not list an entry that it needs.
pub(super) fn unlisted(entry: &str) -> Refusal {
    Refusal::new(Class::MissingEntry, "the manifest does not list it").entry(entry)
}

/// Refuses a number that not every JSON reader keeps.
///
/// # Errors
/// [`Class::Contradiction`].
pub fn check_count(field: &str, value: u64) -> Result<(), Error> {
    require(value <= MAX_COUNT, || format!("{field} is {value}, over {MAX_COUNT}"))
}

/// Refuses JSON of another form with numbers that not every reader keeps: whole ones from 2^53 on.
/// Write those as text.
///
/// # Errors
/// [`Class::Contradiction`].
pub fn check_numbers(field: &str, value: &serde_json::Value) -> Result<(), Error> {
    match value {
        serde_json::Value::Number(number) => {
            let whole = number.as_u64().or(number.as_i64().map(i64::unsigned_abs));
            check_count(field, whole.unwrap_or(0))
        }
        serde_json::Value::Array(values) => {
            values.iter().try_for_each(|value| check_numbers(field, value))
        }
        serde_json::Value::Object(map) => {
            map.values().try_for_each(|value| check_numbers(field, value))
        }
        _ => Ok(()),
    }
}

/// SHA-256 as 64 lower-case hex digits: the form of every digest and id in a bundle.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
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

/// Refuses a time that is not RFC 3339, UTC, to the second, on a day that exists; no leap seconds.
///
/// # Errors
/// [`Class::Contradiction`].
pub fn check_time(field: &str, value: &str) -> Result<(), Error> {
    require(is_utc_second(value), || format!("{field} {value:?} is not like 2026-01-31T23:59:59Z"))
}

pub(super) fn is_utc_second(value: &str) -> bool {
    let shape = value.bytes().map(|byte| if byte.is_ascii_digit() { b'0' } else { byte });
    if !shape.eq("0000-00-00T00:00:00Z".bytes()) {
        return false;
    }
    let number =
        |at: usize, digits: usize| value[at..at + digits].parse::<u32>().unwrap_or(u32::MAX);
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
