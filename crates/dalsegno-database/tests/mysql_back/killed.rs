//! Processes and servers killed in the middle: old or new, never mixed.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use dalsegno_database::{Quiet, Recovered, Switched, Target as _, Watch};
use dalsegno_testkit::MariadbServer;

use crate::support::{
    BACK, Backup, FORCED, LATER, SWITCH, WAIT, access, assert_same, beside, capture, oracle,
    restore, roles, saved, shop, stage, target,
};

const SOCKET: &str = "DALSEGNO_TEST_SOCKET";
const BACKUP: &str = "DALSEGNO_TEST_BACKUP";
const RECORD: &str = "DALSEGNO_TEST_RECORD";

/// Runs only as the child of the tests below: one restore, or one rollback if there is a record.
#[test]
fn child() {
    let Some(socket) = std::env::var_os(SOCKET) else { return };
    let live = serde_json::from_str::<(String, String)>(&socket.into_string().unwrap()).unwrap();
    let access = dalsegno_database::mysql::Access {
        host: "localhost".to_owned(),
        port: 0,
        socket: Some(live.0.into()),
        user: "site".to_owned(),
        password: Some(dalsegno_format::Secret::new(live.1)),
        database: "shop".to_owned(),
        tls: dalsegno_database::Tls::default(),
        init_command: None,
    };
    if let Ok(record) = std::env::var(RECORD) {
        let switched: Switched = serde_json::from_str(&record).unwrap();
        target(&access).rollback(&switched, FORCED, &mut Quiet).unwrap();
        return;
    }
    let bytes = std::fs::read(std::env::var_os(BACKUP).unwrap()).unwrap();
    let backup: Backup = serde_json::from_slice(&bytes).unwrap();
    stage(&access, &backup, &mut Quiet).unwrap().switch(SWITCH, &mut Quiet).unwrap();
}

/// Runs the child until it kills itself at this step.
fn die_at(server: &MariadbServer, step: &str, key: &str, value: &std::ffi::OsStr) {
    let facts = serde_json::to_string(&(server.socket(), server.password())).unwrap();
    let ended = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "killed::child", "--test-threads=1"])
        .env(SOCKET, facts)
        .env("DALSEGNO_DIE_AT", step)
        .env(key, value)
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert_eq!(ended.signal(), Some(9), "it did not come to {step}");
}

#[test]
fn a_restore_that_is_killed_at_any_step_is_undone_or_complete() {
    let server = shop();
    let live = access(&server, "shop");
    let backup = capture(&live);
    let folder = tempfile::tempdir().unwrap();
    let file = saved(folder.path(), &backup);
    let new = oracle(&server, "shop");
    server.sql("shop", LATER);
    let old = oracle(&server, "shop");
    let target = target(&live);
    for (step, switched) in [
        ("mysql-staged", false),
        ("mysql-switching", false),
        ("mysql-taken-off", false),
        ("mysql-renamed", true),
        ("mysql-settled", true),
        ("mysql-switched", true),
    ] {
        die_at(&server, step, BACKUP, file.as_os_str());
        let found = target.recover(Some("not asked for"), true, WAIT).unwrap();
        if !switched {
            assert_eq!(found, Recovered::Undone, "{step}");
            assert_same(&oracle(&server, "shop"), &old, step);
            assert_eq!(beside(&live), Vec::<String>::new(), "{step}");
            continue;
        }
        let Recovered::Switched(found) = found else { panic!("{step}: {found:?}") };
        assert_same(&oracle(&server, "shop"), &new, step);
        assert_eq!(roles(&live), ["log", "old"], "{step}");
        assert!(!target.written_since(&found, WAIT).unwrap(), "{step}");
        assert_eq!(target.rollback(&found, BACK, &mut Quiet).unwrap().present, None, "{step}");
        assert_same(&oracle(&server, "shop"), &old, step);
        assert_eq!(beside(&live), Vec::<String>::new(), "{step}");
    }
    assert_eq!(target.recover(None, true, WAIT).unwrap(), Recovered::Nothing);
}

