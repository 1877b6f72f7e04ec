//! A site without Django: `dalsegno.toml`, SQLite files and a folder of media.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

use crate::fault::noise;
use crate::python::{output, run_python};

const CONFIG: &str = r#"[project]
name = "plain"

[databases.default]
engine = "sqlite3"
name = "db.sqlite3"

[storages.default]
location = "media"
"#;

const SECOND: &str = r#"
[databases.archive]
engine = "sqlite3"
name = "archive.sqlite3"
"#;

const TABLES: &str = "
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.executescript('''
CREATE TABLE author (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE book (id INTEGER PRIMARY KEY, author_id INTEGER NOT NULL REFERENCES author (id), title TEXT, body BLOB);
CREATE INDEX book_author ON book (author_id);
CREATE TABLE log (id INTEGER PRIMARY KEY, line TEXT);
CREATE VIEW titles AS SELECT title FROM book;
''')
db.executemany('INSERT INTO author VALUES (?, ?)', [(n, f'{sys.argv[2]} author {n}') for n in range(1, 11)])
db.executemany('INSERT INTO book VALUES (?, ?, ?, ?)',
    [(n, n % 10 + 1, f'{sys.argv[2]} title {n}', bytes([n % 256]) * (n * 7 % 500)) for n in range(1, 201)])
db.execute(\"INSERT INTO log (line) VALUES ('made')\")
db.commit()
db.close()
";

pub(crate) fn write(root: &Path) {
    fs::write(root.join("dalsegno.toml"), CONFIG).expect("the site can be written");
    tables(&root.join("db.sqlite3"), "first");
    media(&root.join("media"));
}

/// A second database, alias `archive`, with other rows.
pub(crate) fn write_second(root: &Path) {
    let config = root.join("dalsegno.toml");
    let text = fs::read_to_string(&config).expect("the site has a configuration");
    fs::write(&config, text + SECOND).expect("the site can be written");
    tables(&root.join("archive.sqlite3"), "second");
}

fn tables(path: &Path, word: &str) {
    run_python(TABLES, &[path.as_os_str(), word.as_ref()]);
}

fn media(root: &Path) {
    for folder in ["a", "b", "incoming"] {
        fs::create_dir_all(root.join(folder)).expect("the site can be written");
    }
    let picture = noise(30_000, 1);
    let files: [(&str, &[u8], u32); 5] = [
        ("a/one.txt", b"one\n", 0o644),
        ("a/two.txt", b"two\n", 0o640),
        ("b/empty", b"", 0o600),
        ("picture.jpg", &picture, 0o664),
        (".hidden", b"left out by rule\n", 0o644),
    ];
    for (index, (name, content, mode)) in files.into_iter().enumerate() {
        let path = root.join(name);
        fs::write(&path, content).expect("the site can be written");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("modes can be set");
        let time = UNIX_EPOCH + Duration::new(1_700_000_000 + index as u64, 123_456_789);
        let file = File::options().write(true).open(&path).expect("it was just written");
        file.set_modified(time).expect("times can be set");
    }
    let link = root.join("a/link");
    symlink("one.txt", &link).expect("links can be made");
    output(Command::new("touch").args(["-h", "-d", "2023-11-14T22:13:25.123456789Z"]).arg(link));
    fs::hard_link(root.join("a/one.txt"), root.join("b/again.txt")).expect("links can be made");
}
