//! One member of a backup tree and its line in `entries.tsv`.

use crate::escape::{push_escaped, unescape};
use crate::{PathError, Timestamp, TreePath};

/// One member: what it is, whose, since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it lies in the tree.
    pub path: TreePath,
    /// What it is.
    pub kind: EntryKind,
    /// Permission bits, `0o7777` at most. Links have `0o777`.
    pub mode: u32,
    /// Numeric owner.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
    /// Name of the owner where it was made; empty when unknown.
    pub user: String,
    /// Name of the group where it was made; empty when unknown.
    pub group: String,
    /// Time of the last change of content.
    pub mtime: Timestamp,
}

/// What a member is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File {
        /// Bytes as a reader sees them, holes included.
        size: u64,
        /// The ranges that hold data when the file has holes: ascending, not touching, none empty.
        /// `None` for a file without holes. (Not in `entries.tsv`, where type `s` marks them.)
        extents: Option<Vec<Extent>>,
    },
    /// A folder.
    Directory,
    /// A symbolic link and its target, any bytes.
    Symlink {
        /// The text of the link.
        target: Vec<u8>,
    },
    /// Another name of a regular file that came earlier.
    HardLink {
        /// The path of the earlier member.
        target: TreePath,
    },
}

/// A range of a sparse file that holds data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Bytes before it.
    pub offset: u64,
    /// Bytes in it.
    pub length: u64,
}

