//! A capture as files in memory.

use std::error::Error;
use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use dalsegno_database::postgres::catalog::{
    Catalog, ROWS_FILE, Rows, SCHEMA_FILE, Schema, Table, TableRows,
};
use dalsegno_database::postgres::{Access, capture};
use dalsegno_database::{
    CATALOG_FILE, CaptureOptions, Captured, FileSink, Quiet, Result, Tls, TlsMode,
};
use dalsegno_format::Secret;
use dalsegno_testkit::PostgresServer;
use sha2::{Digest, Sha256};

/// How to reach a database of a server as its superuser.
pub(crate) fn access(server: &PostgresServer, database: &str) -> Access {
    Access {
        host: server.socket_folder().to_str().unwrap().to_owned(),
        port: server.port(),
        user: PostgresServer::USER.to_owned(),
        password: Some(Secret::new(PostgresServer::PASSWORD)),
        database: database.to_owned(),
        tls: Tls { mode: TlsMode::Prefer, ..Tls::default() },
        role: None,
        options: None,
        client_folders: vec![server.programs().to_owned()],
    }
}

/// The same as another role, whose password is `pw`.
pub(crate) fn access_as(server: &PostgresServer, database: &str, role: &str) -> Access {
    let password = Some(Secret::new("pw"));
    Access { user: role.to_owned(), password, ..access(server, database) }
}

pub(crate) fn options() -> CaptureOptions {
    CaptureOptions {
        lock_timeout: Duration::from_secs(10),
        spool_dir: PathBuf::from("/nonexistent"),
        exclude_rows_of: Vec::new(),
        workers: 2,
    }
}

/// A server with a database `shop` on which `sql` was run.
pub(crate) fn shop(sql: &str) -> PostgresServer {
    let server = PostgresServer::start();
    server.create_database("shop");
    server.psql("shop", sql);
    server
}

/// All files of a capture in their order.
#[derive(Default)]
pub(crate) struct Files(pub(crate) Vec<(String, Vec<u8>)>);

impl FileSink for Files {
    fn file(
        &mut self,
        name: &str,
        size: u64,
        data: &mut dyn Read,
    ) -> Result<[u8; 32], Box<dyn Error + Send + Sync>> {
        let mut bytes = Vec::new();
        data.read_to_end(&mut bytes)?;
        assert_eq!(bytes.len() as u64, size, "{name}");
        assert!(bytes.len() <= 16 << 20 || !name.starts_with("4-data/"), "{name}: {size}");
        let digest = Sha256::digest(&bytes).into();
        self.0.push((name.to_owned(), bytes));
        Ok(digest)
    }
}

/// A capture that was made.
pub(crate) struct Taken {
    pub(crate) captured: Captured,
    pub(crate) files: Files,
}

/// Captures a database of the server.
pub(crate) fn taken(server: &PostgresServer, database: &str) -> Taken {
    try_taken(&access(server, database), &options()).unwrap()
}

pub(crate) fn try_taken(access: &Access, options: &CaptureOptions) -> Result<Taken> {
    let mut snapshot = capture(access, options, &mut Quiet)?;
    let mut files = Files::default();
    let captured = snapshot.write(&mut files, &mut Quiet)?;
    let size: usize = files.0.iter().map(|(_, bytes)| bytes.len()).sum();
    assert_eq!(captured.size, size as u64);
    Ok(Taken { captured, files })
}

impl Taken {
    pub(crate) fn names(&self) -> Vec<&str> {
        self.files.0.iter().map(|(name, _)| name.as_str()).collect()
    }

    pub(crate) fn bytes(&self, name: &str) -> &[u8] {
        let found = self.files.0.iter().find(|(file, _)| file == name);
        &found.unwrap_or_else(|| panic!("no `{name}` in {:?}", self.names())).1
    }

    pub(crate) fn text(&self, name: &str) -> &str {
        std::str::from_utf8(self.bytes(name)).unwrap()
    }

    pub(crate) fn catalog(&self) -> Catalog {
        serde_json::from_slice(self.bytes(CATALOG_FILE)).unwrap()
    }

    pub(crate) fn schema(&self) -> Schema {
        serde_json::from_slice(self.bytes(SCHEMA_FILE)).unwrap()
    }

    pub(crate) fn rows(&self) -> Rows {
        serde_json::from_slice(self.bytes(ROWS_FILE)).unwrap()
    }

    /// The table, by its name as people see it.
    pub(crate) fn table(&self, name: &str) -> Table {
        let tables = self.catalog().tables;
        tables.into_iter().find(|table| table.shown() == name).unwrap()
    }

    pub(crate) fn rows_of(&self, name: &str) -> TableRows {
        let id = self.table(name).id;
        self.rows().tables.into_iter().find(|rows| rows.id == id).unwrap()
    }

    /// All parts of a table's rows, one after the other.
    pub(crate) fn data(&self, name: &str) -> Vec<u8> {
        let prefix = format!("4-data/{:06}.", self.table(name).id);
        let parts = self.files.0.iter().filter(|(file, _)| file.starts_with(&prefix));
        parts.flat_map(|(_, bytes)| bytes.clone()).collect()
    }

    /// The lines of a table's rows, sorted.
    pub(crate) fn lines(&self, name: &str) -> Vec<String> {
        let data = String::from_utf8(self.data(name)).unwrap();
        let mut lines: Vec<String> = data.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }

    /// The statements of all entries of a kind.
    pub(crate) fn statements(&self, kind: &str) -> Vec<String> {
        let entries = self.schema().entries;
        entries.into_iter().filter(|entry| entry.kind == kind).map(|entry| entry.sql).collect()
    }
}
