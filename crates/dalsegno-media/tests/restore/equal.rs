//! What comes back is what was captured, and a difference is named.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::support::{NO, is_root, odd_tree, picture, seal, take};
use crate::two_sites::*;
use dalsegno_format::Entry;
use dalsegno_media::{Method, Selection, Strategy, compare, discard, leftovers};

#[test]
fn an_odd_tree_comes_back_equal() {
    if !is_root() {
        // Set-id bits and files without rights need root.
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let (original, live) = (home.path().join("original"), home.path().join("media"));
    odd_tree(&original);
    fs::create_dir(&live).unwrap();
    let taken = take(&original, &Selection::default());
    let sealed = seal(&live, "1", &taken, Strategy::Replace, &Selection::default());
    let switched = sealed.switch().unwrap();
    assert_eq!(switched.method, Method::Exchange);
    assert_eq!(picture(&live), picture(&original));
    for name in ["sparse", "all-hole", "small-sparse"] {
        let stored = |root: &Path| fs::metadata(root.join(name)).unwrap().blocks();
        assert_eq!(stored(&live), stored(&original), "{name}");
    }
    let again = take(&live, &Selection::default());
    assert_eq!(again.entries, taken.entries);
    discard(&switched.kept.unwrap(), NO).unwrap();
    assert_eq!(leftovers(&live).unwrap(), Vec::<std::path::PathBuf>::new());
}

#[test]
fn differences() {
    let (_a, live, _b, backup) = two_sites();
    let side = |root: &Path| {
        let taken = take(root, &Selection::default());
        let hashed = |(entry, data): (Entry, Vec<u8>)| {
            use sha2::Digest as _;
            let hash = entry.size().map(|_| sha2::Sha256::digest(&data).into());
            (entry, hash)
        };
        taken.entries.into_iter().map(hashed).collect::<Vec<_>>()
    };
    assert_eq!(compare(side(&live), side(&live)).count(), 0);
    let mut found = BTreeMap::new();
    for difference in compare(side(&live), side(&backup)) {
        let what = match (&difference.a, &difference.b) {
            (Some(_), None) => "a",
            (None, Some(_)) => "b",
            _ if difference.aspects.kind => "kind",
            _ if difference.aspects.content => "content",
            _ if difference.aspects.target => "target",
            _ => continue,
        };
        found.insert(difference.path.to_string(), what);
    }
    for (path, what) in [
        ("files/only-live", "a"),
        ("files/only-backup", "b"),
        ("files/changed", "content"),
        ("files/link", "target"),
        ("files/file-here", "kind"),
    ] {
        assert_eq!(found.get(path), Some(&what), "{path}");
    }
    assert!(!found.contains_key("files/same"));
}
