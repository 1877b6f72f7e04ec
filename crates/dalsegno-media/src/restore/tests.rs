//! Switches and rollbacks killed between any two steps.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::{Method, Recovered, Resolution, Strategy, Switched, Target, rollback};
use crate::fault::{KILL_AT, fail_exchange};
use crate::leftovers;
use crate::support::{again, picture, put, seal, take, usual};

const LIVE: &[(&str, &str)] = &[
    (".left-out", "live"),
    ("both", "live"),
    ("folder/inside/a", "live"),
    ("folder/b", "live"),
    ("only-live/x", "live"),
    ("only-live-file", "live"),
];

const BACKUP: &[(&str, &str)] = &[
    ("both", "backup"),
    ("folder/inside/a", "backup"),
    ("folder/c", "backup"),
    ("only-backup/x", "backup"),
    ("only-backup-file", "backup"),
];

/// How exchanges fail: of the root, and of its entries.
type Faults = (&'static str, Option<Errno>, Option<Errno>, Method);

const FAULTS: [Faults; 5] = [
    ("exchange", None, None, Method::Exchange),
    ("renames", Some(Errno::INVAL), None, Method::Renames),
    ("in-place", Some(Errno::XDEV), None, Method::InPlace),
    ("in-place-swap", Some(Errno::BUSY), Some(Errno::INVAL), Method::InPlace),
    ("in-place-copy", Some(Errno::XDEV), Some(Errno::XDEV), Method::InPlace),
];

type Picture = BTreeMap<Vec<u8>, String>;

/// A tree without its root's own line.
fn inside(root: &Path) -> Picture {
    let mut picture = picture(root);
    picture.remove(&b""[..]);
    picture
}

struct Site {
    home: tempfile::TempDir,
    faults: Faults,
}

impl Site {
    fn new(faults: Faults) -> Self {
        let home = tempfile::tempdir_in("/dev/shm").unwrap();
        let site = Self { home, faults };
        put(&site.live(), LIVE);
        put(&site.backup(), BACKUP);
        site.arm(&site.live());
        site
    }

    fn arm(&self, live: &Path) {
        let (_, root, entries, _) = self.faults;
        for (error, below) in [(root, false), (entries, true)] {
            if let Some(error) = error {
                fail_exchange(live, below, error);
            }
        }
    }

    fn live(&self) -> PathBuf {
        self.home.path().join("live")
    }

    fn backup(&self) -> PathBuf {
        self.home.path().join("backup")
    }

    fn target(&self) -> Target {
        Target::new(&self.live(), "k").unwrap()
    }

    /// Runs a verb in a process that kills itself before the given step; whether it was killed.
    fn killed(&self, verb: &str, step: u32) -> bool {
        let step = step.to_string();
        let environment = [
            ("DALSEGNO_MEDIA_TEST_HOME", self.home.path().as_os_str()),
            ("DALSEGNO_MEDIA_TEST_FAULTS", OsStr::new(self.faults.0)),
            ("DALSEGNO_MEDIA_TEST_VERB", OsStr::new(verb)),
            (KILL_AT, OsStr::new(&step)),
        ];
        let status = again(&[], "restore::tests::one_verb", &environment);
        assert!(status.success() || status.signal() == Some(9), "{status:?}");
        !status.success()
    }
}

fn switch(live: &Path, backup: &Path) -> Switched {
    seal(live, "k", &take(backup, &usual()), Strategy::Replace, &usual()).switch().unwrap()
}

#[test]
#[ignore = "run by the tests that kill it"]
fn one_verb() {
    let Some(home) = std::env::var_os("DALSEGNO_MEDIA_TEST_HOME") else { return };
    let (live, backup) = (Path::new(&home).join("live"), Path::new(&home).join("backup"));
    let name = std::env::var("DALSEGNO_MEDIA_TEST_FAULTS").unwrap();
    let (_, root, entries, method) = FAULTS.into_iter().find(|(n, ..)| *n == name).unwrap();
    for (error, below) in [(root, false), (entries, true)] {
        if let Some(error) = error {
            fail_exchange(&live, below, error);
        }
    }
    if std::env::var("DALSEGNO_MEDIA_TEST_VERB").unwrap() == "switch" {
        assert_eq!(switch(&live, &backup).method, method);
    } else {
        let kept = live.with_file_name(".live.dalsegno-k.kept");
        let back = Target::new(&live, "k").unwrap().rollback(Some(&kept)).unwrap();
        assert_eq!(back.method, method);
    }
}

#[test]
fn every_way_of_switching_ends_equal_and_rolls_back() {
    for faults in FAULTS {
        let site = Site::new(faults);
        let (before, live) = (inside(&site.live()), site.live());
        let switched = switch(&live, &site.backup());
        assert_eq!(switched.method, faults.3, "{}", faults.0);
        assert_eq!(std::fs::read(live.join(".left-out")).unwrap(), b"live");
        assert_eq!(std::fs::read(live.join("both")).unwrap(), b"backup");
        assert!(!live.join("only-live").exists());
        assert_eq!(inside(switched.kept.as_ref().unwrap()), before, "{}", faults.0);
        let back = rollback(&switched, true, &|| false).unwrap();
        assert_eq!(back.method, faults.3);
        assert_eq!(inside(&live), before, "{}", faults.0);
    }
}

#[test]
fn a_switch_killed_at_any_step_is_finished_or_undone() {
    for faults in FAULTS {
        let whole = Site::new(faults);
        let before = inside(&whole.live());
        switch(&whole.live(), &whole.backup());
        let after = normal(&inside(&whole.live()));
        for resolution in [Resolution::Finish, Resolution::Undo] {
            let mut step = 1;
            loop {
                let site = Site::new(faults);
                if !site.killed("switch", step) {
                    break;
                }
                let live = site.live();
                if faults.3 == Method::Exchange {
                    let now = normal(&inside(&live));
                    assert!(now == normal(&before) || now == after, "mixed at step {step}");
                }
                let recovered = site.target().recover(resolution).unwrap();
                let now = normal(&inside(&live));
                let what = format!("{} step {step} {resolution:?}: {recovered:?}", faults.0);
                match &recovered {
                    Recovered::Finished { kept: Some(kept), method }
                    | Recovered::Switched { kept, method } => {
                        let stays = *method == Method::InPlace;
                        assert_eq!(stays, faults.3 == Method::InPlace, "{what}");
                        assert_eq!(now, after, "{what}");
                        assert_eq!(normal(&inside(kept)), normal(&before), "{what}");
                    }
                    Recovered::Undone { staged } => {
                        assert_eq!(now, normal(&before), "{what}");
                        assert_eq!(normal(&inside(staged)), after, "{what}");
                    }
                    other => panic!("{what}: {other:?}"),
                }
                only_one_tree_left(&site);
                step += 1;
            }
            assert!(step > 3, "{}: killed {step} times only", faults.0);
        }
    }
}

#[test]
fn a_rollback_killed_at_any_step_is_finished_or_undone() {
    for faults in FAULTS {
        for resolution in [Resolution::Finish, Resolution::Undo] {
            let mut step = 1;
            loop {
                let site = Site::new(faults);
                let before = normal(&inside(&site.live()));
                switch(&site.live(), &site.backup());
                let after = normal(&inside(&site.live()));
                if !site.killed("rollback", step) {
                    break;
                }
                let recovered = site.target().recover(resolution).unwrap();
                let now = normal(&inside(&site.live()));
                let what = format!("{} step {step} {resolution:?}: {recovered:?}", faults.0);
                match &recovered {
                    Recovered::FinishedRollback { .. } | Recovered::RolledBack { .. } => {
                        assert_eq!(now, before, "{what}");
                    }
                    Recovered::UndoneRollback { kept } => {
                        assert_eq!(now, after, "{what}");
                        assert_eq!(normal(&inside(kept)), before, "{what}");
                    }
                    other => panic!("{what}: {other:?}"),
                }
                only_one_tree_left(&site);
                step += 1;
            }
            assert!(step > 3, "{}: killed {step} times only", faults.0);
        }
    }
}

/// Trees of two sites differ in the times at which their files were made.
fn normal(picture: &Picture) -> Picture {
    let without_time = |line: &String| {
        let mut words: Vec<&str> = line.split(' ').collect();
        words.remove(2);
        words.join(" ")
    };
    picture.iter().map(|(path, line)| (path.clone(), without_time(line))).collect()
}

fn only_one_tree_left(site: &Site) {
    let left = leftovers(&site.live()).unwrap();
    let trees = left.iter().filter(|path| path.is_dir()).count();
    let files: Vec<_> = left.iter().filter(|path| !path.is_dir()).collect();
    assert_eq!(trees, 1, "{left:?}");
    assert!(files.iter().all(|path| path.extension().unwrap() == "root"), "{files:?}");
    let second = site.target().recover(Resolution::Finish).unwrap();
    assert!(
        matches!(
            second,
            Recovered::NotSwitched { .. }
                | Recovered::Switched { .. }
                | Recovered::RolledBack { .. }
        ),
        "{second:?}"
    );
}
