//! The record of a restore: `BACKUP_ROOT/restores/<id>.json`.
//!
//! It is the journal of the switch and what `rollback` and `discard` work from. Each change is
//! written aside, made durable and renamed into place.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use dalsegno_database::{Place, Switched};
use dalsegno_format::BackupId;
use dalsegno_store::{Owner, create_folders, sync_folder};
use serde::{Deserialize, Serialize};

use super::places::mount_of;
use super::plan::RestorePlan;
use crate::run::rfc3339;
use crate::step::step;
use crate::{EngineError, Run, Site};

/// What a record is called while it is written.
const ASIDE: &str = "json.new";

/// One restore, as it is on disk.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RestoreRecord {
    /// Its id.
    pub id: BackupId,
    /// Folder of the project that was restored: a copy of a site must not undo the restores of the
    /// original.
    pub project_dir: PathBuf,
    /// Id of the backup.
    pub backup: BackupId,
    /// Name of the backup.
    pub backup_name: String,
    /// Where the backup lay.
    pub source: PathBuf,
    /// UTC, RFC 3339.
    pub started_at: String,
    /// UTC, RFC 3339; `None` while it runs.
    pub finished_at: Option<String>,
    /// How far it came.
    pub state: State,
    /// The backup made of what was replaced.
    pub pre_backup: Option<PathBuf>,
    /// Databases, in the order of the switch.
    pub databases: Vec<DatabaseStep>,
    /// Storages, in the order of the switch.
    pub storages: Vec<StorageStep>,
    /// Fixture files that were written, in order.
    #[serde(default)]
    pub fixtures: Vec<FixtureStep>,
    /// Fixture files written after the restore that a forced rollback kept.
    #[serde(default)]
    pub present_fixtures: Vec<PathBuf>,
    /// Whether all fixture files were written.
    #[serde(default)]
    pub fixtures_done: bool,
    /// Whether every step was tried, so that those not switched are to stay as they are.
    #[serde(default)]
    pub all_tried: bool,
    /// What failed and was left as it was.
    #[serde(default)]
    pub failures: Vec<String>,
    /// Why it failed.
    #[serde(default)]
    pub error: Option<String>,
    #[serde(skip)]
    pub(super) path: PathBuf,
}

/// How far a restore came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The copy is being made beside the live data; nothing live has changed.
    Staging,
    /// The copies are being put in place, one after the other.
    Switching,
    /// The site has the backup's data; the old are kept.
    Switched,
    /// It failed; the site has its old data.
    Failed,
    /// The old data are being put back.
    RollingBack,
    /// The old data are back.
    RolledBack,
    /// The kept old data are being dropped.
    Discarding,
    /// The kept old data are gone.
    Discarded,
}

impl State {
    /// The state in words: `restore X is …`.
    pub fn words(self) -> &'static str {
        match self {
            Self::Staging => "staging",
            Self::Switching => "switching",
            Self::Switched => "switched",
            Self::Failed => "failed",
            Self::RollingBack => "rolling back",
            Self::RolledBack => "rolled back",
            Self::Discarding => "being discarded",
            Self::Discarded => "discarded",
        }
    }
}

/// One database of a restore.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DatabaseStep {
    /// Its alias.
    pub alias: String,
    /// The live database.
    pub live: Place,
    /// Whether there was one before the restore.
    pub existed: bool,
    /// Where the filesystem of a live file was mounted; `None` where that is not known.
    #[serde(default)]
    pub mount: Option<PathBuf>,
    /// Digest of the staged database, once its switch was begun: written before the first change.
    #[serde(default)]
    pub begun: Option<String>,
    /// What the switch did; `None` before it and after a rollback.
    pub switched: Option<Switched>,
    /// What a forced rollback found and kept.
    #[serde(default)]
    pub present: Option<Place>,
}

