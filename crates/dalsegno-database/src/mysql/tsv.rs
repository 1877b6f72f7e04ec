//! Rows as `LOAD DATA` reads them, hashed as they are written.

use crate::RowSum;

/// Rows that were written one after another.
#[derive(Debug, Default)]
pub(super) struct Lines {
    bytes: Vec<u8>,
    /// Where the row that is being written begins.
    start: usize,
    fields: usize,
    sum: RowSum,
}

impl Lines {
    /// Adds a field to the row; `None` is NULL.
    pub(super) fn field(&mut self, value: Option<&[u8]>) {
        if self.fields > 0 {
            self.bytes.push(b'\t');
        }
        self.fields += 1;
        match value {
            None => self.bytes.extend_from_slice(b"\\N"),
            Some(value) => escape(value, &mut self.bytes),
        }
    }

    /// Ends the row.
    pub(super) fn end(&mut self) {
        self.sum.add(&self.bytes[self.start..]);
        self.bytes.push(b'\n');
        self.fields = 0;
    }

    /// To be called after [`Lines::end`]: the rows before the last one, if with it they are more
    /// than `most` bytes; a single row is never parted.
    pub(super) fn full(&mut self, most: usize) -> Option<Vec<u8>> {
        let over = self.bytes.len() > most && self.start > 0;
        let full = over.then(|| {
            let last = self.bytes.split_off(self.start);
            let mut rest = Vec::with_capacity(most.max(last.len()) + SLACK);
            rest.extend_from_slice(&last);
            std::mem::replace(&mut self.bytes, rest)
        });
        self.start = self.bytes.len();
        full
    }

    /// The rows that are left, and what all came to.
    pub(super) fn finish(self) -> (Vec<u8>, RowSum) {
        (self.bytes, self.sum)
    }
}

/// Room for the row that makes a part full.
const SLACK: usize = 256 << 10;

/// Bytes looked at together.
const BLOCK: usize = 32;

/// What is escaped: what ends a field or a row, the escape itself, and what tools trip over.
fn escape(value: &[u8], out: &mut Vec<u8>) {
    let mut rest = value;
    while !rest.is_empty() {
        let plain = plain_prefix(rest);
        out.extend_from_slice(&rest[..plain]);
        let Some(&byte) = rest.get(plain) else { return };
        out.push(b'\\');
        out.push(match byte {
            0 => b'0',
            b'\n' => b'n',
            b'\t' => b't',
            0x1a => b'Z',
            other => other,
        });
        rest = &rest[plain + 1..];
    }
}

fn is_special(byte: u8) -> bool {
    matches!(byte, 0 | b'\t' | b'\n' | 0x1a | b'\\')
}

/// How many bytes at the beginning need no escape.
fn plain_prefix(bytes: &[u8]) -> usize {
    let mut at = 0;
    for block in bytes.chunks_exact(BLOCK) {
        // Without a branch for each byte, for the processor's wide registers.
        if block.iter().fold(false, |found, &byte| found | is_special(byte)) {
            break;
        }
        at += BLOCK;
    }
    let special = bytes[at..].iter().position(|&byte| is_special(byte));
    special.map_or(bytes.len(), |found| at + found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(fields: &[Option<&[u8]>]) -> Vec<u8> {
        let mut lines = Lines::default();
        for field in fields {
            lines.field(*field);
        }
        lines.end();
        lines.finish().0
    }

    #[test]
    fn a_field_is_escaped_where_loading_would_trip() {
        let long = [b"x".repeat(70), b"\t".to_vec(), b"y".repeat(31), b"\\".to_vec()].concat();
        let told = format!("{}\\t{}\\\\\n", "x".repeat(70), "y".repeat(31));
        for (fields, expected) in [
            (vec![None, Some(&b""[..]), Some(b"\\N")], &b"\\N\t\t\\\\N\n"[..]),
            (vec![Some(b"\0\t\n\r\x1a\\'\"")], b"\\0\\t\\n\r\\Z\\\\'\"\n"),
            (vec![], b"\n"),
            (vec![Some(&long)], told.as_bytes()),
            (vec![Some(b"\xff\xc3")], b"\xff\xc3\n"),
        ] {
            assert_eq!(line(&fields), expected);
        }
    }

    #[test]
    fn parts_end_where_rows_do_and_hold_all_of_them() {
        let mut lines = Lines::default();
        let mut parts: Vec<Vec<u8>> = Vec::new();
        let mut whole = Vec::new();
        for number in 0..100_u32 {
            let text = format!("{number}").repeat(if number == 50 { 40 } else { 3 });
            lines.field(Some(text.as_bytes()));
            lines.end();
            parts.extend(lines.full(32));
            whole.extend_from_slice(format!("{text}\n").as_bytes());
        }
        let (last, sum) = lines.finish();
        parts.push(last);
        assert_eq!(sum.rows, 100);
        assert!(parts.iter().all(|part| part.ends_with(b"\n")));
        assert_eq!(parts.iter().filter(|part| part.len() > 32).count(), 1);
        assert_eq!(parts.concat(), whole);
    }

    #[test]
    fn the_order_of_rows_does_not_matter_and_equal_rows_do_not_cancel() {
        let sum = |rows: &[&[u8]]| {
            let mut sum = RowSum::default();
            for row in rows {
                sum.add(row);
            }
            sum
        };
        assert_eq!(sum(&[b"a", b"b"]), sum(&[b"b", b"a"]));
        assert_ne!(sum(&[b"a", b"a"]).hash(), sum(&[b"b", b"b"]).hash());
        assert_ne!(sum(&[b"a", b"a"]).hash(), sum(&[]).hash());
    }
}
