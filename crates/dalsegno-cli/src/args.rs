//! The command line as users type it. Its comments are the help text.
#![allow(clippy::doc_markdown, reason = "help is read on a terminal, without markup")]

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;

/// Backup and restore for Django projects: databases and media as one thing.
#[derive(Debug, Parser)]
#[command(name = "dalsegno", version, max_term_width = 100, disable_help_subcommand = true)]
#[command(after_help = "Exit codes: 0 done; 1 failed; 2 usage; 3 finished, but not all of it; \
10 no such backup; 11 locked; 12 wrong key; 13 refused, since it would endanger data; \
20 damage found; 130 cancelled.")]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// Options of every verb.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// Folder of the project: the one that holds manage.py, or its parent
    #[arg(long, global = true, value_name = "DIR", value_hint = ValueHint::DirPath, help_heading = "Project")]
    pub(crate) project: Option<PathBuf>,
    /// Describe the project by this file instead of by Django
    #[arg(long, global = true, value_name = "FILE", conflicts_with = "project", value_hint = ValueHint::FilePath, help_heading = "Project")]
    pub(crate) config: Option<PathBuf>,
    /// The project's Python [default: virtual environment, manage.py's shebang, python3]
    #[arg(long, global = true, value_name = "PATH", value_hint = ValueHint::ExecutablePath, help_heading = "Project")]
    pub(crate) python: Option<PathBuf>,
    /// Read the project's descriptor from this open file descriptor, to its end
    #[arg(long, global = true, hide = true, value_name = "N", conflicts_with_all = ["project", "config", "python"])]
    pub(crate) descriptor_fd: Option<u32>,
    /// How to report: for people, or one JSON object a line
    #[arg(long, global = true, value_enum, default_value_t = Format::Text, help_heading = "Output")]
    pub(crate) format: Format,
    /// Say nothing but errors
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = "Output")]
    pub(crate) quiet: bool,
    /// Say more; twice: everything
    #[arg(short, long, global = true, action = ArgAction::Count, help_heading = "Output")]
    pub(crate) verbose: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
    /// JSON lines for a program that stands between us and people; see `caller.rs`.
    #[value(hide = true)]
    Client,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Back up databases and media into one archive or folder
    Backup(BackupArgs),
    /// Restore a backup: staged beside the live data, checked, switched in at once
    Restore(RestoreArgs),
    /// Check every stored byte of a backup against its manifest
    Verify(VerifyArgs),
    /// List the project's backups
    List(ListArgs),
    /// Show what a backup holds and how it was made
    Show(ShowArgs),
    /// List the files in a backup
    Contents(ContentsArgs),
    /// Write one file of a backup to standard output or to a file
    Get(GetArgs),
    /// Compare two backups, or a backup with the live site
    Diff(DiffArgs),
    /// Put back the data that a restore replaced
    Rollback(RollbackArgs),
    /// Drop the old data that a restore kept
    Discard(DiscardArgs),
    /// Delete a backup
    Delete(DeleteArgs),
    /// Show what was found out about the project, secrets masked
    Describe,
    /// Check that backups and restores can work here, and say how to get what is missing
    Doctor,
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub(crate) struct BackupArgs {
    /// Folder to write into [default: BACKUP_DIR]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) output_dir: Option<PathBuf>,
    /// File name without extension [default: backup_YYYYMMDD_HHMMSS]
    #[arg(long, value_name = "NAME")]
    pub(crate) filename: Option<String>,
    /// Form of the backup [default: tar.gz]
    #[arg(long, value_name = "FORM", value_parser = ["folder", "tar", "tar.gz", "tar.zst"])]
    pub(crate) form: Option<String>,
    /// Compress (the default)
    #[arg(long, overrides_with = "no_compress")]
    pub(crate) compress: bool,
    /// Do not compress: write a plain tar
    #[arg(long)]
    pub(crate) no_compress: bool,
    /// Compression level [default: 6 for tar.gz, 2 for tar.zst]
    #[arg(long, value_name = "1-9", value_parser = clap::value_parser!(u32).range(1..=9))]
    pub(crate) compression_level: Option<u32>,
    /// Leave media out
    #[arg(long)]
    pub(crate) skip_media: bool,
    /// Leave databases out
    #[arg(long)]
    pub(crate) skip_database: bool,
    /// Database to back up; repeat it, or say `all` [default: default]
    #[arg(long, value_name = "ALIAS")]
    pub(crate) database: Vec<String>,
    /// Include the project's fixture files
    #[arg(long)]
    pub(crate) include_fixtures: bool,
    /// What to back up
    #[arg(long = "type", value_name = "TYPE", value_parser = ["full", "database", "media"])]
    pub(crate) backup_type: Option<String>,
    /// Name of the backup [default: its file name]
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// A note to find it by later
    #[arg(long, value_name = "TEXT")]
    pub(crate) description: Option<String>,
    /// A label; repeat it for more
    #[arg(long)]
    pub(crate) tag: Vec<String>,
    /// Keep this model's table but leave its rows out (sessions, logs); repeat it for more
    #[arg(long, value_name = "app.Model")]
    pub(crate) exclude_data: Vec<String>,
    /// Leave out media files and folders whose path matches; repeat it for more
    #[arg(long, value_name = "GLOB")]
    pub(crate) exclude_media: Vec<String>,
    /// How databases are captured: natively, every table, constraint and index
    #[arg(long, value_parser = ["native"], default_value = "native")]
    pub(crate) capture: String,
}

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub(crate) struct RestoreArgs {
    /// Id, unique prefix of an id, name, `latest`, or the path of an archive or folder
    #[arg(value_name = "ID|PATH", value_hint = ValueHint::AnyPath)]
    pub(crate) source: String,
    /// Database to restore into [default: each where it came from]
    #[arg(long, value_name = "ALIAS")]
    pub(crate) database: Option<String>,
    /// Database of the backup to read
    #[arg(long, value_name = "NAME")]
    pub(crate) from_database: Option<String>,
    /// Leave media as they are
    #[arg(long)]
    pub(crate) skip_media: bool,
    /// Leave databases as they are
    #[arg(long)]
    pub(crate) skip_database: bool,
    /// Leave project fixtures as they are
    #[arg(long)]
    pub(crate) skip_fixtures: bool,
    /// Skip checksums, sizes and the completion marker; nothing else
    #[arg(long)]
    pub(crate) no_backup_check: bool,
    /// Answer yes to the question, skip no check
    #[arg(long, visible_aliases = ["no-input", "noinput"])]
    pub(crate) force: bool,
    /// What becomes of media files that are there already
    #[arg(long, value_name = "STRATEGY", value_parser = ["replace", "merge", "keep-existing"], default_value = "replace")]
    pub(crate) media_strategy: String,
    /// Show what would change, check everything, change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Whether rows that the backup lacks go
    #[arg(long, value_parser = ["replace"], default_value = "replace")]
    pub(crate) mode: String,
    /// Take a backup older than the code as it is
    #[arg(long)]
    pub(crate) no_migrate: bool,
    /// How thoroughly the staged database is checked
    #[arg(long, value_parser = ["counts", "full"], default_value = "counts")]
    pub(crate) verify: String,
    /// Leave a database or storage that fails as it was, and go on with the others
    #[arg(long)]
    pub(crate) keep_going: bool,
    /// Restore the database into a new one instead: `sqlite:////file`, `postgresql:///NAME`
    #[arg(long, value_name = "URL")]
    pub(crate) to_database: Option<String>,
    /// Restore the default storage into this new folder instead
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) to_media: Option<PathBuf>,
    /// Do not back up first what will be replaced
    #[arg(long, conflicts_with = "create_pre_backup")]
    pub(crate) no_pre_backup: bool,
    /// Back up first what will be replaced (the default)
    #[arg(long, hide = true)]
    pub(crate) create_pre_backup: bool,
    /// Restore a backup of another project
    #[arg(long)]
    pub(crate) other_project: bool,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// Id, unique prefix of an id, name, `latest`, or the path of an archive or folder
    #[arg(value_name = "ID|PATH", value_hint = ValueHint::AnyPath)]
    pub(crate) source: String,
    /// Check the captured databases too: row hashes, integrity, foreign keys
    #[arg(long)]
    pub(crate) deep: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Folder to list [default: BACKUP_DIR and BACKUP_ROOT]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) output_dir: Option<PathBuf>,
    /// Only the newest N
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// Id, unique prefix of an id, name, `latest`, or a path
    #[arg(value_name = "ID|PATH", value_hint = ValueHint::AnyPath)]
    pub(crate) source: String,
}

