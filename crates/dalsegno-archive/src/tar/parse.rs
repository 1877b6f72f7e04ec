//! Heads read back.

use std::io;

use dalsegno_format::{Entry, EntryKind, Extent, Timestamp, TreePath};

use super::head::{BLOCK, head, padding, top_head};
use super::pax::Pax;
use crate::order::{MAX_EXTENTS, check_extents};

/// The most bytes of an extended header: two paths and a little.
const MAX_PAX: u64 = 256 * 1024;

/// A stream of a tar's bytes.
pub(crate) trait Source {
    /// Fills the buffer.
    fn fill(&mut self, out: &mut [u8]) -> io::Result<()>;
}

/// What stands at the place of a head.
#[derive(Debug)]
pub(crate) enum Parsed {
    /// A member; its data follows.
    Member(Entry),
    /// The top folder, with its time.
    Top(Timestamp),
}

/// Why a head cannot be used.
#[derive(Debug)]
pub(crate) enum HeadError {
    /// The stream itself failed.
    Stream(io::Error),
    /// Zeros: the tar ends here.
    End,
    /// The head is not one this program writes.
    Form(&'static str),
    /// A path that is none.
    Path(String),
}

impl From<io::Error> for HeadError {
    fn from(error: io::Error) -> Self {
        Self::Stream(error)
    }
}

impl std::fmt::Display for HeadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Stream(error) => write!(f, "{error}"),
            Self::End => f.write_str("the tar ends here"),
            Self::Form(what) => f.write_str(what),
            Self::Path(what) => f.write_str(what),
        }
    }
}

/// The bytes of a head, records of an extended header read.
struct Raw {
    bytes: Vec<u8>,
    pax: Pax,
    block: Vec<u8>,
}

fn read_raw(source: &mut dyn Source) -> Result<Raw, HeadError> {
    let mut raw = vec![0; BLOCK];
    source.fill(&mut raw)?;
    let mut pax = Pax::default();
    let mut start = 0;
    if raw[156] == b'x' {
        let length = octal(&raw[124..135]).ok_or(HeadError::Form("size cannot be read"))?;
        if length > MAX_PAX {
            return Err(HeadError::Form("extended header is too long"));
        }
        let body = usize::try_from(length).unwrap_or(0);
        start = BLOCK + body + padding(length);
        raw.resize(start + BLOCK, 0);
        source.fill(&mut raw[BLOCK..])?;
        pax = Pax::parse(&raw[BLOCK..BLOCK + body])
            .ok_or(HeadError::Form("extended header cannot be read"))?;
    }
    let block = raw[start..start + BLOCK].to_vec();
    if block.iter().all(|&b| b == 0) {
        return Err(HeadError::End);
    }
    if &block[257..265] != b"ustar\x0000" {
        return Err(HeadError::Form("no header of a member"));
    }
    Ok(Raw { bytes: raw, pax, block })
}

/// Reads the head of the top folder, whatever its name is: that, and its time.
pub(crate) fn read_top(source: &mut dyn Source) -> Result<(String, Timestamp), HeadError> {
    let Raw { bytes: raw, pax, block } = read_raw(source)?;
    let name = pax.path.clone().unwrap_or_else(|| text(&block[..100]));
    let top = name
        .strip_suffix(b"/")
        .and_then(|name| String::from_utf8(name.to_vec()).ok())
        .filter(|name| TreePath::new(name.as_bytes()).is_ok_and(|path| path.parent().is_none()))
        .ok_or(HeadError::Form("it is not the header of a top folder"))?;
    let mtime = time(&block, &pax).ok_or(HeadError::Form("time cannot be read"))?;
    let mut again = Vec::with_capacity(raw.len());
    top_head(&mut again, &top, mtime);
    if again == raw { Ok((top, mtime)) } else { Err(NOT_CANONICAL) }
}

/// Reads the head of the next member of the archive whose top folder is `top`, map of holes
/// included.
pub(crate) fn read_head(source: &mut dyn Source, top: &str) -> Result<Parsed, HeadError> {
    let Raw { bytes: mut raw, pax, block } = read_raw(source)?;
    let mut again = Vec::with_capacity(raw.len());
    let name = pax.sparse_name.clone().or(pax.path.clone()).unwrap_or_else(|| text(&block[..100]));
    if name.strip_suffix(b"/") == Some(top.as_bytes()) {
        let mtime = time(&block, &pax).ok_or(HeadError::Form("time cannot be read"))?;
        top_head(&mut again, top, mtime);
        return if again == raw { Ok(Parsed::Top(mtime)) } else { Err(NOT_CANONICAL) };
    }
    let entry = entry(source, top, &name, &block, &pax, &mut raw)?;
    head(&mut again, top, &entry);
    if again == raw { Ok(Parsed::Member(entry)) } else { Err(NOT_CANONICAL) }
}

const NOT_CANONICAL: HeadError = HeadError::Form("the header is not as it was written");

