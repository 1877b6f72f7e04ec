//! Media into the tree.

use std::collections::HashSet;
use std::path::Path;

use dalsegno_archive::{ArchiveError, Content};
use dalsegno_format::{Entry, EntryKind, StorageCompletion, TreePath, tree};
use dalsegno_media::{CaptureOptions, Found, LargeFile, Rule, Selection, Survey};

use super::capture::Capturing;
use super::references::ReferenceCheck;
use super::request::{ScopedMedia, identity};
use crate::{EngineError, Run, workers};

/// How often a large file that changes while it is read is read.
const TRIES: u32 = 3;

pub(super) fn survey(media: &ScopedMedia, run: Run<'_>) -> Result<Survey, EngineError> {
    let cancelled = || run.cancel.requested();
    let ScopedMedia { root, selection, skip } = media;
    dalsegno_media::survey(&root.location, selection, skip, &cancelled)
        .map_err(EngineError::media(&root.alias))
}

pub(super) fn capture(
    work: &mut Capturing<'_>,
    mut references: Option<&mut ReferenceCheck>,
) -> Result<(), EngineError> {
    let mut storages: Vec<&ScopedMedia> = work.scope.media.iter().collect();
    storages.sort_by_key(|media| tree::storage(&media.root.alias));
    let top = tree::path(tree::STORAGES);
    let mut has_top = false;
    for media in storages {
        let root = &media.root;
        let folder = tree::storage(&root.alias);
        if folder.parent().is_some() && !has_top {
            work.own_folder(&top)?;
            has_top = true;
        }
        let total = work.sizes.get(&root.alias).copied();
        let label = format!("storage {}", root.alias);
        let mut capture =
            FolderCapture::new(label, &root.location, folder, &media.selection, &media.skip);
        capture.run(work, total, references.as_deref_mut())?;
        work.gathered.storages.insert(root.alias.clone(), capture.counts);
    }
    Ok(())
}

/// One folder of the site on its way into one folder of the tree.
pub(super) struct FolderCapture<'a> {
    /// What it is, for messages: `storage default`, …
    label: String,
    location: &'a Path,
    folder: TreePath,
    selection: &'a Selection,
    skip: &'a [(u64, u64)],
    /// Files that could not be captured: further names of them cannot be either.
    failed: HashSet<TreePath>,
    pub(super) counts: StorageCompletion,
}

impl<'a> FolderCapture<'a> {
    pub(super) fn new(
        label: String,
        location: &'a Path,
        folder: TreePath,
        selection: &'a Selection,
        skip: &'a [(u64, u64)],
    ) -> Self {
        let counts = StorageCompletion::default();
        Self { label, location, folder, selection, skip, failed: HashSet::new(), counts }
    }

    pub(super) fn run(
        &mut self,
        work: &mut Capturing<'_>,
        total: Option<u64>,
        mut references: Option<&mut ReferenceCheck>,
    ) -> Result<(), EngineError> {
        work.run.progress.stage(&format!("backing up {}", self.label), total);
        let mut skip = self.skip.to_vec();
        // Made after the scope was drawn up, when this is the first backup.
        skip.extend(identity(work.output.folder()));
        let options = CaptureOptions { workers: workers(), skip, ..CaptureOptions::default() };
        let alias = self.label.trim_start_matches("storage ").to_owned();
        let failed = || EngineError::media(&alias);
        let found = dalsegno_media::capture(self.location, &self.folder, self.selection, options)
            .map_err(failed())?;
        for found in found {
            work.run.check_cancelled()?;
            let found = found.map_err(failed())?;
            if let Some(path) = self.take(work, found)?
                && let Some(references) = references.as_deref_mut()
            {
                references.captured(self.location, path.below(&self.folder).unwrap_or_default());
            }
        }
        Ok(())
    }

    /// Writes one thing into the tree; gives back the path of a file or link that is now in it.
    fn take(
        &mut self,
        work: &mut Capturing<'_>,
        found: Found,
    ) -> Result<Option<TreePath>, EngineError> {
        match found {
            Found::Entry(entry) => self.entry(work, entry),
            Found::Small { entry, data, sha256 } => {
                work.run.progress.advance(data.len() as u64);
                let content = Content::Bytes { data: &data, sha256: Some(sha256) };
                work.writer.add_file(&entry, content)?;
                self.count_file(&entry);
                Ok(Some(entry.path))
            }
            Found::Large { entry, file } => self.large(work, entry, file),
            Found::LeftOut { path, rule, folder } => {
                self.left_out(work, &path, rule, folder);
                Ok(None)
            }
            Found::Vanished { path } => {
                self.counts.vanished += 1;
                let shown = self.shown(&path);
                work.warning(format!("{}: `{shown}` vanished before it was read", self.label));
                Ok(None)
            }
            Found::Unreadable { path, source } => {
                self.problem(work, path, source.to_string());
                Ok(None)
            }
        }
    }

