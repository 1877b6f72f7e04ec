//! A process of its own that restores, to be killed.

use std::process::{Command, ExitStatus};
use std::time::Duration;

use dalsegno_database::postgres::{Access, target};
use dalsegno_database::{Quiet, SwitchOptions, Switched};
use dalsegno_testkit::PostgresServer;

use super::shop::*;

/// What a child does, and what it wrote of it before it died.
pub(crate) struct Child {
    folder: tempfile::TempDir,
}

impl Child {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// Runs `verb` and dies at `step`, a name or a number.
    pub(crate) fn run(&self, port: u16, verb: &str, step: &str) -> ExitStatus {
        Command::new(std::env::current_exe().unwrap())
            .args(["child::works", "--exact", "--ignored", "--nocapture"])
            .env("CHILD_PORT", port.to_string())
            .env("CHILD_VERB", verb)
            .env("CHILD_FOLDER", self.folder.path())
            .env("DALSEGNO_DIE_AT", step)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .status()
            .unwrap()
    }

    /// What was recorded before the switch.
    pub(crate) fn begun(&self) -> Option<String> {
        std::fs::read_to_string(self.folder.path().join("begun")).ok()
    }
}

#[test]
#[ignore = "works for the tests of kills"]
fn works() {
    let Ok(port) = std::env::var("CHILD_PORT") else { return };
    let folder = std::path::PathBuf::from(std::env::var_os("CHILD_FOLDER").unwrap());
    let access = Access {
        host: "127.0.0.1".to_owned(),
        port: port.parse().unwrap(),
        user: PostgresServer::USER.to_owned(),
        password: Some(dalsegno_format::Secret::new(PostgresServer::PASSWORD)),
        database: "shop".to_owned(),
        tls: dalsegno_database::Tls {
            mode: dalsegno_database::TlsMode::Disable,
            root: None,
            identity: None,
        },
        role: None,
        options: None,
        client_folders: Vec::new(),
    };
    let target = target(&access, ID).unwrap();
    match std::env::var("CHILD_VERB").unwrap().as_str() {
        "restore" => {
            let staged = Capture::shop().stage(&*target).unwrap();
            std::fs::write(folder.join("begun"), staged.content()).unwrap();
            let options = SwitchOptions { lock_timeout: Duration::from_secs(20) };
            let switched = staged.switch(options, &mut Quiet).unwrap();
            std::fs::write(folder.join("switched"), serde_json::to_vec(&switched).unwrap())
                .unwrap();
        }
        "rollback" => {
            let text = std::fs::read(folder.join("switched")).unwrap();
            let switched: Switched = serde_json::from_slice(&text).unwrap();
            target.rollback(&switched, back(true), &mut Quiet).unwrap();
        }
        "discard" => target.discard().unwrap(),
        verb => panic!("{verb}"),
    }
}

impl Child {
    /// The record of the switch, if it was written.
    pub(crate) fn switched(&self) -> Option<Switched> {
        let text = std::fs::read(self.folder.path().join("switched")).ok()?;
        serde_json::from_slice(&text).ok()
    }
}
