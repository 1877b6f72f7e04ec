//! Files named by rows against files captured.
//!
//! A database and a media folder that do not fit together restore without an error and show broken
//! pages. Every path in a file or image column of the captured snapshot is looked up among the
//! captured files. Sixty-four bits of each path are held, so that memory stays small; the paths
//! themselves go through an unlinked file.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Seek, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use dalsegno_database::{DatabaseError, FileColumn, Snapshot};
use dalsegno_format::{BackupType, References};
use dalsegno_media::Selection;
use xxhash_rust::xxh3::xxh3_64;

use super::request::Scope;
use crate::{EngineError, Site};

const EXAMPLES: usize = 20;

/// The check, between its two halves: rows first, then files.
pub(super) struct ReferenceCheck {
    columns: Vec<NamedBy>,
    spool: BufWriter<File>,
    folder: PathBuf,
    named: Vec<u64>,
    /// Length at which `named` is next cleared of repetitions.
    full: usize,
    sorted: bool,
    captured: Vec<u64>,
    orphaned_examples: Vec<String>,
    orphaned: u64,
}

struct NamedBy {
    aliases: Vec<String>,
    read: FileColumn,
    label: String,
    location: PathBuf,
    selection: Selection,
}

impl ReferenceCheck {
    /// The check of this scope; `None` unless databases and media are both captured and the
    /// models are known.
    pub(super) fn begin(
        site: &Site,
        scope: &Scope,
        folder: &Path,
    ) -> Result<Option<Self>, EngineError> {
        if scope.backup_type != BackupType::Full || scope.databases.is_empty() {
            return Ok(None);
        }
        let mut columns = Vec::new();
        for model in site.descriptor().models().filter(|model| model.has_table()) {
            for (field, column, file) in model.file_columns() {
                let Some(location) = file.location.clone().filter(|_| file.local) else { continue };
                columns.push(NamedBy {
                    aliases: model.databases.clone(),
                    read: FileColumn { table: model.db_table.clone(), column: column.to_owned() },
                    label: format!("{}.{}", model.label, field.name),
                    selection: scope
                        .media
                        .iter()
                        .find(|media| location.starts_with(&media.root.location))
                        .map(|media| media.selection.clone())
                        .unwrap_or_default(),
                    location,
                });
            }
        }
        if site.descriptor().django.is_none() {
            return Ok(None);
        }
        let spool = crate::spool::unlinked(folder)?;
        Ok(Some(Self {
            columns,
            spool: BufWriter::new(spool),
            folder: folder.to_owned(),
            named: Vec::new(),
            full: 1 << 16,
            sorted: false,
            captured: Vec::new(),
            orphaned_examples: Vec::new(),
            orphaned: 0,
        }))
    }

    /// Reads the columns of one database's snapshot; gives back a sentence for each that could not
    /// be read.
    pub(super) fn read(
        &mut self,
        alias: &str,
        snapshot: &mut dyn Snapshot,
    ) -> Result<Vec<String>, DatabaseError> {
        let (asked, of): (Vec<FileColumn>, Vec<usize>) = self
            .columns
            .iter()
            .enumerate()
            .filter(|(_, c)| c.aliases.is_empty() || c.aliases.iter().any(|a| a == alias))
            .map(|(index, c)| (c.read.clone(), index))
            .unzip();
        let Self { columns, spool, named, full, .. } = self;
        let mut failed = None;
        let unreadable = snapshot.file_references(&asked, &mut |index, value| {
            let column = of[index];
            if named.len() == *full {
                // Rows name the same files again and again: what is held grows with the files.
                named.sort_unstable();
                named.dedup();
                *full = (named.len() * 2).max(1 << 16);
            }
            named.push(xxh3_64(&full_path(&columns[column].location, value)));
            let line = [column.to_string().as_bytes(), b"\t", &escaped(value), b"\n"].concat();
            if let Err(error) = spool.write_all(&line) {
                failed.get_or_insert(error);
            }
        })?;
        if let Some(source) = failed {
            let path = self.folder.clone();
            return Err(DatabaseError::Io { action: "spool file references in", path, source });
        }
        Ok(unreadable
            .into_iter()
            .map(|u| {
                format!(
                    "{}: its files were not looked up: {}",
                    columns[of[u.column]].label, u.reason
                )
            })
            .collect())
    }

