//! A site, one verb on it, and what must be true of every state in which a crash can leave it.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, UNIX_EPOCH};

use anyhow::ensure;

use dalsegno_testkit::replay::{Crash, Loss, Recording};
use dalsegno_testkit::{Site, noise};
use rusqlite::Connection;

use super::judge::{State, bytes_of};
use crate::{BINARY, backup, restore, run};

const CONFIG: &str = "[project]\nname = \"plain\"\n\n[databases.default]\nengine = \"sqlite3\"\n\
    name = \"db.sqlite3\"\n\n[storages.default]\nlocation = \"media\"\n";

/// How the site of a story is made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setting {
    /// SQLite's journal mode.
    pub(super) journal: &'static str,
    /// The media folder is a mount point.
    pub(super) mounted: bool,
    /// The site's database has other pages than the backup's, so that the file is replaced.
    pub(super) other_pages: bool,
    /// There is neither a database nor media.
    pub(super) bare: bool,
}

impl Setting {
    pub(super) fn with(journal: &'static str) -> Self {
        Self { journal, mounted: false, other_pages: false, bare: false }
    }
}

/// What is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Backup,
    Restore,
    Rollback,
    Discard,
}

/// One verb, recorded.
pub(super) struct Story {
    setting: Setting,
    site: Site,
    root: PathBuf,
    verb: Verb,
    recording: Recording,
    /// What the restore replaced, and what it put there.
    old: State,
    new: State,
    /// The restore that the verb makes or undoes.
    restore: String,
    /// Backups, by their bytes, of which it is known that they pass.
    verified: RefCell<HashSet<String>>,
}

/// A site with a backup `b` of its first state, which is returned too, and then with its second.
fn site(setting: Setting) -> (Site, State) {
    let site = Site::empty();
    site.write("dalsegno.toml", CONFIG);
    if setting.mounted {
        fs::create_dir(site.path("media")).expect("it is new");
        super::mount(&site.path("media"));
    }
    first(&site, setting);
    backup(&site, "b", &["--form", "tar.zst"]);
    let first = State::of(&site.root());
    if setting.bare {
        for name in ["db.sqlite3", "db.sqlite3-wal", "db.sqlite3-shm"] {
            let _ = fs::remove_file(site.path(name));
        }
        fs::remove_dir_all(site.path("media")).expect("it is there");
    } else {
        second(&site, setting);
    }
    (site, first)
}

fn first(site: &Site, setting: Setting) {
    let db = Connection::open(site.path("db.sqlite3")).expect("it can be made");
    db.execute_batch(&format!(
        "PRAGMA page_size = 1024; PRAGMA journal_mode = {};
        CREATE TABLE author (id INTEGER PRIMARY KEY, name TEXT);
        CREATE TABLE book (id INTEGER PRIMARY KEY, title TEXT, body BLOB);
        CREATE INDEX titles ON book (title);
        CREATE TABLE note (id INTEGER PRIMARY KEY, line TEXT);
        INSERT INTO author VALUES (1, 'first'), (2, 'second'), (3, 'third');
        INSERT INTO note VALUES (1, 'made');
        WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60)
            INSERT INTO book SELECT i, 'title ' || i, zeroblob(i * 7) FROM n;",
        setting.journal
    ))
    .expect("the site's database can be made");
    for number in 0..18_u32 {
        let folder = ["", "a/", "a/b/", "c/"][number as usize % 4];
        let content = noise(number as usize * 97, number.into());
        file(site, &format!("media/{folder}{number}.bin"), &content, number);
    }
    std::os::unix::fs::symlink("0.bin", site.path("media/link")).expect("it is new");
    fs::hard_link(site.path("media/a/1.bin"), site.path("media/c/again.bin")).expect("it is new");
    file(site, "media/.htaccess", b"left out by rule", 40);
}

fn second(site: &Site, setting: Setting) {
    let db = Connection::open(site.path("db.sqlite3")).expect("it is there");
    db.execute_batch(
        "UPDATE book SET title = 'oops ' || id WHERE id % 2; DELETE FROM author WHERE id > 1;
        DROP TABLE note; CREATE TABLE stranger (id INTEGER PRIMARY KEY);
        INSERT INTO book SELECT id + 100, 'more', zeroblob(300) FROM book;",
    )
    .expect("the site can write");
    if setting.other_pages {
        db.execute_batch("PRAGMA journal_mode = delete; PRAGMA page_size = 2048; VACUUM;")
            .and_then(|()| db.execute_batch(&format!("PRAGMA journal_mode = {}", setting.journal)))
            .expect("the site can be vacuumed");
    }
    file(site, "media/0.bin", b"overwritten", 50);
    file(site, "media/a/b/2.bin", b"overwritten", 51);
    file(site, "media/new/one.bin", b"new", 52);
    file(site, "media/top.bin", b"new", 53);
    for gone in ["media/4.bin", "media/a/5.bin", "media/link"] {
        fs::remove_file(site.path(gone)).expect("it is there");
    }
    fs::remove_dir_all(site.path("media/c")).expect("it is there");
}

