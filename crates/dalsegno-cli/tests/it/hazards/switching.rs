//! The switch, while connections are open, and while it is killed.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::thread::sleep;
use std::time::{Duration, Instant};

use dalsegno_testkit::{Running, Signal, Site};

use super::{
    LIVE, Peer, assert_integrity, beside, everything, filled, instead, leftovers, live, restored,
    site_of, size,
};
use crate::{BINARY, backup, ok};

const MODES: [&str; 2] = ["wal", "delete"];

fn journal(mode: &str) -> String {
    format!("PRAGMA journal_mode = {mode};")
}

#[test]
fn an_open_connection_does_not_write_into_a_file_that_is_gone() {
    for mode in MODES {
        let site =
            site_of(&format!("{} CREATE TABLE t (a); INSERT INTO t VALUES (1)", journal(mode)));
        backup(&site, "b", &[]);
        site.sql(LIVE, "INSERT INTO t VALUES (2)");
        let mut peer = Peer::new(&live(&site));
        assert_eq!(peer.ask("SELECT a FROM t"), "ok [(1,), (2,)]");
        let inode = fs::metadata(live(&site)).expect("it is there").ino();
        restored(&site, "b");
        assert_eq!(fs::metadata(live(&site)).expect("it is there").ino(), inode, "{mode}");
        peer.run("INSERT INTO t VALUES (3)");
        assert_eq!(site.ask(LIVE, "SELECT group_concat(a) FROM t"), "1,3", "{mode}");
        peer.close();
        assert_eq!(site.ask(LIVE, "SELECT group_concat(a) FROM t"), "1,3", "{mode}");
        assert_integrity(&site);
    }
}

#[test]
fn a_reader_in_a_transaction_keeps_the_old_rows_to_its_end() {
    let site = site_of(&format!("{} {}", journal("wal"), filled("new", 300)));
    backup(&site, "b", &[]);
    instead(&site, &format!("{} {}", journal("wal"), filled("old", 500)));
    let mut reader = Peer::new(&live(&site));
    reader.run("BEGIN");
    reader.run("SELECT * FROM old LIMIT 1");
    restored(&site, "b");
    assert_eq!(reader.ask("SELECT count(*), max(word) FROM old"), "ok [(500, 'old')]");
    assert_eq!(Peer::new(&live(&site)).ask("SELECT count(*) FROM new"), "ok [(300,)]");
    reader.run("COMMIT");
    assert_eq!(reader.ask("SELECT count(*), max(word) FROM new"), "ok [(300, 'new')]");
}

fn started(site: &Site) -> Running {
    site.call(BINARY, &["restore", "b", "--force", "--no-pre-backup"]).start()
}

/// Lets a restore wait for a while: it must neither end nor change anything.
fn waits(site: &Site, running: &mut Running, peer: &mut Peer, rows: &str) {
    running.until("it staged", || leftovers(site).iter().any(|name| name.ends_with(".staged")));
    let start = Instant::now();
    running.until("it had waited", || start.elapsed() > Duration::from_millis(600));
    assert_eq!(peer.ask("SELECT count(*) FROM old"), format!("ok [({rows},)]"));
}

#[test]
fn another_page_size_waits_until_nobody_has_the_file_open() {
    for mode in MODES {
        let site =
            site_of(&format!("PRAGMA page_size = 8192; {} {}", journal(mode), filled("new", 50)));
        let before = everything(&live(&site));
        backup(&site, "b", &[]);
        instead(&site, &format!("{} {}", journal(mode), filled("old", 70)));
        let mut peer = Peer::new(&live(&site));
        peer.run("SELECT * FROM old");
        let mut running = started(&site);
        waits(&site, &mut running, &mut peer, "70");
        peer.run("INSERT INTO old VALUES (71, 'late', NULL)");
        peer.close();
        running.wait().expect(0);
        assert_eq!(everything(&live(&site)), before, "{mode}");
        // What was written while it waited is in the kept copy.
        ok(&site, &["rollback", "latest", "--force"]);
        assert_eq!(site.ask(LIVE, "SELECT count(*) FROM old"), "71", "{mode}");
        assert_eq!(site.ask(LIVE, "PRAGMA page_size"), "4096", "{mode}");
    }
}