impl DatabaseStep {
    /// What the restore of this id left there.
    pub(super) fn target(
        &self,
        site: &Site,
        id: BackupId,
    ) -> Result<Box<dyn dalsegno_database::Target>, EngineError> {
        let database = site.database_at(&self.alias, &self.live)?;
        database.target(&id.to_string()).map_err(EngineError::database(&self.alias))
    }
}

/// One storage of a restore.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StorageStep {
    /// Its alias.
    pub alias: String,
    /// The live folder.
    pub live: PathBuf,
    /// Whether there was one before the restore.
    pub existed: bool,
    /// Where the filesystem of the live place was mounted; `None` where that is not known.
    #[serde(default)]
    pub mount: Option<PathBuf>,
    /// Whether its switch was begun: written before the first change.
    #[serde(default)]
    pub begun: bool,
    /// What the switch did; `None` before it and after a rollback.
    pub switched: Option<dalsegno_media::Switched>,
    /// What a forced rollback found and kept.
    #[serde(default)]
    pub present: Option<PathBuf>,
}

/// One fixture file of a restore.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FixtureStep {
    /// The file.
    pub live: PathBuf,
    /// The file it replaced; `None` when there was none.
    pub kept: Option<PathBuf>,
    /// SHA-256 of what was written, in hexadecimal.
    pub sha256: String,
}

impl FixtureStep {
    /// Whether the file is not what the restore wrote. One that is gone is.
    pub(super) fn is_changed(&self) -> Result<bool, EngineError> {
        Ok(self.live.is_file() && sha256_of(&self.live)? != self.sha256)
    }

    /// Whether the live file is still the old one, under its first name.
    pub(super) fn is_kept_itself(&self) -> bool {
        use std::os::unix::fs::MetadataExt;
        let id = |path: &Path| path.symlink_metadata().map(|m| (m.dev(), m.ino())).ok();
        self.kept.as_deref().is_some_and(|kept| id(kept).is_some() && id(kept) == id(&self.live))
    }

    /// Where a rollback keeps what was written since.
    pub(super) fn present(&self, id: &str) -> PathBuf {
        let name = self.live.file_name().unwrap_or_default().to_string_lossy();
        self.live.with_file_name(format!(".{name}.dalsegno-{id}.present"))
    }
}

/// SHA-256 of a file, in hexadecimal.
pub(super) fn sha256_of(path: &Path) -> Result<String, EngineError> {
    use sha2::{Digest, Sha256};
    let failed = |e| EngineError::io("read", path, e);
    let mut file = File::open(path).map_err(failed)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match file.read(&mut buffer).map_err(failed)? {
            0 => return Ok(dalsegno_format::hex(&hasher.finalize())),
            n => hasher.update(&buffer[..n]),
        }
    }
}

impl RestoreRecord {
    pub(super) fn begin(
        site: &Site,
        plan: &RestorePlan,
        pre_backup: Option<PathBuf>,
        run: Run<'_>,
    ) -> Result<Self, EngineError> {
        let folder = folder(site);
        create_folders(&site.settings().root, 0o750)?;
        create_folders(&folder, 0o700)?;
        let record = Self {
            id: plan.id,
            project_dir: site.real_base_dir(),
            backup: plan.manifest.metadata.id,
            backup_name: plan.manifest.metadata.name.clone(),
            source: plan.request.source.clone(),
            started_at: rfc3339(run.clock.now()),
            finished_at: None,
            state: State::Staging,
            pre_backup,
            databases: plan
                .databases
                .iter()
                .map(|d| DatabaseStep {
                    alias: d.target.alias.clone(),
                    live: d.target.place(),
                    existed: d.exists,
                    mount: d.target.file().and_then(|file| mount_of(&file)),
                    begun: None,
                    switched: None,
                    present: None,
                })
                .collect(),
            storages: plan
                .storages
                .iter()
                .map(|s| StorageStep {
                    alias: s.alias.clone(),
                    live: s.live.location.clone(),
                    existed: s.live.location.symlink_metadata().is_ok(),
                    mount: mount_of(&s.live.location),
                    begun: false,
                    switched: None,
                    present: None,
                })
                .collect(),
            fixtures: Vec::new(),
            present_fixtures: Vec::new(),
            fixtures_done: plan.fixtures.is_empty(),
            all_tried: false,
            failures: Vec::new(),
            error: None,
            path: folder.join(format!("{}.json", plan.id)),
        };
        record.write()?;
        Ok(record)
    }

