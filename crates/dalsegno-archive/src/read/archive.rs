//! An opened backup.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dalsegno_format::{
    Completion, Entry, EntryKind, Form, Manifest, Metadata, Sha256 as Digest, TreePath, tree,
};
use rustix::io::Errno;

use super::digests::Digests;
use super::entries::{Entries, Source};
use super::extents::{ExtentReader, extents_of};
use super::folder_walk::FolderWalk;
use super::loose::Survey;
use super::member::VerifiedFile;
use super::stored_lists::{folder_lists, member_at, tar_lists};
use super::tar_file::TarFile;
use super::tar_walk::TarWalk;
use super::walk::{Findings, Mode};
use super::{Check, Peek, ReadError, ReadReport, Visit, Watch, salvage, unverified};
use crate::folder::Folder;
use crate::tar::{Parsed, data_len, read_head};
use crate::{ArchiveError, Damage, sidecar};

/// The longest JSON file read whole.
const MAX_JSON: u64 = 16 << 20;

/// An opened backup: its end has been checked, its contents not yet.
#[derive(Debug)]
pub struct Archive {
    path: PathBuf,
    manifest: Manifest,
    stored_bytes: u64,
    body: Body,
    unverified: bool,
    end_is_missing: bool,
}

#[derive(Debug)]
pub(super) enum Body {
    /// Index and lists are sound, or whoever uses them finds out.
    Tar(Arc<TarFile>),
    /// A tar form that can only be read from its beginning.
    Salvage(Form, Arc<Survey>),
    /// A folder, with a survey when its lists cannot be relied on.
    Folder(Option<Arc<Survey>>),
}

impl Archive {
    /// Opens a backup in any form, told apart by content.
    pub fn open(path: &Path) -> Result<Self, ArchiveError> {
        if is_folder(path)? {
            let (manifest, stored_bytes, _) = folder_manifest(path)?;
            return Ok(Self::assembled(path, manifest, stored_bytes, Body::Folder(None)));
        }
        let (tar, _) = TarFile::open(path)?;
        let bytes = tar.manifest_bytes().map_err(|damage| damaged(path, damage))?;
        let manifest = manifest_from(path, "manifest in the index", &bytes)?;
        let stored_bytes = tar.trailer.file_len;
        Ok(Self::assembled(path, manifest, stored_bytes, Body::Tar(tar)))
    }

    /// Opens a backup to be read with [`Check::Unverified`], whatever its checksums, lists and
    /// sizes say and whether it has an end or not. Where trailer, index or lists of a tar form
    /// cannot be used, its headers are read from the beginning, as far as they go: one pass over
    /// the whole file. Members whose contents are cut short count as missing.
    ///
    /// A completion record that cannot be had is made up: partial, with what is there counted, and
    /// digests of zeros ([`Archive::end_is_missing`]). Without its metadata nothing is a backup.
    /// A member that breaks a rule of the tree is refused here or when it is read.
    pub fn open_unverified(path: &Path) -> Result<Self, ArchiveError> {
        unverified::open(path)
    }

    /// Whether it was opened by [`Archive::open_unverified`]: nothing it tells has been checked.
    pub fn is_unverified(&self) -> bool {
        self.unverified
    }

    /// Whether the completion record could not be had, and [`Archive::completion`] only counts
    /// what is left.
    pub fn end_is_missing(&self) -> bool {
        self.end_is_missing
    }