    /// A file or link is in the backup: `below` is its path below the storage's folder.
    pub(super) fn captured(&mut self, location: &Path, below: &[u8]) {
        if !self.sorted {
            self.named.sort_unstable();
            self.named.dedup();
            self.sorted = true;
        }
        let hash = xxh3_64(&full_path(location, below));
        self.captured.push(hash);
        if self.named.binary_search(&hash).is_err() {
            self.orphaned += 1;
            if self.orphaned_examples.len() < EXAMPLES {
                self.orphaned_examples.push(String::from_utf8_lossy(below).into_owned());
            }
        }
    }

    /// The counts, once all files went by.
    pub(super) fn finish(mut self) -> Result<References, EngineError> {
        self.named.sort_unstable();
        self.named.dedup();
        self.captured.sort_unstable();
        let is_missing = |hash: &u64| self.captured.binary_search(hash).is_err();
        let mut missing = self.named.iter().filter(|hash| is_missing(hash)).count() as u64;
        let failed = |e| EngineError::io("read back file references in", &self.folder, e);
        let mut file = self.spool.into_inner().map_err(|e| failed(e.into_error()))?;
        file.rewind().map_err(failed)?;
        let mut missing_examples = Vec::new();
        let mut left_out = HashSet::new();
        for line in BufReader::new(file).split(b'\n') {
            if missing == 0 {
                break;
            }
            let line = line.map_err(failed)?;
            let Some((column, value)) = parse(&line, &self.columns) else { continue };
            let hash = xxh3_64(&full_path(&column.location, &value));
            if !is_missing(&hash) {
                continue;
            }
            if is_left_out(&column.selection, &value) {
                left_out.insert(hash);
            } else if missing_examples.len() < EXAMPLES {
                let value = String::from_utf8_lossy(&value);
                missing_examples.push(format!("{value} ({})", column.label));
            }
        }
        missing -= left_out.len() as u64;
        Ok(References {
            referenced: self.named.len() as u64,
            missing,
            left_out: left_out.len() as u64,
            orphaned: self.orphaned,
            missing_examples,
            orphaned_examples: self.orphaned_examples,
        })
    }
}

/// Whether the rules of the backup leave out a file of this name below its storage.
fn is_left_out(selection: &Selection, name: &[u8]) -> bool {
    let file = name.rsplit(|&b| b == b'/').next().unwrap_or(name);
    let folders = (0..name.len()).filter(|&at| name[at] == b'/').map(|at| &name[..at]);
    selection.leaves_out_name(file)
        || selection.leaves_out_path(name)
        || folders.into_iter().any(|folder| selection.leaves_out_path(folder))
}

/// A stored name below its storage's folder as one path; `.` and doubled slashes do not count.
fn full_path(location: &Path, name: &[u8]) -> Vec<u8> {
    let mut path = location.as_os_str().as_bytes().to_vec();
    for part in name.split(|&b| b == b'/').filter(|part| !part.is_empty() && *part != b".") {
        path.push(b'/');
        path.extend_from_slice(part);
    }
    path
}

fn escaped(value: &[u8]) -> Vec<u8> {
    value.iter().flat_map(|&b| if b == b'\n' { vec![0] } else { vec![b] }).collect()
}

fn parse<'a>(line: &[u8], columns: &'a [NamedBy]) -> Option<(&'a NamedBy, Vec<u8>)> {
    let tab = line.iter().position(|&b| b == b'\t')?;
    let column = columns.get(std::str::from_utf8(&line[..tab]).ok()?.parse::<usize>().ok()?)?;
    let value = line[tab + 1..].iter().map(|&b| if b == 0 { b'\n' } else { b }).collect();
    Some((column, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_as_paths() {
        let root = Path::new("/srv/media");
        assert_eq!(full_path(root, b"a//b"), b"/srv/media/a/b");
        assert_eq!(full_path(root, b"./a/b"), b"/srv/media/a/b");
        assert_ne!(full_path(root, b"a\nb"), full_path(root, b"ab"));
    }
}