fn file(site: &Site, name: &str, content: &[u8], number: u32) {
    site.write(name, content);
    let time = UNIX_EPOCH + Duration::new(1_700_000_000 + u64::from(number), number * 1000);
    let file = fs::File::options().write(true).open(site.path(name)).expect("it is there");
    file.set_modified(time).expect("times can be set");
}

impl Story {
    /// A verb, with options of its own.
    pub(super) fn of(setting: Setting, verb: Verb, more: &[&str]) -> Self {
        Self::record(setting, verb, more, true)
    }

    /// The same, as if the program never synced.
    pub(super) fn without_syncs(setting: Setting, verb: Verb, more: &[&str]) -> Self {
        Self::record(setting, verb, more, false)
    }

    fn record(setting: Setting, verb: Verb, more: &[&str], syncs: bool) -> Self {
        let (site, mut new) = site(setting);
        let root = site.root();
        let old = State::of(&root);
        let mut id = String::new();
        if matches!(verb, Verb::Rollback | Verb::Discard) {
            id = restore(&site, &["b", "--no-pre-backup"]);
            new = State::of(&root);
        }
        let args: &[&str] = match verb {
            Verb::Backup => &["backup", "--filename", "c"],
            Verb::Restore => &["restore", "b", "--force"],
            Verb::Rollback => &["rollback", &id],
            Verb::Discard => &["discard", &id],
        };
        let args = [&["--format", "json"], args, more].concat();
        let recording = {
            let call = site.call(BINARY, &args);
            if syncs { Recording::of(&root, call) } else { Recording::without_syncs(&root, call) }
        };
        assert_eq!(recording.answer.code, 0, "{}", recording.answer);
        let end = State::of(&root);
        if setting.bare && verb == Verb::Restore {
            // There is nothing of which names that a backup leaves out could be carried over.
            new = end.clone();
        }
        let wanted = match verb {
            Verb::Backup | Verb::Rollback => &old,
            Verb::Restore | Verb::Discard => &new,
        };
        assert_eq!(end, *wanted);
        assert_ne!(old, new);
        let made = recording.answer.json()["restore"].as_str().map(str::to_owned);
        let restore = made.unwrap_or(id);
        let verified = RefCell::default();
        Self { setting, site, root, verb, recording, old, new, restore, verified }
    }

    /// Goes through the states that crashes leave; in each, the site is judged as it lies there, and
    /// after each of the verbs of `next` (or one of them in turn). Fails at the first that is wrong.
    #[expect(clippy::print_stderr, reason = "whoever runs the whole wants to know how much it was")]
    pub(super) fn tell(&self, next: &[Next]) {
        let (mut visited, mut runs) = (0, 0);
        let started = Instant::now();
        let (states, distinct) = self.recording.crashes(&losses(), |crash| {
            visited += 1;
            if !is_complete() && !crash.ended && visited % STRIDE != 0 {
                return;
            }
            let every = is_complete() && (crash.ended || crash.loss == Loss::Unsynced);
            let chosen = visited % next.len();
            for next in if every { next } else { &next[chosen..=chosen] } {
                crash.lay_out(&self.root);
                let scene = Scene { story: self, crash, next: *next };
                if let Err(wrong) = scene.judge() {
                    panic!("{scene}: {wrong}");
                }
                runs += 1;
            }
        });
        let (records, seconds) = (self.recording.len(), started.elapsed().as_secs());
        eprintln!(
            "{self}: {records} records, {states} states, {distinct} of them different, \
            {runs} looked at, {seconds} s"
        );
    }

    /// What is wrong after a crash just after the end; `None` when all is right.
    pub(super) fn damage(&self, loss: Loss, next: Next) -> Option<String> {
        let mut found = None;
        self.recording.crashes(&[loss], |crash| {
            if crash.ended {
                crash.lay_out(&self.root);
                let scene = Scene { story: self, crash, next };
                found = scene.judge().err().map(|wrong| format!("{scene}: {wrong}"));
            }
        });
        found
    }
}

/// Without `DALSEGNO_TORTURE`, one state of so many is looked at: prime to the number of losses.
const STRIDE: usize = 11;

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} on {:?}", self.verb, self.setting)
    }
}

/// Whether everything is gone through, which takes many minutes, or a part.
fn is_complete() -> bool {
    std::env::var_os("DALSEGNO_TORTURE").is_some()
}

fn losses() -> Vec<Loss> {
    let mut losses =
        vec![Loss::Nothing, Loss::Unsynced, Loss::AllButLast, Loss::Bytes, Loss::BytesZeroed];
    losses.extend((1..=if is_complete() { 3 } else { 1 }).map(Loss::Some));
    losses
}

/// What the operator does after the crash.
#[derive(Debug, Clone, Copy)]
pub(super) enum Next {
    Backup,
    Restore,
    Rollback,
    Discard,
}

