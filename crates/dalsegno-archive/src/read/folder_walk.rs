//! One pass over the folder form, with every check but those a folder cannot bear: owners, modes
//! and times of its files are what a copy makes of them, and count only in `entries.tsv`.

use std::collections::HashSet;
use std::fs::File;
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Read};
use std::os::fd::AsFd as _;
use std::path::Path;

use dalsegno_format::{Entry, EntryKind, Manifest, Sha256 as Digest, TreePath, tree};
use rustix::fs::{AtFlags, Dir, FileType};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use super::entries::Source;
use super::extents::{ExtentReader, extents_of};
use super::loose::Survey;
use super::stored_lists::folder_lists;
use super::telling::Telling;
use super::walk::{ContentCheck, Findings, Input, visit_file};
use super::{Member, MemberContent, Progress, ReadError, ReadReport, Visit, Watch};
use crate::folder::Folder;
use crate::order::Order;
use crate::{ArchiveError, Damage};

pub(crate) struct FolderWalk<'a, 'w, 'p> {
    pub(crate) path: &'a Path,
    pub(crate) manifest: &'a Manifest,
    /// What takes the place of lists that cannot be relied on.
    pub(crate) survey: Option<&'a Survey>,
    pub(crate) findings: &'a mut Findings,
    pub(crate) visit: Option<&'a mut Visit<'w>>,
    pub(crate) watch: &'a mut Watch<'p>,
}

struct Watched<'a, 'p> {
    reader: ExtentReader,
    telling: Telling<'a, 'p>,
}

impl Input for Watched<'_, '_> {
    fn some(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(out)?;
        // A folder stores contents as they are.
        self.telling.came(read, |progress| progress.bytes)?;
        Ok(read)
    }
    fn cancelled(&self) -> bool {
        self.telling.cancelled()
    }
}

