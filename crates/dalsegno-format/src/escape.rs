//! Names in line-based lists: any byte may occur in a name, tab and newline may not in a field.

/// Appends `raw` with backslash, newline, carriage return, tab and NUL written as `\\`, `\n`, `\r`,
/// `\t`, `\0`; every other byte stands for itself.
pub(crate) fn push_escaped(out: &mut Vec<u8>, raw: &[u8]) {
    for &byte in raw {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0 => out.extend_from_slice(b"\\0"),
            _ => out.push(byte),
        }
    }
}

/// What `push_escaped` wrote; `None` for any text it would not have written.
pub(crate) fn unescape(text: &[u8]) -> Option<Vec<u8>> {
    let mut raw = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(&byte) = bytes.next() {
        raw.push(match byte {
            b'\\' => match bytes.next()? {
                b'\\' => b'\\',
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'0' => 0,
                _ => return None,
            },
            b'\n' | b'\r' | b'\t' | 0 => return None,
            _ => byte,
        });
    }
    Some(raw)
}