#[test]
fn a_rollback_that_is_killed_at_any_step_is_finished_by_the_next() {
    let server = shop();
    let live = access(&server, "shop");
    let backup = capture(&live);
    server.sql("shop", LATER);
    let old = oracle(&server, "shop");
    let target = target(&live);
    for step in [
        "mysql-rolling-back",
        "mysql-taken-off-back",
        "mysql-renamed-back",
        "mysql-settled-back",
        "mysql-rolled-back",
    ] {
        let switched = restore(&live, &backup);
        server.sql("shop", "INSERT INTO tag VALUES ('after')");
        let record = serde_json::to_string(&switched).unwrap();
        die_at(&server, step, RECORD, record.as_ref());
        // Once everything is back but for the tidying, nobody need ask again.
        assert_eq!(target.holds(&switched).unwrap(), step != "mysql-rolled-back", "{step}");
        let present = target.rollback(&switched, FORCED, &mut Quiet).unwrap().present;
        assert_same(&oracle(&server, "shop"), &old, step);
        let (kept, _) = present
            .as_ref()
            .map(ToString::to_string)
            .unwrap()
            .split_once(" on ")
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .unwrap();
        assert_eq!(
            server.sql(&kept, "SELECT COUNT(*) FROM tag WHERE word = 'after'"),
            "1\n",
            "{step}"
        );
        target.discard().unwrap();
        assert_eq!(beside(&live), Vec::<String>::new(), "{step}");
    }
}

/// Kills the server after so many bytes.
struct Blow<'s> {
    server: &'s mut MariadbServer,
    left: u64,
}

impl Watch for Blow<'_> {
    fn bytes(&mut self, n: u64) {
        if self.left > 0 {
            self.left = self.left.saturating_sub(n);
            if self.left == 0 {
                self.server.kill();
            }
        }
    }

    fn cancelled(&self) -> bool {
        false
    }
}

#[test]
fn a_server_that_is_killed_while_rows_are_loaded_has_its_old_data() {
    let mut server = shop();
    let live = access(&server, "shop");
    let backup = capture(&live);
    server.sql("shop", LATER);
    let old = oracle(&server, "shop");
    let error =
        stage(&live, &backup, &mut Blow { server: &mut server, left: 4 << 20 }).err().unwrap();
    assert!(error.to_string().contains("shop"), "{error}");
    server.start_again();
    let left = dalsegno_database::mysql::leftovers(&live).unwrap();
    assert!(!left.is_empty() && left.iter().all(|left| left.unfinished), "{left:?}");
    assert_eq!(target(&live).recover(None, true, WAIT).unwrap(), Recovered::Undone);
    assert_same(&oracle(&server, "shop"), &old, "");
    assert_eq!(beside(&live), Vec::<String>::new());
}

#[test]
fn a_server_that_is_killed_after_the_switch_has_the_new_data_and_the_way_back() {
    let mut server = shop();
    let live = access(&server, "shop");
    let backup = capture(&live);
    let new = oracle(&server, "shop");
    server.sql("shop", LATER);
    let old = oracle(&server, "shop");
    let switched = restore(&live, &backup);
    server.kill();
    server.start_again();
    assert_same(&oracle(&server, "shop"), &new, "");
    assert_eq!(
        target(&live).recover(None, true, WAIT).unwrap(),
        Recovered::Switched(Box::new(switched.clone()))
    );
    target(&live).rollback(&switched, BACK, &mut Quiet).unwrap();
    assert_same(&oracle(&server, "shop"), &old, "");
}

#[test]
fn a_reader_that_is_connected_sees_the_old_or_the_new_and_nothing_else() {
    let server = shop();
    let live = access(&server, "shop");
    let backup = capture(&live);
    server.sql("shop", "DELETE FROM tag; DELETE FROM big;");
    let seen = thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut seen = Vec::new();
            while seen.last().is_none_or(|line| line != "40000 6\n") {
                let sql =
                    "SELECT CONCAT((SELECT COUNT(*) FROM big), ' ', (SELECT COUNT(*) FROM tag))";
                seen.push(server.sql("shop", sql));
                thread::sleep(Duration::from_millis(5));
            }
            seen
        });
        restore(&live, &backup);
        reader.join().unwrap()
    });
    assert!(seen.len() > 1);
    assert!(seen.iter().all(|line| line == "0 0\n" || line == "40000 6\n"), "{seen:?}");
}