    /// The manifest alone, from a few kilobytes: of an archive file the trailer and the sidecar,
    /// when that has the digest the trailer names, else the manifest in the index.
    pub fn peek(path: &Path) -> Result<Peek, ArchiveError> {
        if is_folder(path)? {
            let (manifest, stored_bytes, bytes_read) = folder_manifest(path)?;
            let form = Form::Folder;
            return Ok(Peek { manifest, form, stored_bytes, bytes_read, from_sidecar: false });
        }
        let (tar, mut bytes_read) = TarFile::open(path)?;
        let (form, stored_bytes) = (tar.form(), tar.trailer.file_len);
        if let Some(bytes) = sidecar::read(path) {
            bytes_read += bytes.len() as u64;
            if sidecar::belongs(&bytes, &tar)
                && let Ok(manifest) = Manifest::from_json(&bytes)
            {
                return Ok(Peek { manifest, form, stored_bytes, bytes_read, from_sidecar: true });
            }
        }
        let bytes = tar.manifest_bytes().map_err(|damage| damaged(path, damage))?;
        bytes_read += u64::from(tar.trailer.manifest.frame.stored);
        let manifest = manifest_from(path, "manifest in the index", &bytes)?;
        Ok(Peek { manifest, form, stored_bytes, bytes_read, from_sidecar: false })
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its form.
    pub fn form(&self) -> Form {
        match &self.body {
            Body::Tar(tar) => tar.form(),
            Body::Salvage(form, _) => *form,
            Body::Folder(_) => Form::Folder,
        }
    }

    /// Both halves of the manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The half that was known when the backup began.
    pub fn metadata(&self) -> &Metadata {
        &self.manifest.metadata
    }

    /// The half that was written last.
    pub fn completion(&self) -> &Completion {
        &self.manifest.completion
    }

    /// Bytes it takes: of the archive file, or of all files of the folder, holes included.
    pub fn stored_bytes(&self) -> u64 {
        self.stored_bytes
    }

    fn lists(&self) -> Result<Source, ArchiveError> {
        Ok(match &self.body {
            Body::Tar(tar) => Source::Checked(tar_lists(tar, &self.manifest)?),
            Body::Folder(None) => Source::Checked(folder_lists(&self.path, self.completion())?),
            Body::Salvage(_, survey) | Body::Folder(Some(survey)) => Source::Loose(survey.lists()),
        })
    }

    /// The members up to `restore.sh`, from the lists, which are checked against their digests
    /// first. Of an archive file only the frames with the lists are read.
    pub fn entries(&self) -> Result<Entries<'_>, ArchiveError> {
        Ok(Entries::new(self, self.lists()?))
    }

    /// A member's line in the lists, with its number.
    fn find(&self, path: &TreePath) -> Result<(u64, Entry, Option<Digest>), ArchiveError> {
        for (number, listed) in (0..).zip(self.entries()?) {
            let (entry, digest) = listed?;
            if entry.path == *path {
                return Ok((number, entry, digest));
            }
        }
        Err(ArchiveError::NoMember { path: path.clone() })
    }

    /// The content of one regular file as a reader sees it, holes as zeros; a hard link gives the
    /// file it names. Only the frames needed are read. At its end it fails when its SHA-256 is not
    /// the listed one, unless the archive was opened without its checks.
    pub fn open_member(&self, path: &TreePath) -> Result<Box<dyn Read + Send>, ArchiveError> {
        let (number, entry, digest) = self.find(path)?;
        match (&entry.kind, digest) {
            (EntryKind::HardLink { target }, _) => {
                let (number, entry, digest) = self.find(target)?;
                if entry.size().is_none() {
                    return Err(ArchiveError::member(target, "it is not a file"));
                }
                self.content(number, entry, digest)
            }
            (EntryKind::File { .. }, digest) => self.content(number, entry, digest),
            _ => Err(ArchiveError::member(path, "it is not a file")),
        }
    }