    fn entry(
        &mut self,
        work: &mut Capturing<'_>,
        entry: Entry,
    ) -> Result<Option<TreePath>, EngineError> {
        match &entry.kind {
            EntryKind::HardLink { target } if self.failed.contains(target) => {
                self.problem(work, entry.path, format!("it is another name of `{target}`"));
                return Ok(None);
            }
            EntryKind::HardLink { .. } => self.counts.files += 1,
            EntryKind::Symlink { .. } => self.counts.links += 1,
            _ if entry.path == self.folder => {}
            _ => self.counts.folders += 1,
        }
        work.writer.add(&entry)?;
        Ok((entry.kind != EntryKind::Directory).then_some(entry.path))
    }

    /// A file too large to be held: written as it is read, undone when it changed meanwhile.
    fn large(
        &mut self,
        work: &mut Capturing<'_>,
        mut entry: Entry,
        mut file: LargeFile,
    ) -> Result<Option<TreePath>, EngineError> {
        let path = entry.path.clone();
        for attempt in 1..=TRIES {
            let mark = work.writer.mark()?;
            let run = work.run;
            let mut counted = Counted { file: &mut file, run };
            let why = match work.writer.add_file(&entry, Content::Stream(&mut counted)) {
                Ok(_) => match file.unchanged() {
                    Ok(true) => {
                        self.count_file(&entry);
                        return Ok(Some(path));
                    }
                    Ok(false) => None,
                    Err(error) => Some(error.to_string()),
                },
                Err(ArchiveError::ContentLength { .. }) => None,
                Err(ArchiveError::Content { .. }) if run.cancel.requested() => {
                    return Err(EngineError::Cancelled);
                }
                Err(ArchiveError::Content { source, .. }) => Some(source.to_string()),
                Err(error) => return Err(error.into()),
            };
            work.writer.rewind(mark)?;
            if let Some(why) = why {
                self.problem(work, path, why);
                return Ok(None);
            }
            if attempt < TRIES {
                match file.again() {
                    Ok(again) => (entry, file) = again,
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                        return self.take(work, Found::Vanished { path });
                    }
                    Err(error) => {
                        self.problem(work, path, error.to_string());
                        return Ok(None);
                    }
                }
            }
        }
        self.problem(work, path, format!("it changed each of the {TRIES} times it was read"));
        Ok(None)
    }

    fn count_file(&mut self, entry: &Entry) {
        self.counts.files += 1;
        self.counts.bytes += entry.size().unwrap_or(0);
    }

    fn left_out(&mut self, work: &mut Capturing<'_>, path: &TreePath, rule: Rule, folder: bool) {
        match rule {
            Rule::LeavesRoot => self.problem(
                work,
                path.clone(),
                "it is a link that leaves the storage; its target is not captured".to_owned(),
            ),
            Rule::Special => work.warning(format!(
                "{}: `{}` is a socket, pipe or device and is left out",
                self.label,
                self.shown(path)
            )),
            Rule::Own => {}
            _ if folder => {
                self.counts.left_out += 1;
                let shown = self.shown(path);
                work.warning(format!("{}: the folder `{shown}` is left out", self.label));
            }
            _ => self.counts.left_out += 1,
        }
    }

    /// A path below the storage, for people.
    fn shown(&self, path: &TreePath) -> String {
        path.below(&self.folder)
            .and_then(|p| TreePath::new(p).ok())
            .map_or_else(|| ".".to_owned(), |below| below.to_string())
    }

    fn problem(&mut self, work: &mut Capturing<'_>, path: TreePath, reason: String) {
        let shown = self.shown(&path);
        work.problem(format!("{}: {shown}", self.label), reason);
        self.failed.insert(path);
    }
}

/// Counts what goes through, and stops when the run is cancelled.
struct Counted<'a> {
    file: &'a mut LargeFile,
    run: Run<'a>,
}

impl std::io::Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.run.cancel.requested() {
            return Err(std::io::Error::other("cancelled"));
        }
        let n = self.file.read(buffer)?;
        self.run.progress.advance(n as u64);
        Ok(n)
    }
}
