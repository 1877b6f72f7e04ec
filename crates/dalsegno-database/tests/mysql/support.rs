use std::collections::BTreeMap;
use std::error::Error;
use std::io::Read;
use std::time::Duration;

use dalsegno_database::mysql::catalog::{Catalog, Entry, RowsReport, Schema, Table, TableRows};
use dalsegno_database::mysql::{self, Access};
use dalsegno_database::{
    CaptureOptions, Captured, FileSink, Quiet, Result, TableHash, Tls, TlsMode, Watch,
};
use dalsegno_format::Secret;
use dalsegno_testkit::MariadbServer;
use serde::de::DeserializeOwned;

pub const WAIT: Duration = Duration::from_secs(5);

/// A server with one database, `site`.
pub fn server_with(sql: &str) -> MariadbServer {
    let server = MariadbServer::start();
    server.create_database("site");
    server.sql("site", sql);
    server
}

/// The way to a database over the socket.
pub fn access(server: &MariadbServer, database: &str) -> Access {
    Access {
        host: server.host().to_owned(),
        port: server.port(),
        socket: Some(server.socket()),
        user: server.user().to_owned(),
        password: Some(Secret::new(server.password())),
        database: database.to_owned(),
        tls: Tls { mode: TlsMode::Disable, root: None, identity: None },
        init_command: None,
    }
}

pub fn options() -> CaptureOptions {
    CaptureOptions {
        lock_timeout: WAIT,
        spool_dir: std::env::temp_dir(),
        exclude_rows_of: Vec::new(),
        workers: 1,
    }
}

/// A capture in memory.
#[derive(Debug)]
pub struct Capture {
    pub captured: Captured,
    pub files: Vec<(String, Vec<u8>)>,
}

pub fn capture(server: &MariadbServer, database: &str) -> Capture {
    try_capture(&access(server, database), &options(), &mut Quiet).unwrap()
}

pub fn try_capture(
    access: &Access,
    options: &CaptureOptions,
    watch: &mut dyn Watch,
) -> Result<Capture> {
    let mut snapshot = mysql::capture(access, options, watch)?;
    let mut sink = Memory::default();
    let captured = snapshot.write(&mut sink, watch)?;
    Ok(Capture { captured, files: sink.0 })
}

/// Keeps every file.
#[derive(Debug, Default)]
pub struct Memory(pub Vec<(String, Vec<u8>)>);

impl FileSink for Memory {
    fn file(
        &mut self,
        name: &str,
        size: u64,
        data: &mut dyn Read,
    ) -> std::result::Result<[u8; 32], Box<dyn Error + Send + Sync>> {
        let mut bytes = Vec::new();
        data.read_to_end(&mut bytes)?;
        assert_eq!(bytes.len() as u64, size, "{name}");
        self.0.push((name.to_owned(), bytes));
        // What it hashes to is the archive's concern.
        Ok([0; 32])
    }
}

impl Capture {
    pub fn bytes(&self, name: &str) -> &[u8] {
        let found = self.files.iter().find(|(known, _)| known == name);
        &found.unwrap_or_else(|| panic!("there is no {name}")).1
    }

    pub fn text(&self, name: &str) -> &str {
        std::str::from_utf8(self.bytes(name)).unwrap()
    }

    fn json<T: DeserializeOwned>(&self, name: &str) -> T {
        serde_json::from_slice(self.bytes(name)).unwrap()
    }

    pub fn catalog(&self) -> Catalog {
        self.json("1-catalog.json")
    }

    pub fn entries(&self) -> Vec<Entry> {
        self.json::<Schema>("2-schema.json").entries
    }

    pub fn report(&self) -> RowsReport {
        self.json("9-rows.json")
    }

    pub fn entry(&self, name: &str) -> Entry {
        let mut found = self.entries().into_iter().filter(|entry| entry.name == name);
        found.next().unwrap_or_else(|| panic!("there is no {name}"))
    }

    pub fn table(&self, name: &str) -> Table {
        let mut found = self.catalog().tables.into_iter().filter(|table| table.name == name);
        found.next().unwrap_or_else(|| panic!("there is no table {name}"))
    }

    pub fn rows(&self, name: &str) -> TableRows {
        let id = self.table(name).id;
        self.report().tables.into_iter().find(|rows| rows.id == id).unwrap()
    }

    /// All lines of a table's data files, as text where they are text.
    pub fn lines(&self, name: &str) -> Vec<String> {
        let (table, rows) = (self.table(name), self.rows(name));
        let parts = (1..=rows.parts).map(|part| self.bytes(&table.data_file(part)));
        let all = parts.collect::<Vec<_>>().concat();
        let lines = all.split_inclusive(|byte| *byte == b'\n');
        lines.map(|line| String::from_utf8_lossy(&line[..line.len() - 1]).into_owned()).collect()
    }

    /// Loads it into a new database with the plain client alone.
    pub fn load(&self, server: &MariadbServer, database: &str) {
        let catalog = self.catalog();
        server.sql(
            "",
            &format!(
                "CREATE DATABASE `{database}` CHARACTER SET {} COLLATE {}",
                catalog.character_set, catalog.collation
            ),
        );
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in &self.files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        for file in ["3-pre.sql", "6-load.sql", "7-sequences.sql", "8-post.sql"] {
            let mut client = server.client(database);
            client.arg("--comments").current_dir(folder.path());
            client.stdin(std::fs::File::open(folder.path().join(file)).unwrap());
            let done = client.output().unwrap();
            let said = String::from_utf8_lossy(&done.stderr);
            assert!(done.status.success(), "{file}: {said}\n{}", self.text(file));
        }
    }
}

/// Captures `site`, loads it into `copy` with the plain client alone, captures that too, and wants
/// the same rows and definitions. What both captures say otherwise is for the test to look at.
pub fn round_trip(server: &MariadbServer) -> (Capture, Capture) {
    let first = capture(server, "site");
    first.load(server, "copy");
    let second = capture(server, "copy");
    assert_eq!(hashes(server, "site"), hashes(server, "copy"));
    assert_eq!(definitions(&first), definitions(&second));
    assert_eq!(first.captured.fingerprint, second.captured.fingerprint);
    assert_eq!(first.captured.tables, second.captured.tables);
    for (old, new) in first.report().tables.iter().zip(&second.report().tables) {
        assert_eq!((&old.hash, old.rows), (&new.hash, new.rows));
    }
    (first, second)
}

fn hashes(server: &MariadbServer, database: &str) -> Vec<TableHash> {
    mysql::table_hashes(&access(server, database), WAIT, &mut Quiet).unwrap()
}

fn definitions(capture: &Capture) -> BTreeMap<String, String> {
    let entries = capture.entries().into_iter();
    entries
        .map(|entry| (format!("{:?} {}", entry.kind, entry.name), format!("{entry:#?}")))
        .collect()
}
