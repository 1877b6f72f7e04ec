//! Captures of live databases: what is in them, and what they leave behind.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use dalsegno_database::sqlite::{self, Location, Source};
use dalsegno_database::{DatabaseError, FileColumn, FileSink, Quiet, TableCount, Watch};
use dalsegno_format::ErrorKind;
use support::{Files, Site, WAIT, filled, oracle, oracle_of};

fn rows(counts: &[TableCount], table: &str) -> Option<u64> {
    counts.iter().find(|count| count.name == table).unwrap().rows
}

#[test]
fn uncheckpointed_rows_are_captured_while_the_writer_goes_on() {
    let site =
        Site::with("PRAGMA journal_mode = wal; CREATE TABLE t (a); INSERT INTO t VALUES (1);");
    let mut peer = site.peer();
    peer.run("INSERT INTO t VALUES (2)");
    let mut snapshot =
        sqlite::capture(&Location::new(&site.live), &site.options(), &mut Quiet).unwrap();
    peer.run("INSERT INTO t VALUES (3)");
    let mut files = Files::default();
    let captured = snapshot.write(&mut files, &mut Quiet).unwrap();
    assert_eq!(rows(&captured.tables, "t"), Some(2));
    assert!(!captured.spooled);
    assert_eq!(captured.sqlite.as_ref().unwrap().journal_mode, "wal");
    let bytes = &files.0[sqlite::FILE_NAME];
    assert_eq!(bytes[18..20], [2, 2]);
    assert_eq!(bytes.len() % 4096, 0);
    drop(snapshot);
    peer.run("DELETE FROM t WHERE a = 3");
    peer.run("PRAGMA wal_checkpoint(TRUNCATE)");
    assert_eq!(oracle_of(bytes), oracle(&site.live));
    site.assert_no_spool();
}

/// Takes a little, lets a writer commit, and takes the rest.
struct Slow<'a> {
    peer: &'a mut support::Peer,
    files: Files,
}

impl FileSink for Slow<'_> {
    fn file(
        &mut self,
        name: &str,
        size: u64,
        data: &mut dyn std::io::Read,
    ) -> Result<[u8; 32], Box<dyn std::error::Error + Send + Sync>> {
        let mut start = [0; 1000];
        data.read_exact(&mut start)?;
        self.peer.run("UPDATE note SET text = 'new'");
        self.files.file(name, size, &mut std::io::Read::chain(&start[..], data))
    }
}

#[test]
fn a_rollback_journal_capture_blocks_nobody_while_it_is_written() {
    let site = Site::with(&filled("old", 4000));
    let before = oracle(&site.live);
    let mut peer = site.peer();
    let mut snapshot =
        sqlite::capture(&Location::new(&site.live), &site.options(), &mut Quiet).unwrap();
    let mut slow = Slow { peer: &mut peer, files: Files::default() };
    let captured = snapshot.write(&mut slow, &mut Quiet).unwrap();
    let bytes = slow.files.0.remove(sqlite::FILE_NAME).unwrap();
    site.assert_no_spool();
    assert!(captured.spooled);
    assert_eq!(rows(&captured.tables, "big"), Some(4000));
    assert_eq!(oracle_of(&bytes), before);
    assert_ne!(oracle(&site.live), before);
    peer.run("UPDATE note SET text = 'newer'");
    let note = FileColumn { table: "note".to_owned(), column: "text".to_owned() };
    let mut found = Vec::new();
    snapshot.file_references(&[note], &mut |_, value| found.push(value.to_vec())).unwrap();
    assert_eq!(found, [b"old"], "references are of the captured state");
    assert!(site.others().is_empty(), "{:?}", site.others());
}

/// Stores files as they are.
struct Folder(std::path::PathBuf);

impl FileSink for Folder {
    fn file(
        &mut self,
        name: &str,
        _: u64,
        data: &mut dyn std::io::Read,
    ) -> Result<[u8; 32], Box<dyn std::error::Error + Send + Sync>> {
        std::io::copy(data, &mut fs::File::create(self.0.join(name))?)?;
        Ok([0; 32])
    }

    fn stores_files(&self) -> bool {
        true
    }

    fn stored(
        &mut self,
        name: &str,
    ) -> Result<std::path::PathBuf, Box<dyn std::error::Error + Send + Sync>> {
        Ok(self.0.join(name))
    }
}

/// A file on a disk that has got stuck: it takes a little, the operator gives up, and it goes on only
/// after the site has written.
struct Stuck<'a> {
    peer: &'a mut support::Peer,
    cancelled: Arc<AtomicBool>,
}

