//! Whose the files are that root creates.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, OsStr};
use std::fs::{self, File, Metadata, Permissions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, Dir, Mode, OFlags, mkdirat, openat};
use rustix::io::Errno;
use rustix::path::Arg;

use crate::StoreError;

/// The owner that new files in a folder get.
///
/// Root's cron job and a site that runs as `www-data` share one folder: what root creates there
/// must be the site's, or the site cannot read its own backups. Anybody else keeps their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// Files belong to who creates them.
    Creator,
    /// Files are given to this user and group (by root).
    Given {
        /// User id.
        uid: u32,
        /// Group id.
        gid: u32,
    },
}

impl Owner {
    /// The owner of `folder`, when root runs this and the folder is somebody else's.
    pub fn of(folder: &Path) -> Result<Self, StoreError> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self::Creator);
        }
        let meta = fs::metadata(folder).map_err(|e| StoreError::io("read", folder, e))?;
        Ok(match (meta.uid(), meta.gid()) {
            (0, _) => Self::Creator,
            (uid, gid) => Self::Given { uid, gid },
        })
    }

    /// Gives what this process made and holds open to this owner; `path` is its name in errors.
    ///
    /// Names prove nothing in a folder that is somebody else's: by now another file may have this
    /// one. So it is never asked for again, and what is not this process' own, or has a second name
    /// somewhere, is refused.
    pub fn give(self, made: &File, path: &Path) -> Result<(), StoreError> {
        let failed = |e| StoreError::io("change the owner of", path, e);
        let Self::Given { uid, .. } = self else { return Ok(()) };
        let meta = made.metadata().map_err(failed)?;
        if meta.uid() == uid {
            return Ok(());
        }
        if !meta.is_dir() && meta.nlink() > 1 {
            return Err(failed(io::Error::other("it has another name somewhere")));
        }
        self.hand_over(made, &meta).map_err(failed)
    }

    /// Gives what this process made at `path`, a folder with all it holds. No link is followed.
    pub(crate) fn give_all(self, path: &Path) -> Result<(), StoreError> {
        if self == Self::Creator {
            return Ok(());
        }
        let failed = |e| StoreError::io("change the owner of", path, e);
        let made = open_below(CWD, path).map_err(|e| failed(e.into()))?;
        let mut linked = BTreeMap::new();
        self.give_below(&made, path, &mut linked)?;
        match linked.into_values().find(|linked| linked.unseen > 0) {
            Some(Linked { path, .. }) => Err(StoreError::io(
                "change the owner of",
                &path,
                io::Error::other("it has another name somewhere"),
            )),
            None => Ok(()),
        }
    }

    /// A folder goes after what it holds: until then nobody else can change that.
    fn give_below(
        self,
        made: &File,
        path: &Path,
        linked: &mut BTreeMap<(u64, u64), Linked>,
    ) -> Result<(), StoreError> {
        let failed = |e| StoreError::io("change the owner of", path, e);
        let meta = made.metadata().map_err(failed)?;
        if meta.is_dir() {
            for name in names(made).map_err(|e| failed(e.into()))? {
                let path = path.join(OsStr::from_bytes(name.to_bytes()));
                let failed = |e| StoreError::io("change the owner of", &path, e);
                match open_below(made, name.as_c_str()) {
                    Err(Errno::LOOP) => self.give_link(made, &name).map_err(failed)?,
                    Err(e) => return Err(failed(e.into())),
                    Ok(child) => self.give_below(&child, &path, linked)?,
                }
            }
        } else if meta.nlink() > 1 {
            // All its names must lie in here; with the last of them it is given.
            let known = linked
                .entry((meta.dev(), meta.ino()))
                .or_insert_with(|| Linked { path: path.to_owned(), unseen: meta.nlink() });
            known.unseen = known.unseen.saturating_sub(1);
            if known.unseen > 0 {
                return Ok(());
            }
        }
        self.hand_over(made, &meta).map_err(failed)
    }

    fn hand_over(self, made: &File, meta: &Metadata) -> io::Result<()> {
        let Self::Given { uid, gid } = self else { return Ok(()) };
        if meta.uid() == uid {
            return Ok(());
        }
        if meta.uid() != rustix::process::geteuid().as_raw() {
            return Err(io::Error::other("it belongs to somebody else"));
        }
        fchown(made, Some(uid), Some(gid))
    }

    /// Gives a symbolic link itself, held by a descriptor that can do nothing else.
    #[cfg(target_os = "linux")]
    fn give_link(self, folder: &File, name: &CStr) -> io::Result<()> {
        use rustix::fs::{AtFlags, FileType, Gid, Uid, chownat, fstat};
        let Self::Given { uid, gid } = self else { return Ok(()) };
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let link = openat(folder, name, flags, Mode::empty())?;
        let found = fstat(&link)?;
        if FileType::from_raw_mode(found.st_mode) != FileType::Symlink {
            return Err(io::Error::other("it is no link any more"));
        }
        let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
        Ok(chownat(&link, c"", Some(uid), Some(gid), AtFlags::EMPTY_PATH)?)
    }

    /// Nothing holds a symbolic link here; it stays its maker's, which matters to nobody.
    #[cfg(not(target_os = "linux"))]
    fn give_link(self, _: &File, _: &CStr) -> io::Result<()> {
        Ok(())
    }
}

