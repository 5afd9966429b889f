//! What texts and names of classes and tasks may hold, so that people see what is there.

use std::collections::BTreeMap;

use unicode_normalization::UnicodeNormalization;

use super::names::check_name;
use super::rules::{contradiction, require};
use crate::error::Error;
use crate::words::{is_unseen, turns};

/// Longest name of a person, class or bundle, in bytes; longer ones are mistakes or attacks on a
/// display.
pub const MAX_NAME: usize = 256;
/// Classes of a task.
pub const MOST_CLASSES: usize = 4096;

/// Refuses an empty text, one of more than 256 bytes, or one that shows otherwise than it is: see
/// [`check_length`].
///
/// # Errors
/// [`Class::Contradiction`](crate::Class::Contradiction).
pub fn check_text(field: &str, value: &str) -> Result<(), Error> {
    require(!value.trim().is_empty(), || format!("{field} is empty"))?;
    check_length(field, value, MAX_NAME)
}

/// Refuses more than `limit` bytes, and characters that nobody sees. Those move a terminal's
/// cursor, turn the text around, or make two names of what looks like one.
///
/// # Errors
/// [`Class::Contradiction`](crate::Class::Contradiction).
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

/// What is wrong with a text of several lines, if something is. Wrong are control characters other
/// than tabs and ends of lines and pages. So are characters that turn the text around, and those
/// that nobody sees.
///
/// Some of these are allowed: joiners, marks of a direction and variations, which some scripts
/// need, soft hyphens, and a byte order mark at the beginning.
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
/// [`Class::Contradiction`](crate::Class::Contradiction), and the classes of names.
pub fn check_task(value: &str) -> Result<(), Error> {
    require(!value.contains('/'), || format!("task {value:?} has a slash"))?;
    check_name(value)
}

/// Refuses fewer than two classes, and more than [`MOST_CLASSES`]. Also refused are two whose names
/// differ only in spaces or in how their characters are put together (NFKC). Names that differ in
/// case are two names.
///
/// # Errors
/// [`Class::Contradiction`](crate::Class::Contradiction).
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
