//! Output with everything that differs from run to run replaced by names.

/// Paths and words that stand for something else on another machine.
#[derive(Debug, Clone, Default)]
pub struct Masks {
    words: Vec<(String, String)>,
}

impl Masks {
    /// Replaces `word` by `[name]` before anything else is looked at; the longest word first.
    pub fn add(&mut self, word: impl Into<String>, name: &str) {
        let word = word.into();
        if !word.is_empty() {
            self.words.push((word, format!("[{name}]")));
            self.words.sort_by_key(|(word, _)| std::cmp::Reverse(word.len()));
        }
    }

    /// The text with all words, ids, times, sizes and durations masked.
    pub fn apply(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (word, name) in &self.words {
            text = text.replace(word, name);
        }
        masked(&text)
    }
}

/// Masks ids (`[ID]`), times (`[TIME]`), sizes (`[SIZE]`), durations (`[DURATION]`) and process
/// ids (`[PID]`).
pub fn masked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let boundary = !out.ends_with(|c: char| c.is_ascii_alphanumeric());
        let found = if boundary { token(rest) } else { None };
        if let Some((length, name)) = found {
            out.push_str(name);
            at += length;
        } else {
            let c = rest.chars().next().expect("the rest is not empty");
            out.push(c);
            at += c.len_utf8();
        }
    }
    out
}

fn token(text: &str) -> Option<(usize, &'static str)> {
    let fixed = [
        ("~~~~~~~~-~~~~-~~~~-~~~~-~~~~~~~~~~~~", "[ID]"),
        ("backup_00000000_000000", "backup_[TIME]"),
    ];
    fixed
        .into_iter()
        .find_map(|(pattern, name)| Some((shape(text, pattern)?, name)))
        .or_else(|| Some((moment(text)?, "[TIME]")))
        .or_else(|| {
            let digits = digits(text.strip_prefix("pid ")?);
            (digits > 0).then_some((4 + digits, "pid [PID]"))
        })
        .or_else(|| quantity(text))
}

/// Bytes at the start of `text` that fit the pattern: `0` a digit, `~` a hexadecimal one.
fn shape(text: &str, pattern: &str) -> Option<usize> {
    let mut bytes = text.bytes();
    let fits = pattern.bytes().all(|expected| match (expected, bytes.next()) {
        (b'0', Some(found)) => found.is_ascii_digit(),
        (b'~', Some(found)) => found.is_ascii_hexdigit(),
        (expected, found) => found == Some(expected),
    });
    fits.then_some(pattern.len())
}

fn moment(text: &str) -> Option<usize> {
    let mut length =
        shape(text, "0000-00-00T00:00:00").or_else(|| shape(text, "0000-00-00 00:00:00"))?;
    if text[length..].starts_with('.') {
        length += 1 + digits(&text[length + 1..]);
    }
    if text[length..].starts_with('Z') {
        length += 1;
    }
    Some(length)
}

fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

fn quantity(text: &str) -> Option<(usize, &'static str)> {
    let mut length = digits(text);
    if length == 0 {
        return None;
    }
    if text[length..].starts_with('.') {
        length += 1 + digits(&text[length + 1..]);
    }
    for (unit, name) in [
        (" KiB", "[SIZE]"),
        (" MiB", "[SIZE]"),
        (" GiB", "[SIZE]"),
        (" TiB", "[SIZE]"),
        (" B", "[SIZE]"),
        (" s", "[DURATION]"),
    ] {
        if let Some(after) = text[length..].strip_prefix(unit)
            && !after.starts_with(|c: char| c.is_ascii_alphanumeric())
        {
            return Some((length + unit.len(), name));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_masked() {
        for (text, expected) in [
            ("id 01a1f89b-afef-7887-832f-0d78ecf0eb1c.", "id [ID]."),
            ("/b/backup_20261120_115835_2.tar", "/b/backup_[TIME]_2.tar"),
            ("2026-11-20T11:58:35.123456Z, 2026-11-20 11:58:35", "[TIME], [TIME]"),
            (
                "743.3 KiB of 12 B in 0.13 s, 3 storages",
                "[SIZE] of [SIZE] in [DURATION], 3 storages",
            ),
            ("restore, pid 4711, since", "restore, pid [PID], since"),
            ("30 tables, 767 rows, db.sqlite3", "30 tables, 767 rows, db.sqlite3"),
            ("exit code 3 stays", "exit code 3 stays"),
        ] {
            assert_eq!(masked(text), expected);
        }
        let mut masks = Masks::default();
        masks.add("/tmp/x", "TEMP");
        masks.add("/tmp/x/site", "SITE");
        assert_eq!(masks.apply("/tmp/x/site/db in /tmp/x/tmp"), "[SITE]/db in [TEMP]/tmp");
    }
}