impl FileSink for Stuck<'_> {
    fn file(
        &mut self,
        _: &str,
        _: u64,
        data: &mut dyn std::io::Read,
    ) -> Result<[u8; 32], Box<dyn std::error::Error + Send + Sync>> {
        data.read_exact(&mut [0; 1000])?;
        assert!(self.peer.ask("PRAGMA busy_timeout = 0").starts_with("ok"));
        let refused = self.peer.ask("UPDATE note SET text = 'new'");
        assert_eq!(refused, "error database is locked", "the sink is what the lock waits for");
        self.cancelled.store(true, Ordering::Relaxed);
        self.peer.run("PRAGMA busy_timeout = 5000");
        self.peer.run("UPDATE note SET text = 'newer'");
        std::io::copy(data, &mut std::io::sink())?;
        Ok([0; 32])
    }

    fn stores_files(&self) -> bool {
        true
    }
}

struct Flag(Arc<AtomicBool>);

impl Watch for Flag {
    fn bytes(&mut self, _: u64) {}

    fn cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn flag(&self) -> Option<Arc<AtomicBool>> {
        Some(Arc::clone(&self.0))
    }
}

#[test]
fn cancelling_gives_the_lock_back_while_the_disk_is_stuck() {
    let site = Site::with(&filled("old", 9000));
    let mut peer = site.peer();
    let cancelled = Arc::new(AtomicBool::new(false));
    let mut watch = Flag(Arc::clone(&cancelled));
    let mut snapshot =
        sqlite::capture(&Location::new(&site.live), &site.options(), &mut Quiet).unwrap();
    let error = snapshot.write(&mut Stuck { peer: &mut peer, cancelled }, &mut watch).unwrap_err();
    assert!(matches!(error, DatabaseError::Cancelled), "{error}");
}

#[test]
fn a_capture_into_a_file_needs_no_spool_and_reads_the_file_afterwards() {
    for mode in ["delete", "truncate", "persist", "wal"] {
        let site = Site::with(&format!("PRAGMA journal_mode = {mode}; {}", filled("old", 4000)));
        let before = oracle(&site.live);
        let mut peer = site.peer();
        let mut options = site.options();
        options.spool_dir = "/nowhere".into();
        let folder = tempfile::tempdir().unwrap();
        let mut snapshot =
            sqlite::capture(&Location::new(&site.live), &options, &mut Quiet).unwrap();
        let captured = snapshot.write(&mut Folder(folder.path().to_owned()), &mut Quiet).unwrap();
        peer.run("UPDATE note SET text = 'new'");
        peer.run("DELETE FROM big");
        assert!(!captured.spooled);
        assert_eq!(rows(&captured.tables, "big"), Some(4000), "{mode}");
        let note = FileColumn { table: "note".to_owned(), column: "text".to_owned() };
        let mut found = Vec::new();
        snapshot.file_references(&[note], &mut |_, value| found.push(value.to_vec())).unwrap();
        assert_eq!(found, [b"old"], "{mode}");
        drop(snapshot);
        assert_eq!(support::names(folder.path()), [sqlite::FILE_NAME], "{mode}");
        let bytes = fs::read(folder.path().join(sqlite::FILE_NAME)).unwrap();
        assert_eq!(oracle_of(&bytes), before, "{mode}");
    }
}

#[test]
fn an_uncommitted_transaction_is_not_captured() {
    for mode in ["wal", "delete"] {
        let site = Site::with(&format!("PRAGMA journal_mode = {mode}; CREATE TABLE t (a);"));
        let mut peer = site.peer();
        peer.run("BEGIN IMMEDIATE");
        peer.run("INSERT INTO t VALUES (1)");
        let (captured, _) = site.capture();
        assert_eq!(rows(&captured.tables, "t"), Some(0), "{mode}");
        peer.run("COMMIT");
        let (captured, _) = site.capture();
        assert_eq!(rows(&captured.tables, "t"), Some(1), "{mode}");
    }
}

/// Moves money between accounts; the sum never changes.
const BANK: &str = r#"
import sqlite3, sys, random
c = sqlite3.connect(sys.argv[1], timeout=20, isolation_level=None)
n = 0
while True:
    a, b = random.sample(range(1000), 2)
    c.execute("BEGIN IMMEDIATE")
    c.execute("UPDATE account SET money = money - 7 WHERE id = ?", (a,))
    c.execute("UPDATE account SET money = money + 7 WHERE id = ?", (b,))
    c.execute("COMMIT")
    n += 1
    if n == 50:
        print("running", flush=True)
"#;

