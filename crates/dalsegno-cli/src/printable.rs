//! Text on its way to a terminal. File names come from visitors of the site, and what an archive
//! says of itself from whoever made it: neither may move the cursor, change a title, or turn the
//! direction of what is read.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Text of several lines as it may be printed: control characters but newline and tab, and those
/// that change the direction of writing, as `\u{…}`.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    escaped(text, |c| c != '\n' && c != '\t')
}

/// The same for a text that is one line of a report: newlines and tabs are escaped too.
pub(crate) fn one_line(text: &str) -> Cow<'_, str> {
    escaped(text, |_| true)
}

fn escaped(text: &str, also: impl Fn(char) -> bool) -> Cow<'_, str> {
    let wrong = |c: char| (c.is_control() && also(c)) || turns(c);
    if !text.chars().any(wrong) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if wrong(c) {
            let _ = write!(out, "{}", c.escape_default());
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// Embeddings, overrides and isolates of the Unicode bidirectional algorithm (UAX #9), and line and
/// paragraph separators.
fn turns(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_does_harm_is_escaped() {
        for (text, several, one) in [
            ("plain, ümläut, 日本", "plain, ümläut, 日本", "plain, ümläut, 日本"),
            ("a\nb\tc", "a\nb\tc", "a\\nb\\tc"),
            (
                "\u{1b}[2J\r\u{7f}\u{9b}",
                "\\u{1b}[2J\\r\\u{7f}\\u{9b}",
                "\\u{1b}[2J\\r\\u{7f}\\u{9b}",
            ),
            ("\u{202e}gpj.exe\u{2066}", "\\u{202e}gpj.exe\\u{2066}", "\\u{202e}gpj.exe\\u{2066}"),
        ] {
            assert_eq!(printable(text), several);
            assert_eq!(one_line(text), one);
        }
    }
}
