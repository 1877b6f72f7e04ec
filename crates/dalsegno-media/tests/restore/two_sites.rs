//! A live tree and a backup that differ in every way that a strategy decides.

use std::collections::BTreeMap;

use crate::support::site;
use dalsegno_media::Strategy;

pub(crate) const ALL: [Strategy; 3] = [Strategy::Replace, Strategy::Merge, Strategy::KeepExisting];

pub(crate) const LIVE: &[(&str, &str)] = &[
    (".htaccess", "rules"),
    ("x~", "draft"),
    ("same", "same"),
    ("changed", "live"),
    ("only-live", "live"),
    ("dir/only-live", "live"),
    ("dir/.hidden", "live"),
    ("gone/deep/.hidden", "live"),
    ("gone/deep/file", "live"),
    ("gone/out", "-> /etc"),
    ("folder-here/inside", "live"),
    ("file-here", "live"),
    ("link", "-> same"),
    ("empty/", ""),
];

pub(crate) const BACKUP: &[(&str, &str)] = &[
    ("same", "same"),
    ("changed", "backup"),
    ("only-backup", "backup"),
    ("dir/both", "backup"),
    ("folder-here", "a file in the backup"),
    ("file-here/inside", "backup"),
    ("link", "-> changed"),
    (".well-known/acme", "backup"),
];

pub(crate) fn two_sites()
-> (tempfile::TempDir, std::path::PathBuf, tempfile::TempDir, std::path::PathBuf) {
    let ((a, live), (b, backup)) = (site(LIVE), site(BACKUP));
    for root in [&live, &backup] {
        crate::support::set_mtime(&root.join("same"), (1000, 0));
    }
    (a, live, b, backup)
}

pub(crate) fn tree(files: &[(&str, &str)]) -> BTreeMap<String, String> {
    files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
}
