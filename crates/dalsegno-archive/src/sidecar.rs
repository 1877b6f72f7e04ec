//! The manifest beside an archive: `<archive>.manifest.json`, exactly the manifest bytes of its
//! index. The archive's trailer holds their SHA-256, so a sidecar proves or betrays itself.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use dalsegno_format::{Sha256 as Digest, tree};
use rustix::fs::OFlags;
use sha2::{Digest as _, Sha256};

use crate::read::TarFile;
use crate::{Archive, ArchiveError};

/// The longest sidecar read.
const MAX: u64 = 16 << 20;

/// Where the sidecar of an archive lies.
pub fn path(archive: &Path) -> PathBuf {
    let mut name = archive.as_os_str().to_owned();
    name.push(tree::SIDECAR);
    PathBuf::from(name)
}

/// The bytes the sidecar of this archive must have, from the archive alone.
pub fn bytes(archive: &Path) -> Result<Vec<u8>, ArchiveError> {
    let (tar, _) = TarFile::open(archive)?;
    tar.manifest_bytes()
        .map_err(|damage| ArchiveError::Damaged { path: archive.to_owned(), damage })
}

/// Writes the sidecar anew from the archive: aside, fsynced, renamed into place. It gets the
/// archive's permission bits.
pub fn rebuild(archive: &Path) -> Result<PathBuf, ArchiveError> {
    Archive::open(archive)?;
    let bytes = bytes(archive)?;
    let target = path(archive);
    let failed = |error| ArchiveError::io("write", &target)(error);
    let folder = match archive.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut aside = tempfile::Builder::new()
        .prefix(".dalsegno-sidecar-")
        .tempfile_in(folder)
        .map_err(failed)?;
    aside.write_all(&bytes).map_err(failed)?;
    let mode = std::fs::metadata(archive).map_err(failed)?.permissions().mode() & 0o777;
    aside.as_file().set_permissions(std::fs::Permissions::from_mode(mode)).map_err(failed)?;
    aside.as_file().sync_all().map_err(failed)?;
    aside.persist(&target).map_err(|error| failed(error.error))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    Ok(target)
}

/// What lies where the sidecar should; `None` when nothing can be read there.
pub(crate) fn read(archive: &Path) -> Option<Vec<u8>> {
    let flags = i32::try_from((OFlags::NONBLOCK | OFlags::NOFOLLOW).bits()).ok()?;
    let file = File::options().read(true).custom_flags(flags).open(path(archive)).ok()?;
    let mut bytes = Vec::new();
    file.take(MAX).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// Whether these are the manifest bytes of this archive.
pub(crate) fn belongs(bytes: &[u8], tar: &TarFile) -> bool {
    let digest: Digest = Sha256::digest(bytes).into();
    digest == tar.trailer.manifest_sha256
}
