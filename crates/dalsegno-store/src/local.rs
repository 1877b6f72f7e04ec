//! Whether a file system is this machine's alone.

use std::io;
use std::path::Path;

/// Whether a path lies on a file system of a disk (or of the memory) of this machine: no other
/// machine writes there, all processes meet in one kernel for its locks, and no network stands
/// between a write and its end. Links are followed. What is not known to be so is not: network and
/// cluster file systems, FUSE, those of a virtual machine's host.
pub fn is_local(path: &Path) -> io::Result<bool> {
    of_this_machine(|| rustix::fs::statfs(path))
}

/// [`is_local`] of what is open.
pub(crate) fn is_open_local(file: &std::fs::File) -> io::Result<bool> {
    of_this_machine(|| rustix::fs::fstatfs(file))
}

#[cfg(target_os = "linux")]
fn of_this_machine(ask: impl Fn() -> rustix::io::Result<rustix::fs::StatFs>) -> io::Result<bool> {
    let found = rustix::io::retry_on_intr(ask)?;
    #[expect(clippy::cast_sign_loss, reason = "a signed word, of which 32 bits are the type")]
    Ok(LOCAL.contains(&(found.f_type as u64 & 0xffff_ffff)))
}

#[cfg(not(target_os = "linux"))]
fn of_this_machine<S>(ask: impl Fn() -> rustix::io::Result<S>) -> io::Result<bool> {
    rustix::io::retry_on_intr(ask)?;
    Ok(false)
}

/// The types of statfs(2) that one kernel has to itself. The upper layer of an overlay must be one.
#[cfg(target_os = "linux")]
const LOCAL: [u64; 17] = [
    0xef53,      // ext2, ext3, ext4
    0x5846_5342, // XFS
    0x9123_683e, // Btrfs
    0x2fc1_2fc1, // ZFS
    0xca45_1a4e, // bcachefs
    0xf2f5_2010, // F2FS
    0x0102_1994, // tmpfs
    0x8584_58f6, // ramfs
    0x794c_7630, // overlayfs
    0x6175_6673, // aufs
    0x3153_464a, // JFS
    0x5265_4973, // ReiserFS
    0x3434,      // NILFS2
    0x2405_1905, // UBIFS
    0x4d44,      // FAT
    0x2011_bab0, // exFAT
    0x7366_746e, // NTFS (ntfs3)
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_this_machine_is_local_and_the_kernels_own_is_not() {
        let folder = tempfile::tempdir().unwrap();
        assert!(is_local(folder.path()).unwrap());
        assert!(is_local(Path::new("/dev/shm")).unwrap(), "tmpfs");
        assert!(!is_local(Path::new("/proc")).unwrap(), "not in the list");
        assert!(is_open_local(&tempfile::tempfile().unwrap()).unwrap());
    }

    #[test]
    fn what_is_not_there_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let missing = is_local(&folder.path().join("missing")).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }
}
