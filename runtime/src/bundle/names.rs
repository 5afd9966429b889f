//! Which names entries may have: `[a-z0-9._/-]`, relative, no part empty, hidden, or a device on
//! Windows.
//!
//! Every name outside of that is refused; the class says which trick it is.

use super::rules::LIMITS;
use crate::Class;
use crate::error::{Error, Refusal};

/// Devices on Windows, also with an ending.
const RESERVED: [&str; 4] = ["con", "prn", "aux", "nul"];

/// Whether an entry may have this name.
///
/// # Errors
/// [`Error::Refused`] with one of the classes of names.
pub fn check_name(name: &str) -> Result<(), Error> {
    match fault(name.as_bytes()) {
        None => Ok(()),
        Some(class) => Err(refusal(class, name.as_bytes()).into()),
    }
}

/// The refusal of a name.
pub(super) fn refusal(class: Class, name: &[u8]) -> Refusal {
    Refusal::new(class, class.meaning())
        .entry(String::from_utf8_lossy(name).escape_debug().to_string())
}

/// What is wrong with a name, the most telling first.
pub(super) fn fault(name: &[u8]) -> Option<Class> {
    let Ok(text) = std::str::from_utf8(name) else { return Some(Class::BadUtf8) };
    let has = |c: char| text.contains(c);
    let part = |test: fn(&str) -> bool| text.split('/').any(test);
    let drive = matches!(name, [letter, b':', ..] if letter.is_ascii_alphabetic());
    let allowed = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'/' | b'-');
    let faults = [
        (text.is_empty(), Class::EmptyName),
        (name.len() > LIMITS.name, Class::LongName),
        (has('\0'), Class::Nul),
        (has('\\'), Class::Backslash),
        (drive, Class::DriveLetter),
        (has(':'), Class::AdsStream),
        (text.starts_with('/'), Class::Absolute),
        (part(|part| part == ".."), Class::Dotdot),
        (part(|part| part.starts_with('.')), Class::DotSegment),
        (text.ends_with('/') && !text.ends_with("//"), Class::DirEntry),
        (part(str::is_empty), Class::DoubleSlash),
        (part(reserved), Class::WinReserved),
        (!name.iter().all(allowed), Class::BadName),
    ];
    faults.into_iter().find_map(|(wrong, class)| wrong.then_some(class))
}

/// Whether Windows takes this part of a name for a device, whatever its ending.
fn reserved(part: &str) -> bool {
    let stem = part.split('.').next().unwrap_or_default().to_ascii_lowercase();
    let numbered = |device: &str| {
        stem.strip_prefix(device).is_some_and(|n| matches!(n.as_bytes(), [b'1'..=b'9']))
    };
    RESERVED.contains(&stem.as_str()) || numbered("com") || numbered("lpt")
}
