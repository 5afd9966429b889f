//! Lines of the log. Whatever the other side says is escaped and cut, and what repeats itself is
//! written once in ten seconds, with a count of what was left out. A log that cannot be written
//! stops nothing.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// At most one line of a kind in this time.
const QUIET: Duration = Duration::from_secs(10);
/// The longest line, in characters.
const LONGEST: usize = 300;

/// Writes a line, unless one of its kind was written just now.
pub fn said(kind: &'static str, text: &str) {
    static KINDS: Mutex<Kinds> = Mutex::new(Kinds(BTreeMap::new()));
    let line = KINDS.lock().unwrap_or_else(PoisonError::into_inner).line(kind, text, Instant::now());
    if let Some(line) = line {
        let _ = writeln!(std::io::stderr(), "{line}");
    }
}

/// Writes a line that comes once.
pub fn once(text: &str) {
    let _ = writeln!(std::io::stderr(), "{}", cut(text));
}

/// By kind, when its last line was written, and how many were left out since.
struct Kinds(BTreeMap<&'static str, (Instant, u64)>);

impl Kinds {
    fn line(&mut self, kind: &'static str, text: &str, now: Instant) -> Option<String> {
        let mut left_out = 0;
        if let Some((last, count)) = self.0.get_mut(kind) {
            if now.duration_since(*last) < QUIET {
                *count += 1;
                return None;
            }
            left_out = *count;
        }
        self.0.insert(kind, (now, 0));
        let text = cut(text);
        Some(if left_out == 0 { text } else { format!("{text} (and {left_out} more like it before)") })
    }
}

/// Foreign text for people: what is not printed as itself is escaped, and what is long is cut.
pub fn cut(text: &str) -> String {
    let mut cut = String::new();
    for (place, letter) in text.chars().enumerate() {
        if place == LONGEST {
            cut.push_str("...");
            break;
        }
        match letter {
            '"' | '\'' => cut.push(letter),
            letter => cut.extend(letter.escape_debug()),
        }
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_is_escaped_and_cut() {
        assert_eq!(cut("a\n\u{1b}[31m\u{202e}'\"é"), "a\\n\\u{1b}[31m\\u{202e}'\"é");
        assert_eq!(cut(&"x".repeat(10_000)).len(), LONGEST + 3);
    }

    #[test]
    fn what_repeats_itself_is_written_once_with_a_count() {
        let (mut kinds, start) = (Kinds(BTreeMap::new()), Instant::now());
        assert_eq!(kinds.line("a", "first", start).as_deref(), Some("first"));
        (0..1000).for_each(|_| assert_eq!(kinds.line("a", "again", start), None));
        assert_eq!(kinds.line("b", "other", start).as_deref(), Some("other"));
        let later = kinds.line("a", "later", start + QUIET);
        assert_eq!(later.as_deref(), Some("later (and 1000 more like it before)"));
        assert_eq!(kinds.line("a", "last", start + QUIET * 2).as_deref(), Some("last"));
    }
}