#[test]
fn every_capture_under_a_busy_writer_has_the_right_sum() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};
    for mode in ["wal", "delete"] {
        let site = Site::with(&format!(
            "PRAGMA journal_mode = {mode};
             CREATE TABLE account (id INTEGER PRIMARY KEY, money INTEGER, pad TEXT);
             WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 999)
             INSERT INTO account SELECT i, 100, hex(zeroblob(200)) FROM n;"
        ));
        let mut writer = Command::new("python3")
            .args(["-c", BANK])
            .arg(&site.live)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(writer.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..8 {
            let (_, bytes) = site.capture();
            let folder = tempfile::tempdir().unwrap();
            let copy = folder.path().join("copy");
            fs::write(&copy, &bytes).unwrap();
            let sum: (i64, i64) = rusqlite::Connection::open(&copy)
                .unwrap()
                .query_row("SELECT sum(money), count(*) FROM account", [], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })
                .unwrap();
            assert_eq!(sum, (100_000, 1000), "{mode}");
            seen.insert(bytes);
        }
        assert!(seen.len() > 1, "the writer stood still");
        assert!(writer.try_wait().unwrap().is_none(), "the writer failed");
        writer.kill().unwrap();
        writer.wait().unwrap();
    }
}

#[test]
fn file_references_are_distinct_bytes() {
    for encoding in ["UTF-8", "UTF-16le"] {
        let site = Site::with(&format!(
            "PRAGMA encoding = '{encoding}';
             CREATE TABLE \"my files\" (id INTEGER PRIMARY KEY, \"a file\" TEXT COLLATE NOCASE);
             INSERT INTO \"my files\" (\"a file\") VALUES
               ('é/a.png'), ('é/a.png'), ('É/A.png'), ('é/A.png'), (''), (NULL);"
        ));
        let mut snapshot =
            sqlite::capture(&Location::new(&site.live), &site.options(), &mut Quiet).unwrap();
        let column = |table: &str, column: &str| FileColumn {
            table: table.to_owned(),
            column: column.to_owned(),
        };
        let columns =
            [column("my files", "nothing"), column("my files", "a file"), column("none", "x")];
        let mut found = Vec::new();
        let unreadable = snapshot
            .file_references(&columns, &mut |at, value| {
                found.push((at, String::from_utf8(value.to_vec()).unwrap()));
            })
            .unwrap();
        found.sort();
        let expected: Vec<(usize, String)> =
            ["É/A.png", "é/A.png", "é/a.png"].iter().map(|name| (1, (*name).to_owned())).collect();
        assert_eq!(found, expected, "{encoding}");
        let reasons: Vec<&str> = unreadable.iter().map(|u| u.reason.as_str()).collect();
        assert_eq!(reasons, ["no such column: my files.nothing", "no such table: none"]);
    }
}

#[test]
fn rows_are_left_out_and_nothing_else_changes() {
    for mode in ["wal", "delete"] {
        let site = Site::with(&format!(
            "PRAGMA journal_mode = {mode};
             CREATE TABLE session (id INTEGER PRIMARY KEY AUTOINCREMENT, secret TEXT);
             CREATE TABLE kept (a TEXT, s REFERENCES session ON DELETE CASCADE);
             CREATE TRIGGER gone AFTER DELETE ON session BEGIN DELETE FROM kept; END;
             INSERT INTO session (secret) VALUES ('S3CRET-' || hex(zeroblob(6000))), ('S3CRET-2');
             INSERT INTO kept VALUES ('x', 1), ('gap', 2), ('y', 1);
             DELETE FROM kept WHERE a = 'gap';"
        ));
        let before = oracle(&site.live);
        let mut options = site.options();
        options.exclude_rows_of = vec!["Session".to_owned(), "session".to_owned()];
        let (captured, bytes) = site.try_capture(&options).unwrap();
        assert_eq!(captured.excluded, ["session"]);
        assert!(captured.spooled);
        assert_eq!(rows(&captured.tables, "session"), Some(0));
        assert_eq!(rows(&captured.tables, "kept"), Some(2));
        assert_eq!(rows(&captured.tables, "sqlite_sequence"), Some(1));
        assert!(!bytes.windows(6).any(|w| w == b"S3CRET"), "the rows are still in free pages");
        assert_eq!(bytes[18..20], if mode == "wal" { [2, 2] } else { [1, 1] });
        let after = oracle_of(&bytes);
        let changed: Vec<&str> = after.lines().filter(|line| !before.contains(*line)).collect();
        assert_eq!(changed.len(), 1, "{changed:?}");
        assert!(changed[0].starts_with("b'session' 0 "));
        assert_eq!(oracle(&site.live), before);
        site.assert_no_spool();
    }
}