/// A file with several names, and how many of them were not met yet.
struct Linked {
    path: PathBuf,
    unseen: u64,
}

/// Opens what lies at a name, which may be no symbolic link.
fn open_below(folder: impl AsFd, name: impl Arg) -> rustix::io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    openat(folder, name, OFlags::RDONLY | flags, Mode::empty()).map(File::from)
}

fn names(folder: &File) -> rustix::io::Result<Vec<CString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let name = entry?.file_name().to_owned();
        if !matches!(name.to_bytes(), b"." | b"..") {
            names.push(name);
        }
    }
    Ok(names)
}

/// Makes a folder and its missing parents with `mode`; each belongs to the owner of the nearest
/// folder that was there before. Durable when it returns.
pub fn create_folders(folder: &Path, mode: u32) -> Result<(), StoreError> {
    let mut missing: Vec<PathBuf> = Vec::new();
    let mut at = folder;
    while !at.is_dir() {
        missing.push(at.to_owned());
        match at.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => at = parent,
            _ => break,
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let at = if at.is_dir() { at } else { Path::new(".") };
    let owner = Owner::of(at)?;
    let mut above = File::open(at).map_err(|e| StoreError::io("open the folder", at, e))?;
    for path in missing.into_iter().rev() {
        above = create_below(&above, &path, mode, owner)?;
    }
    Ok(())
}

/// Makes the last folder of a path in the one above it, unless somebody just did, and opens it.
fn create_below(above: &File, path: &Path, mode: u32, owner: Owner) -> Result<File, StoreError> {
    let failed = |e: Errno| StoreError::io("create folder", path, e.into());
    let name = path.components().next_back().map_or(OsStr::new("."), Component::as_os_str);
    let made = mkdirat(above, name, Mode::from_raw_mode(mode));
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = match made {
        Ok(()) => {
            let folder = openat(above, name, flags | OFlags::NOFOLLOW, Mode::empty());
            let folder = File::from(folder.map_err(failed)?);
            owner.give(&folder, path)?;
            folder
        }
        Err(Errno::EXIST) => match openat(above, name, flags, Mode::empty()) {
            Err(Errno::NOTDIR | Errno::NOENT) => return Err(failed(Errno::EXIST)),
            folder => File::from(folder.map_err(failed)?),
        },
        Err(error) => return Err(failed(error)),
    };
    above.sync_all().map_err(|e| StoreError::io("make durable", path, e))?;
    Ok(folder)
}

/// Sets the mode of a folder, durably. What lies there must be one: no link is followed, since
/// whoever owns the folder around it can put one in its place.
pub fn set_folder_mode(folder: &Path, mode: u32) -> Result<(), StoreError> {
    let failed = |e| StoreError::io("set the mode of", folder, e);
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = openat(CWD, folder, flags, Mode::empty()).map_err(|e| failed(e.into()))?;
    let open = File::from(open);
    if open.metadata().map_err(failed)?.mode() & 0o7777 != mode {
        open.set_permissions(Permissions::from_mode(mode)).map_err(failed)?;
    }
    open.sync_all().map_err(failed)
}

/// Makes the names in a folder durable.
pub fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    File::open(folder)
        .and_then(|f| f.sync_all())
        .map_err(|e| StoreError::io("make durable", folder, e))
}