#[test]
fn a_reader_of_a_rollback_journal_site_delays_the_switch_and_no_more() {
    let site = site_of(&filled("new", 50));
    let before = everything(&live(&site));
    backup(&site, "b", &[]);
    instead(&site, &filled("old", 70));
    let mut reader = Peer::new(&live(&site));
    reader.run("BEGIN");
    reader.run("SELECT * FROM old LIMIT 1");
    let mut running = started(&site);
    waits(&site, &mut running, &mut reader, "70");
    reader.run("COMMIT");
    running.wait().expect(0);
    assert_eq!(reader.ask("SELECT count(*) FROM new"), "ok [(50,)]");
    reader.close();
    assert_eq!(everything(&live(&site)), before);
}

/// Kills a restore as soon as `begun` says so; whether the site has its old rows.
fn killed(site: &Site, begun: impl Fn() -> bool, old: &str, new: &str) -> bool {
    let mut running = started(site);
    running.until("it wrote", begun);
    running.signal(Signal::KILL);
    assert_eq!(running.wait().code, 137);
    // Python's SQLite recovers first, as the site's would.
    let now = everything(&live(site));
    assert_integrity(site);
    assert!(now == old || now == new, "neither old nor new:\n{now}");
    now == old
}

fn killed_in_the_middle(mode: &str, suffix: &'static str) {
    let site = site_of(&format!("{} {}", journal(mode), filled("new", 9000)));
    let new = everything(&live(&site));
    backup(&site, "b", &["--no-compress"]);
    instead(&site, &format!("{} {}", journal(mode), filled("old", 8000)));
    let old = everything(&live(&site));
    let changed = || fs::metadata(live(&site)).map(|file| (file.mtime(), file.mtime_nsec())).ok();
    let mut undone = 0;
    for at in 0..4 {
        let sidecar = beside(&site, suffix);
        // A journal that was never synced is not hot: SQLite leaves it lying, and it is no sign.
        let _ = fs::remove_file(beside(&site, "-journal"));
        let before = changed();
        // In the log or journal at first; then, where there is a journal, in the file itself.
        let begun =
            || size(&sidecar) > 1_000_000 * (at + 1) || (mode == "delete" && changed() != before);
        undone += u32::from(killed(&site, begun, &old, &new));
        ok(&site, &["rollback", "latest", "--force"]);
        assert_eq!(everything(&live(&site)), old, "{mode}");
        let left: Vec<String> =
            leftovers(&site).into_iter().filter(|name| name.starts_with('.')).collect();
        assert_eq!(left, [""; 0], "{mode}");
    }
    assert!(undone > 0, "{mode}: every kill came too late");
}

#[test]
fn a_restore_killed_while_it_writes_leaves_old_or_new_in_wal_mode() {
    killed_in_the_middle("wal", "-wal");
}

#[test]
fn a_restore_killed_while_it_writes_leaves_old_or_new_in_rollback_journal_mode() {
    killed_in_the_middle("delete", "-journal");
}

#[test]
fn the_live_database_keeps_its_journal_mode() {
    for from in MODES {
        for into in MODES {
            let site = site_of(&format!("{} {}", journal(from), filled("new", 20)));
            backup(&site, "b", &[]);
            instead(&site, &format!("{} {}", journal(into), filled("old", 20)));
            restored(&site, "b");
            let header = fs::read(live(&site)).expect("it is there");
            let bytes = if into == "wal" { [2, 2] } else { [1, 1] };
            assert_eq!(header[18..20], bytes, "{from} into {into}");
            assert_eq!(site.ask(LIVE, "PRAGMA journal_mode"), into, "{from} into {into}");
            assert_eq!(site.ask(LIVE, "SELECT count(*) FROM new"), "20");
        }
    }
}

#[test]
fn a_restore_does_not_take_longer_than_the_writer_it_waits_for() {
    for mode in MODES {
        let site = site_of(&format!("{} {}", journal(mode), filled("new", 50)));
        backup(&site, "b", &[]);
        instead(&site, &format!("{} {}", journal(mode), filled("old", 70)));
        let mut writer = Peer::new(&live(&site));
        writer.run("BEGIN IMMEDIATE");
        writer.run("INSERT INTO old VALUES (71, 'acknowledged', NULL)");
        let running = started(&site);
        sleep(Duration::from_millis(300));
        writer.run("COMMIT");
        let waited = Instant::now();
        running.wait().expect(0);
        assert!(waited.elapsed() < Duration::from_secs(20), "{mode}");
        assert_eq!(writer.ask("SELECT count(*) FROM new"), "ok [(50,)]");
        writer.close();
        ok(&site, &["rollback", "latest", "--force"]);
        assert_eq!(site.ask(LIVE, "SELECT count(*) FROM old"), "71", "{mode}: a commit is lost");
    }
}