/// Why a line of `entries.tsv` cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryLineError {
    /// The line has not ten fields, or one of them cannot be read.
    #[error("field `{0}` of an entry cannot be read")]
    Field(&'static str),
    /// A path in the line is not a member path.
    #[error(transparent)]
    Path(#[from] PathError),
}

impl Entry {
    /// Appends the line of `entries.tsv`, newline included: type, mode, uid, gid, user, group,
    /// mtime, size, path, link target, separated by tabs. Type is `f` (file), `s` (file with
    /// holes), `d`, `l` (symbolic link), `h` (hard link); mode is four octal digits; size is `-`
    /// for anything but files; target is empty for anything but links.
    pub fn push_line(&self, out: &mut Vec<u8>) {
        let (tag, size, target): (u8, Option<u64>, &[u8]) = match &self.kind {
            EntryKind::File { size, extents: None } => (b'f', Some(*size), b""),
            EntryKind::File { size, extents: Some(_) } => (b's', Some(*size), b""),
            EntryKind::Directory => (b'd', None, b""),
            EntryKind::Symlink { target } => (b'l', None, target),
            EntryKind::HardLink { target } => (b'h', None, target.as_bytes()),
        };
        out.push(tag);
        out.extend_from_slice(
            format!("\t{:04o}\t{}\t{}\t", self.mode, self.uid, self.gid).as_bytes(),
        );
        push_escaped(out, self.user.as_bytes());
        out.push(b'\t');
        push_escaped(out, self.group.as_bytes());
        out.extend_from_slice(format!("\t{}\t", self.mtime).as_bytes());
        match size {
            Some(size) => out.extend_from_slice(size.to_string().as_bytes()),
            None => out.push(b'-'),
        }
        out.push(b'\t');
        push_escaped(out, self.path.as_bytes());
        out.push(b'\t');
        push_escaped(out, target);
        out.push(b'\n');
    }

    /// Reads one line, without its newline. A file with holes gets `extents: Some(vec![])`: the
    /// list does not hold them.
    pub fn parse_line(line: &[u8]) -> Result<Self, EntryLineError> {
        use EntryLineError::Field;
        let fields: Vec<&[u8]> = line.split(|&b| b == b'\t').collect();
        let [tag, mode, uid, gid, user, group, mtime, size, path, target] = fields[..] else {
            return Err(Field("count"));
        };
        let name = |bytes, name| {
            unescape(bytes).and_then(|raw| String::from_utf8(raw).ok()).ok_or(Field(name))
        };
        let raw = |bytes| unescape(bytes).ok_or(Field("path"));
        let kind = match tag {
            b"f" | b"s" => EntryKind::File {
                size: number(size).ok_or(Field("size"))?,
                extents: (tag == b"s").then(Vec::new),
            },
            b"d" => EntryKind::Directory,
            b"l" => EntryKind::Symlink { target: raw(target)? },
            b"h" => EntryKind::HardLink { target: TreePath::new(raw(target)?)? },
            _ => return Err(Field("type")),
        };
        let file = matches!(kind, EntryKind::File { .. });
        let link = matches!(kind, EntryKind::Symlink { .. } | EntryKind::HardLink { .. });
        if !file && size != b"-" {
            return Err(Field("size"));
        }
        if link == target.is_empty() {
            return Err(Field("target"));
        }
        Ok(Self {
            path: TreePath::new(raw(path)?)?,
            kind,
            mode: octal(mode).ok_or(Field("mode"))?,
            uid: number(uid).and_then(|n| n.try_into().ok()).ok_or(Field("uid"))?,
            gid: number(gid).and_then(|n| n.try_into().ok()).ok_or(Field("gid"))?,
            user: name(user, "user")?,
            group: name(group, "group")?,
            mtime: text(mtime).and_then(Timestamp::parse).ok_or(Field("mtime"))?,
        })
    }

    /// The size of a regular file; `None` for anything else.
    pub fn size(&self) -> Option<u64> {
        match self.kind {
            EntryKind::File { size, .. } => Some(size),
            _ => None,
        }
    }
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// A decimal number as `push_line` writes it: digits without leading zeros.
fn number(bytes: &[u8]) -> Option<u64> {
    let canonical = bytes == b"0" || bytes.first().is_some_and(|&b| b != b'0');
    if !canonical || !bytes.iter().all(u8::is_ascii_digit) {
        return None;
    }
    text(bytes)?.parse().ok()
}

/// Four octal digits.
fn octal(bytes: &[u8]) -> Option<u32> {
    if bytes.len() != 4 || !bytes.iter().all(|b| (b'0'..=b'7').contains(b)) {
        return None;
    }
    u32::from_str_radix(text(bytes)?, 8).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &[u8], kind: EntryKind) -> Entry {
        Entry {
            path: TreePath::new(path).unwrap(),
            kind,
            mode: 0o640,
            uid: 33,
            gid: 0,
            user: "www-data".into(),
            group: String::new(),
            mtime: Timestamp { secs: -2, nanos: 5 },
        }
    }

    #[test]
    fn every_kind_reads_back_from_its_line() {
        for (path, kind) in [
            (&b"files/a\tb\nc\\d\xe9"[..], EntryKind::File { size: 7, extents: None }),
            (b"s", EntryKind::File { size: 1 << 40, extents: Some(vec![]) }),
            (b"d", EntryKind::Directory),
            (b"l", EntryKind::Symlink { target: b"../x\n\xff".to_vec() }),
            (b"h", EntryKind::HardLink { target: TreePath::new("s").unwrap() }),
        ] {
            let entry = entry(path, kind);
            let mut line = Vec::new();
            entry.push_line(&mut line);
            assert_eq!(line.pop(), Some(b'\n'));
            assert!(!line.contains(&b'\n'));
            assert_eq!(Entry::parse_line(&line), Ok(entry));
        }
    }

    #[test]
    fn the_line_is_pinned() {
        let mut line = Vec::new();
        entry(b"files/x", EntryKind::File { size: 7, extents: None }).push_line(&mut line);
        let text = String::from_utf8(line).unwrap();
        assert_eq!(text, "f\t0640\t33\t0\twww-data\t\t-2.000000005\t7\tfiles/x\t\n");
    }

    #[test]
    fn damaged_lines_are_refused() {
        for bad in [
            "",
            "f\t0640\t33\t0\t\t\t0.000000000\t7\tx",
            "q\t0640\t33\t0\t\t\t0.000000000\t7\tx\t",
            "f\t640\t33\t0\t\t\t0.000000000\t7\tx\t",
            "f\t0640\t033\t0\t\t\t0.000000000\t7\tx\t",
            "f\t0640\t33\t0\t\t\t0.0\t7\tx\t",
            "f\t0640\t33\t0\t\t\t0.000000000\t07\tx\t",
            "f\t0640\t33\t0\t\t\t0.000000000\t7\t../x\t",
            "f\t0640\t33\t0\t\t\t0.000000000\t7\tx\ty",
            "d\t0640\t33\t0\t\t\t0.000000000\t7\tx\t",
            "l\t0640\t33\t0\t\t\t0.000000000\t-\tx\t",
            "h\t0640\t33\t0\t\t\t0.000000000\t-\tx\t/etc/passwd",
            "f\t0640\t33\t0\t\t\t0.000000000\t7\tx\\q\t",
        ] {
            assert!(Entry::parse_line(bad.as_bytes()).is_err(), "{bad:?}");
        }
    }
}
