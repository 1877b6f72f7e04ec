//! Captures that end early: cancelled, or cut short by the sink.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::{Site, filled};
use dalsegno_database::sqlite::{self, Location};
use dalsegno_database::{DatabaseError, FileSink, Quiet, Watch};

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
