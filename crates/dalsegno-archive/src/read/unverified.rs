//! Opening a backup whose end, lists or completion record cannot be relied on.

use std::path::Path;
use std::sync::Arc;

use dalsegno_format::{
    Completion, DatabaseCompletion, Entry, EntryKind, FORMAT_VERSION, FixtureCompletion,
    ListDigests, Manifest, ManifestError, Metadata, Outcome, Problem, StorageCompletion, TreePath,
    tree,
};

use super::archive::{Archive, Body, damaged, folder_file, is_folder, manifest_from, open_folder};
use super::loose::Survey;
use super::salvage::Salvaged;
use super::stored_lists::{folder_lists, tar_lists};
use super::tar_file::{TarFile, form_at};
use super::{folder_survey, salvage};
use crate::{ArchiveError, Damage};

pub(super) fn open(path: &Path) -> Result<Archive, ArchiveError> {
    if is_folder(path)? { open_as_folder(path) } else { open_as_tar(path) }
}

fn open_as_tar(path: &Path) -> Result<Archive, ArchiveError> {
    let (manifest, error) = match sound_end(path) {
        Ok((tar, manifest, None)) => {
            let stored_bytes = tar.trailer.file_len;
            return Ok(
                Archive::assembled(path, manifest, stored_bytes, Body::Tar(tar)).unverified()
            );
        }
        Ok((_, manifest, Some(damage))) => (Some(manifest), damaged(path, damage)),
        Err(error @ (ArchiveError::Damaged { .. } | ArchiveError::NoCompletion { .. })) => {
            (None, error)
        }
        Err(error) => return Err(error),
    };
    let Some(form) = form_at(path)? else { return Err(error) };
    let mut salvaged = match salvage::survey(path, form) {
        // Nothing can be read: what is wrong with the end tells more.
        Err(ArchiveError::Damaged { .. }) => return Err(error),
        salvaged => salvaged?,
    };
    if let ArchiveError::Damaged { damage, .. } = &error {
        salvaged.survey.damage.insert(0, damage.clone());
    }
    let found = match manifest {
        Some(manifest) => Some(manifest),
        None => salvaged_manifest(path, &mut salvaged)?,
    };
    let Salvaged { survey, metadata, stored_bytes, .. } = salvaged;
    let (manifest, end_is_missing) = match (found, metadata) {
        (Some(manifest), _) => (manifest, false),
        (None, Some(Ok(metadata))) => (synthesized(path, metadata, &survey)?, true),
        (None, _) => return Err(error),
    };
    let body = Body::Salvage(form, Arc::new(survey));
    let archive = Archive::assembled(path, manifest, stored_bytes, body).unverified();
    Ok(if end_is_missing { archive.without_end() } else { archive })
}

/// The archive and its manifest, when trailer and manifest are sound, and what is wrong with the
/// rest of its index or with its lists.
fn sound_end(path: &Path) -> Result<(Arc<TarFile>, Manifest, Option<Damage>), ArchiveError> {
    let (tar, _) = TarFile::open(path)?;
    let bytes = tar.manifest_bytes().map_err(|damage| damaged(path, damage))?;
    let manifest = manifest_from(path, "manifest in the index", &bytes)?;
    let members = manifest.completion.members;
    let wrong = if let Err(damage) = tar.tables() {
        Some(damage.clone())
    } else if members < 5 || members.checked_add(1) != Some(tar.trailer.members) {
        Some(Damage::new("index", "it has not as many members as the manifest"))
    } else {
        match tar_lists(&tar, &manifest) {
            Ok(_) => None,
            Err(ArchiveError::Damaged { damage, .. }) => Some(damage),
            Err(error) => return Err(error),
        }
    };
    Ok((tar, manifest, wrong))
}

/// Both halves as members of the stream, when both were reached and belong together.
fn salvaged_manifest(
    path: &Path,
    salvaged: &mut Salvaged,
) -> Result<Option<Manifest>, ArchiveError> {
    for found in [
        salvaged.metadata.as_ref().and_then(|found| found.as_ref().err()),
        salvaged.completion.as_ref().and_then(|found| found.as_ref().err()),
    ] {
        if let Some(error @ ManifestError::Newer { .. }) = found {
            return Err(ArchiveError::manifest(path, "the manifest", error));
        }
    }
    let (Some(Ok(metadata)), Some(Ok(completion))) = (&salvaged.metadata, &salvaged.completion)
    else {
        return Ok(None);
    };
    let both = Manifest { metadata: metadata.clone(), completion: completion.clone() };
    Ok((metadata.id == completion.id).then_some(both))
}