#[derive(Debug, Args)]
pub(crate) struct ContentsArgs {
    /// Id, unique prefix of an id, name, `latest`, or a path
    #[arg(value_name = "ID|PATH", value_hint = ValueHint::AnyPath)]
    pub(crate) source: String,
    /// Only what lies at or below this path of the backup; of a database's folder its tables too
    pub(crate) path: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    /// Id, unique prefix of an id, name, `latest`, or a path
    #[arg(value_name = "ID|PATH", value_hint = ValueHint::AnyPath)]
    pub(crate) source: String,
    /// The file, or the table of a database (as JSON lines), as `contents` names it
    pub(crate) path: String,
    /// Write to this new file instead of standard output
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// Id, unique prefix of an id, name, `latest`, or a path
    #[arg(value_name = "ID|PATH", value_hint = ValueHint::AnyPath)]
    pub(crate) old: String,
    /// What to compare with: another backup, or the live site
    #[arg(value_name = "ID|PATH|live", default_value = "live", value_hint = ValueHint::AnyPath)]
    pub(crate) new: String,
}

#[derive(Debug, Args)]
pub(crate) struct RollbackArgs {
    /// Id of the restore, a unique prefix of it, or `latest`
    #[arg(value_name = "RESTORE")]
    pub(crate) restore: String,
    /// Answer yes; undo the restore even though data were written since (they are kept)
    #[arg(long, visible_aliases = ["no-input", "noinput"])]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DiscardArgs {
    /// Id of the restore, a unique prefix of it, or `latest`
    #[arg(value_name = "RESTORE")]
    pub(crate) restore: String,
    /// Answer yes
    #[arg(long, visible_aliases = ["no-input", "noinput"])]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DeleteArgs {
    /// Id, unique prefix of an id, or name
    #[arg(value_name = "ID|PATH", value_hint = ValueHint::AnyPath)]
    pub(crate) source: String,
    /// Answer yes
    #[arg(long, visible_aliases = ["no-input", "noinput"])]
    pub(crate) force: bool,
}
