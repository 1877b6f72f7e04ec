//! How long a capture holds the lock of a rollback journal: no longer than a disk takes the pages.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::{Files, Site, filled, oracle, oracle_of, rows};
use dalsegno_database::sqlite::{self, Location};
use dalsegno_database::{DatabaseError, FileColumn, FileSink, Quiet, Watch};

/// Takes a little, lets a writer commit, and takes the rest.
struct Slow<'a> {
    peer: &'a mut crate::support::Peer,
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
    peer: &'a mut crate::support::Peer,
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
        assert_eq!(crate::support::names(folder.path()), [sqlite::FILE_NAME], "{mode}");
        let bytes = fs::read(folder.path().join(sqlite::FILE_NAME)).unwrap();
        assert_eq!(oracle_of(&bytes), before, "{mode}");
    }
}
