//! What differs between two backups, or a backup and the live site.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use dalsegno_archive::{Archive, Entries};
use dalsegno_database::{TableHash, sqlite, stored};
use dalsegno_format::{Entry, EntryKind, Sha256, TreePath, tree};
use dalsegno_media::{CaptureOptions, Found, Selection};

use crate::backup::{BUSY_TIMEOUT, RunWatch};
use crate::open::open;
use crate::restore::below;
use crate::tables::Members;
use crate::verify::extract;
use crate::{EngineError, Run, Site, workers};

/// One side of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Side {
    /// A backup.
    Backup(PathBuf),
    /// The live site.
    Live,
}

/// What differs.
#[derive(Debug, Default)]
pub struct BackupDiff {
    /// Tables that differ, by database alias.
    pub tables: BTreeMap<String, Vec<TableDiff>>,
    /// Files that differ, by storage alias.
    pub storages: BTreeMap<String, StorageDiff>,
    /// Databases and storages that only one side has.
    pub only_one_side: Vec<String>,
}

impl BackupDiff {
    /// Whether both sides hold the same.
    pub fn is_empty(&self) -> bool {
        self.only_one_side.is_empty()
            && self.tables.values().all(Vec::is_empty)
            && self.storages.values().all(|s| s.added + s.removed + s.changed == 0)
    }
}

/// A table whose rows differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableDiff {
    /// Its name.
    pub name: String,
    /// Rows on the first side; `None` when it has no such table or they cannot be counted.
    pub old: Option<u64>,
    /// Rows on the second side.
    pub new: Option<u64>,
    /// Whether the content differs; `None` when it cannot be told.
    pub changed: Option<bool>,
}

/// Files of a storage that differ in content, type or link target.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StorageDiff {
    /// Only on the second side.
    pub added: u64,
    /// Only on the first side.
    pub removed: u64,
    /// On both, with another content.
    pub changed: u64,
    /// Some of them: `+ path`, `- path`, `~ path`.
    pub examples: Vec<String>,
}

const EXAMPLES: usize = 50;

/// Compares the rows of every table and the content of every file; reads both sides whole.
pub fn diff(site: &Site, old: &Path, new: &Side, run: Run<'_>) -> Result<BackupDiff, EngineError> {
    let old = open(old)?;
    let other = match new {
        Side::Backup(path) => Some(open(path)?),
        Side::Live => None,
    };
    let mut diff = BackupDiff::default();
    compare_databases(site, &old, other.as_ref(), &mut diff, run)?;
    compare_storages(site, &old, other.as_ref(), &mut diff, run)?;
    Ok(diff)
}

fn compare_databases(
    site: &Site,
    old: &Archive,
    other: Option<&Archive>,
    diff: &mut BackupDiff,
    run: Run<'_>,
) -> Result<(), EngineError> {
    let held: Vec<&String> = old.metadata().databases.keys().collect();
    for alias in &held {
        run.progress.stage(&format!("comparing database {alias}"), None);
        let new = match other {
            Some(other) if other.metadata().databases.contains_key(*alias) => {
                hashes(site, other, alias, run)?
            }
            None if site.aliases().contains(alias) => {
                let live = site.database(alias, "compare")?;
                live.database
                    .table_hashes(BUSY_TIMEOUT, &mut RunWatch(run))
                    .map_err(EngineError::database(alias))?
            }
            _ => {
                diff.only_one_side.push(format!("database {alias} (old only)"));
                continue;
            }
        };
        let old = hashes(site, old, alias, run)?;
        diff.tables.insert((*alias).clone(), table_diffs(&old, &new));
    }
    if let Some(other) = other {
        for alias in other.metadata().databases.keys().filter(|a| !held.contains(a)) {
            diff.only_one_side.push(format!("database {alias} (new only)"));
        }
    }
    Ok(())
}

fn hashes(
    site: &Site,
    archive: &Archive,
    alias: &str,
    run: Run<'_>,
) -> Result<Vec<TableHash>, EngineError> {
    let described = archive.metadata().databases.get(alias);
    let vendor = described.map_or("", |database| database.vendor.as_str());
    if vendor == "sqlite" {
        let extracted = extract(archive, alias, site.scratch()?, run)?;
        return sqlite::table_hashes(sqlite::Source::Private(&extracted.path), &mut RunWatch(run))
            .map_err(EngineError::database(alias));
    }
    let tables = stored::tables(vendor, &mut Members::of(archive, alias));
    let tables = tables.map_err(EngineError::database(alias))?;
    Ok(tables.into_iter().map(|table| table.promised).collect())
}

