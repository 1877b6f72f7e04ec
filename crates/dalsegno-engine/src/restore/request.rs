//! What is asked of a restore.

use std::path::PathBuf;

use dalsegno_media::Strategy;

/// What becomes of media files that are there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MediaStrategy {
    /// All existing media go first, but names left out by rule.
    #[default]
    Replace,
    /// Same names are overwritten, others stay.
    Merge,
    /// Only missing files are restored.
    KeepExisting,
}

impl MediaStrategy {
    /// The strategy of this name on the command line.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Replace, Self::Merge, Self::KeepExisting].into_iter().find(|s| s.name() == name)
    }

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Replace => "replace",
            Self::Merge => "merge",
            Self::KeepExisting => "keep-existing",
        }
    }

    pub(crate) fn strategy(self) -> Strategy {
        match self {
            Self::Replace => Strategy::Replace,
            Self::Merge => Strategy::Merge,
            Self::KeepExisting => Strategy::KeepExisting,
        }
    }
}

/// A database that is not there yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NewDatabase {
    /// A file.
    File(PathBuf),
    /// On a server that the site uses, reached as the site does.
    OnServer {
        /// Its kind, in Django's word.
        vendor: String,
        /// Its name or address; `None`: that of the alias that is restored.
        host: Option<String>,
        /// Its port; `None`: whichever.
        port: Option<u16>,
        /// The name of the database.
        name: String,
    },
}

/// What to restore, where to, and how carefully.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub struct RestoreRequest {
    /// The archive or folder.
    pub source: PathBuf,
    /// Alias to restore into; `None`: each database where it came from.
    pub database: Option<String>,
    /// Alias in the backup to read.
    pub from_database: Option<String>,
    /// Leave media as they are.
    pub skip_media: bool,
    /// Leave databases as they are.
    pub skip_database: bool,
    /// Leave project fixtures as they are.
    pub skip_fixtures: bool,
    /// Check checksums, sizes and the completion marker.
    pub check: bool,
    /// What becomes of media files that are there already.
    pub media_strategy: MediaStrategy,
    /// Only plan: the whole backup is verified now, since no staging will.
    pub dry_run: bool,
    /// Take a backup older than the code as it is.
    pub no_migrate: bool,
    /// Check indexes and foreign keys of the staged database too.
    pub full_check: bool,
    /// Leave a database or storage that fails as it was, and go on with the others.
    pub keep_going: bool,
    /// Restore the database into this new one instead.
    pub to_database: Option<NewDatabase>,
    /// Restore the default storage into this new folder instead.
    pub to_media: Option<PathBuf>,
    /// Back up first what will be replaced.
    pub pre_backup: bool,
    /// Restore a backup of another project.
    pub other_project: bool,
}

impl RestoreRequest {
    /// A plain restore of everything in a backup.
    pub fn new(source: PathBuf) -> Self {
        Self {
            source,
            database: None,
            from_database: None,
            skip_media: false,
            skip_database: false,
            skip_fixtures: false,
            check: true,
            media_strategy: MediaStrategy::Replace,
            dry_run: false,
            no_migrate: false,
            full_check: false,
            keep_going: false,
            to_database: None,
            to_media: None,
            pre_backup: true,
            other_project: false,
        }
    }
}
