use std::io::BufRead;

use xxhash_rust::xxh3::{Xxh3, xxh3_128};

/// Rows of a table in the text form of `COPY`, counted and hashed as their bytes come, however
/// these are cut.
///
/// A row ends at a newline, which that form never has inside a value. Its hash is the XXH3-128 of
/// its bytes without the newline; those of all rows are summed modulo 2^128, so that their order
/// does not matter.
#[derive(Default)]
pub(super) struct RowSum {
    rows: u64,
    bytes: u64,
    sum: u128,
    /// The beginning of a row whose end has not come.
    begun: Option<Box<Xxh3>>,
}

impl RowSum {
    /// Takes the bytes that come next.
    pub(super) fn take(&mut self, mut bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        while !bytes.is_empty() {
            let mut rest = bytes;
            let length = rest.skip_until(b'\n').expect("memory can be read");
            let (row, after) = bytes.split_at(length);
            bytes = after;
            match (row.strip_suffix(b"\n"), self.begun.take()) {
                (Some(row), None) => self.add(xxh3_128(row)),
                (Some(row), Some(mut begun)) => {
                    begun.update(row);
                    self.add(begun.digest128());
                }
                (None, begun) => {
                    let mut begun = begun.unwrap_or_default();
                    begun.update(row);
                    self.begun = Some(begun);
                }
            }
        }
    }

    fn add(&mut self, hash: u128) {
        self.rows += 1;
        self.sum = self.sum.wrapping_add(hash);
    }

    /// Whether the last byte ended a row.
    pub(super) fn is_whole(&self) -> bool {
        self.begun.is_none()
    }

    /// Rows that have ended.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Bytes that were taken.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The sum, 32 hexadecimal digits.
    pub(super) fn hash(&self) -> String {
        format!("{:032x}", self.sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: &[u8] = b"1\tone\n2\t\\N\n\n3\ttwo\\nlines\n3\ttwo\\nlines\n";

    #[test]
    fn cuts_anywhere_make_no_difference() {
        let mut whole = RowSum::default();
        whole.take(ROWS);
        assert_eq!((whole.rows(), whole.bytes(), whole.is_whole()), (5, ROWS.len() as u64, true));
        let expected = ROWS[..ROWS.len() - 1]
            .split(|byte| *byte == b'\n')
            .fold(0_u128, |sum, row| sum.wrapping_add(xxh3_128(row)));
        assert_eq!(whole.hash(), format!("{expected:032x}"));
        for size in 1..ROWS.len() {
            let mut cut = RowSum::default();
            ROWS.chunks(size).for_each(|chunk| cut.take(chunk));
            assert_eq!((cut.rows(), cut.hash()), (whole.rows(), whole.hash()), "{size}");
        }
    }

    #[test]
    fn a_row_without_an_end_is_seen() {
        let mut sum = RowSum::default();
        sum.take(b"1\n2");
        assert_eq!((sum.rows(), sum.is_whole()), (1, false));
    }

    #[test]
    fn equal_rows_do_not_cancel_and_order_does_not_matter() {
        let hash = |bytes: &[u8]| {
            let mut sum = RowSum::default();
            sum.take(bytes);
            sum.hash()
        };
        assert_ne!(hash(b"a\na\n"), hash(b""));
        assert_eq!(hash(b"a\nb\n"), hash(b"b\na\n"));
        assert_ne!(hash(b"a\nb\n"), hash(b"ab\n\n"));
    }
}
