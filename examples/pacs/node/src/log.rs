//! Lines of the log. Foreign text is escaped and cut. What repeats itself is written once in ten
//! seconds, with a count of what was left out. A log that cannot be written, or that nobody reads,
//! stops nothing: one thread writes. Lines that find too many before them are counted and left out.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use medforge_runtime::words::escaped;

use crate::locked;

/// At most one line of a kind in this time.
const QUIET: Duration = Duration::from_secs(10);
/// The longest line, in characters.
const LONGEST: usize = 300;
/// Lines that wait to be written; further ones are left out.
const WAITING: usize = 256;

/// Writes a line, unless one of its kind was written just now.
pub fn said(kind: &'static str, text: &str) {
    static KINDS: Mutex<Kinds> = Mutex::new(Kinds(BTreeMap::new()));
    let line = locked(&KINDS).line(kind, text, Instant::now());
    if let Some(line) = line {
        ERRORS.put(line);
    }
}

/// Writes a line that comes once.
pub fn once(text: &str) {
    ERRORS.put(cut(text));
}

/// Writes a line for whoever started the node.
pub fn told(text: &str) {
    TOLD.put(text.to_owned());
}

static ERRORS: LazyLock<Lines> = LazyLock::new(|| Lines::to(std::io::stderr()));
static TOLD: LazyLock<Lines> = LazyLock::new(|| Lines::to(std::io::stdout()));

/// Lines on their way to a thread that writes them.
struct Lines {
    sender: SyncSender<String>,
    left_out: Arc<AtomicU64>,
}

impl Lines {
    fn to(out: impl Write + Send + 'static) -> Self {
        let (sender, lines) = sync_channel(WAITING);
        let left_out = Arc::<AtomicU64>::default();
        let lost = left_out.clone();
        // Without a thread there is no log, and all else goes on.
        let _ =
            std::thread::Builder::new().name("log".into()).spawn(move || write(out, &lines, &lost));
        Lines { sender, left_out }
    }

    fn put(&self, line: String) {
        if self.sender.try_send(line).is_err() {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn write(mut out: impl Write, lines: &Receiver<String>, left_out: &AtomicU64) {
    for line in lines {
        let _ = writeln!(out, "{line}").and_then(|()| out.flush());
        let lost = left_out.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let _ = writeln!(
                out,
                "{lost} lines were left out: nobody read what was written before them"
            );
        }
    }
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
        Some(if left_out == 0 {
            text
        } else {
            format!("{text} (and {left_out} more like it before)")
        })
    }
}

/// Foreign text for people: what is not seen as itself is escaped, and what is long is cut.
pub fn cut(text: &str) -> String {
    let text = escaped(text);
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pipe that is full until it is read.
    struct Full(Receiver<()>, std::sync::mpsc::Sender<String>);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let _ = self.0.recv();
            let _ = self.1.send(String::from_utf8_lossy(bytes).into_owned());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_log_that_nobody_reads_stops_nothing_and_says_what_it_left_out() {
        let ((reader, full), (written, read)) =
            (std::sync::mpsc::channel(), std::sync::mpsc::channel());
        let lines = Lines::to(Full(full, written));
        (0..1000).for_each(|number| lines.put(format!("line {number}")));
        drop(reader);
        let mut all = String::new();
        while !all.contains("left out") {
            all += &read.recv_timeout(Duration::from_secs(60)).unwrap();
        }
        assert!(all.starts_with("line 0\n"), "{all}");
        let lost: usize = all.lines().last().unwrap().split(' ').next().unwrap().parse().unwrap();
        assert!((1000 - WAITING - 1..1000).contains(&lost), "{lost}");
    }

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
