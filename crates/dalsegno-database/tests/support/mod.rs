//! Real databases, a second process that uses them, and an independent reader to compare them.
// Every test file takes what it needs of this one.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use dalsegno_database::sqlite::{self, Location, Source, Staged, Switched, Target};
use dalsegno_database::{
    CaptureOptions, Captured, CheckOptions, FileSink, Quiet, Result, SwitchOptions, TableCount,
};
use rusqlite::Connection;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

pub const WAIT: Duration = Duration::from_secs(5);
pub const SWITCH: SwitchOptions = SwitchOptions { lock_timeout: WAIT };

/// A folder with a live database to be and a folder for spools.
pub struct Site {
    pub folder: TempDir,
    pub live: PathBuf,
}

impl Site {
    pub fn new() -> Self {
        // Memory, where there is plenty: what is tested is processes dying, not the machine.
        let memory = Path::new("/dev/shm");
        let free = rustix::fs::statvfs(memory).map_or(0, |fs| fs.f_bavail * fs.f_frsize);
        let parent = if free > 8 << 30 { memory.to_owned() } else { std::env::temp_dir() };
        let folder = tempfile::tempdir_in(parent).unwrap();
        std::fs::create_dir(folder.path().join("spool")).unwrap();
        let live = folder.path().join("live db.sqlite3");
        Self { folder, live }
    }

    pub fn with(sql: &str) -> Self {
        let site = Self::new();
        make(&site.live, sql);
        site
    }

    pub fn options(&self) -> CaptureOptions {
        CaptureOptions {
            lock_timeout: WAIT,
            spool_dir: self.folder.path().join("spool"),
            exclude_rows_of: Vec::new(),
            workers: 2,
        }
    }

    pub fn capture(&self) -> (Captured, Vec<u8>) {
        self.try_capture(&self.options()).unwrap()
    }

    pub fn try_capture(&self, options: &CaptureOptions) -> Result<(Captured, Vec<u8>)> {
        let mut snapshot = sqlite::capture(&Location::new(&self.live), options, &mut Quiet)?;
        let mut files = Files::default();
        let captured = snapshot.write(&mut files, &mut Quiet)?;
        let bytes = files.0.remove(sqlite::FILE_NAME).unwrap();
        assert_eq!(bytes.len() as u64, snapshot.estimate());
        assert_eq!(bytes.len() as u64, captured.size);
        Ok((captured, bytes))
    }

    pub fn target(&self, id: &str) -> Target {
        Target::new(&self.live, id).unwrap()
    }

    pub fn stage(&self, id: &str, bytes: &[u8]) -> Staged {
        self.target(id).stage(&mut &bytes[..], bytes.len() as u64, &mut Quiet).unwrap()
    }

    /// Stages, checks against the counts, switches.
    pub fn restore(&self, id: &str, captured: &Captured, bytes: &[u8]) -> Switched {
        let staged = self.stage(id, bytes);
        let options = CheckOptions { expected_counts: &captured.tables, full: true };
        let report = staged.check(&options, &mut Quiet).unwrap();
        assert!(report.is_sound(), "{report:?}");
        staged.switch(SWITCH, &mut Quiet).unwrap()
    }

    /// Names in the folder but the live file and the spool folder.
    pub fn others(&self) -> Vec<String> {
        names(self.folder.path())
            .into_iter()
            .filter(|name| name != "spool" && name != "live db.sqlite3")
            .collect()
    }

    pub fn peer(&self) -> Peer {
        Peer::new(&self.live)
    }

    pub fn assert_no_spool(&self) {
        assert!(names(&self.folder.path().join("spool")).is_empty());
    }
}

pub fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Makes a database with our library, closed again.
pub fn make(path: &Path, sql: &str) {
    let connection = Connection::open(path).unwrap();
    connection.execute_batch(sql).unwrap();
    connection.close().unwrap();
}

/// Rows of a table, as captured.
pub fn rows(counts: &[TableCount], table: &str) -> Option<u64> {
    counts.iter().find(|count| count.name == table).unwrap().rows
}

pub fn with_mode(mode: &str, sql: &str) -> String {
    format!("PRAGMA journal_mode = {mode}; {sql}")
}

pub fn mode_of(path: &Path) -> String {
    let connection = Connection::open(path).unwrap();
    connection.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap()
}