fn open_as_folder(path: &Path) -> Result<Archive, ArchiveError> {
    let mut folder = open_folder(path)?;
    let complete = folder_file(&mut folder, path, tree::COMPLETE).unwrap_or_default();
    let Some(metadata) = folder_file(&mut folder, path, tree::METADATA)? else {
        return Err(match complete {
            Some(_) => ArchiveError::damaged(path, tree::METADATA, "it is missing"),
            None => ArchiveError::NotAnArchive { path: path.to_owned() },
        });
    };
    let metadata = Metadata::from_json(&metadata)
        .map_err(|error| ArchiveError::manifest(path, tree::METADATA, &error))?;
    let completion = match complete.as_deref().map(Completion::from_json) {
        None => Err("it is missing".to_owned()),
        Some(Err(error @ ManifestError::Newer { .. })) => {
            return Err(ArchiveError::manifest(path, tree::COMPLETE, &error));
        }
        Some(Err(error)) => Err(error.to_string()),
        Some(Ok(record)) if record.id != metadata.id => {
            Err("it belongs to another backup".to_owned())
        }
        Some(Ok(record)) => Ok(record),
    };
    let (completion, damage) = match completion {
        Ok(record) => match folder_lists(path, &record) {
            Ok(_) => {
                let length = complete.map_or(0, |bytes| bytes.len() as u64);
                let stored = record.bytes.saturating_add(length);
                let manifest = Manifest { metadata, completion: record };
                return Ok(
                    Archive::assembled(path, manifest, stored, Body::Folder(None)).unverified()
                );
            }
            Err(ArchiveError::Damaged { damage, .. }) => (Some(record), damage),
            Err(error) => return Err(error),
        },
        Err(what) => (None, Damage::new(tree::COMPLETE, what)),
    };
    let survey = folder_survey::survey(path, damage)?;
    let end_is_missing = completion.is_none();
    let manifest = match completion {
        Some(completion) => Manifest { metadata, completion },
        None => synthesized(path, metadata, &survey)?,
    };
    let stored = manifest.completion.bytes;
    let body = Body::Folder(Some(Arc::new(survey)));
    let archive = Archive::assembled(path, manifest, stored, body).unverified();
    Ok(if end_is_missing { archive.without_end() } else { archive })
}

/// A manifest whose second half says what is there, and that it is not all.
fn synthesized(path: &Path, metadata: Metadata, survey: &Survey) -> Result<Manifest, ArchiveError> {
    let zero = || "0".repeat(64);
    let mut completion = Completion {
        format: FORMAT_VERSION,
        id: metadata.id,
        finished_at: metadata.created_at.clone(),
        duration_ms: 0,
        outcome: Outcome::Partial,
        databases: std::collections::BTreeMap::new(),
        storages: std::collections::BTreeMap::new(),
        fixtures: None,
        references: None,
        members: survey.members,
        bytes: 0,
        digests: ListDigests { entries: zero(), checksums: zero() },
        warnings: Vec::new(),
        problems: vec![Problem {
            subject: "end of the backup".to_owned(),
            reason: "it is missing: what is told here was counted in what is left".to_owned(),
        }],
    };
    let mut lists = survey.lists();
    let wrong = |damage| damaged(path, damage);
    while let Some((entry, _)) = lists.next().map_err(wrong)? {
        completion.bytes = completion.bytes.saturating_add(entry.size().unwrap_or(0));
        count(&mut completion, &metadata, &entry);
    }
    Ok(Manifest { metadata, completion })
}

/// Counts one member where it belongs.
fn count(completion: &mut Completion, metadata: &Metadata, entry: &Entry) {
    let bytes = entry.size().unwrap_or(0);
    let below = |folder: &str| TreePath::new(folder).is_ok_and(|f| entry.path.below(&f).is_some());
    for (alias, database) in &metadata.databases {
        if below(&database.folder) {
            let held = completion.databases.entry(alias.clone()).or_insert_with(|| {
                DatabaseCompletion { bytes: 0, tables: Vec::new(), facts: serde_json::Map::new() }
            });
            held.bytes = held.bytes.saturating_add(bytes);
        }
    }
    for (alias, storage) in &metadata.storages {
        if below(&storage.folder) {
            let held: &mut StorageCompletion =
                completion.storages.entry(alias.clone()).or_default();
            held.bytes = held.bytes.saturating_add(bytes);
            match entry.kind {
                EntryKind::Directory => held.folders += 1,
                EntryKind::Symlink { .. } => held.links += 1,
                EntryKind::File { .. } | EntryKind::HardLink { .. } => held.files += 1,
            }
        }
    }
    let top = tree::path(tree::FIXTURES);
    if let Some(rest) = entry.path.below(&top) {
        let held: &mut FixtureCompletion = completion.fixtures.get_or_insert_default();
        let name = rest.split(|&b| b == b'/').next().unwrap_or_default();
        held.folders.entry(String::from_utf8_lossy(name).into_owned()).or_default();
        held.files += u64::from(entry.size().is_some());
        held.bytes = held.bytes.saturating_add(bytes);
    }
}
