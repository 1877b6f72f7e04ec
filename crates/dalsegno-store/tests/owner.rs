//! What root gives to the owner of a folder, and what it must not.
#![allow(clippy::unwrap_used, reason = "a failure is what a test is for")]

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;

use dalsegno_format::ErrorKind;
use dalsegno_store::{
    FolderOptions, LocalFolder, ObjectName, Owner, create_folders, set_folder_mode,
};

const SITE: u32 = 65534;

fn uid(path: &Path) -> u32 {
    path.symlink_metadata().unwrap().uid()
}

/// A folder of the site's user, in which root works; `None` for whoever is not root.
fn sites_folder() -> Option<tempfile::TempDir> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let dir = tempfile::tempdir().unwrap();
    chown(dir.path(), Some(SITE), Some(SITE)).unwrap();
    Some(dir)
}

/// Publishes a tree that `fill` makes.
fn publish(dir: &Path, fill: impl FnOnce(&Path)) -> Result<std::path::PathBuf, ErrorKind> {
    let store = LocalFolder::open(dir, FolderOptions::default()).unwrap();
    let name = ObjectName::new("tree").unwrap();
    let mut staged = store.stage(&name).unwrap();
    fill(staged.path());
    store.publish(&mut staged, &name).map_err(|error| error.kind())
}

#[test]
fn a_tree_is_given_with_all_it_holds() {
    let Some(dir) = sites_folder() else { return };
    let outside = tempfile::NamedTempFile::new().unwrap();
    let tree = publish(dir.path(), |tree| {
        fs::create_dir_all(tree.join("a/b")).unwrap();
        fs::write(tree.join("a/b/file"), "x").unwrap();
        fs::hard_link(tree.join("a/b/file"), tree.join("a/second")).unwrap();
        symlink(outside.path(), tree.join("link")).unwrap();
    })
    .unwrap();
    for path in ["", "a", "a/b", "a/b/file", "a/second", "link"] {
        assert_eq!(uid(&tree.join(path)), SITE, "{path}");
    }
    assert_eq!(uid(outside.path()), 0, "a link is not followed");
}

#[test]
fn a_file_that_has_another_name_outside_of_the_tree_is_not_given_away() {
    let Some(dir) = sites_folder() else { return };
    let precious = dir.path().join("precious");
    fs::write(&precious, "root's").unwrap();
    for (below, single) in [("", true), ("d/x", false)] {
        let published = publish(dir.path(), |tree| {
            if !single {
                fs::create_dir_all(tree.join("d")).unwrap();
            }
            let path = if single { tree.to_owned() } else { tree.join(below) };
            fs::hard_link(&precious, path).unwrap();
        });
        assert_eq!(published.unwrap_err(), ErrorKind::Failed, "{below}");
        assert_eq!(uid(&precious), 0, "{below}");
    }
}

#[test]
fn a_tree_that_was_swapped_is_not_given() {
    let Some(dir) = sites_folder() else { return };
    let victim = tempfile::tempdir().unwrap();
    fs::write(victim.path().join("file"), "root's").unwrap();
    assert!(publish(dir.path(), |tree| symlink(victim.path(), tree).unwrap()).is_err());
    let theirs = publish(dir.path(), |tree| {
        fs::create_dir(tree).unwrap();
        fs::write(tree.join("file"), "another user's").unwrap();
        chown(tree.join("file"), Some(12_345), Some(12_345)).unwrap();
    });
    assert!(theirs.is_err());
    assert_eq!((uid(victim.path()), uid(&victim.path().join("file"))), (0, 0));
}

#[test]
fn what_is_held_open_is_given_whatever_has_its_name_by_now() {
    let Some(dir) = sites_folder() else { return };
    let (path, aside) = (dir.path().join("new"), dir.path().join("aside"));
    let made = File::create_new(&path).unwrap();
    fs::rename(&path, &aside).unwrap();
    fs::write(&path, "root's").unwrap();
    let owner = Owner::of(dir.path()).unwrap();
    owner.give(&made, &path).unwrap();
    assert_eq!((uid(&aside), uid(&path)), (SITE, 0));

    let linked = File::open(&path).unwrap();
    fs::hard_link(&path, dir.path().join("second")).unwrap();
    assert!(owner.give(&linked, &path).is_err());
    assert_eq!(uid(&path), 0);
}

#[test]
fn folders_that_were_there_keep_their_owner() {
    let Some(dir) = sites_folder() else { return };
    create_folders(&dir.path().join("a/../b/./c"), 0o750).unwrap();
    for path in ["a", "b", "b/c"] {
        let meta = dir.path().join(path).metadata().unwrap();
        assert_eq!((meta.uid(), meta.mode() & 0o7777), (SITE, 0o750), "{path}");
    }
    fs::create_dir(dir.path().join("roots")).unwrap();
    create_folders(&dir.path().join("roots/d"), 0o750).unwrap();
    assert_eq!((uid(&dir.path().join("roots")), uid(&dir.path().join("roots/d"))), (0, 0));
    fs::write(dir.path().join("file"), "").unwrap();
    let refused = create_folders(&dir.path().join("file"), 0o750).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Refused);
}

#[test]
fn the_mode_of_a_folder_is_set_and_not_of_what_a_link_points_at() {
    let dir = tempfile::tempdir().unwrap();
    let mode = |path: &Path| path.metadata().unwrap().mode() & 0o7777;
    let (folder, link) = (dir.path().join("folder"), dir.path().join("link"));
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    symlink(&folder, &link).unwrap();
    assert!(set_folder_mode(&link, 0o750).is_err());
    assert_eq!(mode(&folder), 0o700);
    set_folder_mode(&folder, 0o750).unwrap();
    assert_eq!(mode(&folder), 0o750);
}
