//! What every store promises, checked on each of them.
#![allow(clippy::unwrap_used, reason = "a failure is what a test is for")]

use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use dalsegno_format::ErrorKind;
use dalsegno_store::{FolderOptions, LocalFolder, ObjectName, Store};

fn name(text: &str) -> ObjectName {
    ObjectName::new(text).unwrap()
}

fn read(store: &dyn Store, object: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    store.get(&name(object)).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

/// A body that fails after some bytes.
struct Broken(usize);

impl Read for Broken {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err(io::Error::other("the source broke"));
        }
        let n = self.0.min(buffer.len());
        self.0 -= n;
        buffer[..n].fill(1);
        Ok(n)
    }
}

fn conformance(store: &dyn Store) {
    assert!(store.list().unwrap().is_empty());
    assert_eq!(store.put(&name("a"), &mut &b"one"[..]).unwrap(), 3);
    assert_eq!(read(store, "a"), b"one");

    let taken = store.put(&name("a"), &mut &b"two"[..]).unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::Refused);
    assert_eq!(read(store, "a"), b"one", "an existing object stays as it is");

    assert!(store.put(&name("b"), &mut Broken(100_000)).is_err());
    let names: Vec<String> = store.list().unwrap().iter().map(|l| l.name.to_string()).collect();
    assert_eq!(names, ["a"], "half an object is no object");
    assert_eq!(store.get(&name("b")).err().unwrap().kind(), ErrorKind::NotFound);

    store.put(&name("b"), &mut &b""[..]).unwrap();
    assert_eq!(store.list().unwrap().iter().map(|l| l.size).collect::<Vec<_>>(), [3, 0]);
    store.delete(&name("a")).unwrap();
    store.delete(&name("a")).unwrap();
    assert_eq!(store.list().unwrap().len(), 1);
}

#[test]
fn local_folder() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("new/er/folder");
    let store = LocalFolder::open(&root, FolderOptions::default()).unwrap();
    conformance(&store);
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&root), 0o750);
    assert_eq!(mode(&root.join("b")), 0o600);
    let names: Vec<_> = std::fs::read_dir(&root).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["b"], "nothing of the failed work is left");
}

#[test]
fn a_folder_is_published_and_deleted_whole() {
    let dir = tempfile::tempdir().unwrap();
    let store = LocalFolder::open(dir.path(), FolderOptions::default()).unwrap();
    let mut staged = store.stage(&name("tree")).unwrap();
    std::fs::create_dir(staged.path()).unwrap();
    std::fs::write(staged.path().join("x"), b"x").unwrap();
    let path = store.publish(&mut staged, &name("tree")).unwrap();
    drop(staged);
    assert!(path.join("x").exists());

    let mut second = store.stage(&name("tree")).unwrap();
    std::fs::create_dir(second.path()).unwrap();
    assert_eq!(store.publish(&mut second, &name("tree")).unwrap_err().kind(), ErrorKind::Refused);
    drop(second);
    assert!(path.join("x").exists());
    store.delete(&name("tree")).unwrap();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn what_root_makes_belongs_to_the_folder_s_owner() {
    if !rustix::process::geteuid().is_root() {
        let dir = tempfile::tempdir().unwrap();
        let store = LocalFolder::open(dir.path(), FolderOptions::default()).unwrap();
        store.put(&name("x"), &mut &b""[..]).unwrap();
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    std::os::unix::fs::chown(dir.path(), Some(65534), Some(65534)).unwrap();
    let store = LocalFolder::open(&dir.path().join("a/b"), FolderOptions::default()).unwrap();
    store.put(&name("x"), &mut &b""[..]).unwrap();
    for path in ["a", "a/b", "a/b/x"] {
        assert_eq!(dir.path().join(path).metadata().unwrap().uid(), 65534, "{path}");
    }
}

#[test]
fn a_deletion_that_cannot_be_looked_at_has_not_succeeded() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("folder");
    let store = LocalFolder::open(&root, FolderOptions::default()).unwrap();
    std::fs::remove_dir(&root).unwrap();
    std::fs::write(&root, "neither the object nor its absence can be seen").unwrap();
    assert_eq!(store.delete(&name("x")).unwrap_err().kind(), ErrorKind::Failed);
}

#[test]
fn names_that_could_leave_the_folder_are_refused() {
    for bad in ["", ".x", "..", "a/b", "/etc/passwd", "a\0b", "a\nb"] {
        assert_eq!(ObjectName::new(bad).unwrap_err().kind(), ErrorKind::Usage, "{bad:?}");
    }
}