    /// Whether the restore was made in this very project.
    pub(crate) fn is_of(&self, site: &Site) -> bool {
        self.project_dir == site.real_base_dir()
    }

    /// Whether every database and storage was switched in, or left as it was on purpose.
    pub(super) fn is_all_switched(&self) -> bool {
        let steps = self.databases.iter().map(|d| d.switched.is_some());
        let mut steps = steps.chain(self.storages.iter().map(|s| s.switched.is_some()));
        self.state == State::Switching
            && (self.all_tried || self.fixtures_done && steps.all(|switched| switched))
    }

    /// The steps that hold restored data, in words, in the order in which they are undone.
    pub(super) fn switched_steps(&self) -> Vec<String> {
        let fixtures = self.fixtures.iter().rev();
        let fixtures = fixtures.map(|f| format!("fixture file `{}`", f.live.display()));
        let storages = self.storages.iter().rev().filter(|s| s.switched.is_some());
        let storages = storages.map(|s| format!("storage `{}`", s.alias));
        let databases = self.databases.iter().rev().filter(|d| d.switched.is_some());
        let databases = databases.map(|d| format!("database `{}`", d.alias));
        fixtures.chain(storages).chain(databases).collect()
    }

    /// Whether nothing is left to be brought to an end.
    pub(super) fn is_over(&self) -> bool {
        use State::{Discarded, Failed, RolledBack, Switched};
        matches!(self.state, Switched | Failed | RolledBack | Discarded)
    }

    /// What the restore replaced, or was to.
    pub(super) fn lives(&self) -> Vec<Place> {
        let databases = self.databases.iter().map(|d| d.live.clone());
        databases.chain(self.storages.iter().map(|s| Place::File(s.live.clone()))).collect()
    }

    /// Databases whose rows were replaced where they lie, so that no rollback brings the old ones
    /// back.
    pub fn in_place(&self) -> Vec<&str> {
        let stays = |d: &&DatabaseStep| d.switched.as_ref().is_some_and(|s| !s.can_be_undone());
        self.databases.iter().filter(stays).map(|d| d.alias.as_str()).collect()
    }

    /// The old data that lie beside the live: what a discard would drop.
    pub fn keeps(&self) -> Vec<Place> {
        let databases = self.databases.iter().flat_map(|d| {
            let kept = d.switched.as_ref().and_then(Switched::kept);
            kept.into_iter().chain(d.present.clone())
        });
        let storages = self.storages.iter().flat_map(|s| {
            let kept = s.switched.as_ref().and_then(|s| s.kept.clone());
            kept.into_iter().chain(s.present.clone())
        });
        let fixtures = self.fixtures.iter().filter_map(|f| f.kept.clone());
        let present = self.present_fixtures.iter().cloned();
        let files = storages.chain(fixtures).chain(present).map(Place::File);
        databases.chain(files).collect()
    }

    /// Writes the record durably.
    pub(super) fn write(&self) -> Result<(), EngineError> {
        step("record");
        let aside = self.path.with_extension(ASIDE);
        let failed = |e| EngineError::io("write the record", &self.path, e);
        let json = serde_json::to_vec_pretty(self).expect("records have string keys only");
        // The folder is the site's, and root may be writing: nothing that lies there is followed.
        super::undo::remove_if_there(&aside).map_err(failed)?;
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&aside)
            .map_err(failed)?;
        file.write_all(&json).and_then(|()| file.sync_all()).map_err(failed)?;
        let folder = self.path.parent().expect("records lie in a folder");
        Owner::of(folder)?.give(&file, &aside)?;
        step("record-aside");
        fs::rename(&aside, &self.path).map_err(failed)?;
        sync_folder(folder)?;
        step("recorded");
        Ok(())
    }

    pub(super) fn enter(&mut self, state: State) -> Result<(), EngineError> {
        self.state = state;
        self.write()
    }

    pub(super) fn finish(&mut self, state: State, run: Run<'_>) -> Result<(), EngineError> {
        self.finished_at = Some(rfc3339(run.clock.now()));
        self.enter(state)
    }

    pub(super) fn fail(&mut self, error: &EngineError) -> Result<(), EngineError> {
        self.error = Some(error.to_string());
        self.enter(State::Failed)
    }
}