fn table_diffs(old: &[TableHash], new: &[TableHash]) -> Vec<TableDiff> {
    let mut names: Vec<&str> = old.iter().chain(new).map(|t| t.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let find = |side: &[TableHash], name: &str| side.iter().find(|t| t.name == name).cloned();
    let mut diffs = Vec::new();
    for name in names {
        let (a, b) = (find(old, name), find(new, name));
        let hash = |t: &Option<TableHash>| t.as_ref().and_then(|t| t.hash.clone());
        let changed = match (&a, &b) {
            (Some(_), Some(_)) => hash(&a).zip(hash(&b)).map(|(a, b)| a != b),
            _ => Some(true),
        };
        let (old, new) = (a.and_then(|t| t.rows), b.and_then(|t| t.rows));
        if changed != Some(false) && (changed.is_some() || old != new) {
            diffs.push(TableDiff { name: name.to_owned(), old, new, changed });
        }
    }
    diffs
}

fn compare_storages(
    site: &Site,
    old: &Archive,
    other: Option<&Archive>,
    diff: &mut BackupDiff,
    run: Run<'_>,
) -> Result<(), EngineError> {
    let held: Vec<String> = old.metadata().storages.keys().cloned().collect();
    for alias in &held {
        run.progress.stage(&format!("comparing storage {alias}"), None);
        let folder = tree::storage(alias);
        let first = Files::of_archive(old, &folder)?;
        let compared = match other {
            Some(other) if other.metadata().storages.contains_key(alias) => {
                compare(first, Files::of_archive(other, &folder)?, run)?
            }
            None => match site.media_roots().iter().find(|r| r.alias == *alias) {
                Some(root) if root.location.is_dir() => {
                    let patterns = &old.metadata().options;
                    let (names, paths) = (&patterns.media_exclude, &patterns.exclude_media);
                    let selection = site
                        .selection(&root.location, names, paths, None)
                        .map_err(EngineError::media(alias))?;
                    compare(
                        first,
                        Files::of_live(
                            alias,
                            &root.location,
                            &folder,
                            &selection,
                            site.own_folders(),
                        )?,
                        run,
                    )?
                }
                _ => {
                    diff.only_one_side.push(format!("storage {alias} (old only)"));
                    continue;
                }
            },
            Some(_) => {
                diff.only_one_side.push(format!("storage {alias} (old only)"));
                continue;
            }
        };
        diff.storages.insert(alias.clone(), compared);
    }
    if let Some(other) = other {
        for alias in other.metadata().storages.keys().filter(|a| !held.contains(a)) {
            diff.only_one_side.push(format!("storage {alias} (new only)"));
        }
    }
    Ok(())
}

/// One file of either side: its path and what must be equal.
struct FileState {
    path: TreePath,
    state: Vec<u8>,
}

/// The files of one side in the order of their paths.
enum Files<'a> {
    Archive { entries: Entries<'a>, folder: TreePath },
    Live { alias: String, capture: Box<dalsegno_media::Capture>, folder: TreePath },
}

impl<'a> Files<'a> {
    fn of_archive(archive: &'a Archive, folder: &TreePath) -> Result<Self, EngineError> {
        Ok(Self::Archive { entries: archive.entries()?, folder: folder.clone() })
    }

    fn of_live(
        alias: &str,
        location: &Path,
        folder: &TreePath,
        selection: &Selection,
        skip: Vec<(u64, u64)>,
    ) -> Result<Self, EngineError> {
        let options = CaptureOptions { workers: workers(), skip, ..CaptureOptions::default() };
        let capture = dalsegno_media::capture(location, folder, selection, options)
            .map_err(EngineError::media(alias))?;
        let (alias, folder) = (alias.to_owned(), folder.clone());
        Ok(Self::Live { alias, capture: Box::new(capture), folder })
    }

    fn next(&mut self) -> Result<Option<FileState>, EngineError> {
        match self {
            Self::Archive { entries, folder } => {
                for member in entries {
                    let (entry, sha256) = member?;
                    if let Some(file) = below(entry, folder).and_then(|e| state(&e, sha256)) {
                        return Ok(Some(file));
                    }
                }
                Ok(None)
            }
            Self::Live { alias, capture, folder } => {
                for found in capture {
                    let found = found.map_err(EngineError::media(alias))?;
                    let (entry, sha256) = match found {
                        Found::Entry(entry) => (entry, None),
                        Found::Small { entry, sha256, .. } => (entry, Some(sha256)),
                        Found::Large { entry, mut file } => {
                            let sha256 = content(&entry, &mut file).map_err(|e| {
                                EngineError::io("read", Path::new(&entry.path.to_string()), e)
                            })?;
                            (entry, Some(sha256))
                        }
                        _ => continue,
                    };
                    if let Some(file) = below(entry, folder).and_then(|e| state(&e, sha256)) {
                        return Ok(Some(file));
                    }
                }
                Ok(None)
            }
        }
    }
}

/// Folders are not compared; a hard link is what it links to, which is compared on its own.
fn state(entry: &Entry, sha256: Option<Sha256>) -> Option<FileState> {
    let state = match &entry.kind {
        EntryKind::Directory => return None,
        EntryKind::File { .. } => [b"f", &sha256.unwrap_or_default()[..]].concat(),
        EntryKind::Symlink { target } => [b"l", &target[..]].concat(),
        EntryKind::HardLink { target } => [b"h", target.as_bytes()].concat(),
    };
    Some(FileState { path: entry.path.clone(), state })
}

/// SHA-256 of a file as a reader sees it: holes are zeros.
fn content(entry: &Entry, file: &mut dalsegno_media::LargeFile) -> std::io::Result<Sha256> {
    use sha2::{Digest, Sha256 as Hasher};
    use std::io::Read;
    let EntryKind::File { size, extents } = &entry.kind else { return Ok([0; 32]) };
    let whole = [dalsegno_format::Extent { offset: 0, length: *size }];
    let extents = extents.as_deref().unwrap_or(&whole);
    let mut hasher = Hasher::new();
    let (mut buffer, zeros) = (vec![0; 256 * 1024], vec![0; 256 * 1024]);
    let hole = |hasher: &mut Hasher, mut length: u64| {
        while length > 0 {
            let n = usize::try_from(length).unwrap_or(usize::MAX).min(zeros.len());
            hasher.update(&zeros[..n]);
            length -= n as u64;
        }
    };
    let mut at = 0;
    for extent in extents {
        hole(&mut hasher, extent.offset - at);
        let mut data = file.take(extent.length);
        loop {
            let n = data.read(&mut buffer)?;
            if n == 0 {
                break;
            }
            hasher.update(&buffer[..n]);
        }
        at = extent.offset + extent.length;
    }
    hole(&mut hasher, size - at);
    Ok(hasher.finalize().into())
}

fn compare(
    mut old: Files<'_>,
    mut new: Files<'_>,
    run: Run<'_>,
) -> Result<StorageDiff, EngineError> {
    use std::cmp::Ordering::{Equal, Greater, Less};
    let mut diff = StorageDiff::default();
    let (mut a, mut b) = (old.next()?, new.next()?);
    loop {
        run.check_cancelled()?;
        let order = match (&a, &b) {
            (None, None) => return Ok(diff),
            (Some(_), None) => Less,
            (None, Some(_)) => Greater,
            (Some(a), Some(b)) => a.path.cmp(&b.path),
        };
        let mut example = |sign: char, file: &Option<FileState>| {
            if let Some(file) = file.as_ref().filter(|_| diff.examples.len() < EXAMPLES) {
                diff.examples.push(format!("{sign} {}", file.path));
            }
        };
        match order {
            Less => {
                example('-', &a);
                diff.removed += 1;
            }
            Greater => {
                example('+', &b);
                diff.added += 1;
            }
            Equal if a.as_ref().map(|f| &f.state) != b.as_ref().map(|f| &f.state) => {
                example('~', &a);
                diff.changed += 1;
            }
            Equal => {}
        }
        if order != Greater {
            a = old.next()?;
        }
        if order != Less {
            b = new.next()?;
        }
    }
}
