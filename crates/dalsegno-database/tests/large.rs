//! A database beyond 1 GiB, where one page belongs to SQLite's locks.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use std::error::Error;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use dalsegno_database::sqlite::{self, Location, Source};
use dalsegno_database::{CheckOptions, FileSink, Quiet, RollbackOptions};
use support::{SWITCH, Site, WAIT, make};

struct ToFile(PathBuf);

impl FileSink for ToFile {
    fn file(
        &mut self,
        _: &str,
        _: u64,
        data: &mut dyn Read,
    ) -> Result<[u8; 32], Box<dyn Error + Send + Sync>> {
        io::copy(data, &mut File::create(&self.0)?)?;
        Ok([0; 32])
    }
}

#[test]
fn the_page_of_the_lock_bytes_is_left_alone_growing_and_shrinking() {
    let first = "PRAGMA page_size = 65536;";
    let source = Site::with(&format!(
        "{first} CREATE TABLE t (id INTEGER PRIMARY KEY, data); INSERT INTO t VALUES
         (1, zeroblob(540000000)), (2, zeroblob(540000000)), (3, zeroblob(20000000)), (4, 'end');"
    ));
    let backup = source.folder.path().join("backup");
    let mut snapshot =
        sqlite::capture(&Location::new(&source.live), &source.options(), &mut Quiet).unwrap();
    let captured = snapshot.write(&mut ToFile(backup.clone()), &mut Quiet).unwrap();
    drop(snapshot);
    assert!(captured.size > (1 << 30) + 65536);
    make(&source.live, "UPDATE t SET data = 'changed' WHERE id = 4");
    std::fs::remove_file(&source.live).unwrap();
    let site = Site::with(&format!(
        "{first} PRAGMA journal_mode = wal; CREATE TABLE t (id INTEGER PRIMARY KEY, data);
         INSERT INTO t VALUES (1, 'live');"
    ));
    let mut data = File::open(&backup).unwrap();
    let staged = site.target("r1").stage(&mut data, captured.size, &mut Quiet).unwrap();
    let options = CheckOptions { expected_counts: &captured.tables, full: false };
    let report = staged.check(&options, &mut Quiet).unwrap();
    assert!(report.is_sound(), "{report:?}");
    let switched = staged.switch(SWITCH, &mut Quiet).unwrap();
    let mut peer = site.peer();
    assert_eq!(peer.ask("PRAGMA quick_check"), "ok [('ok',)]");
    assert_eq!(peer.ask("SELECT data FROM t WHERE id = 4"), "ok [('end',)]");
    let live = sqlite::content_hash(Source::Live(&site.live, WAIT), &mut Quiet).unwrap();
    let wanted = sqlite::content_hash(Source::Private(&backup), &mut Quiet).unwrap();
    assert_eq!(live, wanted);
    let options = RollbackOptions { lock_timeout: WAIT, force: false };
    sqlite::rollback(&switched, options, &mut Quiet).unwrap();
    assert_eq!(peer.ask("SELECT id, data FROM t"), "ok [(1, 'live')]");
    assert_eq!(peer.ask("PRAGMA integrity_check"), "ok [('ok',)]");
    assert!(std::fs::metadata(&site.live).unwrap().len() < 1 << 20);
}
