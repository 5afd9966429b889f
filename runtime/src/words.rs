//! Foreign text in our own. Names, values and messages out of a file may be endless or move a
//! terminal's cursor. They may turn the direction of writing or begin another line of a log. Here
//! they become harmless and short.

use unicode_normalization::char::is_combining_mark;

/// The most characters of a name or value that are shown.
pub const MOST: usize = 300;
/// The most characters of a sentence.
const MOST_OF_ALL: usize = 1000;

/// A name or value as it is shown: on one line, with escapes for characters that nobody sees. If it
/// has more than [`MOST`] characters, its middle is left out.
pub fn shown(text: &str) -> String {
    cut(&escaped(text), MOST)
}

/// A sentence with such names in it. Each word has at most [`MOST`] characters, and all of it at
/// most a thousand. Text in double quotes, as `{:?}` writes it, counts as one word.
pub fn sentence(text: &str) -> String {
    let (mut quoted, mut escape) = (false, false);
    let between = |c: char| {
        quoted ^= c == '"' && !escape;
        escape = quoted && c == '\\' && !escape;
        c == ' ' && !quoted
    };
    let text = escaped(text);
    let words: Vec<String> = text.split(between).map(|word| cut(word, MOST)).collect();
    cut(&words.join(" "), MOST_OF_ALL)
}

/// Text on one line, with escapes for characters that nobody sees.
pub fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if is_seen(c) { escaped.push(c) } else { escaped.extend(c.escape_default()) }
    }
    escaped
}

/// Embeddings, overrides and isolates of a direction (Unicode Standard Annex 9).
pub fn turns(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Characters without a width or a shape. They are soft hyphens, joiners, marks of a direction,
/// fillers and blanks that are no spaces. Ends of lines and paragraphs, tags, and variations of the
/// character before count too.
pub fn is_unseen(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}' | '\u{2029}'
        | '\u{2060}'..='\u{2065}'
        | '\u{206a}'..='\u{206f}'
        | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d159}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

fn is_seen(c: char) -> bool {
    // The standard library's `Debug` knows what can be printed, and also escapes what stands in
    // quotes.
    !is_unseen(c)
        && (matches!(c, '"' | '\'' | '\\') || is_combining_mark(c) || c.escape_debug().len() == 1)
}

/// The beginning and the end of what is too long.
fn cut(text: &str, most: usize) -> String {
    let length = text.chars().count();
    if length <= most {
        return text.to_owned();
    }
    let (begin, end) = (most * 3 / 5, most / 4);
    let left_out = format!(" [... {} characters ...] ", length - begin - end);
    text.chars()
        .take(begin)
        .chain(left_out.chars())
        .chain(text.chars().skip(length - end))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_seen_is_an_escape_and_what_is_seen_stays() {
        for (text, seen) in [
            ("\x1b[2Jred\r\n", r"\u{1b}[2Jred\r\n"),
            ("a\u{202e}b\u{2066}", r"a\u{202e}b\u{2066}"),
            ("a\u{200b}\u{200d}\u{feff}\u{ad}b", r"a\u{200b}\u{200d}\u{feff}\u{ad}b"),
            (
                "\u{2028}\u{85}\0\u{fe0f}\u{3164}\u{2800}",
                r"\u{2028}\u{85}\u{0}\u{fe0f}\u{3164}\u{2800}",
            ),
            ("Mühle e\u{301} 肺 \"x\" 'y' \\z —", "Mühle e\u{301} 肺 \"x\" 'y' \\z —"),
        ] {
            assert_eq!(shown(text), seen);
            assert_eq!(sentence(text), seen);
        }
    }

    #[test]
    fn what_is_long_loses_its_middle() {
        let name = "n".repeat(5000);
        for text in [shown(&name), shown(&"\u{202e}".repeat(5000))] {
            assert!(text.chars().count() <= MOST && text.contains("characters ..."), "{text}");
        }
        let text = sentence(&format!("tensor {name} is no good; leave it out"));
        assert!(
            text.starts_with("tensor nnn") && text.ends_with("is no good; leave it out"),
            "{text}"
        );
        assert!(text.matches('n').count() < MOST);
        // Spaces and quotes within a value do not part it.
        for value in ["n ".repeat(400), "n\" n \\".repeat(200), "\\\" n".repeat(200)] {
            let text = sentence(&format!("key {value:?} is no good; leave it out"));
            assert!(
                text.ends_with("is no good; leave it out") && text.matches('n').count() < MOST,
                "{text}"
            );
        }
        assert!(sentence(&"a b ".repeat(5000)).chars().count() <= MOST_OF_ALL);
        assert_eq!(shown(&name[..MOST]), name[..MOST]);
    }
}
