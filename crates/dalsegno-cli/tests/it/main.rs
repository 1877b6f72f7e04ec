//! The program as its users see it: arguments in; exit codes, words and files out.

mod backup;
mod bad_input;
mod client;
mod company;
mod damaged;
mod delete;
mod diff;
mod doctor;
mod faults;
mod find;
mod forms;
mod hazards;
mod hostile;
mod interrupted;
mod killed;
mod kills;
mod leftover;
mod look;
mod migrations;
mod odd_settings;
mod partial;
mod places;
mod question;
mod recovery;
mod replay;
mod report;
mod restore;
mod restore_script;
mod rollback;
mod scene;
mod servers;
mod strategies;
mod targets;
mod through_django;
mod verify;
mod writers;

use std::path::{Path, PathBuf};

use dalsegno_testkit::{Answer, Site};

/// The program under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_dalsegno");

/// Runs the program in the site's folder.
pub(crate) fn run(site: &Site, args: &[&str]) -> Answer {
    site.call(BINARY, args).run()
}

/// Runs the program in the site's folder; it must succeed.
#[track_caller]
pub(crate) fn ok(site: &Site, args: &[&str]) -> Answer {
    run(site, args).expect(0)
}

/// Backs the site up under a name; gives back where the backup lies.
#[track_caller]
pub(crate) fn backup(site: &Site, name: &str, args: &[&str]) -> PathBuf {
    let mut all = vec!["--format", "json", "backup", "--filename", name];
    all.extend(args);
    path_of(&ok(site, &all))
}

/// The path in the report of a backup.
#[track_caller]
pub(crate) fn path_of(answer: &Answer) -> PathBuf {
    PathBuf::from(answer.json()["path"].as_str().expect("the report has a path"))
}

/// Runs a verb with `--format json`; gives back its report.
#[track_caller]
pub(crate) fn report(site: &Site, args: &[&str]) -> serde_json::Value {
    let mut all = vec!["--format", "json"];
    all.extend(args);
    ok(site, &all).json()
}

/// Restores without a question; gives back the id of the restore.
#[track_caller]
pub(crate) fn restore(site: &Site, args: &[&str]) -> String {
    let mut all = vec!["restore", "--force"];
    all.extend(args);
    report(site, &all)["restore"].as_str().expect("the report has an id").to_owned()
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("the paths of the tests are text")
}

/// Permission bits of a path.
pub(crate) fn mode(path: impl AsRef<Path>) -> String {
    use std::os::unix::fs::PermissionsExt;
    let meta = path.as_ref().symlink_metadata().expect("it is there");
    format!("{:04o}", meta.permissions().mode() & 0o7777)
}