#[test]
fn tables_that_cannot_be_emptied_are_refused() {
    let site = Site::with(
        "CREATE VIRTUAL TABLE f USING fts5(a); CREATE TABLE t (a INTEGER PRIMARY KEY AUTOINCREMENT);
         CREATE VIEW v AS SELECT 1;",
    );
    for (table, wording) in [
        ("f", "the rows of `f` cannot be left out: it is a virtual table"),
        ("f_data", "the rows of `f_data` cannot be left out: it is part of a virtual table"),
        ("v", "the rows of `v` cannot be left out: it is a view"),
        ("sqlite_sequence", "the rows of `sqlite_sequence` cannot be left out: it is SQLite's own"),
        ("none", "has no table `none`"),
    ] {
        let mut options = site.options();
        options.exclude_rows_of = vec![table.to_owned()];
        let error = site.try_capture(&options).unwrap_err();
        assert!(error.to_string().ends_with(wording), "{error}");
        assert_eq!(error.kind(), ErrorKind::Usage);
    }
    site.assert_no_spool();
}

#[test]
fn what_is_no_database_is_named_and_nothing_is_created() {
    let site = Site::new();
    let fail = || site.try_capture(&site.options()).unwrap_err();
    assert!(matches!(fail(), DatabaseError::Missing { .. }));
    assert!(!site.live.exists());
    fs::write(&site.live, "this is a text, and long enough to be taken for a header ".repeat(20))
        .unwrap();
    assert!(matches!(fail(), DatabaseError::NotADatabase { .. }));
    fs::remove_file(&site.live).unwrap();
    fs::create_dir(&site.live).unwrap();
    assert!(matches!(fail(), DatabaseError::NotAFile { .. }));
    assert!(site.others().is_empty());
    site.assert_no_spool();
}

#[test]
fn an_empty_file_is_an_empty_database() {
    let site = Site::new();
    fs::write(&site.live, "").unwrap();
    let (captured, bytes) = site.capture();
    assert_eq!((captured.size, captured.tables.len(), bytes.len()), (0, 0, 0));
    assert_eq!(fs::metadata(&site.live).unwrap().len(), 0);
    assert!(site.others().is_empty());
}

#[test]
fn names_that_look_like_uris_and_symlinks_are_just_paths() {
    let site = Site::new();
    let real = site.folder.path().join("file:x?mode=memory#%41 é");
    support::make(&std::path::absolute(&real).unwrap(), "CREATE TABLE t (a)");
    std::os::unix::fs::symlink(&real, &site.live).unwrap();
    let (captured, _) = site.capture();
    assert_eq!(rows(&captured.tables, "t"), Some(0));
    let hash = sqlite::content_hash(Source::Private(&real), &mut Quiet).unwrap();
    assert_eq!(hash, sqlite::content_hash(Source::Live(&site.live, WAIT), &mut Quiet).unwrap());
}

#[test]
fn sidecars_made_as_root_belong_to_the_site_and_go_away() {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return;
    }
    let site = Site::with("PRAGMA journal_mode = wal; CREATE TABLE t (a);");
    std::os::unix::fs::chown(&site.live, Some(65534), Some(65534)).unwrap();
    let snapshot =
        sqlite::capture(&Location::new(&site.live), &site.options(), &mut Quiet).unwrap();
    let sidecars = site.others();
    assert_eq!(sidecars, ["live db.sqlite3-shm", "live db.sqlite3-wal"]);
    for sidecar in sidecars {
        assert_eq!(
            fs::metadata(site.folder.path().join(&sidecar)).unwrap().uid(),
            65534,
            "{sidecar}"
        );
    }
    drop(snapshot);
    assert!(site.others().is_empty(), "{:?}", site.others());
}

#[test]
fn a_hot_journal_is_played_back() {
    let site = Site::with(&filled("old", 3000));
    let before = oracle(&site.live);
    let mut peer = site.peer();
    peer.run("PRAGMA cache_size = 5");
    peer.run("BEGIN IMMEDIATE");
    peer.run("UPDATE big SET data = 'half' || data");
    peer.kill();
    assert_eq!(site.others(), ["live db.sqlite3-journal"]);
    let (_, bytes) = site.capture();
    assert_eq!(oracle_of(&bytes), before);
    assert!(site.others().is_empty());
}

#[test]
fn an_exclusive_holder_is_named_after_a_bounded_wait() {
    let site = Site::with("CREATE TABLE t (a)");
    let mut peer = site.peer();
    peer.run("BEGIN EXCLUSIVE");
    let mut options = site.options();
    options.lock_timeout = Duration::from_millis(200);
    let start = Instant::now();
    let error = site.try_capture(&options).unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(2));
    assert_eq!(error.kind(), ErrorKind::Locked);
    assert!(error.to_string().contains(&format!("it is in use by {} (`", peer.pid())), "{error}");
    peer.run("ROLLBACK");
    site.try_capture(&options).unwrap();
}

