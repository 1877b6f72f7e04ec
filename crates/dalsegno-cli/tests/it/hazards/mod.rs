//! The ways in which backups of SQLite lose data, one test for each: Python's SQLite makes the
//! hazard, the whole program is run, and Python's SQLite says what came back. `docs/sqlite.md`
//! lists them for users, with the names of these tests.
//!
//! What only shows below the command line (timeouts, kills at every instant, sizes beyond 1 GiB) is
//! in the tests of `dalsegno-database`.

mod damage;
mod definitions;
mod full;
mod logs;
mod names;
mod others;
mod peer;
mod rights;
mod switching;
mod values;
mod virtual_tables;

use std::fs;
use std::path::{Path, PathBuf};

use dalsegno_testkit::{Site, run_python};
use peer::Peer;

use crate::{backup, ok, restore};

const LIVE: &str = "db.sqlite3";

/// Functions and a collation that only the site registers.
const REGISTER: &str = r#"
import re
def register(db):
    db.create_function("REGEXP", 2, lambda p, v: v is not None and bool(re.search(p, str(v))), deterministic=True)
    db.create_function("slug", 1, lambda v: str(v).lower().replace(" ", "-"), deterministic=True)
    db.create_collation("german", lambda a, b: (a.lower() > b.lower()) - (a.lower() < b.lower()))
"#;

const MAKE: &str = r"
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
register(db)
db.executescript(sys.argv[2])
db.close()
";

const EVERYTHING: &str = r#"
import hashlib, sqlite3, sys
from urllib.parse import quote
db = sqlite3.connect("file:" + quote(sys.argv[1]) + "?mode=rw", uri=True, timeout=30, isolation_level=None)
register(db)
db.text_factory = bytes
db.execute("BEGIN")
for pragma in ("page_size", "encoding", "auto_vacuum", "user_version", "application_id", "journal_mode"):
    print(pragma, db.execute("PRAGMA " + pragma).fetchone()[0])
for row in sorted(db.execute("SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_master").fetchall()):
    print(*row)
kinds = {row[1]: (row[2], row[4]) for row in db.execute("PRAGMA table_list") if row[0] == b"main"}
tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND coalesce(sql, '') NOT LIKE 'create virtual%'"
for (name,) in sorted(db.execute(tables).fetchall()):
    table = '"' + name.decode().replace('"', '""') + '"'
    columns = ['"' + row[1].decode().replace('"', '""') + '"' for row in db.execute("PRAGMA table_xinfo(%s)" % table) if row[6] in (0, 3)]
    wanted = [] if kinds[name][1] else ["rowid"]
    for column in columns:
        wanted += ["typeof(%s)" % column, column]
    # Values are compared as they are stored, the bits of a number and the bytes of a text.
    rows = sorted(map(repr, db.execute("SELECT %s FROM %s NOT INDEXED" % (", ".join(wanted), table))))
    print(name, len(rows), hashlib.sha256("\n".join(rows).encode()).hexdigest())
try:
    print("foreign keys", sorted(map(repr, db.execute("PRAGMA foreign_key_check").fetchall())))
except sqlite3.OperationalError as error:
    print("foreign keys", error)
db.execute("COMMIT")
db.close()
"#;

/// A project of one SQLite database, made by this script, and of nothing else.
fn site_of(sql: &str) -> Site {
    site_named(LIVE, sql)
}

/// Like [`site_of`], with its database under this `NAME`, which is a path.
fn site_named(name: &str, sql: &str) -> Site {
    let site = Site::empty();
    describe(&site, name);
    make(&site.path(name), sql);
    site
}

fn describe(site: &Site, name: &str) {
    let name = name.replace('\\', "\\\\").replace('"', "\\\"");
    let database = format!("engine = \"sqlite3\"\nname = \"{name}\"");
    site.write(
        "dalsegno.toml",
        format!("[project]\nname = \"hazard\"\n\n[databases.default]\n{database}\n"),
    );
}

fn live(site: &Site) -> PathBuf {
    site.path(LIVE)
}

/// Runs a script on a database, with all that the site registers.
fn make(path: &Path, sql: &str) {
    run_python(&format!("{REGISTER}{MAKE}"), &[path.as_os_str(), sql.as_ref()]);
}

/// Puts a database made by this script where the live one was.
fn instead(site: &Site, sql: &str) {
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let _ = fs::remove_file(site.path(format!("{LIVE}{suffix}")));
    }
    make(&live(site), sql);
}

/// All that is stored in a database: settings, definitions, and every value with its type.
fn everything(path: &Path) -> String {
    run_python(&format!("{REGISTER}{EVERYTHING}"), &[path])
}

/// A table of `rows` rows of about a kilobyte, each with this word.
fn filled(word: &str, rows: u32) -> String {
    format!(
        "CREATE TABLE {word} (id INTEGER PRIMARY KEY, word TEXT, pad BLOB);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
         INSERT INTO {word} SELECT i, '{word}', randomblob(900) FROM n;"
    )
}

/// Backs up with these options, puts another database in place, restores with the full check, and
/// compares; `verify --deep` and `diff` must agree. Gives back what was said on the way.
#[track_caller]
fn comes_back(site: &Site, first: &str, options: &[&str]) -> String {
    let before = everything(&live(site));
    let name = format!("b{}", options.concat());
    backup(site, &name, options);
    assert_eq!(everything(&live(site)), before, "the backup changed the live database");
    instead(site, &format!("{first} {}", filled("stranger", 40)));
    let args = ["restore", &name, "--force", "--no-pre-backup", "--verify", "full"];
    let restored = ok(site, &args).all();
    assert_eq!(everything(&live(site)), before, "{restored}");
    let verified = ok(site, &["verify", &name, "--deep"]).all();
    let compared = ok(site, &["-q", "diff", &name]).all();
    assert_eq!(compared, "No difference.\n");
    restored + &verified
}

/// Restores without a backup before, which takes its time and is tested elsewhere.
#[track_caller]
fn restored(site: &Site, name: &str) {
    restore(site, &[name, "--no-pre-backup"]);
}

/// A file beside the live database.
fn beside(site: &Site, suffix: &str) -> PathBuf {
    site.path(format!("{LIVE}{suffix}"))
}

fn size(path: &Path) -> u64 {
    path.metadata().map_or(0, |file| file.len())
}

#[track_caller]
fn assert_integrity(site: &Site) {
    assert_eq!(site.ask(LIVE, "PRAGMA integrity_check"), "ok");
}

/// Names beside the live database that a restore or a crash may leave.
fn leftovers(site: &Site) -> Vec<String> {
    let ours = |name: &String| name.starts_with('.') || name.starts_with("db.sqlite3-");
    site.names("").into_iter().filter(ours).collect()
}
