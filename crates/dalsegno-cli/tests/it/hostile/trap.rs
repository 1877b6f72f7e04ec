//! A site with something outside it to be lost, and the verbs run against a hostile backup.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use dalsegno_testkit::{Answer, Site};
use sha2::{Digest, Sha256};

use super::forge::Forge;
use crate::{BINARY, backup, text};

/// What no file outside may ever hold.
pub(super) const EVIL: &[u8] = b"EVIL";

/// Path, then what is there.
pub(super) type Picture = BTreeMap<PathBuf, String>;

pub(super) struct Trap {
    pub(super) site: Site,
    /// A good backup, taken apart.
    pub(super) good: Forge,
}

impl Trap {
    pub(super) fn new() -> Self {
        let site = Site::plain();
        let tar = backup(&site, "good", &["--no-compress"]);
        let good = Forge::of(&tar);
        for folder in ["outside", "forged"] {
            fs::create_dir(site.outside(folder)).expect("it is new");
        }
        fs::write(site.outside("outside/victim"), "precious").expect("it can be written");
        Self { site, good }
    }

    pub(super) fn victim(&self) -> String {
        text(&self.site.outside("outside/victim")).to_owned()
    }

    /// Writes a forged archive.
    pub(super) fn write(&self, forge: &Forge, name: &str, form: &str) -> PathBuf {
        forge.write(&self.site.outside("forged"), name, form)
    }

    /// Runs a verb with 1 GB of address space and a minute of time.
    pub(super) fn run(&self, args: &[&str]) -> Answer {
        let script = "ulimit -v 1000000; exec timeout 60 \"$0\" \"$@\"";
        let mut all = vec!["-c", script, BINARY];
        all.extend(args);
        let answer = self.site.call("sh", &all).run();
        // 101: a panic; 124: too slow; above: killed, for example because memory ran out.
        let sane = [0, 1, 2, 3, 10, 13, 20].contains(&answer.code);
        assert!(sane && !answer.stderr.contains("panicked"), "{args:?}: {answer}");
        answer
    }

    /// Everything in the site and around it but the engine's own records and locks.
    pub(super) fn picture(&self) -> Picture {
        let mut picture = Picture::new();
        look(&self.site.outside(""), &mut picture);
        picture.retain(|path, _| !path.starts_with(self.site.path("backups_data")));
        picture.remove(&self.site.root());
        picture
    }

    /// `verify` calls it damaged, no restore takes it, and neither these nor any other verb changes
    /// or writes anything.
    #[track_caller]
    pub(super) fn refused(&self, what: &str, path: &Path) -> Answer {
        let before = self.picture();
        let verify = self.run(&["-q", "verify", text(path)]);
        assert_eq!(verify.code, 20, "{what}: verify\n{verify}");
        for way in [&["--dry-run"][..], &["--force", "--no-pre-backup"]] {
            let mut all = vec!["-q", "restore", text(path)];
            all.extend(way);
            let answer = self.run(&all);
            assert!([13, 20].contains(&answer.code), "{what}: restore {way:?}\n{answer}");
        }
        assert_eq!(self.site.temp().read_dir().expect("it is there").count(), 0, "{what}");
        same(what, &before, &self.picture());
        self.other_verbs(what, path);
        same(what, &before, &self.picture());
        verify
    }

    /// Verbs that look and do not touch.
    pub(super) fn other_verbs(&self, what: &str, path: &Path) {
        for verb in [
            &["show"][..],
            &["contents"],
            &["contents", "--format", "json"],
            &["get", "files/zz"],
            &["get", "files/a/one.txt"],
            &["diff", "good"],
        ] {
            let mut all = vec![verb[0], text(path)];
            all.extend(&verb[1..]);
            let answer = self.run(&all);
            assert_ne!(answer.code, 1, "{what}: {verb:?} has no better word: {answer}");
        }
    }

    /// Without its checks it is taken, in part or not at all, but nothing of it gets outside, and
    /// nothing is in the restored tree that does not belong there.
    pub(super) fn harmless_unverified(&self, what: &str, path: &Path) -> Answer {
        let scratch = self.site.outside("scratch");
        let before = self.picture();
        let answer = self.run(&[
            "-q",
            "restore",
            text(path),
            "--force",
            "--no-backup-check",
            "--skip-database",
            "--to-media",
            text(&scratch),
        ]);
        assert_ne!(answer.code, 1, "{what}: {answer}");
        let mut after = self.picture();
        let inside: Vec<PathBuf> =
            after.keys().filter(|p| p.starts_with(&scratch)).cloned().collect();
        after.retain(|path, _| !path.starts_with(&scratch));
        same(what, &before, &after);
        for path in inside {
            let meta = path.symlink_metadata().expect("it was seen");
            let kind = meta.file_type();
            assert!(kind.is_dir() || kind.is_file() || kind.is_symlink(), "{what}: {path:?}");
            if kind.is_symlink() {
                let target = fs::read_link(&path).expect("it is a link");
                let climbs = target.components().filter(|c| c.as_os_str() == "..").count();
                let depth = path.strip_prefix(&scratch).expect("inside").components().count() - 1;
                assert!(target.is_relative() && climbs <= depth, "{what}: {path:?} {target:?}");
            }
            if kind.is_file() {
                let bytes = fs::read(&path).expect("it was seen");
                assert_ne!(bytes, b"precious", "{what}: {path:?} is of outside");
            }
        }
        if scratch.exists() {
            fs::remove_dir_all(&scratch).expect("it can be removed");
        }
        answer
    }
}

#[track_caller]
pub(super) fn same(what: &str, before: &Picture, after: &Picture) {
    let gone = before.iter().filter(|(path, look)| after.get(*path) != Some(look));
    let new = after.iter().filter(|(path, look)| before.get(*path) != Some(look));
    let differing: Vec<_> = gone.map(|l| ("-", l)).chain(new.map(|l| ("+", l))).collect();
    assert!(differing.is_empty(), "{what}: {differing:#?}");
}

fn look(path: &Path, picture: &mut Picture) {
    let meta = path.symlink_metadata().expect("it can be looked at");
    let mut said = format!("{:o} {}:{} {}", meta.mode(), meta.uid(), meta.gid(), meta.mtime_nsec());
    if meta.is_symlink() {
        said += &format!(" {:?}", fs::read_link(path).expect("it is a link"));
    } else if meta.is_file() && meta.len() < 1 << 24 {
        said += &format!(" {:x?}", Sha256::digest(fs::read(path).expect("it can be read")));
    } else if meta.is_dir() {
        // Reading it is no change, but removing what was staged moves its time on.
        said = format!("{:o} {}:{}", meta.mode(), meta.uid(), meta.gid());
        for entry in fs::read_dir(path).expect("it can be listed") {
            look(&entry.expect("it can be listed").path(), picture);
        }
    }
    picture.insert(path.to_owned(), said);
}
