//! Times of files, to the nanosecond.

use std::fmt;

/// Seconds and nanoseconds since 1970-01-01T00:00:00Z. Prints as `1700000000.000000001`, before
/// 1970 as `-1.999999999` for one nanosecond before the epoch minus one second plus one: the
/// fraction always counts upwards from the printed second, as `stat` keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp {
    /// Whole seconds, rounded towards the past.
    pub secs: i64,
    /// Nanoseconds after `secs`, below 1,000,000,000.
    pub nanos: u32,
}

impl Timestamp {
    /// The text of `entries.tsv`: seconds, a dot, nine digits.
    pub fn parse(text: &str) -> Option<Self> {
        let (secs, nanos) = text.split_once('.')?;
        if nanos.len() != 9 || !nanos.bytes().all(|b| b.is_ascii_digit()) || secs == "-0" {
            return None;
        }
        let digits = secs.strip_prefix('-').unwrap_or(secs);
        let canonical = digits == "0" || !digits.starts_with('0');
        if !canonical || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        Some(Self { secs: secs.parse().ok()?, nanos: nanos.parse().ok()? })
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:09}", self.secs, self.nanos)
    }
}
