//! What a signed archive says of itself: a bundle's manifest, or the description of another kind of
//! archive.
//!
//! Frame, canonical JSON, signatures, trust and digests are one code for all kinds. A kind brings
//! its type, its payload type (so that a signature over a description of one kind never passes for
//! one of another) and its own rules.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

use super::frame::{self, LIMITS};
use super::manifest::{Entry, MANIFEST};
use super::trust::Role;
use crate::error::{Error, Refusal};
use crate::words::{is_unseen, shown, turns};
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

    /// Whether the bytes of a payload entry are what whoever looks at them is to see; said of every
    /// entry before the archive is handed out.
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
        frame::check_name(&entry.name)?;
        check_digest(&entry.name, &entry.sha256)?;
        require(entry.length <= MAX_COUNT, || format!("entry {} is too long", entry.name))?;
    }
    Ok(())
}

/// Refuses an empty text, one of more than 256 bytes, or one that shows otherwise than it is: see
/// [`check_length`].
///
/// # Errors
/// [`Class::Contradiction`].
pub fn check_text(field: &str, value: &str) -> Result<(), Error> {
    require(!value.trim().is_empty(), || format!("{field} is empty"))?;
    check_length(field, value, MAX_NAME)
}

/// Refuses more than `limit` bytes, and characters that nobody sees: they move a terminal's cursor,
/// turn the text around, or make two names of what looks like one.
///
/// # Errors
/// [`Class::Contradiction`].
pub fn check_length(field: &str, value: &str, limit: usize) -> Result<(), Error> {
    require(!value.contains(char::is_control), || format!("{field} has control characters"))?;
    if let Some(unseen) = value.chars().find(|&c| turns(c) || is_unseen(c)) {
        return Err(contradiction(format!(
            "{field} has the character U+{:04X}, which nobody sees",
            unseen as u32
        )));
    }
    require(value.len() <= limit, || {
        format!("{field} has {} bytes, more than {limit}", value.len())
    })
}

/// What is wrong with a text of several lines for people, if something is: control characters but
/// for ends of lines and pages and tabs, characters that turn what follows around, and those that
/// nobody sees. In order are joiners, marks of a direction and variations, which some scripts need,
/// soft hyphens, and a byte order mark at the beginning.
pub fn fault_of_prose(text: &str) -> Option<String> {
    let control = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{c}');
    let needed = |c: char| {
        matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{200c}'..='\u{200f}' | '\u{fe00}'..='\u{fe0f}')
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let wrong = text.chars().find(|&c| control(c) || turns(c) || is_unseen(c) && !needed(c))?;
    let kind = match wrong {
        _ if control(wrong) => "control characters",
        _ if turns(wrong) => "characters that turn the text around",
        _ => "characters that nobody sees",
    };
    Some(format!("has {kind} (U+{:04X})", wrong as u32))
}

/// Refuses a task that could not be one part of an entry's name.
///
/// # Errors
/// [`Class::Contradiction`], and the classes of names.
pub fn check_task(value: &str) -> Result<(), Error> {
    require(!value.contains('/'), || format!("task {value:?} has a slash"))?;
    frame::check_name(value)
}

/// Refuses fewer than two classes, more than [`MOST_CLASSES`], and two whose names differ alone in
/// spaces or in how their characters are put together (NFKC). Those that differ in case are two.
///
/// # Errors
/// [`Class::Contradiction`].
pub fn check_classes(of: &str, classes: &[String]) -> Result<(), Error> {
    require((2..=MOST_CLASSES).contains(&classes.len()), || {
        format!("{of} needs two classes or more, at most {MOST_CLASSES}, and has {}", classes.len())
    })?;
    let mut seen = BTreeMap::new();
    for class in classes {
        check_text("class", class)?;
        let folded: String = class.nfkc().collect();
        let folded = folded.split_whitespace().collect::<Vec<_>>().join(" ");
        if let Some(other) = seen.insert(folded, class) {
            return Err(contradiction(format!(
                "{of} needs classes of different names, and {other:?} and {class:?} look alike"
            )));
        }
    }
    Ok(())
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

fn check_json(bytes: &[u8], entry: &str) -> Result<(), Error> {
    json::check(bytes, LIMITS.nesting)
        .map_err(|(class, what)| Refusal::new(class, shown(&what)).entry(entry).into())
}

/// JSON that is well formed and not what was expected.
fn unreadable(error: &serde_json::Error, entry: &str) -> Error {
    let what = error.to_string();
    let class =
        if what.starts_with("unknown field") { Class::UnknownField } else { Class::BadJson };
    Refusal::new(class, shown(&what)).entry(entry).into()
}

/// The largest integer that every JSON reader keeps (RFC 8785, appendix D).
pub const MAX_COUNT: u64 = (1 << 53) - 1;
/// Classes of a task.
pub const MOST_CLASSES: usize = 4096;
/// Longest name of a person, class or bundle, in bytes; longer ones are mistakes or attacks on a
/// display.
pub const MAX_NAME: usize = 256;

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
