//! Where the server's client programs are.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Access;
use super::failure::Failure;
use crate::Result;

/// Where distributions put a folder for each major version: the parent, how its name begins, and
/// what comes below it.
const VERSIONED: [(&str, &str, &str); 5] = [
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/opt/homebrew/opt", "postgresql@", "bin"),
    ("/usr/local/opt", "postgresql@", "bin"),
    ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
];

/// A client program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Program {
    pub(super) path: PathBuf,
    /// `15.18`.
    pub(super) version: String,
    pub(super) major: u32,
}

/// The program that suits a server of version `server` (`server_version_num`): of its own major
/// version, else of the next one that is there. Folders of the [`Access`] go first.
pub(super) fn find(name: &'static str, access: &Access, server: u32) -> Result<Program> {
    let needed = server / 10_000;
    let mut found = Vec::new();
    for folders in [access.client_folders.clone(), usual_folders()] {
        let mut fitting: Option<Program> = None;
        for program in folders.iter().filter_map(|folder| program(&folder.join(name))) {
            let better = fitting.as_ref().is_none_or(|best| program.major < best.major);
            if program.major < needed {
                found.push((program.path, program.major));
            } else if better {
                fitting = Some(program);
            }
        }
        if let Some(program) = fitting {
            return Ok(program);
        }
    }
    found.sort();
    found.dedup();
    let place = access.place();
    Err(Failure::NoProgram { place, program: name, major: needed, found }.into())
}

fn usual_folders() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = env::split_paths(&path).collect();
    for (parent, prefix, below) in VERSIONED {
        let entries = fs::read_dir(parent).into_iter().flatten().flatten();
        let named = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix));
        folders.extend(named.map(|entry| entry.path().join(below)));
    }
    folders.extend(["/opt/homebrew/bin", "/usr/local/pgsql/bin"].map(PathBuf::from));
    folders
}

/// What is at `path`, if it is a program that says its version.
fn program(path: &Path) -> Option<Program> {
    let target = fs::canonicalize(path).ok()?;
    // Debian's wrapper takes the version of some cluster of this machine.
    if target.file_name()? == "pg_wrapper" {
        return None;
    }
    let output = Command::new(path).arg("--version").env("LC_ALL", "C").output().ok()?;
    let (version, major) = version(&String::from_utf8_lossy(&output.stdout))?;
    Some(Program { path: path.to_owned(), version, major })
}

/// `pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`: `15.18` and 15.
fn version(text: &str) -> Option<(String, u32)> {
    let version = text.split_once(") ")?.1.split_whitespace().next()?;
    let digits = version.find(|c: char| !c.is_ascii_digit()).unwrap_or(version.len());
    Some((version.to_owned(), version[..digits].parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tls;

    #[test]
    fn versions_are_read_from_what_programs_say() {
        let said = "pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n";
        assert_eq!(version(said), Some(("15.18".to_owned(), 15)));
        assert_eq!(version("pg_dump (PostgreSQL) 19devel\n"), Some(("19devel".to_owned(), 19)));
        assert_eq!(version("pg_dump: command not found"), None);
    }

    #[test]
    fn a_program_of_the_servers_version_is_taken_and_an_older_one_never() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().expect("there is room");
        let fakes = ["90", "91.3", "93beta1"].map(|version| {
            let bin = folder.path().join(version);
            fs::create_dir(&bin).expect("the folder is ours");
            let script = format!("#!/bin/sh\necho 'pg_dump (PostgreSQL) {version}'\n");
            fs::write(bin.join("pg_dump"), script).expect("the folder is ours");
            let executable = fs::Permissions::from_mode(0o755);
            fs::set_permissions(bin.join("pg_dump"), executable).expect("the file is ours");
            bin
        });
        let access = Access {
            host: "localhost".to_owned(),
            port: 5432,
            user: "site".to_owned(),
            password: None,
            database: "shop".to_owned(),
            tls: Tls::default(),
            role: None,
            options: None,
            client_folders: fakes.to_vec(),
        };
        let version = |server| find("pg_dump", &access, server).map(|found| found.version);
        assert_eq!(version(910_002).expect("it is there"), "91.3");
        assert_eq!(version(920_000).expect("a newer one will do"), "93beta1");
        let error = version(940_001).expect_err("all are older");
        let text = error.to_string();
        assert!(text.contains("needs `pg_dump` 94 or newer") && text.contains("is 93"), "{text}");
        assert!(error.hint().is_some_and(|hint| hint.contains("`postgresql-client-94`")));
    }
}
