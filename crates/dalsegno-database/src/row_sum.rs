use dalsegno_format::hex;
use xxhash_rust::xxh3::xxh3_128;

/// How many rows there are, and what they hold, in one comparable value.
///
/// The sum modulo 2^128 of the XXH3-128 of every row's bytes: the order of rows does not matter,
/// sums of parts add up, and unlike with XOR two equal rows do not cancel each other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RowSum {
    /// Rows.
    pub rows: u64,
    sum: u128,
}

impl RowSum {
    /// Counts one row in.
    pub fn add(&mut self, row: &[u8]) {
        self.rows += 1;
        self.sum = self.sum.wrapping_add(xxh3_128(row));
    }

    /// Counts the rows of another one in.
    pub fn join(&mut self, other: Self) {
        self.rows += other.rows;
        self.sum = self.sum.wrapping_add(other.sum);
    }

    /// 32 hexadecimal digits.
    pub fn hash(&self) -> String {
        hex(&self.sum.to_be_bytes())
    }
}

/// The lines of a text that comes in pieces, cut anywhere; each is counted without its end.
///
/// Both `COPY` text and the lines of `LOAD DATA` escape a line end inside a value, so that every
/// bare one ends a row.
#[derive(Debug, Default)]
pub struct LineSum {
    sum: RowSum,
    rest: Vec<u8>,
}

impl LineSum {
    /// Takes the next piece.
    pub fn push(&mut self, mut piece: &[u8]) {
        while let Some(end) = piece.iter().position(|byte| *byte == b'\n') {
            let (line, next) = (&piece[..end], &piece[end + 1..]);
            if self.rest.is_empty() {
                self.sum.add(line);
            } else {
                self.rest.extend_from_slice(line);
                self.sum.add(&self.rest);
                self.rest.clear();
            }
            piece = next;
        }
        self.rest.extend_from_slice(piece);
    }

    /// The rows; `None` if the text ended inside a line.
    pub fn finish(self) -> Option<RowSum> {
        self.rest.is_empty().then_some(self.sum)
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
        assert_eq!(whole.rows, 3);
        for cut in 0..=text.len() {
            assert_eq!(lines(&[&text[..cut], &text[cut..]]), Some(whole), "{cut}");
        }
        assert_eq!(lines(&[b"no end"]), None);
    }

    #[test]
    fn order_does_not_matter_and_equal_rows_do_not_cancel() {
        let hash = |text: &[u8]| lines(&[text]).unwrap().hash();
        assert_eq!(hash(b"a\nb\n"), hash(b"b\na\n"));
        assert_ne!(hash(b"a\na\nb\nb\n"), hash(b"c\nc\nb\nb\n"));
        assert_eq!(hash(b"").len(), 32);
        let (mut a, b) = (lines(&[b"a\n"]).unwrap(), lines(&[b"b\n"]).unwrap());
        a.join(b);
        assert_eq!(Some(a), lines(&[b"a\nb\n"]));
    }
}