impl FolderWalk<'_, '_, '_> {
    pub(crate) fn run(mut self) -> Result<ReadReport, ReadError> {
        let lists = match self.survey {
            Some(survey) => {
                for damage in &survey.damage {
                    self.find(damage.clone())?;
                }
                Ok(Source::Loose(survey.lists()))
            }
            None => folder_lists(self.path, &self.manifest.completion).map(Source::Checked),
        };
        let mut lists = match lists {
            Ok(lists) => lists,
            Err(ArchiveError::Damaged { damage, .. }) => {
                self.find(damage)?;
                return Ok(ReadReport::default());
            }
            Err(other) => return Err(other.into()),
        };
        let mut folder = Folder::open(self.path)
            .map_err(|error| ArchiveError::io("open", self.path)(error.into()))?;
        let mut order = Order::default();
        let mut lost = false;
        let mut known = HashSet::new();
        let hasher = RandomState::new();
        let mut report = ReadReport::default();
        let completion = &self.manifest.completion;
        let mut progress = Progress { stored_total: completion.bytes, ..Progress::default() };
        loop {
            let (entry, digest) = match lists.next() {
                Ok(Some(listed)) => listed,
                Ok(None) => break,
                Err(damage) => {
                    self.find(damage)?;
                    return Ok(report);
                }
            };
            for damage in lists.take_damage() {
                self.find(damage)?;
            }
            let Some(entry) = self.allowed(&mut folder, &mut order, entry, lost)? else {
                continue;
            };
            known.insert(hasher.hash_one(&entry.path));
            report.members += 1;
            report.files += u64::from(digest.is_some());
            report.bytes = report.bytes.saturating_add(entry.size().unwrap_or(0));
            progress.members = report.members;
            let path = entry.path.clone();
            if !self.member(&mut folder, entry, digest.as_ref(), &mut progress)? {
                order.forget(&path);
                lost = true;
            }
            (self.watch.progress)(progress);
            if (self.watch.cancelled)() {
                return Err(ArchiveError::Cancelled.into());
            }
        }
        if let Err(damage) = lists.end() {
            self.find(damage)?;
        }
        if self.survey.is_none() {
            if !order.has_ended() {
                self.find(Damage::new(format!("member {}", tree::RESTORE_SH), "it is missing"))?;
            }
            self.counts(&mut folder, &mut report)?;
        }
        for name in [tree::ENTRIES, tree::CHECKSUMS, tree::COMPLETE] {
            known.insert(hasher.hash_one(tree::path(name)));
        }
        // A folder extracted from a tar form has its index too, which says nothing of the folder.
        if folder.file(&tree::path(tree::INDEX)).is_ok() {
            known.insert(hasher.hash_one(tree::path(tree::INDEX)));
        }
        self.extra(&mut folder, &|path| known.contains(&hasher.hash_one(path)))?;
        Ok(report)
    }

    fn tolerates(&self) -> bool {
        self.findings.tolerates()
    }

    fn find(&mut self, damage: Damage) -> Result<(), ArchiveError> {
        self.findings.add(self.path, damage)
    }

    /// The member, if the rules allow it here. A hard link to a file that could not be handed out
    /// is taken for the file it is, where that is tolerated.
    fn allowed(
        &mut self,
        folder: &mut Folder,
        order: &mut Order,
        entry: Entry,
        lost: bool,
    ) -> Result<Option<Entry>, ReadError> {
        let allowed = if entry.path.as_bytes() == tree::RESTORE_SH.as_bytes() {
            order.end(&entry)
        } else {
            order.check(&entry)
        };
        let Err(reason) = allowed else { return Ok(Some(entry)) };
        if lost
            && self.tolerates()
            && matches!(entry.kind, EntryKind::HardLink { .. })
            && let Some(file) = as_file(folder, &entry)
            && order.check(&file).is_ok()
        {
            return Ok(Some(file));
        }
        self.findings.refuse(self.path, &entry, reason)?;
        Ok(None)
    }

    fn counts(&mut self, folder: &mut Folder, report: &mut ReadReport) -> Result<(), ReadError> {
        for name in [tree::ENTRIES, tree::CHECKSUMS] {
            let size = folder.file(&tree::path(name)).and_then(rustix::fs::fstat);
            let size = size.map_or(0, |stat| u64::try_from(stat.st_size).unwrap_or(0));
            report.members += 1;
            report.files += 1;
            report.bytes = report.bytes.saturating_add(size);
        }
        report.members += 1;
        let completion = &self.manifest.completion;
        if (report.members, report.bytes) != (completion.members, completion.bytes) {
            let what = format!(
                "it announces {} members with {} bytes, the lists have {} with {}",
                completion.members, completion.bytes, report.members, report.bytes
            );
            self.find(Damage::new(tree::COMPLETE, what))?;
        }
        Ok(())
    }

    /// Checks one member and hands it out; `false` when there was nothing to hand out.
    fn member(
        &mut self,
        folder: &mut Folder,
        entry: Entry,
        digest: Option<&Digest>,
        progress: &mut Progress,
    ) -> Result<bool, ReadError> {
        if entry.size().is_some() {
            return self.file(folder, entry, digest, progress);
        }
        match Self::other(folder, &entry) {
            Ok(None) => {}
            Ok(Some(what)) => {
                self.find(Damage::new(format!("member {}", entry.path), what))?;
                if self.tolerates()
                    && matches!(entry.kind, EntryKind::HardLink { .. })
                    && let Some(file) = as_file(folder, &entry)
                {
                    return self.file(folder, file, None, progress);
                }
                return Ok(false);
            }
            Err(error) => {
                self.missing(&entry, error)?;
                let folder = entry.kind == EntryKind::Directory && error == Errno::NOENT;
                if !folder || !self.tolerates() {
                    return Ok(false);
                }
                // Some copies leave empty folders behind; the list has all there is to know.
            }
        }
        if let Some(visit) = self.visit.as_deref_mut() {
            let path = entry.path.clone();
            visit(Member { entry, content: MemberContent::None })
                .map_err(|source| ReadError::Visit { path, source })?;
        }
        Ok(true)
    }

    fn file(
        &mut self,
        folder: &mut Folder,
        mut entry: Entry,
        mut digest: Option<&Digest>,
        progress: &mut Progress,
    ) -> Result<bool, ReadError> {
        let file = match folder.file(&entry.path) {
            Ok(file) => file,
            Err(error) => return self.missing(&entry, error).map(|()| false),
        };
        let tolerant = self.tolerates();
        let found = file.metadata().map_or(0, |meta| meta.len());
        let subject = format!("contents of {}", entry.path);
        if let EntryKind::File { size, extents } = &mut entry.kind {
            if found != *size {
                let what = format!("it has {found} bytes, entries.tsv says {size}");
                self.findings.add(self.path, Damage::new(&subject, what))?;
                if !tolerant {
                    return Ok(false);
                }
                (*size, digest) = (found, None);
            }
            if let Some(extents) = extents {
                *extents = extents_of(&file, *size);
            }
        }
        let reader = ExtentReader::new(file, &entry.kind);
        let canceller = self.watch.cancelled;
        let mut input = Watched { reader, telling: Telling::new(self.watch, progress) };
        let check = ContentCheck { expected: digest, canceller, tolerant };
        let visit = self.visit.as_deref_mut();
        let wrong = visit_file(&entry, &mut input, &check, visit)?;
        if input.telling.has_stopped() {
            return Err(ArchiveError::Cancelled.into());
        }
        let Err(wrong) = wrong else { return Ok(true) };
        self.find(Damage::new(subject, wrong.what))?;
        Ok(!wrong.lost)
    }

    /// What is wrong with a folder or a link.
    fn other(folder: &mut Folder, entry: &Entry) -> Result<Option<String>, Errno> {
        let parent = folder.parent(&entry.path)?;
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        let stat = rustix::fs::statat(parent.as_fd(), entry.path.name(), flags)?;
        let found = FileType::from_raw_mode(stat.st_mode);
        match &entry.kind {
            EntryKind::Directory if found == FileType::Directory => Ok(None),
            EntryKind::Symlink { target } if found == FileType::Symlink => {
                let text = rustix::fs::readlinkat(parent.as_fd(), entry.path.name(), Vec::new())?;
                let same = text.as_bytes() == &target[..];
                Ok((!same).then(|| "its target is not the one in entries.tsv".to_owned()))
            }
            EntryKind::HardLink { target } if found == FileType::RegularFile => {
                let other = folder.file(target)?;
                let original = rustix::fs::fstat(&other)?;
                if (original.st_dev, original.st_ino) == (stat.st_dev, stat.st_ino) {
                    return Ok(None);
                }
                // A copy that took links apart is as good, if it is a copy.
                let this = folder.file(&entry.path)?;
                let same = digest_of(this).ok() == digest_of(other).ok();
                Ok((!same).then(|| format!("it is not the same file as {target}")))
            }
            _ => Ok(Some("it is of another type than entries.tsv says".to_owned())),
        }
    }

    fn missing(&mut self, entry: &Entry, error: Errno) -> Result<(), ReadError> {
        let what = match error {
            Errno::NOENT => "it is missing".to_owned(),
            Errno::LOOP | Errno::BADF | Errno::NOTDIR => {
                "it, or a folder above it, is of another type than entries.tsv says".to_owned()
            }
            other => format!("it cannot be read: {other}"),
        };
        Ok(self.find(Damage::new(format!("member {}", entry.path), what))?)
    }

    /// Names that no list knows.
    fn extra(
        &mut self,
        folder: &mut Folder,
        known: &dyn Fn(&TreePath) -> bool,
    ) -> Result<(), ReadError> {
        let mut todo: Vec<Option<TreePath>> = vec![None];
        while let Some(path) = todo.pop() {
            let opened = match &path {
                Some(path) => folder.folder(path),
                None => Ok(std::sync::Arc::clone(folder.root())),
            };
            let Ok(fd) = opened else { continue };
            let Ok(dir) = Dir::read_from(fd.as_fd()) else { continue };
            for found in dir.flatten() {
                let name = found.file_name().to_bytes();
                if name == b"." || name == b".." {
                    continue;
                }
                let full = match &path {
                    Some(path) => path.join(name),
                    None => TreePath::new(name),
                };
                let Ok(full) = full else { continue };
                if !known(&full) {
                    let what = "it does not belong to the backup";
                    self.find(Damage::new(format!("extra {full}"), what))?;
                } else if is_folder(fd.as_fd(), found.file_name()) {
                    todo.push(Some(full));
                }
            }
        }
        Ok(())
    }
}

/// A hard link taken for the file it is.
fn as_file(folder: &mut Folder, entry: &Entry) -> Option<Entry> {
    let size = folder.file(&entry.path).ok()?.metadata().ok()?.len();
    Some(Entry { kind: EntryKind::File { size, extents: None }, ..entry.clone() })
}

fn is_folder(parent: std::os::fd::BorrowedFd<'_>, name: &std::ffi::CStr) -> bool {
    rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}

fn digest_of(mut file: File) -> io::Result<Digest> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hash.finalize().into()),
            read => hash.update(&buffer[..read]),
        }
    }
}
