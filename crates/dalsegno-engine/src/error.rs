//! What ends a verb without success.

mod context;
mod kind;
mod words;

use std::io;
use std::path::PathBuf;

use dalsegno_archive::ArchiveError;
use dalsegno_database::{DatabaseError, Place};
use dalsegno_format::ByteSize;
use dalsegno_media::MediaError;
use dalsegno_project::ProjectError;
use dalsegno_store::StoreError;

use self::words::{by_backup, more, named, put_back};

/// Why a verb failed or refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The project could not be described.
    #[error(transparent)]
    Project(#[from] ProjectError),
    /// An archive could not be written or read.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// A database could not be captured or restored.
    #[error("database `{alias}`: {source}")]
    Database {
        /// Alias of the database.
        alias: String,
        /// What its engine said.
        source: DatabaseError,
    },
    /// A storage could not be captured or restored.
    #[error("storage `{alias}`: {source}")]
    Media {
        /// Alias of the storage.
        alias: String,
        /// What went wrong.
        source: MediaError,
    },
    /// A folder of backups could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file system said no.
    #[error("cannot {action} `{path}`")]
    Io {
        /// What was attempted.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// No backup has this id, name or path.
    #[error("no backup `{wanted}`")]
    NoSuchBackup {
        /// What was asked for.
        wanted: String,
        /// The folders that were searched.
        searched: Vec<PathBuf>,
    },
    /// Only partial backups exist.
    #[error("there is no complete backup to take as `latest`, only partial ones: {}", partial.join(", "))]
    OnlyPartial {
        /// Their names.
        partial: Vec<String>,
    },
    /// What is to be deleted is no backup.
    #[error("`{path}` is not a backup")]
    NotABackup {
        /// What was named.
        path: PathBuf,
    },
    /// Nothing lies at the path of a backup.
    #[error("there is no backup at `{path}`")]
    NoSuchPath {
        /// The path asked for.
        path: PathBuf,
    },
    /// More than one backup has this name or prefix.
    #[error("`{wanted}` is the name of {} backups: {}", matches.len(), matches.join(", "))]
    Ambiguous {
        /// What was asked for.
        wanted: String,
        /// Ids and places of the backups meant.
        matches: Vec<String>,
    },
    /// No restore has this id.
    #[error("no restore `{wanted}`")]
    NoSuchRestore {
        /// What was asked for.
        wanted: String,
        /// The restores there are.
        known: Vec<String>,
    },
    /// The restore is not in a state that allows the verb.
    #[error("restore `{id}` is {state}: it cannot be {verb}")]
    RestoreState {
        /// Id of the restore.
        id: String,
        /// Its state.
        state: String,
        /// `rolled back` or `discarded`.
        verb: &'static str,
    },
    /// Rows were replaced where they lie: what there was is in a backup, if anywhere.
    #[error(
        "restore `{id}` replaced the rows of database `{alias}` in place: it cannot be rolled back{}",
        by_backup(pre_backup.as_deref())
    )]
    NoRollback {
        /// Id of the restore.
        id: String,
        /// Alias of the database.
        alias: String,
        /// The backup made before.
        pre_backup: Option<PathBuf>,
    },
    /// The switch failed after rows had been replaced where they lie; the rest was put back.
    #[error(
        "the restore failed while switching ({first}); the rows of the backup are in {} all the same, \
         everything else has its old data",
        restored.join(", ")
    )]
    SwitchedInPart {
        /// The failure.
        #[source]
        first: Box<EngineError>,
        /// Aliases of the databases that stay restored.
        restored: Vec<String>,
        /// The backup made before.
        pre_backup: Option<PathBuf>,
    },
    /// The site asks for something this version cannot do.
    #[error("`{setting}` is on, and this version cannot {what}")]
    NotYet {
        /// The setting.
        setting: &'static str,
        /// What it asks for.
        what: &'static str,
    },
    /// The database's engine is not supported.
    #[error("database `{alias}` is {vendor}, which this version cannot {verb}")]
    Vendor {
        /// Alias of the database.
        alias: String,
        /// Django's word for the engine, or its dotted path.
        vendor: String,
        /// `back up` or `restore`.
        verb: &'static str,
    },
    /// The alias cannot be used, since Django could not load it.
    #[error("database `{alias}` cannot be used: {reason}")]
    BrokenAlias {
        /// Alias of the database.
        alias: String,
        /// What Django said.
        reason: String,
    },
    /// The database lives in memory only.
    #[error("database `{alias}` is in memory: there is nothing to back up or restore")]
    InMemory {
        /// Alias of the database.
        alias: String,
    },
    /// The project has no database or storage of this alias.
    #[error("the project has no {what} `{alias}`")]
    UnknownAlias {
        /// `database` or `storage`.
        what: &'static str,
        /// The alias asked for.
        alias: String,
        /// The aliases there are.
        known: Vec<String>,
    },
    /// The request names a model the project does not have.
    #[error("the project has no model `{label}`")]
    UnknownModel {
        /// What was asked for.
        label: String,
        /// The nearest right label.
        nearest: Option<String>,
    },
    /// The options contradict each other or leave nothing to do.
    #[error("{problem}")]
    Request {
        /// What is wrong.
        problem: String,
        /// What to do.
        hint: Option<String>,
    },
    /// The backup does not hold what is to be restored.
    #[error("the backup holds no database that fits `{wanted}`; it holds: {}", holds.join(", "))]
    NotInBackup {
        /// The alias asked for.
        wanted: String,
        /// Aliases in the backup.
        holds: Vec<String>,
    },
    /// The backup is of another engine than the live database.
    #[error("the backup of `{source_alias}` is {backup}, the database `{alias}` is {live}")]
    WrongEngine {
        /// Alias in the backup.
        source_alias: String,
        /// Alias in the project.
        alias: String,
        /// Engine in the backup.
        backup: String,
        /// Engine of the project.
        live: String,
    },
    /// The backup is newer than the code.
    #[error("the backup has migrations that this code does not know: {}", migrations.join(", "))]
    NewerBackup {
        /// The migrations, `app.name`.
        migrations: Vec<String>,
    },
    /// The backup is older than the code.
    #[error("the backup lacks migrations that this code has: {}", migrations.join(", "))]
    OlderBackup {
        /// The migrations, `app.name`.
        migrations: Vec<String>,
    },
    /// The backup is another project's.
    #[error("the backup is of project `{theirs}`, this is `{ours}`")]
    OtherProject {
        /// Project of the backup.
        theirs: String,
        /// This project.
        ours: String,
    },
    /// A storage's folder cannot be replaced safely.
    #[error("storage `{alias}` lies at `{path}`, which holds more than media")]
    UnsafeRoot {
        /// Alias of the storage.
        alias: String,
        /// Its folder.
        path: PathBuf,
    },
    /// Too little space.
    #[error("not enough space in `{folder}`: {needed} needed, {free} free")]
    NoSpace {
        /// Where.
        folder: PathBuf,
        /// What the work needs.
        needed: ByteSize,
        /// What is free.
        free: ByteSize,
    },
    /// Too little space for a restore.
    #[error("not enough space in `{folder}` to restore: {needed} needed, {free} free")]
    NoRoom {
        /// Where.
        folder: PathBuf,
        /// What staging and keeping the old data need.
        needed: ByteSize,
        /// What is free.
        free: ByteSize,
    },
    /// The folder may not be written.
    #[error("{what}, `{path}`, may not be written by this user")]
    NotWritable {
        /// Where.
        path: PathBuf,
        /// What it is to the project: `the folder of database default`, …
        what: String,
    },
    /// The folder of backups may not be written.
    #[error("the folder of backups, `{path}`, may not be written by this user")]
    OutputNotWritable {
        /// The folder.
        path: PathBuf,
    },
    /// The restore was made in another copy of the project.
    #[error("restore `{id}` was made in `{theirs}`, not in this project")]
    OtherSite {
        /// Id of the restore.
        id: String,
        /// The project that was restored.
        theirs: PathBuf,
    },
    /// An interrupted restore cannot be undone without losing what was written since.
    #[error(
        "restore `{id}` was interrupted half-way, and the site was written to since ({changed})"
    )]
    Interrupted {
        /// Id of the restore.
        id: String,
        /// What was written.
        changed: String,
    },
    /// An interrupted restore, rollback or discard can be neither finished nor undone now.
    #[error(
        "restore `{id}` was interrupted while {state}, and cannot be brought to an end: {source}"
    )]
    Unended {
        /// Id of the restore.
        id: String,
        /// How far it came, in words.
        state: &'static str,
        /// Why.
        source: Box<EngineError>,
    },
    /// A volume that a restore worked on is not there.
    #[error(
        "`{}` was on the filesystem mounted at `{}` when it was restored, and is on that of `{}` now",
        path.display(),
        then.display(),
        now.display()
    )]
    OtherMount {
        /// What was restored.
        path: PathBuf,
        /// Where its filesystem was mounted.
        then: PathBuf,
        /// Where that of today is.
        now: PathBuf,
    },
    /// A rollback stopped on its way.
    #[error(
        "the rollback of restore `{id}` stopped half-way: {}; {} still restored: {source}",
        put_back(old),
        named(restored)
    )]
    RollbackStuck {
        /// Id of the restore.
        id: String,
        /// What is as it was before the restore.
        old: Vec<String>,
        /// What holds the restored data.
        restored: Vec<String>,
        /// Why it stopped.
        source: Box<EngineError>,
    },
    /// Kept old data could not be removed.
    #[error("not all of the old data of restore `{id}` could be removed: {source}")]
    DiscardStuck {
        /// Id of the restore.
        id: String,
        /// What stopped it first.
        source: Box<EngineError>,
    },
    /// A fixture file was edited after the restore that is to be rolled back.
    #[error("fixture file `{path}` was edited after the restore")]
    FixtureChanged {
        /// The file.
        path: PathBuf,
    },
    /// A record of a restore names a place that is not the site's.
    #[error("the record `{path}` names `{place}`, which is not a place of this site")]
    RecordPlaces {
        /// The record.
        path: PathBuf,
        /// What it names.
        place: Place,
    },
    /// A restore was made into a database that the alias no longer names.
    #[error("the restore was made into `{place}`, and no database of this site is there now")]
    ElsewhereNow {
        /// The alias it had.
        alias: String,
        /// Where it was made.
        place: Place,
    },
    /// Another process holds the lock.
    #[error("`{root}` is in use: {holder}")]
    Busy {
        /// The folder that is locked.
        root: PathBuf,
        /// Verb, process id and time of the holder.
        holder: String,
    },
    /// Verification found damage.
    #[error("`{path}` is damaged: {first}{}", more(*count))]
    Damaged {
        /// The backup.
        path: PathBuf,
        /// The first finding.
        first: String,
        /// How many there are.
        count: usize,
    },
    /// A database of a backup came out as it was stored, and what was stored is damaged.
    #[error("`{path}` holds a damaged database `{database}`: {first}{}", more(*count))]
    Unsound {
        /// The backup.
        path: PathBuf,
        /// The alias in the backup.
        database: String,
        /// The first finding.
        first: String,
        /// How many there are.
        count: usize,
    },
    /// The backup made before a restore failed.
    #[error("the backup before the restore failed, so nothing was restored: {0}")]
    PreBackup(#[source] Box<EngineError>),
    /// The switch failed; what was switched was put back.
    #[error("the restore failed while switching, and the old data are back in place: {0}")]
    SwitchUndone(#[source] Box<EngineError>),
    /// The switch failed, and so did putting back.
    #[error(
        "the restore failed while switching ({first}), and the old data could not be put back ({second})"
    )]
    SwitchStuck {
        /// The first failure.
        first: Box<EngineError>,
        /// The failure of the way back.
        second: Box<EngineError>,
        /// Id of the restore.
        restore: String,
    },
    /// The operator's consent is needed, and nobody can be asked.
    #[error("{what} needs a yes, and there is no terminal to ask on")]
    Consent {
        /// What would be done.
        what: String,
    },
    /// The operator said no.
    #[error("cancelled: {what} was not confirmed")]
    Declined {
        /// What would have been done.
        what: String,
    },
    /// The run was asked to stop.
    #[error("cancelled")]
    Cancelled,
}
