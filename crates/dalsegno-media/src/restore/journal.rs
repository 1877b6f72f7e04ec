//! How far a switch came, in a file that is made durable before the first rename.
//!
//! It names both sides by inode. Renames do not change inodes, so what was done by the time of a
//! crash can be read off the tree itself and nothing needs to be written between the steps.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use dalsegno_format::hex;

use super::Method;
use super::root::RootLook;
use super::target::sync_folder;
use crate::MediaError;
use crate::error::io_error;
use crate::leftover::Role;

const HEAD: &str = "dalsegno-switch 1";

/// A switch that was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Journal {
    pub(super) other: Role,
    pub(super) done: Role,
    pub(super) method: Method,
    /// Inode of the tree that is being taken out.
    pub(super) old: Option<u64>,
    /// Inode of the tree that is being put in.
    pub(super) new: u64,
    /// What the live root looked like and is to look like, where it stays in place.
    pub(super) looks: Option<(RootLook, RootLook)>,
    pub(super) names: Vec<Name>,
}

/// One top-level entry of both trees, by inode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) bytes: Vec<u8>,
    pub(super) old: Option<u64>,
    pub(super) new: Option<u64>,
}

impl Journal {
    fn text(&self) -> String {
        let number = |inode: Option<u64>| inode.map_or_else(|| "-".to_owned(), |n| n.to_string());
        let purpose = if self.done == Role::Kept { "restore" } else { "rollback" };
        let method = match self.method {
            Method::Exchange => "exchange",
            Method::Renames => "renames",
            Method::Created => "created",
            Method::InPlace => "in-place",
        };
        let mut text = format!("{HEAD}\npurpose {purpose}\nmethod {method}\n");
        let _ = writeln!(text, "trees {} {}", number(self.old), self.new);
        if let Some((old, new)) = self.looks {
            let _ = writeln!(text, "was {}\nbecomes {}", old.line(), new.line());
        }
        for Name { bytes, old, new } in &self.names {
            let _ = writeln!(text, "name {} {} {}", hex(bytes), number(*old), number(*new));
        }
        text.push_str("end\n");
        text
    }

    fn parse(text: &str) -> Option<Self> {
        let text = text.strip_suffix("end\n")?;
        let mut lines = text.lines();
        (lines.next()? == HEAD).then_some(())?;
        let (other, done) = match lines.next()? {
            "purpose restore" => (Role::Staged, Role::Kept),
            "purpose rollback" => (Role::Kept, Role::Undone),
            _ => return None,
        };
        let method = match lines.next()? {
            "method exchange" => Method::Exchange,
            "method renames" => Method::Renames,
            "method created" => Method::Created,
            "method in-place" => Method::InPlace,
            _ => return None,
        };
        let (old, new) = lines.next()?.strip_prefix("trees ")?.split_once(' ')?;
        let (old, new) = (inode(old)?, new.parse().ok()?);
        let (mut was, mut becomes, mut names) = (None, None, Vec::new());
        for line in lines {
            match line.split_once(' ')? {
                ("was", look) => was = Some(RootLook::parse(look)?),
                ("becomes", look) => becomes = Some(RootLook::parse(look)?),
                ("name", rest) => names.push(Name::parse(rest)?),
                _ => return None,
            }
        }
        Some(Self { other, done, method, old, new, looks: was.zip(becomes), names })
    }

    /// Writes the journal, durably, in place of an earlier one.
    pub(super) fn save(&self, path: &Path) -> Result<(), MediaError> {
        let part = path.with_extension("part");
        write_new(&part, self.text().as_bytes())?;
        std::fs::rename(&part, path).map_err(io_error("create", path))?;
        sync_folder(path.parent().unwrap_or(path))
    }

    /// The journal at a path; `None` when there is none.
    pub(super) fn load(path: &Path) -> Result<Option<Self>, MediaError> {
        match std::fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            text => {
                let journal = Self::parse(&text.map_err(io_error("read", path))?);
                let wrong = || MediaError::Journal {
                    path: path.to_path_buf(),
                    reason: "it is not complete".to_owned(),
                };
                journal.map(Some).ok_or_else(wrong)
            }
        }
    }
}

impl Name {
    fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split(' ');
        let bytes = unhex(fields.next()?)?;
        let (old, new) = (inode(fields.next()?)?, inode(fields.next()?)?);
        fields.next().is_none().then_some(Self { bytes, old, new })
    }
}

/// Writes a file of mode 0600 durably; the folder is not synced.
pub(super) fn write_new(path: &Path, bytes: &[u8]) -> Result<(), MediaError> {
    let open = || -> io::Result<File> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
    };
    let write = || {
        let mut file = open()?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(io_error("write", path))
}

#[expect(clippy::option_option, reason = "a dash stands for no inode, anything else is wrong")]
fn inode(text: &str) -> Option<Option<u64>> {
    if text == "-" { Some(None) } else { text.parse().ok().map(Some) }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) || digits.is_empty() {
        return None;
    }
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.chunks_exact(2).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use dalsegno_format::Timestamp;

    #[test]
    fn reads_back_and_refuses_any_cut() {
        let look =
            RootLook { mode: 0o2750, uid: 33, gid: 0, mtime: Timestamp { secs: -3, nanos: 7 } };
        let journal = Journal {
            other: Role::Staged,
            done: Role::Kept,
            method: Method::InPlace,
            old: None,
            new: 12,
            looks: Some((look, RootLook { mode: 0, ..look })),
            names: vec![
                Name { bytes: b"a\xff\n b".to_vec(), old: Some(1), new: None },
                Name { bytes: b"b".to_vec(), old: None, new: Some(u64::MAX) },
            ],
        };
        let text = journal.text();
        assert_eq!(Journal::parse(&text), Some(journal));
        for cut in 0..text.len() {
            assert_eq!(Journal::parse(&text[..cut]), None, "{cut}");
        }
    }
}
