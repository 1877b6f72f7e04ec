//! Backups read without their checks.

use std::path::Path;

use crate::support::*;
use dalsegno_archive::{Archive, Check, ReadError, ReadReport};

pub(crate) fn salvage(archive: &Archive) -> Result<(Vec<Sample>, ReadReport), ReadError> {
    read_members(archive, Check::Unverified)
}

pub(crate) fn tolerated(report: &ReadReport) -> Vec<String> {
    report.tolerated.iter().map(ToString::to_string).collect()
}

pub(crate) fn open(path: &Path) -> Archive {
    let archive = Archive::open_unverified(path).unwrap();
    assert!(archive.is_unverified());
    archive
}

pub(crate) fn entries(archive: &Archive) -> Vec<String> {
    archive.entries().unwrap().map(|entry| entry.unwrap().0.path.to_string()).collect()
}

pub(crate) fn paths(samples: &[Sample]) -> Vec<String> {
    samples.iter().map(|sample| sample.entry.path.to_string()).collect()
}
