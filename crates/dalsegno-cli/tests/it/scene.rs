//! A site before and after a verb, made anew for every blow that falls while the verb runs.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use dalsegno_testkit::{Answer, Call, Judge, Site, State, damage, noise};
use serde_json::Value;

use crate::{BINARY, backup, report, restore, text};

/// Whether everything is run, instead of a sample: `make torture`.
pub(crate) fn torture() -> bool {
    std::env::var_os("DALSEGNO_TORTURE").is_some_and(|value| value == "1")
}

/// Figures, for whoever runs a test with `--no-capture`.
#[expect(clippy::print_stdout, reason = "the output of a test is for its reader")]
pub(crate) fn tell(text: &str) {
    println!("{text}");
}

/// What runs when the blow falls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    BackupFolder,
    BackupArchive,
    Restore,
    /// With the backup of what it replaces.
    RestoreSafely,
    Rollback,
    Discard,
}

pub(crate) const VERBS: [Verb; 6] = [
    Verb::BackupFolder,
    Verb::BackupArchive,
    Verb::Restore,
    Verb::RestoreSafely,
    Verb::Rollback,
    Verb::Discard,
];

impl Verb {
    /// Arguments; `restore` is the restore to roll back or to discard.
    pub(crate) fn args(self, restore: &str) -> Vec<&str> {
        let args: &[&str] = match self {
            Self::BackupFolder => {
                &["-q", "backup", "--filename", "n", "--database", "all", "--form", "folder"]
            }
            Self::BackupArchive => {
                &["-q", "backup", "--filename", "n", "--database", "all", "--form", "tar.zst"]
            }
            Self::Restore => &["-q", "restore", "b", "--force", "--no-pre-backup"],
            Self::RestoreSafely => &["-q", "restore", "b", "--force"],
            Self::Rollback => &["-q", "rollback", restore, "--force"],
            Self::Discard => &["-q", "discard", restore, "--force"],
        };
        args.to_vec()
    }

    pub(crate) fn is_backup(self) -> bool {
        matches!(self, Self::BackupFolder | Self::BackupArchive)
    }
}

/// Which of its two states a part of the site has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Seen {
    Old,
    New,
}

/// Databases in both journal modes and a storage; a backup `b` of them; and what they became since.
pub(crate) struct Scene {
    pub(crate) site: Site,
    pub(crate) judge: Judge,
    pub(crate) old: State,
    pub(crate) new: State,
    /// `media` is a file system of its own, where nothing can be exchanged at once.
    pub(crate) mounted: bool,
    /// Where a file system was mounted for it.
    mount: Option<PathBuf>,
    /// The restore that was made last by [`Scene::prepare`].
    restored: RefCell<String>,
}

/// A folder that something is mounted on cannot be removed with the site.
impl Drop for Scene {
    fn drop(&mut self) {
        if let Some(folder) = &self.mount {
            let _ = Command::new("umount").arg("--lazy").arg(folder).status();
        }
    }
}

/// Puts a file system of its own in place of a folder, with the same content.
fn mount(site: &Site, folder: &Path, size: &str) {
    let script =
        "cp -a \"$1\" \"$2\"; mount -t tmpfs -o \"size=$3\" none \"$1\"; cp -a \"$2/.\" \"$1\"";
    let mut command = Command::new("sh");
    command.args(["-ec", script, "sh"]).args([folder, &site.outside("below")]).arg(size);
    assert!(command.status().expect("a shell starts").success(), "nothing can be mounted");
}

pub(crate) const PARTS: [&str; 3] = ["db.sqlite3", "archive.sqlite3", "media"];

impl Scene {
    pub(crate) fn new() -> Self {
        Self::of(Site::in_memory(), false)
    }

    /// To be called where mounts are the test's own.
    pub(crate) fn mounted() -> Self {
        let site = Site::in_memory();
        let media = site.path("media");
        mount(&site, &media, "100%");
        let mut scene = Self::of(site, true);
        scene.mount = Some(media);
        scene
    }

