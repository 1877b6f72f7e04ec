//! A database of a server as one of several engines.

use std::time::Duration;

use super::look::{exists, size};
use super::{
    Access, capture, leftovers, plan, remove_leftover, table_counts, table_hashes, target,
};
use crate::{
    CaptureOptions, Captured, Database, Leftover, Place, Result, Snapshot, SwitchPlan, TableCount,
    TableHash, Target, Watch,
};

impl Database for Access {
    fn vendor(&self) -> &'static str {
        "postgresql"
    }

    fn place(&self) -> Place {
        Self::place(self)
    }

    fn exists(&self) -> Result<bool> {
        exists(self)
    }

    fn size(&self) -> Option<u64> {
        // A server that does not answer is told of by whoever needs more than its size.
        size(self).ok()
    }

    fn takes_private_copy(&self, _: &CaptureOptions, _: bool) -> Result<bool> {
        Ok(false)
    }

    fn capture(
        &self,
        options: &CaptureOptions,
        watch: &mut dyn Watch,
    ) -> Result<Box<dyn Snapshot>> {
        capture(self, options, watch)
    }

    fn table_counts(
        &self,
        lock_timeout: Duration,
        watch: &mut dyn Watch,
    ) -> Result<Vec<TableCount>> {
        table_counts(self, lock_timeout, watch)
    }

    fn table_hashes(
        &self,
        lock_timeout: Duration,
        watch: &mut dyn Watch,
    ) -> Result<Vec<TableHash>> {
        table_hashes(self, lock_timeout, watch)
    }

    fn plan(&self, captured: &Captured, _: Duration) -> Result<SwitchPlan> {
        plan(self, captured)
    }

    fn target(&self, restore_id: &str) -> Result<Box<dyn Target>> {
        target(self, restore_id)
    }

    fn leftovers(&self) -> Result<Vec<Leftover>> {
        leftovers(self)
    }

    fn remove_leftover(&self, left: &Leftover) -> Result<()> {
        remove_leftover(self, left)
    }
}