struct Scene<'a> {
    story: &'a Story,
    crash: &'a Crash<'a>,
    next: Next,
}

impl fmt::Display for Scene<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Crash { at, loss, .. } = self.crash;
        let all = self.story.recording.len();
        write!(f, "{}, cut at {at} of {all}, {loss:?}, then {:?}", self.story, self.next)
    }
}

impl Scene<'_> {
    fn judge(&self) -> anyhow::Result<()> {
        self.judge_at_once()?;
        self.judge_afterwards()
    }

    /// Before anything is done: each of both is what it was before the verb, or after it.
    fn judge_at_once(&self) -> anyhow::Result<()> {
        let Story { verb, old, new, setting, root, site, restore, .. } = self.story;
        let now = State::of(root);
        let possible: &[&State] = match (verb, self.crash.ended) {
            (Verb::Backup, _) | (Verb::Rollback, true) => &[old],
            (Verb::Discard, _) | (Verb::Restore, true) => &[new],
            _ => &[old, new],
        };
        let fits = possible.iter().any(|state| state.database == now.database);
        ensure!(fits, "the database is what it must not be: {now:#?}");
        let fits = possible.iter().any(|state| state.media == now.media);
        let between = setting.mounted && possible.len() > 1;
        ensure!(fits || between, "media are what they must not be: {now:#?}");
        if !possible.contains(&&now) {
            let doctor = run(site, &["doctor"]);
            let told = doctor.code == 1 && doctor.stdout.contains(restore.as_str());
            ensure!(told, "the doctor does not see that rows and files disagree: {doctor}");
        }
        self.judge_backups()
    }

    fn judge_afterwards(&self) -> anyhow::Result<()> {
        let Story { verb, old, new, root, site, restore, .. } = self.story;
        let ended = self.crash.ended;
        let args: &[&str] = match self.next {
            Next::Backup => &["backup", "--filename", "next", "--no-compress"],
            Next::Restore => &["restore", "b", "--force", "--no-pre-backup"],
            Next::Rollback => &["rollback", restore, "--force"],
            Next::Discard => &["discard", restore, "--force"],
        };
        let answer = run(site, args);
        // 10: no record of it, so it had not begun. 13: it is past what is asked for, or undone.
        let codes: &[i32] = match (self.next, verb) {
            (Next::Backup | Next::Restore, _) => &[0],
            (Next::Rollback | Next::Discard, Verb::Restore) if ended => &[0],
            // What is rolled back may still be discarded: nothing of it is left.
            (Next::Rollback, Verb::Rollback | Verb::Discard) | (Next::Discard, Verb::Discard)
                if ended =>
            {
                &[13]
            }
            _ => &[0, 10, 13],
        };
        ensure!(codes.contains(&answer.code), "{answer}");
        let done = answer.code == 0;
        let possible: &[&State] = match (self.next, verb) {
            (Next::Restore, _) => &[new],
            (_, Verb::Backup) | (Next::Rollback, Verb::Restore | Verb::Rollback) => &[old],
            (Next::Rollback, Verb::Discard) if done => &[old],
            (_, Verb::Discard) => &[new],
            (_, Verb::Rollback) if ended => &[old],
            (_, Verb::Restore) if ended => &[new],
            _ => &[old, new],
        };
        let now = State::of(root);
        ensure!(
            possible.contains(&&now),
            "the site is what it must not be, after {answer}{now:#?}"
        );
        self.judge_backups()?;
        let doctor = run(site, &["doctor"]);
        let nothing = self.story.setting.bare && now == *old;
        ensure!(doctor.code == 0 || nothing, "after {answer}{doctor}");
        Ok(())
    }

    /// Every backup that is called complete is, to its last byte.
    fn judge_backups(&self) -> anyhow::Result<()> {
        let Story { site, verb, verified, .. } = self.story;
        let list = run(site, &["--format", "json", "list"]);
        ensure!(list.code == 0, "{list}");
        let list = list.json();
        let mut names = Vec::new();
        for listed in list["backups"].as_array().expect("a list") {
            ensure!(listed["outcome"] == "complete", "{listed}");
            let (name, path) = (listed["name"].as_str(), listed["path"].as_str());
            let (name, path) = (name.expect("a name"), path.expect("a path"));
            names.push(name.to_owned());
            let bytes = bytes_of(Path::new(path));
            if verified.borrow().contains(&bytes) {
                continue;
            }
            let answer = run(site, &["verify", path]);
            ensure!(answer.code == 0, "`{name}` is listed as good: {answer}");
            verified.borrow_mut().insert(bytes);
        }
        ensure!(names.iter().any(|name| name == "b"), "the first backup is gone");
        let wanted = self.crash.ended && *verb == Verb::Backup;
        ensure!(!wanted || names.iter().any(|name| name == "c"), "the new backup is gone");
        Ok(())
    }
}