    /// The whole site on a small disk, some megabytes of it used; to be called where mounts are the
    /// test's own.
    pub(crate) fn on_small_disk() -> Self {
        let site = Site::in_memory();
        let text = "INSERT INTO log (line) VALUES (hex(randomblob(400000)))";
        site.sql("db.sqlite3", text);
        site.sql("archive.sqlite3", text);
        site.write("media/large.bin", noise(1_000_000, 7));
        let root = site.root();
        mount(&site, &root, "16m");
        let mut scene = Self::of(site, false);
        scene.mount = Some(root);
        scene
    }

    fn of(site: Site, mounted: bool) -> Self {
        let judge = Judge::start(&site);
        let judge = if mounted { judge.without_kept() } else { judge };
        let new = judge.state(&site);
        backup(&site, "b", &["--database", "all", "--form", "tar.zst"]);
        damage(&site);
        site.sql("archive.sqlite3", "DELETE FROM log; UPDATE book SET title = 'archived';");
        let old = judge.state(&site);
        backup(&site, "o", &["--database", "all", "--form", "folder"]);
        site.put_aside();
        Self { site, judge, old, new, mounted, mount: None, restored: RefCell::default() }
    }

    /// The site as it is before the verb; the first of its states is the one before.
    pub(crate) fn prepare(&self, verb: Verb) -> (Seen, Seen) {
        self.site.put_back();
        match verb {
            Verb::BackupFolder | Verb::BackupArchive => (Seen::Old, Seen::Old),
            Verb::Restore | Verb::RestoreSafely => (Seen::Old, Seen::New),
            Verb::Rollback | Verb::Discard => {
                *self.restored.borrow_mut() = restore(&self.site, &["b", "--no-pre-backup"]);
                (Seen::New, if verb == Verb::Discard { Seen::New } else { Seen::Old })
            }
        }
    }

    pub(crate) fn call(&self, verb: Verb) -> Call {
        self.site.call(BINARY, &verb.args(&self.restored.borrow()))
    }

