//! The lines of `checksums.sha256`, as GNU `sha256sum` writes and reads them.

use crate::{PathError, Sha256, TreePath, hex, sha256_from_hex};

/// One line: the SHA-256 of a file and its path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChecksumLine {
    /// SHA-256 of the whole content, holes read as zeros.
    pub sha256: Sha256,
    /// The file.
    pub path: TreePath,
}

/// Why a line cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChecksumLineError {
    /// Not 64 hexadecimal digits, two spaces and a path.
    #[error("a line of the checksum list cannot be read")]
    Form,
    /// The path is not a member path.
    #[error(transparent)]
    Path(#[from] PathError),
}

impl ChecksumLine {
    /// Appends the line, newline included. A path with a backslash, newline or carriage return is
    /// escaped and the line starts with a backslash, as coreutils does since 8.25 (carriage return
    /// since 9.0, older ones read it too).
    pub fn push_line(&self, out: &mut Vec<u8>) {
        let raw = self.path.as_bytes();
        let escaped = raw.iter().any(|b| matches!(b, b'\\' | b'\n' | b'\r'));
        if escaped {
            out.push(b'\\');
        }
        out.extend_from_slice(hex(&self.sha256).as_bytes());
        out.extend_from_slice(b"  ");
        for &byte in raw {
            match byte {
                b'\\' if escaped => out.extend_from_slice(b"\\\\"),
                b'\n' => out.extend_from_slice(b"\\n"),
                b'\r' => out.extend_from_slice(b"\\r"),
                _ => out.push(byte),
            }
        }
        out.push(b'\n');
    }

    /// Reads one line, without its newline.
    pub fn parse_line(line: &[u8]) -> Result<Self, ChecksumLineError> {
        use ChecksumLineError::Form;
        let (escaped, rest) = match line.strip_prefix(b"\\") {
            Some(rest) => (true, rest),
            None => (false, line),
        };
        let (digest, path) = rest.split_at_checked(64).ok_or(Form)?;
        if digest.iter().any(u8::is_ascii_uppercase) {
            return Err(Form);
        }
        let sha256 = sha256_from_hex(digest).ok_or(Form)?;
        let path = path.strip_prefix(b"  ").ok_or(Form)?;
        let raw = if escaped { unescape(path).ok_or(Form)? } else { path.to_vec() };
        let parsed = Self { sha256, path: TreePath::new(raw)? };
        let mut again = Vec::with_capacity(line.len() + 1);
        parsed.push_line(&mut again);
        if again.strip_suffix(b"\n") == Some(line) { Ok(parsed) } else { Err(Form) }
    }
}

fn unescape(text: &[u8]) -> Option<Vec<u8>> {
    let mut raw = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(&byte) = bytes.next() {
        raw.push(if byte == b'\\' {
            match bytes.next()? {
                b'\\' => b'\\',
                b'n' => b'\n',
                b'r' => b'\r',
                _ => return None,
            }
        } else {
            byte
        });
    }
    Some(raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_read_back_and_others_are_refused() {
        for path in [&b"files/a b"[..], b"x\ny", b"back\\slash", b"tab\there", b"\xe9"] {
            let line = ChecksumLine { sha256: [0xa5; 32], path: TreePath::new(path).unwrap() };
            let mut out = Vec::new();
            line.push_line(&mut out);
            assert_eq!(out.pop(), Some(b'\n'));
            assert_eq!(ChecksumLine::parse_line(&out), Ok(line));
        }
        let digest = "a5".repeat(32);
        for bad in [
            String::new(),
            digest.clone(),
            format!("{digest} x"),
            format!("{digest}  ../x"),
            format!("\\{digest}  x"),
            format!("{}  x", digest.to_uppercase()),
            format!("{digest}  a\\b"),
        ] {
            assert!(ChecksumLine::parse_line(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
