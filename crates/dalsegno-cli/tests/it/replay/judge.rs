//! What a site holds, read as the site itself would read it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use rusqlite::{Connection, types::Value};

/// Rows and files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct State {
    pub(super) database: String,
    pub(super) media: BTreeMap<String, String>,
}

impl State {
    pub(super) fn of(root: &Path) -> Self {
        let mut media = BTreeMap::new();
        files(&root.join("media"), "", &mut media);
        Self { database: rows(&root.join("db.sqlite3")), media }
    }
}

/// Schema and rows, by SQLite: on a copy with its journal or log, so that what a crash left of them
/// is used up there and not here.
fn rows(path: &Path) -> String {
    let scratch = tempfile::tempdir().expect("a temporary folder can be made");
    let copy = scratch.path().join("db.sqlite3");
    for suffix in ["", "-wal", "-journal"] {
        let with = |path: &Path| {
            let mut name = path.as_os_str().to_owned();
            name.push(suffix);
            name
        };
        if fs::copy(with(path), with(&copy)).is_err() && suffix.is_empty() {
            return "there is no database".to_owned();
        }
    }
    read(&copy).unwrap_or_else(|error| format!("the database cannot be read: {error}"))
}

fn read(path: &Path) -> rusqlite::Result<String> {
    let db = Connection::open(path)?;
    let mut text = String::new();
    let sound: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
    let _ = writeln!(text, "{sound}");
    let mut tables = db.prepare("SELECT name, sql FROM sqlite_master ORDER BY name")?;
    let tables: Vec<(String, Option<String>)> =
        tables.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
    for (name, sql) in tables {
        let _ = writeln!(text, "{name}: {sql:?}");
        if !sql.is_some_and(|sql| sql.starts_with("CREATE TABLE")) {
            continue;
        }
        let mut select = db.prepare(&format!("SELECT * FROM {name} ORDER BY 1"))?;
        let columns = select.column_count();
        let (mut rows, mut count) = (String::new(), 0);
        let mut found = select.query([])?;
        while let Some(row) = found.next()? {
            count += 1;
            for column in 0..columns {
                let _ = write!(rows, " {:?}", row.get::<_, Value>(column)?);
            }
        }
        let _ = writeln!(text, "  {count} rows, {}", digest(rows.as_bytes()));
    }
    Ok(text)
}

/// Path, kind, mode, time and content of everything that is the site's.
fn files(folder: &Path, above: &str, found: &mut BTreeMap<String, String>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let entry = entry.expect("the folder can be read");
        let name = entry.file_name().into_string().expect("the names are text");
        if name.starts_with(".dalsegno-") {
            continue;
        }
        let below = format!("{above}{name}");
        let meta = entry.metadata().expect("it can be looked at");
        let mode = meta.permissions().mode() & 0o7777;
        if meta.is_dir() {
            files(&entry.path(), &format!("{below}/"), found);
            found.insert(below, format!("folder {mode:o}"));
        } else if meta.is_symlink() {
            let target = fs::read_link(entry.path()).expect("it can be read");
            found.insert(below, format!("link {}", target.display()));
        } else {
            let bytes = fs::read(entry.path()).expect("it can be read");
            let (size, time) = (bytes.len(), (meta.mtime(), meta.mtime_nsec()));
            found.insert(below, format!("file {mode:o} {time:?} {size} {}", digest(&bytes)));
        }
    }
}

/// Stands for all bytes of a file, or of a folder and the names in it.
pub(super) fn bytes_of(path: &Path) -> String {
    let mut found = BTreeMap::new();
    if path.is_dir() {
        files(path, "", &mut found);
    } else {
        found.insert(String::new(), digest(&fs::read(path).expect("it can be read")));
    }
    format!("{found:?}")
}

fn digest(bytes: &[u8]) -> String {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}
