//! A load that is cancelled or killed: the rows are old or new, and the next verb knows which.

use std::fs;

use dalsegno_testkit::{Running, Signal, Site};

use super::{damage_media, damage_rows, fault, mend, rows, site};
use crate::{BINARY, backup, ok, run};

/// A damaged site with a backup `b`, and what it held before and holds now.
fn damaged() -> (Site, Vec<String>, Vec<String>) {
    let site = site();
    let before = rows(&site, "db.sqlite3");
    backup(&site, "b", &[]);
    damage_rows(&site, "db.sqlite3");
    damage_media(&site);
    let damaged = rows(&site, "db.sqlite3");
    (site, before, damaged)
}

/// A restore that has come to a statement that begins so, and waits there.
fn hanging(site: &Site, statement: &str) -> Running {
    fault(site, "hang", statement);
    let mut running = site.call(BINARY, &["restore", "b", "--force"]).start();
    running.until("it hangs", || site.path("hanging").exists());
    running
}

#[test]
fn a_cancelled_load_leaves_the_live_rows() {
    let (site, _, damaged) = damaged();
    let running = hanging(&site, "INSERT INTO \"books_chapter\"");
    running.signal(Signal::INT);
    let answer = running.wait().expect(130);
    mend(&site);
    assert_eq!(rows(&site, "db.sqlite3"), damaged, "{answer}");
    assert_eq!(site.names("backups_data/temp"), [""; 0]);
}

#[test]
fn a_killed_load_is_rolled_back_by_the_database() {
    let (site, before, damaged) = damaged();
    let media = site.state().part("media").to_vec();
    let running = hanging(&site, "INSERT INTO \"books_chapter\"");
    running.signal(Signal::KILL);
    running.wait().expect(137);
    // The helper is still at it: nobody can tell how it ends.
    let answer = run(&site, &["backup", "--filename", "early"]).expect(11);
    assert!(answer.stderr.contains("in use"), "{answer}");
    mend(&site);
    let answer = ok(&site, &["backup", "--filename", "later"]);
    assert!(answer.stderr.contains("the site has its old data"), "{answer}");
    assert_eq!(rows(&site, "db.sqlite3"), damaged);
    assert_eq!(site.state().part("media"), media);
    assert_eq!(site.names("backups_data/temp"), [""; 0]);
    ok(&site, &["restore", "b", "--force"]);
    assert_eq!(rows(&site, "db.sqlite3"), before);
}

#[test]
fn a_load_that_is_committed_after_its_engine_died_is_known_as_done() {
    let (site, before, _) = damaged();
    let media = site.state().part("media").to_vec();
    // Everything is loaded, and the question that commits is asked.
    let running = hanging(&site, "PRAGMA foreign_key_check");
    running.signal(Signal::KILL);
    running.wait().expect(137);
    let mut next = site.call(BINARY, &["backup", "--filename", "later"]).start();
    let waiting = std::time::Instant::now();
    next.until("it waits for the helper", || waiting.elapsed().as_secs() >= 3);
    mend(&site);
    let answer = next.wait().expect(0);
    assert!(answer.stderr.contains("it is complete"), "{answer}");
    assert_eq!(rows(&site, "db.sqlite3"), before);
    assert_ne!(site.state().part("media"), media, "the storages are the backup's too");
}

#[test]
fn killed_around_the_commit_the_rows_are_old_or_new() {
    let (site, before, damaged) = damaged();
    site.put_aside();
    let (mut undone, mut complete) = (0, 0);
    let restore = ["restore", "b", "--force", "--no-pre-backup", "--skip-media"];
    // Earlier ones are those of every restore.
    for step in 7.. {
        let answer = site.call(BINARY, &restore).env("DALSEGNO_DIE_AT", step.to_string()).run();
        if answer.code == 0 {
            break;
        }
        assert_eq!(answer.code, 137, "step {step}: {answer}");
        let answer = ok(&site, &["backup", "--filename", "next", "--skip-media", "--no-compress"]);
        let found = rows(&site, "db.sqlite3");
        // The very last steps leave nothing to be brought to an end.
        let told = answer.stderr.contains("interrupted");
        if answer.stderr.contains("it is complete") || !told && found == before {
            assert_eq!(found, before, "step {step}");
            complete += u32::from(told);
            site.put_back();
        } else {
            assert_eq!(found, damaged, "step {step}: {answer}");
            undone += 1;
            fs::remove_file(site.path("backups/next.tar")).expect("it was made");
        }
        assert_eq!(site.names("backups_data/temp"), [""; 0], "step {step}");
    }
    assert!(undone > 3 && complete > 0, "{undone} undone, {complete} complete");
}