pub fn hash(path: &Path) -> String {
    sqlite::content_hash(Source::Private(path), &mut Quiet).unwrap()
}

pub fn live_hash(path: &Path) -> String {
    sqlite::content_hash(Source::Live(path, WAIT), &mut Quiet).unwrap()
}

/// A table `big` of `rows` rows of about 1,000 bytes, and a table `note`.
pub fn filled(mark: &str, rows: u32) -> String {
    format!(
        "CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT); INSERT INTO note VALUES (1, '{mark}');
         CREATE TABLE big (id INTEGER PRIMARY KEY, data TEXT);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
         INSERT INTO big SELECT i, '{mark}' || hex(zeroblob(490)) || i FROM n;
         CREATE INDEX big_data ON big (substr(data, -8));"
    )
}

#[derive(Default)]
pub struct Files(pub BTreeMap<String, Vec<u8>>);

impl FileSink for Files {
    fn file(
        &mut self,
        name: &str,
        size: u64,
        data: &mut dyn Read,
    ) -> Result<[u8; 32], Box<dyn Error + Send + Sync>> {
        let mut bytes = Vec::new();
        data.read_to_end(&mut bytes)?;
        assert_eq!(bytes.len() as u64, size);
        let digest = Sha256::digest(&bytes).into();
        self.0.insert(name.to_owned(), bytes);
        Ok(digest)
    }
}

/// Another process with a connection of its own, to another build of SQLite: Python's.
pub struct Peer {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

const PEER: &str = r#"
import sqlite3, sys
c = sqlite3.connect(sys.argv[1], timeout=5, isolation_level=None)
for line in sys.stdin:
    try:
        print("ok", repr(c.execute(line.strip()).fetchall()), flush=True)
    except Exception as e:
        print("error", e, flush=True)
"#;

impl Peer {
    pub fn new(path: &Path) -> Self {
        let mut child = Command::new("python3")
            .args(["-c", PEER])
            .arg(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut peer = Self { child, input, output };
        peer.ask("PRAGMA wal_autocheckpoint = 0");
        peer
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn send(&mut self, sql: &str) {
        writeln!(self.input, "{}", sql.replace('\n', " ")).unwrap();
    }

    pub fn answer(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    pub fn ask(&mut self, sql: &str) -> String {
        self.send(sql);
        self.answer()
    }

    pub fn run(&mut self, sql: &str) {
        let answer = self.ask(sql);
        assert!(answer.starts_with("ok"), "{sql}: {answer}");
    }

    /// Ends the process without letting it close anything.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const ORACLE: &str = r##"
import sqlite3, sys, hashlib
c = sqlite3.connect("file:" + sys.argv[1].replace("%", "%25").replace("?", "%3f").replace("#", "%23"), uri=True)
c.text_factory = bytes
for p in ("user_version", "application_id", "encoding", "auto_vacuum", "page_size"):
    print(p, c.execute("pragma " + p).fetchone()[0])
for name, sql in sorted(c.execute("select name, sql from sqlite_master").fetchall()):
    print(name, sql)
for (name,) in sorted(c.execute("select name from sqlite_master where type = 'table' and sql not like 'create virtual%'").fetchall()):
    t = '"' + name.decode().replace('"', '""') + '"'
    kind, wr = [(r[2], r[4]) for r in c.execute("pragma table_list") if r[1] == name][0]
    cols = ['"' + r[1].decode().replace('"', '""') + '"' for r in c.execute("pragma table_xinfo(%s)" % t) if r[6] in (0, 3)]
    exprs = [] if wr else ["rowid"]
    for col in cols:
        exprs += ["typeof(%s)" % col, "hex(%s)" % col]
    h, n = hashlib.sha256(), 0
    for row in c.execute("select %s from %s not indexed order by 1, 2, 3" % (", ".join(exprs + ["1", "1"]), t)):
        h.update(repr(row).encode()); n += 1
    print(name, n, h.hexdigest())
print(c.execute("pragma quick_check").fetchall() if len(sys.argv) < 3 else "")
"##;

/// Everything in a database, as Python's SQLite reads it, `quick_check` included.
pub fn oracle(path: &Path) -> String {
    let out = Command::new("python3").args(["-c", ORACLE]).arg(path).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

/// [`oracle`] of a database file given as bytes.
pub fn oracle_of(bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("copy");
    std::fs::write(&path, bytes).unwrap();
    oracle(&path)
}