    fn content(
        &self,
        number: u64,
        entry: Entry,
        digest: Option<Digest>,
    ) -> Result<Box<dyn Read + Send>, ArchiveError> {
        let digest = digest.filter(|_| !self.unverified);
        if let Body::Salvage(form, _) = &self.body {
            let (stream, found) = salvage::open_member(&self.path, *form, number)?;
            let reader = Box::new(stream);
            return Ok(Box::new(VerifiedFile::new(reader, found.path, &found.kind, digest)));
        }
        let Body::Tar(tar) = &self.body else {
            let mut folder = open_folder(&self.path)?;
            let file = folder.file(&entry.path).map_err(|error| {
                damaged(
                    &self.path,
                    Damage::new(format!("member {}", entry.path), error.to_string()),
                )
            })?;
            let mut kind = entry.kind;
            if let EntryKind::File { size, extents: Some(extents) } = &mut kind {
                *extents = extents_of(&file, *size);
            }
            let reader = ExtentReader::new(file, &kind);
            return Ok(Box::new(VerifiedFile::new(reader, entry.path, &kind, digest)));
        };
        let mut reader = member_at(tar, number)?;
        let subject = || format!("header of {}", entry.path);
        let found = match read_head(&mut reader, &self.manifest.metadata.folder) {
            Ok(Parsed::Member(found)) => found,
            Ok(Parsed::Top(_)) => {
                return Err(ArchiveError::damaged(&self.path, subject(), "it is the top folder's"));
            }
            Err(error) => {
                return Err(ArchiveError::damaged(&self.path, subject(), error.to_string()));
            }
        };
        if let Some(what) = super::walk::difference(&found, &entry) {
            return Err(ArchiveError::damaged(&self.path, subject(), what));
        }
        reader.limit(data_len(&found.kind));
        Ok(Box::new(VerifiedFile::new(reader, found.path, &found.kind, digest)))
    }

    /// Reads the whole backup in one pass and hands its members, from `backup_metadata.json` to
    /// `restore.sh`, to `visit`. With [`Check::Full`] every check that [`verify`](crate::verify)
    /// makes is made on the way, and the first damage ends it. What the visitor was given before is
    /// only good once this returns `Ok`.
    pub fn read(
        &self,
        check: Check,
        workers: usize,
        watch: &mut Watch<'_>,
        visit: &mut Visit<'_>,
    ) -> Result<ReadReport, ReadError> {
        let mode = if check == Check::Full { Mode::Strict } else { Mode::Tolerate };
        let mut findings = Findings::new(mode);
        if check == Check::Full {
            self.require_end()?;
        }
        let mut report = self.walk(workers, watch, Some(visit), &mut findings)?;
        (report.tolerated, report.more_tolerated) = (findings.list, findings.more);
        Ok(report)
    }

    pub(crate) fn walk(
        &self,
        workers: usize,
        watch: &mut Watch<'_>,
        visit: Option<&mut Visit<'_>>,
        findings: &mut Findings,
    ) -> Result<ReadReport, ReadError> {
        let manifest = &self.manifest;
        match &self.body {
            Body::Tar(tar) => {
                let digests = Digests::new(workers, &tar.path);
                TarWalk { tar, manifest, findings, visit, digests }.run(workers, watch)
            }
            Body::Folder(survey) => {
                let survey = survey.as_deref();
                FolderWalk { path: &self.path, manifest, survey, findings, visit, watch }.run()
            }
            Body::Salvage(form, survey) => {
                salvage::walk(&self.path, *form, survey, watch, visit, findings)
            }
        }
    }

    pub(super) fn assembled(
        path: &Path,
        manifest: Manifest,
        stored_bytes: u64,
        body: Body,
    ) -> Self {
        let (unverified, end_is_missing) = (false, false);
        Self { path: path.to_owned(), manifest, stored_bytes, body, unverified, end_is_missing }
    }

    pub(super) fn unverified(self) -> Self {
        Self { unverified: true, ..self }
    }

    pub(super) fn without_end(self) -> Self {
        Self { end_is_missing: true, ..self }
    }

    /// What keeps a backup that was opened without its checks from being read with all of them.
    fn require_end(&self) -> Result<(), ArchiveError> {
        let (Body::Salvage(_, survey) | Body::Folder(Some(survey))) = &self.body else {
            return Ok(());
        };
        match survey.damage.first() {
            Some(damage) if !self.end_is_missing => Err(damaged(&self.path, damage.clone())),
            _ => Err(ArchiveError::NoCompletion { path: self.path.clone() }),
        }
    }

