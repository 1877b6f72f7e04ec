//! Everything that is wrong with a backup.

use std::path::Path;

use dalsegno_format::{Form, Manifest};

use super::archive::{Archive, manifest_from};
use super::tar_file::TarFile;
use super::walk::Findings;
use super::{ReadError, ReadReport, VerifyReport, Watch};
use crate::{ArchiveError, Damage, sidecar};

/// Reads a whole backup and lists what is wrong with it, up to about a hundred findings.
///
/// A backup whose end is missing or damaged is reported with that one finding, since its end tells
/// where everything else lies. An error means that nothing could be said: the path is no backup,
/// cannot be read, is of a newer version, or the caller cancelled.
pub fn verify(
    path: &Path,
    workers: usize,
    watch: &mut Watch<'_>,
) -> Result<VerifyReport, ArchiveError> {
    let mut findings = Findings::default();
    let archive = match open(path, &mut findings) {
        Ok(archive) => archive,
        Err(error) => return without_end(path, error, findings),
    };
    if let Some(tar) = archive.tar() {
        check_sidecar(path, tar, &mut findings);
    }
    let report = match archive.walk(workers, watch, None, &mut findings) {
        Ok(report) => report,
        Err(ReadError::Archive(ArchiveError::Damaged { damage, .. })) => {
            findings.add(path, damage)?;
            ReadReport::default()
        }
        Err(ReadError::Archive(error)) => return Err(error),
        Err(ReadError::Visit { .. }) => ReadReport::default(),
    };
    Ok(VerifyReport {
        form: archive.form(),
        manifest: Some(archive.manifest().clone()),
        stored_bytes: archive.stored_bytes(),
        members: report.members,
        files: report.files,
        bytes: report.bytes,
        damage: findings.list,
        more_damage: findings.more,
    })
}

/// Opens the backup; a damaged manifest is replaced by a sidecar that proves to be it.
fn open(path: &Path, findings: &mut Findings) -> Result<Archive, ArchiveError> {
    let error = match Archive::open(path) {
        Err(error @ ArchiveError::Damaged { .. }) if path.is_file() => error,
        other => return other,
    };
    let (tar, _) = TarFile::open(path)?;
    let bytes = sidecar::read(path).filter(|bytes| sidecar::belongs(bytes, &tar));
    let Some(bytes) = bytes else { return Err(error) };
    let manifest = manifest_from(path, "sidecar", &bytes)?;
    if let ArchiveError::Damaged { damage, .. } = error {
        findings.add(path, damage)?;
    }
    Ok(Archive::with_manifest(tar, manifest))
}

fn check_sidecar(path: &Path, tar: &TarFile, findings: &mut Findings) {
    let shown = sidecar::path(path);
    let damage = match sidecar::read(path) {
        None if shown.symlink_metadata().is_ok() => "it cannot be read",
        Some(bytes) if !sidecar::belongs(&bytes, tar) => "it does not belong to this archive",
        _ => return,
    };
    // Not strict: adding cannot fail.
    let _ = findings.add(path, Damage::new("sidecar", damage));
}

/// The report of a backup that cannot be opened.
fn without_end(
    path: &Path,
    error: ArchiveError,
    mut findings: Findings,
) -> Result<VerifyReport, ArchiveError> {
    let damage = match error {
        ArchiveError::Damaged { damage, .. } => damage,
        ArchiveError::NoCompletion { .. } => {
            Damage::new("end of the backup", "it is missing: the backup was cut short")
        }
        other => return Err(other),
    };
    findings.add(path, damage)?;
    let meta = std::fs::metadata(path).map_err(ArchiveError::io("read", path))?;
    Ok(VerifyReport {
        form: form_of(path, meta.is_dir()),
        manifest: None::<Manifest>,
        stored_bytes: meta.len(),
        members: 0,
        files: 0,
        bytes: 0,
        damage: findings.list,
        more_damage: findings.more,
    })
}

/// The form by name: of a file whose end is gone it is only shown.
fn form_of(path: &Path, folder: bool) -> Form {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if folder {
        Form::Folder
    } else if name.ends_with(".gz") {
        Form::TarGz
    } else if name.ends_with(".zst") {
        Form::TarZst
    } else {
        Form::Tar
    }
}
