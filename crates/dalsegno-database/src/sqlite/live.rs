//! The file as one of several engines.

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use super::target::{exists, remove, sidecar_of};
use super::{
    FILE_NAME, Location, Recovered, Source, Staged, SwitchMethod, Switched, Target, capture,
    discard, leftovers, plan, rollback, table_counts, table_hashes, takes_private_copy,
    written_since,
};
use crate::{
    CaptureOptions, Captured, CapturedFile, CheckOptions, CheckReport, Database, DatabaseError,
    Leftover, Place, Result, RollbackOptions, RolledBack, Snapshot, SwitchOptions, SwitchPlan,
    TableCount, TableHash, Watch, holders,
};

impl Database for Location {
    fn vendor(&self) -> &'static str {
        "sqlite"
    }

    fn place(&self) -> Place {
        Place::File(self.path().to_owned())
    }

    fn exists(&self) -> Result<bool> {
        exists(self.path())
    }

    fn size(&self) -> Option<u64> {
        self.path().metadata().ok().map(|file| file.len())
    }

    fn takes_private_copy(&self, options: &CaptureOptions, stores_files: bool) -> Result<bool> {
        takes_private_copy(self, options, stores_files)
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
        table_counts(Source::Live(self.path(), lock_timeout), watch)
    }

    fn table_hashes(
        &self,
        lock_timeout: Duration,
        watch: &mut dyn Watch,
    ) -> Result<Vec<TableHash>> {
        table_hashes(Source::Live(self.path(), lock_timeout), watch)
    }

    fn plan(&self, captured: &Captured, lock_timeout: Duration) -> Result<SwitchPlan> {
        let live = self.path();
        let way = match plan(live, captured, lock_timeout)? {
            SwitchMethod::Create => "a new file",
            SwitchMethod::InPlace => "pages written into the live file in one transaction",
            SwitchMethod::Replace(_) => {
                return Ok(SwitchPlan {
                    way: "the file replaced while no process has it open".to_owned(),
                    keeps: true,
                    notes: vec![
                        "it cannot be written in place, and is replaced while no process has it open"
                            .to_owned(),
                    ],
                    holders: holders(live).map_err(DatabaseError::io("look at", live))?,
                });
            }
        };
        let (way, keeps) = (way.to_owned(), true);
        Ok(SwitchPlan { way, keeps, notes: Vec::new(), holders: Vec::new() })
    }

    fn target(&self, restore_id: &str) -> Result<Box<dyn crate::Target>> {
        Ok(Box::new(Target::new(self.path(), restore_id)?))
    }

    fn leftovers(&self) -> Result<Vec<Leftover>> {
        Ok(leftovers(self.path())?.into_iter().filter_map(|path| leftover(&path)).collect())
    }

    fn remove_leftover(&self, left: &Leftover) -> Result<()> {
        match left.place.file() {
            Some(path) if left.unfinished => remove(path),
            _ => Err(DatabaseError::KeepsData { place: left.place.clone() }),
        }
    }
}

/// What `.NAME.dalsegno-ID.ROLE` says, or a sidecar of such a file.
fn leftover(path: &Path) -> Option<Leftover> {
    let main = sidecar_of(path).unwrap_or_else(|| path.to_owned());
    let name = main.file_name()?.to_str()?;
    let (restore_id, role) = name.rsplit_once(".dalsegno-")?.1.split_once('.')?;
    Some(Leftover {
        place: Place::File(path.to_owned()),
        restore_id: restore_id.to_owned(),
        unfinished: matches!(role, "staged" | "kept.part"),
    })
}

impl crate::Target for Target {
    fn begin(&self, _: &Captured) -> Result<Box<dyn crate::Staging>> {
        Ok(Box::new(Staging { target: self.clone(), staged: None }))
    }

    fn recover(
        &self,
        begun: Option<&str>,
        existed: bool,
        lock_timeout: Duration,
    ) -> Result<crate::Recovered> {
        match Target::recover(self, lock_timeout)? {
            Recovered::Undone => Ok(crate::Recovered::Undone),
            Recovered::Switched(switched) => Ok(found(*switched)),
            // A switch that creates the database leaves nothing but the database.
            Recovered::Nothing => {
                let Some(content) = begun.filter(|_| !existed) else {
                    return Ok(crate::Recovered::Nothing);
                };
                let created = Switched {
                    live: self.live().to_owned(),
                    restore_id: self.restore_id().to_owned(),
                    method: SwitchMethod::Create,
                    pages_changed: 0,
                    kept: None,
                    content: content.to_owned(),
                };
                // Anything else there is somebody else's.
                let ours = exists(self.live())? && !written_since(&created, lock_timeout)?;
                Ok(if ours { found(created) } else { crate::Recovered::Nothing })
            }
        }
    }

    fn holds(&self, switched: &crate::Switched) -> Result<bool> {
        // The kept copy goes last in a rollback: without it the old database is back.
        match &own(switched)?.kept {
            Some(kept) => Ok(exists(kept)? || !exists(self.live())?),
            None => Ok(true),
        }
    }

    fn written_since(&self, switched: &crate::Switched, lock_timeout: Duration) -> Result<bool> {
        written_since(own(switched)?, lock_timeout)
    }

    fn rollback(
        &self,
        switched: &crate::Switched,
        options: RollbackOptions,
        watch: &mut dyn Watch,
    ) -> Result<RolledBack> {
        let back = rollback(own(switched)?, options, watch)?;
        Ok(RolledBack { present: back.present.map(Place::File) })
    }

    fn discard(&self) -> Result<()> {
        discard(self)
    }
}

fn found(switched: Switched) -> crate::Recovered {
    crate::Recovered::Switched(Box::new(crate::Switched::Sqlite(switched)))
}

/// The record of a switch of this engine.
fn own(switched: &crate::Switched) -> Result<&Switched> {
    match switched {
        crate::Switched::Sqlite(switched) => Ok(switched),
        other => Err(DatabaseError::OtherEngine { place: other.live() }),
    }
}

/// The one file of a capture, on its way beside the live one.
struct Staging {
    target: Target,
    staged: Option<Staged>,
}

impl crate::Staging for Staging {
    fn file(
        &mut self,
        file: CapturedFile<'_>,
        data: &mut dyn Read,
        watch: &mut dyn Watch,
    ) -> Result<()> {
        if file.name != FILE_NAME || self.staged.is_some() {
            let problem = format!("`{}` has no place in it", file.name);
            return Err(DatabaseError::Damaged { path: self.target.staged(), problem });
        }
        let staged = self.target.stage(data, file.size, watch)?;
        if !exists(self.target.live())? {
            staged.set_mode(file.mode)?;
        }
        self.staged = Some(staged);
        Ok(())
    }

    fn finish(self: Box<Self>, _: &mut dyn Watch) -> Result<Box<dyn crate::Staged>> {
        match self.staged {
            Some(staged) => Ok(Box::new(staged)),
            None => Err(DatabaseError::MissingFile { name: FILE_NAME.to_owned() }),
        }
    }
}

impl crate::Staged for Staged {
    fn check(&mut self, options: &CheckOptions<'_>, watch: &mut dyn Watch) -> Result<CheckReport> {
        Staged::check(self, options, watch)
    }

    fn content(&self) -> &str {
        Staged::content(self)
    }

    fn switch(
        self: Box<Self>,
        options: SwitchOptions,
        watch: &mut dyn Watch,
    ) -> Result<crate::Switched> {
        Staged::switch(*self, options, watch).map(crate::Switched::Sqlite)
    }
}
