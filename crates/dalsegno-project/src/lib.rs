//! What the engine knows of a project: its descriptor, its settings and the graph of its models.
//!
//! [`Project::load`] finds a project, has Django describe it once through the helper, and reads its
//! `BACKUP_*` settings. Where there is no Django, `dalsegno.toml` or `DATABASE_URL` serve.
//!
//! This crate opens no database, reads no media and writes nothing: it only runs the project's own
//! interpreter.

#![allow(clippy::doc_markdown, reason = "SQLite, MySQL and MariaDB are names, not code")]

mod config_file;
mod database_url;
pub mod descriptor;
mod discover;
mod environment;
mod error;
pub mod graph;
pub mod helper;
mod interpreter;
mod masking;
mod project;
mod scrub;
mod server_settings;
pub mod settings;
mod sqlite_location;

pub use dalsegno_format::{MASK, Secret};
pub use descriptor::Descriptor;
pub use error::{ProjectError, Tried};
pub use graph::ModelGraph;
pub use helper::{Helper, HelperOptions};
pub use interpreter::Interpreter;
pub use project::{Origin, Project, ProjectOptions};
pub use settings::BackupSettings;
pub use sqlite_location::SqliteLocation;
