//! Which backups there are, and which one is meant.

use std::fs;
use std::path::{Path, PathBuf};

use dalsegno_archive::{Archive, ArchiveError, Peek};
use dalsegno_format::{Form, Outcome, tree};
use dalsegno_store::StoreError;

use crate::open::has_archive_name;
use crate::{EngineError, workers};

/// The tag of backups that a restore made before it changed anything.
pub const PRE_RESTORE_TAG: &str = "pre-restore";

/// One thing in a folder of backups that looks like a backup.
#[derive(Debug)]
pub struct Listed {
    /// Where it lies.
    pub path: PathBuf,
    /// Its manifest, or why it cannot be had.
    pub peek: Result<Peek, ArchiveError>,
}

impl Listed {
    /// The backup's name: its file name without the form's ending.
    pub fn file_name(&self) -> String {
        file_stem(&self.path)
    }

    /// Whether it holds all it was meant to.
    pub fn is_complete(&self) -> bool {
        self.peek.as_ref().is_ok_and(|p| p.manifest.completion.outcome == Outcome::Complete)
    }

    fn is_pre_restore(&self) -> bool {
        let tags = self.peek.as_ref().map(|p| p.manifest.metadata.tags.as_slice());
        tags.is_ok_and(|tags| tags.iter().any(|tag| tag == PRE_RESTORE_TAG))
    }

    fn created_at(&self) -> &str {
        self.peek.as_ref().map_or("", |p| p.manifest.metadata.created_at.as_str())
    }
}

/// A backup's file name without the ending of its form.
pub fn file_stem(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let ending =
        Form::ALL.iter().rev().map(|f| f.extension()).find(|e| !e.is_empty() && name.ends_with(e));
    name.strip_suffix(ending.unwrap_or_default()).unwrap_or(&name).to_owned()
}

/// All backups of some folders, newest first; what cannot be read comes last, by name. Only
/// trailers, sidecars and the two JSON files of a folder are read.
pub fn scan(folders: &[PathBuf]) -> Result<Vec<Listed>, EngineError> {
    let mut paths = Vec::new();
    for folder in folders {
        paths.extend(candidates(folder)?);
    }
    let share = paths.len().div_ceil(workers()).max(1);
    let mut found: Vec<Listed> = std::thread::scope(|scope| {
        let threads: Vec<_> = paths
            .chunks(share)
            .map(|paths| {
                let peek =
                    |path: &PathBuf| Listed { peek: Archive::peek(path), path: path.clone() };
                scope.spawn(move || paths.iter().map(peek).collect::<Vec<_>>())
            })
            .collect();
        let listed = |thread: std::thread::ScopedJoinHandle<'_, _>| {
            thread.join().expect("reading a manifest does not panic")
        };
        threads.into_iter().flat_map(listed).collect()
    });
    found.sort_by(|a, b| {
        b.peek
            .is_ok()
            .cmp(&a.peek.is_ok())
            .then_with(|| b.created_at().cmp(a.created_at()))
            .then_with(|| a.path.cmp(&b.path))
    });
    Ok(found)
}

/// What in a folder could be a backup, by name alone: an archive's ending, or a folder with the
/// first member of a tree. A folder that does not exist holds none.
fn candidates(folder: &Path) -> Result<Vec<PathBuf>, EngineError> {
    let failed = |e| EngineError::Store(StoreError::io("list", folder, e));
    let entries = match fs::read_dir(folder) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut paths = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        if name.to_str().is_none_or(|n| n.starts_with('.')) {
            continue;
        }
        let path = entry.path();
        if (has_archive_name(&path) && path.is_file())
            || (path.is_dir() && path.join(tree::METADATA).is_file())
        {
            paths.push(path);
        }
    }
    Ok(paths)
}

/// The one backup that `wanted` means: an existing path, else an id, a unique prefix of one, a name
/// that only one backup has, or `latest`: the newest complete one that no restore made of what it
/// was about to replace.
pub fn find(folders: &[PathBuf], wanted: &str) -> Result<PathBuf, EngineError> {
    let path = Path::new(wanted);
    if wanted.contains('/') || (wanted != "latest" && path.exists()) {
        if path.symlink_metadata().is_ok() {
            return Ok(path.to_owned());
        }
        return Err(EngineError::NoSuchPath { path: path.to_owned() });
    }
    let all = scan(folders)?;
    let not_found =
        || EngineError::NoSuchBackup { wanted: wanted.to_owned(), searched: folders.to_vec() };
    if wanted == "latest" {
        let candidates: Vec<Listed> =
            all.into_iter().filter(|l| l.peek.is_ok() && !l.is_pre_restore()).collect();
        return match candidates.iter().find(|l| l.is_complete()) {
            Some(latest) => Ok(latest.path.clone()),
            None if candidates.is_empty() => Err(not_found()),
            None => Err(EngineError::OnlyPartial {
                partial: candidates.iter().map(Listed::file_name).collect(),
            }),
        };
    }
    let named: Vec<&Listed> = all.iter().filter(|l| is_named(l, wanted)).collect();
    let matches = if named.is_empty() && wanted.len() >= 4 {
        all.iter().filter(|l| id(l).is_some_and(|id| id.starts_with(wanted))).collect()
    } else {
        named
    };
    match matches[..] {
        [] => Err(not_found()),
        [one] => Ok(one.path.clone()),
        _ => Err(EngineError::Ambiguous {
            wanted: wanted.to_owned(),
            matches: matches
                .iter()
                .map(|l| format!("{} ({})", id(l).unwrap_or_default(), l.path.display()))
                .collect(),
        }),
    }
}

fn id(listed: &Listed) -> Option<String> {
    listed.peek.as_ref().ok().map(|p| p.manifest.metadata.id.to_string())
}

fn is_named(listed: &Listed, wanted: &str) -> bool {
    let given = listed.peek.as_ref().is_ok_and(|p| p.manifest.metadata.name == wanted);
    let file = listed.path.file_name().is_some_and(|n| n == wanted);
    given || file || listed.file_name() == wanted || id(listed).as_deref() == Some(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stems() {
        for (name, stem) in [
            ("backup_1.tar.gz", "backup_1"),
            ("a.b.tar.zst", "a.b"),
            ("x.tar", "x"),
            ("folder", "folder"),
            ("a.gz", "a.gz"),
        ] {
            assert_eq!(file_stem(Path::new("/b").join(name).as_path()), stem);
        }
    }
}
