//! A site with everything that is easily lost, and an independent reader to compare it.

use std::error::Error;
use std::io::Read;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use dalsegno_database::mysql::{self, Access, Target};
use dalsegno_database::{
    CaptureOptions, Captured, CapturedFile, CheckOptions, FileSink, Leftover, Quiet, Result,
    RollbackOptions, Staged, SwitchOptions, Switched, Target as _, Tls, TlsMode, Watch,
};
use dalsegno_format::Secret;
use dalsegno_testkit::MariadbServer;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub const WAIT: Duration = Duration::from_secs(10);
pub const SWITCH: SwitchOptions = SwitchOptions { lock_timeout: WAIT };
pub const ID: &str = "018f6d2a-1111-7abc-8def-0123456789ab";
pub const BACK: RollbackOptions = RollbackOptions { lock_timeout: WAIT, force: false };
pub const FORCED: RollbackOptions = RollbackOptions { lock_timeout: WAIT, force: true };

/// Tables, and everything else, of a shop.
pub const SHOP: &str = include_str!("shop.sql");

/// What happens to the shop after its backup: something of each kind changes, goes and comes.
pub const LATER: &str = "
INSERT INTO book (title) VALUES ('later');
DROP TABLE tag;
CREATE TABLE brand_new (id INT PRIMARY KEY, book INT,
  CONSTRAINT later_fk FOREIGN KEY (book) REFERENCES book (id));
INSERT INTO brand_new VALUES (1, 0);
CREATE TRIGGER on_brand_new BEFORE INSERT ON brand_new FOR EACH ROW SET NEW.id = NEW.id + 1;
DROP TRIGGER second;
CREATE OR REPLACE VIEW titles AS SELECT title FROM book WHERE id > 1;
CREATE VIEW later_view AS SELECT 1 AS one;
DROP PROCEDURE greet;
ALTER EVENT nightly COMMENT 'changed';
ALTER DATABASE COLLATE latin1_bin;
UPDATE keeps SET x = 99;
";

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

/// A server with the shop in `shop`.
pub fn shop() -> MariadbServer {
    shop_on(&[])
}

pub fn shop_on(options: &[&str]) -> MariadbServer {
    let server = MariadbServer::start_with(options);
    server.sql(
        "",
        "CREATE DATABASE shop CHARACTER SET latin1 COLLATE latin1_german1_ci COMMENT 'a shop'",
    );
    server.sql("shop", SHOP);
    server
}

/// A capture, fit for a file that a child process reads.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Backup {
    pub captured: Captured,
    pub files: Vec<(String, Vec<u8>)>,
}

#[derive(Default)]
struct Memory(Vec<(String, Vec<u8>)>);

impl FileSink for Memory {
    fn file(
        &mut self,
        name: &str,
        _: u64,
        data: &mut dyn Read,
    ) -> std::result::Result<[u8; 32], Box<dyn Error + Send + Sync>> {
        let mut bytes = Vec::new();
        data.read_to_end(&mut bytes)?;
        let hash = Sha256::digest(&bytes).into();
        self.0.push((name.to_owned(), bytes));
        Ok(hash)
    }
}

pub fn capture(access: &Access) -> Backup {
    let options = CaptureOptions {
        lock_timeout: WAIT,
        spool_dir: std::env::temp_dir(),
        exclude_rows_of: Vec::new(),
        workers: 1,
    };
    let mut snapshot = mysql::capture(access, &options, &mut Quiet).unwrap();
    let mut sink = Memory::default();
    let captured = snapshot.write(&mut sink, &mut Quiet).unwrap();
    drop(snapshot);
    Backup { captured, files: sink.0 }
}

impl Backup {
    /// The same with a file changed by replacing text, which must be there.
    pub fn with(&self, name: &str, from: &str, to: &str) -> Self {
        let mut other = self.clone();
        let file = other.files.iter_mut().find(|file| file.0 == name).unwrap();
        let found = file.1.windows(from.len()).position(|bytes| bytes == from.as_bytes());
        let at = found.unwrap_or_else(|| panic!("{name} has no {from}"));
        file.1.splice(at..at + from.len(), to.bytes());
        other
    }
}

pub fn target(access: &Access) -> Target {
    Target::new(access, ID).unwrap()
}

pub fn stage(access: &Access, backup: &Backup, watch: &mut dyn Watch) -> Result<Box<dyn Staged>> {
    let mut staging = target(access).begin(&backup.captured)?;
    for (name, bytes) in &backup.files {
        let file = CapturedFile { name, size: bytes.len() as u64, mode: 0 };
        staging.file(file, &mut &bytes[..], watch)?;
    }
    staging.finish(watch)
}

/// Stages, checks everything, switches.
pub fn restore(access: &Access, backup: &Backup) -> Switched {
    let mut staged = stage(access, backup, &mut Quiet).unwrap();
    let options = CheckOptions { expected_counts: &backup.captured.tables, full: true };
    let report = staged.check(&options, &mut Quiet).unwrap();
    assert_eq!(report.problems, Vec::<String>::new());
    staged.switch(SWITCH, &mut Quiet).unwrap()
}

/// What the plain client sees of a database: every row, and every definition.
pub fn oracle(server: &MariadbServer, database: &str) -> String {
    let mut dump = Command::new("mariadb-dump");
    dump.args(["--no-defaults", "--routines", "--events", "--triggers", "--skip-dump-date"])
        .args(["--dump-history", "--skip-extended-insert", "--hex-blob", "--compact"])
        .args(["--default-character-set=utf8mb4", "--order-by-primary"])
        .arg(format!("--user={}", server.user()))
        .arg(format!("--socket={}", server.socket().display()))
        .arg(database)
        .env("MYSQL_PWD", server.password());
    let done = dump.output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    let options = server.sql("", &format!("SHOW CREATE DATABASE `{database}`"));
    let floats = server.sql(
        "information_schema",
        &format!(
            "SELECT COUNT(*) FROM TABLES WHERE TABLE_SCHEMA = '{database}' AND TABLE_NAME = 'odd'"
        ),
    );
    let floats = if floats == "1\n" {
        server.sql(database, "SELECT f * 1e0, e + 0, HEX(bits) FROM odd ORDER BY id")
    } else {
        String::new()
    };
    format!("{options}{floats}{text}")
}

/// Both are the same; else the first line that differs is shown.
#[track_caller]
pub fn assert_same(found: &str, wanted: &str, when: &str) {
    let mut pairs = found.lines().zip(wanted.lines());
    if let Some((found, wanted)) = pairs.find(|(found, wanted)| found != wanted) {
        panic!("{when}\n found: {found}\nwanted: {wanted}");
    }
    assert_eq!(found.lines().count(), wanted.lines().count(), "{when}");
}

/// Schemas beside the live one.
pub fn beside(access: &Access) -> Vec<String> {
    let left = mysql::leftovers(access).unwrap();
    left.into_iter().map(|Leftover { place, .. }| place.to_string()).collect()
}

/// The roles of the schemas beside the live one.
pub fn roles(access: &Access) -> Vec<String> {
    let role = |name: &String| {
        let (schema, _) = name.split_once(" on ").unwrap();
        schema.rsplit_once('_').unwrap().1.to_owned()
    };
    beside(access).iter().map(role).collect()
}

/// A file for a child process.
pub fn saved(folder: &std::path::Path, backup: &Backup) -> PathBuf {
    let path = folder.join("backup.json");
    std::fs::write(&path, serde_json::to_vec(backup).unwrap()).unwrap();
    path
}