fn entry(
    source: &mut dyn Source,
    top: &str,
    name: &[u8],
    block: &[u8],
    pax: &Pax,
    raw: &mut Vec<u8>,
) -> Result<Entry, HeadError> {
    use HeadError::Form;
    let size = match pax.size {
        Some(size) => size,
        None => octal(&block[124..135]).ok_or(Form("size cannot be read"))?,
    };
    let kind = match block[156] {
        b'0' if pax.sparse_size.is_some() => {
            let size = pax.sparse_size.unwrap_or(0);
            EntryKind::File { size, extents: Some(read_map(source, size, raw)?) }
        }
        b'0' => EntryKind::File { size, extents: None },
        b'5' => EntryKind::Directory,
        b'2' => EntryKind::Symlink { target: link(block, pax) },
        b'1' => EntryKind::HardLink { target: below(top, &link(block, pax))? },
        b'3' | b'4' | b'6' => return Err(Form("devices and pipes are refused")),
        _ => return Err(Form("unknown type of member")),
    };
    let path = match kind {
        EntryKind::Directory => name.strip_suffix(b"/").ok_or(NOT_CANONICAL)?,
        _ => name,
    };
    let user = pax.user.clone().unwrap_or_else(|| text(&block[265..297]));
    let group = pax.group.clone().unwrap_or_else(|| text(&block[297..329]));
    let number = |field: &[u8]| octal(field).and_then(|n| u32::try_from(n).ok());
    Ok(Entry {
        path: below(top, path)?,
        kind,
        mode: number(&block[100..107]).ok_or(Form("mode cannot be read"))?,
        uid: pax.uid.or_else(|| number(&block[108..115])).ok_or(Form("owner cannot be read"))?,
        gid: pax.gid.or_else(|| number(&block[116..123])).ok_or(Form("group cannot be read"))?,
        user: String::from_utf8(user).map_err(|_| Form("owner's name is not UTF-8"))?,
        group: String::from_utf8(group).map_err(|_| Form("group's name is not UTF-8"))?,
        mtime: time(block, pax).ok_or(Form("time cannot be read"))?,
    })
}

fn link(block: &[u8], pax: &Pax) -> Vec<u8> {
    pax.link.clone().unwrap_or_else(|| text(&block[157..257]))
}

/// The member path of a name in the tar.
fn below(top: &str, name: &[u8]) -> Result<TreePath, HeadError> {
    let rest = name
        .strip_prefix(top.as_bytes())
        .and_then(|rest| rest.strip_prefix(b"/"))
        .ok_or_else(|| {
            let shown = String::from_utf8_lossy(&name[..name.len().min(200)]);
            HeadError::Path(format!(
                "`{}` lies outside the backup's folder",
                shown.escape_default()
            ))
        })?;
    TreePath::new(rest).map_err(|error| HeadError::Path(error.to_string()))
}

/// Reads the map of holes; its announced count is only a bound, never a size to allocate.
fn read_map(
    source: &mut dyn Source,
    size: u64,
    raw: &mut Vec<u8>,
) -> Result<Vec<Extent>, HeadError> {
    const BAD: HeadError = HeadError::Form("map of holes cannot be read");
    let mut at = raw.len();
    let mut number = |source: &mut dyn Source| -> Result<u64, HeadError> {
        let mut value: u64 = 0;
        loop {
            if at == raw.len() {
                raw.resize(at + BLOCK, 0);
                source.fill(&mut raw[at..])?;
            }
            let byte = raw[at];
            at += 1;
            match byte {
                b'0'..=b'9' => {
                    value = value
                        .checked_mul(10)
                        .and_then(|n| n.checked_add(u64::from(byte - b'0')))
                        .ok_or(BAD)?;
                }
                b'\n' => return Ok(value),
                _ => return Err(BAD),
            }
        }
    };
    let count = number(source)?;
    if count > MAX_EXTENTS as u64 + 1 {
        return Err(HeadError::Form("map of holes is too long"));
    }
    let mut extents = Vec::new();
    for _ in 0..count {
        let (offset, length) = (number(source)?, number(source)?);
        if length > 0 {
            extents.push(Extent { offset, length });
        }
    }
    check_extents(size, &extents).map_err(HeadError::Form)?;
    Ok(extents)
}

fn time(block: &[u8], pax: &Pax) -> Option<Timestamp> {
    match &pax.mtime {
        Some(text) => parse_decimal(text),
        None => Some(Timestamp { secs: octal(&block[136..147])?.try_into().ok()?, nanos: 0 }),
    }
}

fn parse_decimal(text: &str) -> Option<Timestamp> {
    let (digits, below_zero) = match text.strip_prefix('-') {
        Some(rest) => (rest, true),
        None => (text, false),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "000000000"));
    if fraction.len() != 9 || whole.is_empty() || !whole.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let whole: i128 = whole.parse().ok()?;
    let nanos: u32 = fraction.parse().ok()?;
    let (secs, nanos) = match (below_zero, nanos) {
        (false, _) => (whole, nanos),
        (true, 0) => (-whole, 0),
        (true, _) => (-whole - 1, 1_000_000_000 - nanos),
    };
    Some(Timestamp { secs: i64::try_from(secs).ok()?, nanos })
}