    /// An archive whose manifest in the index is unreadable, with the one of its sidecar.
    pub(crate) fn with_manifest(tar: Arc<TarFile>, manifest: Manifest) -> Self {
        let (path, stored_bytes) = (tar.path.clone(), tar.trailer.file_len);
        Self::assembled(&path, manifest, stored_bytes, Body::Tar(tar))
    }

    pub(crate) fn tar(&self) -> Option<&Arc<TarFile>> {
        match &self.body {
            Body::Tar(tar) => Some(tar),
            Body::Folder(_) | Body::Salvage(..) => None,
        }
    }
}

pub(crate) fn damaged(path: &Path, damage: Damage) -> ArchiveError {
    ArchiveError::Damaged { path: path.to_owned(), damage }
}

pub(super) fn is_folder(path: &Path) -> Result<bool, ArchiveError> {
    Ok(std::fs::metadata(path).map_err(ArchiveError::io("open", path))?.is_dir())
}

pub(crate) fn manifest_from(
    path: &Path,
    subject: &str,
    bytes: &[u8],
) -> Result<Manifest, ArchiveError> {
    Manifest::from_json(bytes).map_err(|error| ArchiveError::manifest(path, subject, &error))
}

pub(super) fn open_folder(path: &Path) -> Result<Folder, ArchiveError> {
    // A backup reached through a link in the store is as good as any other.
    let real = std::fs::canonicalize(path).map_err(ArchiveError::io("open", path))?;
    Folder::open(&real).map_err(|error| ArchiveError::io("open", path)(error.into()))
}

/// Both halves from their files, the bytes the whole backup takes, and the bytes read.
fn folder_manifest(path: &Path) -> Result<(Manifest, u64, u64), ArchiveError> {
    let mut folder = open_folder(path)?;
    let metadata = folder_file(&mut folder, path, tree::METADATA)?;
    let complete = folder_file(&mut folder, path, tree::COMPLETE)?;
    let (metadata, complete) = match (metadata, complete) {
        (Some(metadata), Some(complete)) => (metadata, complete),
        (Some(_), None) => return Err(ArchiveError::NoCompletion { path: path.to_owned() }),
        (None, Some(_)) => {
            return Err(ArchiveError::damaged(path, tree::METADATA, "it is missing"));
        }
        (None, None) => return Err(ArchiveError::NotAnArchive { path: path.to_owned() }),
    };
    let wrong = |name: &'static str| move |error| ArchiveError::manifest(path, name, &error);
    let manifest = Manifest {
        metadata: Metadata::from_json(&metadata).map_err(wrong(tree::METADATA))?,
        completion: Completion::from_json(&complete).map_err(wrong(tree::COMPLETE))?,
    };
    if manifest.metadata.id != manifest.completion.id {
        let what = "metadata and completion record belong to different backups";
        return Err(ArchiveError::damaged(path, tree::COMPLETE, what));
    }
    let stored = manifest.completion.bytes.saturating_add(complete.len() as u64);
    Ok((manifest, stored, (metadata.len() + complete.len()) as u64))
}

pub(super) fn folder_file(
    folder: &mut Folder,
    path: &Path,
    name: &str,
) -> Result<Option<Vec<u8>>, ArchiveError> {
    let file = match folder.file(&tree::path(name)) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(None),
        Err(Errno::LOOP | Errno::BADF) => {
            return Err(ArchiveError::damaged(path, name, "it is not a regular file"));
        }
        Err(error) => return Err(ArchiveError::io("read", &path.join(name))(error.into())),
    };
    let mut bytes = Vec::new();
    file.take(MAX_JSON)
        .read_to_end(&mut bytes)
        .map_err(ArchiveError::io("read", &path.join(name)))?;
    Ok(Some(bytes))
}