struct Stop(AtomicBool, u64);

impl Watch for Stop {
    fn bytes(&mut self, n: u64) {
        self.1 += n;
        self.0.store(true, Ordering::Relaxed);
    }

    fn cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

struct SmallBites;

impl FileSink for SmallBites {
    fn file(
        &mut self,
        _: &str,
        _: u64,
        data: &mut dyn std::io::Read,
    ) -> Result<[u8; 32], Box<dyn std::error::Error + Send + Sync>> {
        let mut bite = [0; 1000];
        while data.read(&mut bite)? > 0 {}
        Ok([0; 32])
    }
}

struct Lazy;

impl FileSink for Lazy {
    fn file(
        &mut self,
        _: &str,
        _: u64,
        data: &mut dyn std::io::Read,
    ) -> Result<[u8; 32], Box<dyn std::error::Error + Send + Sync>> {
        data.read_exact(&mut [0; 100])?;
        Ok([0; 32])
    }
}

#[test]
fn cancelling_and_short_sinks_end_a_capture() {
    let site = Site::with(&filled("x", 200));
    let open = || sqlite::capture(&Location::new(&site.live), &site.options(), &mut Quiet).unwrap();
    let error = open().write(&mut SmallBites, &mut Stop(AtomicBool::new(false), 0)).unwrap_err();
    assert!(matches!(error, DatabaseError::Cancelled));
    let error = open().write(&mut Lazy, &mut Quiet).unwrap_err();
    assert!(matches!(error, DatabaseError::SinkShort { taken: 100, .. }), "{error}");
    let mut stop = Stop(AtomicBool::new(true), 0);
    let error =
        sqlite::capture(&Location::new(&site.live), &site.options(), &mut stop).err().unwrap();
    assert!(matches!(error, DatabaseError::Cancelled));
    site.assert_no_spool();
}

#[test]
fn a_read_only_folder_is_captured_or_clearly_refused() {
    use std::process::Command;
    // As root nothing is read-only, so another user tries.
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return;
    }
    let site = Site::with("PRAGMA journal_mode = wal; CREATE TABLE t (a);");
    for path in [site.folder.path(), &site.live] {
        let mode = if path.is_dir() { 0o755 } else { 0o644 };
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    let run = || {
        let exe = std::env::current_exe().unwrap();
        let copy = site.folder.path().join("spool/tests");
        // By a process of its own: a descriptor still open for writing, in a child that another
        // test is just forking, would make the copy "busy".
        assert!(Command::new("cp").arg(exe).arg(&copy).status().unwrap().success());
        let out = Command::new("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(&copy)
            .args(["--exact", "as_another_user", "--nocapture"])
            .env("DALSEGNO_TEST_LIVE", &site.live)
            .output()
            .unwrap();
        fs::remove_file(&copy).unwrap();
        String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr)
    };
    let out = run();
    assert!(out.contains("db.sqlite3` is read-only for this user"), "{out}");
    // With the sidecars of a running site there, a reader gets in.
    let mut peer = site.peer();
    peer.run("INSERT INTO t VALUES (1)");
    let out = run();
    assert!(out.contains("result: 1 rows"), "{out}");
}

/// Runs only as the child of the test above.
#[test]
fn as_another_user() {
    let Some(live) = std::env::var_os("DALSEGNO_TEST_LIVE") else { return };
    let live = std::path::PathBuf::from(live);
    match sqlite::table_counts(Source::Live(&live, WAIT), &mut Quiet) {
        Ok(counts) => println!("result: {} rows", counts[0].rows.unwrap()),
        Err(error) => println!("result: {error}"),
    }
}

#[test]
fn a_corrupt_page_is_captured_as_it_is_and_noted() {
    use std::os::unix::fs::FileExt;
    let site = Site::with(&filled("x", 400));
    let size = fs::metadata(&site.live).unwrap().len();
    let file = fs::OpenOptions::new().write(true).open(&site.live).unwrap();
    for page in 2..size / 4096 {
        file.write_all_at(&[0xff; 8], page * 4096).unwrap();
    }
    drop(file);
    let (captured, bytes) = site.capture();
    assert_eq!(bytes, fs::read(&site.live).unwrap());
    let big = captured.tables.iter().find(|table| table.name == "big").unwrap();
    assert_eq!(big.rows, None);
    assert_eq!(big.note.as_deref(), Some("not countable: database disk image is malformed"));
}
