//! The names of what a restore puts beside, or into, a storage's root.
//!
//! Beside a root `media` and for a restore `ID`: `.media.dalsegno-ID.staged`, `.kept`, `.undone`
//! (folders), `.journal` and `.root` (files). Inside a root that cannot be renamed:
//! `.dalsegno-ID.staged` and so on.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use crate::MediaError;
use crate::error::io_error;

const MARK: &[u8] = b".dalsegno-";
const ROLES: [Role; 8] = [
    Role::Staged,
    Role::Kept,
    Role::Undone,
    Role::Journal,
    Role::Root,
    Role::Swap,
    Role::Copy,
    Role::Part,
];

/// What a folder or file beside a root is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// A tree being restored.
    Staged,
    /// The tree that was live before.
    Kept,
    /// The tree that a rollback took out.
    Undone,
    /// How far a switch came.
    Journal,
    /// Mode, owner and time that a root which stays in place had before.
    Root,
    /// An entry on its way, where two cannot be exchanged at once.
    Swap,
    /// A complete copy of an entry that cannot be renamed.
    Copy,
    /// Something being written.
    Part,
}

impl Role {
    fn suffix(self) -> &'static [u8] {
        match self {
            Self::Staged => b".staged",
            Self::Kept => b".kept",
            Self::Undone => b".undone",
            Self::Journal => b".journal",
            Self::Root => b".root",
            Self::Swap => b".swap",
            Self::Copy => b".copy",
            Self::Part => b".part",
        }
    }
}

/// The name for a role, beside a root called `root`, or inside a root.
pub(crate) fn name(root: Option<&OsStr>, id: &str, role: Role) -> OsString {
    let beside = root.map_or_else(Vec::new, |root| [b".", root.as_bytes()].concat());
    OsString::from_vec([&beside, MARK, id.as_bytes(), role.suffix()].concat())
}

/// Whether a name is one that [`name`] makes.
pub(crate) fn is_leftover(name: &[u8]) -> bool {
    role(name).is_some()
}

/// The role that a name stands for.
pub(crate) fn role(name: &[u8]) -> Option<Role> {
    let role = ROLES.into_iter().find(|role| name.ends_with(role.suffix()))?;
    let stem = &name[..name.len() - role.suffix().len()];
    let mark = stem.windows(MARK.len()).rposition(|window| window == MARK)?;
    let id = &stem[mark + MARK.len()..];
    (stem.starts_with(b".") && valid_id(id)).then_some(role)
}

/// Ids become part of file names: letters, digits, `_` and `-`.
pub(crate) fn valid_id(id: &[u8]) -> bool {
    (1..=64).contains(&id.len())
        && id.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

/// Whether a name beside or inside a root is of something unfinished, which is of no use to anybody
/// once its restore is over; the other names keep data.
pub fn is_unfinished(path: &Path) -> bool {
    let name = path.file_name().map_or(&b""[..], OsStr::as_bytes);
    matches!(role(name), Some(Role::Staged | Role::Part))
}

/// Everything that restores left beside and inside a root (as [`crate::Target`] resolves it), by
/// name; sorted. A missing root has none inside.
pub fn leftovers(live_root: &Path) -> Result<Vec<PathBuf>, MediaError> {
    let live = crate::restore::resolve(live_root)?;
    let mut found = Vec::new();
    if let (Some(parent), Some(root)) = (live.parent(), live.file_name()) {
        let beside = [b".", root.as_bytes(), MARK].concat();
        collect(parent, &beside, &mut found)?;
    }
    collect(&live, MARK, &mut found)?;
    found.sort();
    Ok(found)
}

fn collect(folder: &Path, prefix: &[u8], found: &mut Vec<PathBuf>) -> Result<(), MediaError> {
    let names = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        names => names.map_err(io_error("list the folder", folder))?,
    };
    for name in names {
        let name = name.map_err(io_error("list the folder", folder))?.file_name();
        if name.as_bytes().starts_with(prefix) && is_leftover(name.as_bytes()) {
            found.push(folder.join(name));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_roles() {
        for (root, role, text) in [
            (Some("media"), Role::Staged, ".media.dalsegno-0a-1.staged"),
            (None, Role::Kept, ".dalsegno-0a-1.kept"),
            (Some("x.dalsegno-9.kept"), Role::Undone, ".x.dalsegno-9.kept.dalsegno-0a-1.undone"),
        ] {
            let name = name(root.map(OsStr::new), "0a-1", role);
            assert_eq!(name.to_str(), Some(text));
            assert_eq!(super::role(name.as_bytes()), Some(role));
        }
        for other in [
            "media",
            ".media.kept",
            ".dalsegno-.kept",
            "a.dalsegno-1.kept",
            ".dalsegno-1.x",
            ".dalsegno-a b.kept",
        ] {
            assert_eq!(role(other.as_bytes()), None, "{other}");
        }
    }
}
