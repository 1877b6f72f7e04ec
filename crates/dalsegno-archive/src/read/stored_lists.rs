//! Where the lists of a backup lie.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use dalsegno_format::{Completion, Manifest, tree};
use rustix::io::Errno;

use super::archive::{damaged, open_folder};
use super::entries::{Lists, check_list};
use super::range::RangeReader;
use super::tar_file::TarFile;
use crate::tar::{Parsed, read_head};
use crate::{ArchiveError, Damage};

/// The lists of the folder form, checked against their digests.
pub(crate) fn folder_lists(path: &Path, completion: &Completion) -> Result<Lists, ArchiveError> {
    let mut folder = open_folder(path)?;
    let mut open = |name: &str| -> Result<File, ArchiveError> {
        folder.file(&tree::path(name)).map_err(|error| {
            let what =
                if error == Errno::NOENT { "it is missing".into() } else { error.to_string() };
            damaged(path, Damage::new(name, what))
        })
    };
    for name in [tree::ENTRIES, tree::CHECKSUMS] {
        check_list(name, &mut open(name)?, &completion.digests)
            .map_err(|damage| damaged(path, damage))?;
    }
    Ok(Lists::new(Box::new(open(tree::ENTRIES)?), Box::new(open(tree::CHECKSUMS)?)))
}

/// The lists of a tar form, checked against their digests.
pub(crate) fn tar_lists(tar: &Arc<TarFile>, manifest: &Manifest) -> Result<Lists, ArchiveError> {
    for (name, back) in [(tree::ENTRIES, 3), (tree::CHECKSUMS, 2)] {
        let mut reader = list_reader(tar, manifest, name, back)?;
        check_list(name, &mut reader, &manifest.completion.digests)
            .map_err(|damage| damaged(&tar.path, damage))?;
    }
    Ok(Lists::new(
        Box::new(list_reader(tar, manifest, tree::ENTRIES, 3)?),
        Box::new(list_reader(tar, manifest, tree::CHECKSUMS, 2)?),
    ))
}

fn list_reader(
    tar: &Arc<TarFile>,
    manifest: &Manifest,
    name: &str,
    back: u64,
) -> Result<RangeReader, ArchiveError> {
    let wrong = |what: &str| ArchiveError::damaged(&tar.path, format!("header of {name}"), what);
    let number =
        manifest.completion.members.checked_sub(back).ok_or_else(|| wrong("it is missing"))?;
    let mut reader = member_at(tar, number)?;
    match read_head(&mut reader, &manifest.metadata.folder) {
        Ok(Parsed::Member(entry)) if entry.path.as_bytes() == name.as_bytes() => {
            reader.limit(entry.size().unwrap_or(0));
            Ok(reader)
        }
        Ok(_) => Err(wrong("another member is in its place")),
        Err(error) => Err(wrong(&error.to_string())),
    }
}

pub(super) fn member_at(tar: &Arc<TarFile>, number: u64) -> Result<RangeReader, ArchiveError> {
    let wrong = |damage| damaged(&tar.path, damage);
    let missing = || Damage::new("member table", "it is shorter than the manifest says");
    let mut offsets = tar.members_from(number).map_err(wrong)?;
    let offset = offsets.next().map_err(wrong)?.ok_or_else(|| wrong(missing()))?;
    RangeReader::new(tar, offset)
}