    /// What each part is, `None` where it is neither old nor new.
    pub(crate) fn parts(&self, state: &State) -> BTreeMap<&'static str, Option<Seen>> {
        let seen = |part| {
            let is = |known: &State| self.lines(state, part) == self.lines(known, part);
            let seen = if is(&self.old) { Some(Seen::Old) } else { None };
            (part, seen.or_else(|| is(&self.new).then_some(Seen::New)))
        };
        PARTS.into_iter().map(seen).collect()
    }

    /// The lines that count: the folder of a mount point is not exchanged.
    fn lines<'s>(&self, state: &'s State, part: &str) -> Vec<&'s String> {
        let counts = |line: &&String| {
            !self.mounted || !(line.starts_with("ALL") || line.starts_with("d\t.\t"))
        };
        state.part(part).iter().filter(counts).collect()
    }

    /// Each part is one of the two; gives them back. Media on a mount point may be in between.
    #[track_caller]
    pub(crate) fn each_is_one_of(
        &self,
        allowed: (Seen, Seen),
        aside: bool,
        what: &str,
    ) -> Vec<Seen> {
        let state =
            if aside { self.judge.state_aside(&self.site) } else { self.judge.state(&self.site) };
        let mut found = Vec::new();
        for (part, seen) in self.parts(&state) {
            match seen {
                Some(seen) if seen == allowed.0 || seen == allowed.1 => found.push(seen),
                None if part == "media" && self.mounted => {}
                _ => panic!("{what}: {part} is {seen:?}: {:#?}", state.part(part)),
            }
        }
        found
    }

    /// All parts are the same of the two; gives it back.
    #[track_caller]
    pub(crate) fn all_are(&self, allowed: &[Seen], what: &str) -> Seen {
        let state = self.judge.state(&self.site);
        let parts = self.parts(&state);
        let first = parts[PARTS[0]];
        let one = first.filter(|seen| allowed.contains(seen));
        match one {
            Some(seen) if parts.values().all(|other| *other == first) => seen,
            _ => panic!(
                "{what}: {allowed:?} was expected, it is {parts:?}: {:#?}",
                state.part("media")
            ),
        }
    }

    /// Records of restores that nothing has brought to an end.
    pub(crate) fn unfinished(&self) -> Vec<String> {
        let folder = self.site.path("backups_data/restores");
        let mut ids = Vec::new();
        for name in self.site.names("backups_data/restores") {
            let Some(id) = name.strip_suffix(".json") else { continue };
            let bytes = fs::read(folder.join(&name)).expect("the record can be read");
            let record: Value = serde_json::from_slice(&bytes).expect("a record is whole");
            let state = record["state"].as_str().expect("it has a state");
            if !["switched", "failed", "rolled_back", "discarded"].contains(&state) {
                ids.push(id.to_owned());
            }
        }
        ids
    }

    /// The next verb, which itself changes nothing of the site: it brings to an end what it finds,
    /// and says so.
    #[track_caller]
    pub(crate) fn next_verb(&self, what: &str) -> Answer {
        let out = self.site.outside("elsewhere");
        let _ = fs::remove_dir_all(&out);
        let unfinished = self.unfinished();
        let args = [
            "restore",
            "b",
            "--force",
            "--no-pre-backup",
            "--skip-database",
            "--to-media",
            text(&out),
        ];
        let answer = self.site.call(BINARY, &args).run();
        assert_eq!(answer.code, 0, "{what}: the next verb failed: {answer}");
        for id in unfinished {
            assert!(
                answer
                    .stderr
                    .lines()
                    .any(|line| line.contains(&id) && line.contains("was interrupted")),
                "{what}: the next verb does not say what became of restore {id}: {answer}"
            );
        }
        assert_eq!(self.unfinished(), [""; 0], "{what}: something is left unfinished");
        answer
    }

    /// Nothing is listed that is not whole.
    #[track_caller]
    pub(crate) fn listed_are_whole(&self, what: &str) {
        let list = report(&self.site, &["list"]);
        for one in list["backups"].as_array().expect("it is a list") {
            let path = one["path"].as_str().expect("it has a path");
            let known = [self.site.path("backups/b.tar.zst"), self.site.path("backups/o")];
            if known.iter().any(|known| text(known) == path) {
                continue;
            }
            assert_eq!(one["outcome"], "complete", "{what}: {one}");
            let verified = self.site.call(BINARY, &["-q", "verify", path]).run();
            assert_eq!(verified.code, 0, "{what}: {path} is listed: {verified}");
        }
    }

    /// Beside and in the live data lies nothing but what is kept of the old data, and nothing at all
    /// where the site is as if no restore had been made. (What a rollback took away may be kept too,
    /// until it is discarded.)
    #[track_caller]
    pub(crate) fn nothing_lies_about(&self, now: Seen, what: &str) {
        let ends = |name: &String, end: &str| name.rsplit('.').next() == Some(end);
        let kept = |name: &String| {
            now == Seen::New && (ends(name, "kept") || (self.mounted && ends(name, "root")))
        };
        let mut left = self.working_names();
        left.retain(|name| !kept(name));
        if now == Seen::Old && left.iter().any(|name| ends(name, "undone")) {
            let restored = self.restored.borrow();
            let answer = self.site.call(BINARY, &Verb::Discard.args(&restored)).run();
            assert_eq!(answer.code, 0, "{what}: {left:?} cannot be discarded: {answer}");
            left = self.working_names();
        }
        assert_eq!(left, [""; 0], "{what}: left lying");
    }

    /// Names beside and in the live data that are a restore's.
    pub(crate) fn working_names(&self) -> Vec<String> {
        let mut names = self.site.names("");
        if self.mounted {
            names.extend(self.site.names("media"));
        }
        names.retain(|name| name.contains("dalsegno-"));
        names
    }

    /// Names of backups that are not finished.
    pub(crate) fn partial_backups(&self) -> Vec<String> {
        let mut names = self.site.names("backups");
        names.extend(self.site.names("backups_data/archives"));
        names.retain(|name| name.starts_with('.'));
        names
    }
}