fn octal(field: &[u8]) -> Option<u64> {
    let mut value = 0;
    for &byte in field {
        if !(b'0'..=b'7').contains(&byte) {
            return None;
        }
        value = value << 3 | u64::from(byte - b'0');
    }
    Some(value)
}

/// A text field up to its first NUL.
fn text(field: &[u8]) -> Vec<u8> {
    field.split(|&b| b == 0).next().unwrap_or_default().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Source for &[u8] {
        fn fill(&mut self, out: &mut [u8]) -> io::Result<()> {
            io::Read::read_exact(self, out)
        }
    }

    fn entry(path: &[u8], kind: EntryKind) -> Entry {
        Entry {
            path: TreePath::new(path).unwrap(),
            kind,
            mode: 0o4751,
            uid: 3_000_000,
            gid: 33,
            user: "würth".into(),
            group: "a-group-with-a-rather-long-name-of-its-own".into(),
            mtime: Timestamp { secs: -1, nanos: 1 },
        }
    }

    fn samples() -> Vec<Entry> {
        let at = |offset, length| Extent { offset, length };
        let file = |size| EntryKind::File { size, extents: None };
        let holes = |size, extents| EntryKind::File { size, extents: Some(extents) };
        vec![
            entry(b"files/x", file(7)),
            entry(b"files/big", file(9 << 30)),
            entry(&[b"files/".to_vec(), vec![b'n'; 240]].concat(), file(0)),
            entry(&b"d/".repeat(200)[..399], EntryKind::Directory),
            entry(b"files/a\nb\tc\\d=\xe9", file(1)),
            entry(b"files/holes", holes(20 << 30, vec![at(0, 4096), at(10 << 30, 1)])),
            entry(b"files/all-hole", holes(5, vec![])),
            entry(b"files/to-the-end", holes(5, vec![at(3, 2)])),
            entry(b"files/empty-sparse", holes(0, vec![])),
            entry(b"files/l", EntryKind::Symlink { target: b"x\xff\n".to_vec() }),
            entry(b"files/h", EntryKind::HardLink { target: TreePath::new("files/x").unwrap() }),
        ]
    }

    #[test]
    fn every_head_reads_back() {
        for sample in samples() {
            for (time, uid) in [((-1, 1), 5), ((5, 0), 0), ((1 << 40, 0), u32::MAX)] {
                let mtime = Timestamp { secs: time.0, nanos: time.1 };
                let sample = Entry { mtime, uid, ..sample.clone() };
                let mut bytes = Vec::new();
                head(&mut bytes, "bäckup 1", &sample);
                assert_eq!(bytes.len() % BLOCK, 0);
                let mut source = &bytes[..];
                match read_head(&mut source, "bäckup 1").unwrap() {
                    Parsed::Member(again) => assert_eq!(again, sample),
                    Parsed::Top(_) => panic!("{sample:?}"),
                }
                assert!(source.is_empty());
            }
        }
    }

    #[test]
    fn no_bit_of_a_head_is_free() {
        for sample in samples() {
            let mut bytes = Vec::new();
            head(&mut bytes, "top", &sample);
            for bit in 0..bytes.len() * 8 {
                let mut bad = bytes.clone();
                bad[bit / 8] ^= 1 << (bit % 8);
                bad.extend_from_slice(&[0; 4096]);
                if let Ok(Parsed::Member(again)) = read_head(&mut &bad[..], "top") {
                    assert_ne!(again, sample, "bit {bit} of {:?}", sample.path);
                }
            }
        }
    }

    #[test]
    fn hostile_heads_are_refused() {
        let plain = entry(b"files/x", EntryKind::File { size: 7, extents: None });
        let plain = Entry { mtime: Timestamp::default(), uid: 0, ..plain };
        let plain = Entry { user: String::new(), group: String::new(), ..plain };
        for name in
            ["/etc/passwd", "top/../etc", "../x", "other/x", "top/a//b", "top/./a", "topx/a"]
        {
            let mut bytes = Vec::new();
            super::super::head::named_head_for_tests(&mut bytes, name.as_bytes(), &plain);
            let error = read_head(&mut &bytes[..], "top").unwrap_err();
            assert!(matches!(error, HeadError::Path(_)), "{name}: {error}");
        }
        for tag in [b'3', b'4', b'6', b'7', b'L', b'g', b'S', 0] {
            let mut bytes = Vec::new();
            head(&mut bytes, "top", &plain);
            bytes[156] = tag;
            assert!(read_head(&mut &bytes[..], "top").is_err(), "{tag}");
        }
    }
}