fn folder(site: &Site) -> PathBuf {
    site.settings().root.join("restores")
}

/// All restores of a site, newest first. A record that cannot be read is none: it must not stand in
/// the way of a restore; `doctor` names it.
pub(crate) fn restores(site: &Site) -> Result<Vec<RestoreRecord>, EngineError> {
    let folder = folder(site);
    let entries = match fs::read_dir(&folder) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|e| EngineError::io("list", &folder, e))?,
    };
    let mut records = Vec::new();
    for entry in entries {
        let path = entry.map_err(|e| EngineError::io("list", &folder, e))?.path();
        if path.extension().is_some_and(|e| e == "json") {
            records.extend(read(&path).ok());
        }
    }
    records.sort_by_key(|r| std::cmp::Reverse(r.id));
    Ok(records)
}

/// Records that were being written when their process died. The caller holds the lock, or only
/// names them.
pub(crate) fn records_aside(site: &Site) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder(site)) else { return Vec::new() };
    let paths = entries.flatten().map(|entry| entry.path());
    let mut aside: Vec<PathBuf> =
        paths.filter(|path| path.to_string_lossy().ends_with(&format!(".{ASIDE}"))).collect();
    aside.sort();
    aside
}

/// Records that cannot be read, with the reason.
pub(crate) fn unreadable_records(site: &Site) -> Vec<EngineError> {
    let Ok(entries) = fs::read_dir(folder(site)) else { return Vec::new() };
    let paths = entries.flatten().map(|entry| entry.path());
    let records = paths.filter(|path| path.extension().is_some_and(|e| e == "json"));
    records.filter_map(|path| read(&path).err()).collect()
}

fn read(path: &Path) -> Result<RestoreRecord, EngineError> {
    let failed = |e| EngineError::io("read the record", path, e);
    let file = File::open(path).map_err(failed)?;
    let mut record: RestoreRecord = serde_json::from_reader(std::io::BufReader::new(file))
        .map_err(|e| failed(std::io::Error::other(e)))?;
    path.clone_into(&mut record.path);
    Ok(record)
}

/// The restore of this id or unique prefix of one; `latest`: the newest that can be rolled back or
/// still keeps data beside the live.
pub fn find_restore(site: &Site, wanted: &str) -> Result<RestoreRecord, EngineError> {
    let records = restores(site)?;
    let undoable = |r: &&RestoreRecord| match r.state {
        State::Failed | State::Discarded => false,
        State::RolledBack => !r.keeps().is_empty(),
        _ => true,
    };
    let known = records.iter().filter(undoable).map(|r| r.id.to_string()).collect();
    let matches: Vec<&RestoreRecord> = if wanted == "latest" {
        records.iter().filter(undoable).take(1).collect()
    } else {
        records
            .iter()
            .filter(|r| wanted.len() >= 4 && r.id.to_string().starts_with(wanted))
            .collect()
    };
    match matches[..] {
        [] => Err(EngineError::NoSuchRestore { wanted: wanted.to_owned(), known }),
        [one] if !one.is_of(site) => {
            Err(EngineError::OtherSite { id: one.id.to_string(), theirs: one.project_dir.clone() })
        }
        [one] => Ok(one.clone()),
        _ => Err(EngineError::Ambiguous {
            wanted: wanted.to_owned(),
            matches: matches.iter().map(|r| r.id.to_string()).collect(),
        }),
    }
}
