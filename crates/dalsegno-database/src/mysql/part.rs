//! The rows of a data file: how many there are, and what they hash to.

use crate::RowSum;

/// The rows of a data file's bytes; `None` where the last line has no end.
pub(super) fn sum(data: &[u8]) -> Option<RowSum> {
    let mut sum = RowSum::default();
    for line in lines(data) {
        sum.add(line.strip_suffix(b"\n").filter(|row| !ends_in_escape(row))?);
    }
    Some(sum)
}

/// The lines of a data file, each with its end: a line end after a backslash is part of a value.
pub(super) fn lines(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = data;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut from = 0;
        let end = loop {
            let Some(at) = rest[from..].iter().position(|byte| *byte == b'\n') else {
                break rest.len();
            };
            let end = from + at;
            if !ends_in_escape(&rest[..end]) {
                break end + 1;
            }
            from = end + 1;
        };
        let (line, after) = rest.split_at(end);
        rest = after;
        Some(line)
    })
}

/// Whether the byte after these is part of a value.
fn ends_in_escape(bytes: &[u8]) -> bool {
    bytes.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_rows_do_not_cancel_and_order_does_not_matter() {
        let sum = |data: &[u8]| super::sum(data).unwrap();
        assert_eq!(sum(b"a\nb\n").hash(), sum(b"b\na\n").hash());
        assert_ne!(sum(b"a\na\n").hash(), sum(b"b\nb\n").hash());
        assert_eq!(sum(b"a\na\n").rows, 2);
        let mut two = sum(b"a\n");
        two.join(sum(b"b\n"));
        assert_eq!(two, sum(b"a\nb\n"));
        assert_eq!(sum(b"").hash(), "0".repeat(32));
    }

    #[test]
    fn an_escaped_line_end_is_part_of_its_row() {
        let rows: Vec<&[u8]> = lines(b"a\\\nb\nc\\\\\n\n").collect();
        assert_eq!(rows, [&b"a\\\nb\n"[..], b"c\\\\\n", b"\n"]);
    }

    #[test]
    fn a_row_without_an_end_is_no_row() {
        assert_eq!(super::sum(b"a\nb"), None);
        assert_eq!(super::sum(b"a\\\n"), None);
    }
}
