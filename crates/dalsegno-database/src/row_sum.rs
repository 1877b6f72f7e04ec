use std::io::BufRead as _;

use xxhash_rust::xxh3::{Xxh3, xxh3_128};

/// How many rows there are, and what they hold, in one comparable value.
///
/// The sum modulo 2^128 of the XXH3-128 of every row's bytes: the order of rows does not matter,
/// sums of parts add up, and unlike with XOR two equal rows do not cancel each other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RowSum {
    /// Rows.
    pub rows: u64,
    /// Bytes of their lines, the ends included.
    pub bytes: u64,
    sum: u128,
}

impl RowSum {
    /// Counts one row in: its line without the end.
    pub fn add(&mut self, row: &[u8]) {
        self.add_hashed(xxh3_128(row), row.len() as u64 + 1);
    }

    fn add_hashed(&mut self, hash: u128, bytes: u64) {
        self.rows += 1;
        self.bytes += bytes;
        self.sum = self.sum.wrapping_add(hash);
    }

    /// Counts the rows of another one in.
    pub fn join(&mut self, other: Self) {
        self.rows += other.rows;
        self.bytes += other.bytes;
        self.sum = self.sum.wrapping_add(other.sum);
    }

    /// 32 hexadecimal digits.
    pub fn hash(&self) -> String {
        format!("{:032x}", self.sum)
    }
}

/// The lines of a text that comes in pieces, cut anywhere; each is counted without its end, and none
/// is held, however long.
///
/// Both `COPY` text and the lines of `LOAD DATA` escape a line end inside a value, so that every
/// bare one ends a row.
#[derive(Default)]
pub struct LineSum {
    sum: RowSum,
    /// The beginning of a line whose end has not come, and its bytes.
    begun: Option<(Box<Xxh3>, u64)>,
}

impl LineSum {
    /// Takes the next piece.
    pub fn push(&mut self, mut piece: &[u8]) {
        while !piece.is_empty() {
            let mut rest = piece;
            let length = rest.skip_until(b'\n').expect("memory can be read");
            let (line, after) = piece.split_at(length);
            piece = after;
            match (line.strip_suffix(b"\n"), self.begun.take()) {
                (Some(row), None) => self.sum.add(row),
                (Some(row), Some((mut begun, bytes))) => {
                    begun.update(row);
                    self.sum.add_hashed(begun.digest128(), bytes + line.len() as u64);
                }
                (None, begun) => {
                    let (mut begun, bytes) = begun.unwrap_or_default();
                    begun.update(line);
                    self.begun = Some((begun, bytes + line.len() as u64));
                }
            }
        }
    }

    /// Whether the last byte ended a line.
    pub fn is_whole(&self) -> bool {
        self.begun.is_none()
    }

    /// The lines that have ended.
    pub fn ended(&self) -> RowSum {
        self.sum
    }

    /// The rows; `None` if the text ended inside a line.
    pub fn finish(self) -> Option<RowSum> {
        self.is_whole().then_some(self.sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]]) -> Option<RowSum> {
        let mut sum = LineSum::default();
        for piece in pieces {
            sum.push(piece);
        }
        sum.finish()
    }

    #[test]
    fn wherever_a_text_is_cut_its_rows_are_the_same() {
        let text = b"one\ttwo\n\nthree\\n\n";
        let whole = lines(&[text]).unwrap();
        assert_eq!((whole.rows, whole.bytes), (3, text.len() as u64));
        for cut in 0..=text.len() {
            assert_eq!(lines(&[&text[..cut], &text[cut..]]), Some(whole), "{cut}");
        }
        assert_eq!(lines(&[b"no end"]), None);
        let mut open = LineSum::default();
        open.push(b"1\n2");
        assert_eq!((open.ended().rows, open.is_whole()), (1, false));
        let one = text.chunks(1).collect::<Vec<_>>();
        assert_eq!(lines(&one), Some(whole));
        let mut rows = RowSum::default();
        for row in [&b"one\ttwo"[..], b"", b"three\\n"] {
            rows.add(row);
        }
        assert_eq!(rows, whole);
    }

    #[test]
    fn order_does_not_matter_and_equal_rows_do_not_cancel() {
        let hash = |text: &[u8]| lines(&[text]).unwrap().hash();
        assert_eq!(hash(b"a\nb\n"), hash(b"b\na\n"));
        assert_ne!(hash(b"a\na\nb\nb\n"), hash(b"c\nc\nb\nb\n"));
        assert_ne!(hash(b"a\na\n"), hash(b""));
        assert_ne!(hash(b"a\nb\n"), hash(b"ab\n\n"));
        assert_eq!(hash(b"").len(), 32);
        let (mut a, b) = (lines(&[b"a\n"]).unwrap(), lines(&[b"b\n"]).unwrap());
        a.join(b);
        assert_eq!(Some(a), lines(&[b"a\nb\n"]));
    }
}
