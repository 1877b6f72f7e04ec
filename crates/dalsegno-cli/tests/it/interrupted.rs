//! Runs that are stopped or killed, and runs that meet.

use std::fs;
use std::path::Path;

use dalsegno_testkit::{Running, Signal, Site, assert_same, damage, noise};
use insta::assert_snapshot;

use crate::{BINARY, backup, ok, run, text};

/// A site that takes a while: 48 MB that do not compress.
fn slow() -> Site {
    let site = Site::plain();
    for file in 0..6 {
        site.write(&format!("media/large/{file}.bin"), noise(8_000_000, file));
    }
    site
}

fn has_dot_name(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|entries| {
        entries.flatten().any(|e| {
            let name = e.file_name();
            name.to_string_lossy().starts_with('.') && name != ".hidden"
        })
    })
}

fn started_backup(site: &Site, form: &str) -> Running {
    let mut running = site.call(BINARY, &["backup", "--form", form]).start();
    let folder = site.path("backups");
    running.until("it wrote anything", || {
        fs::read_dir(&folder).is_ok_and(|entries| {
            entries.flatten().any(|e| {
                let name = e.file_name();
                let name = name.to_string_lossy();
                name.ends_with(".partial") && !name.ends_with(".claim.partial")
            })
        })
    });
    running
}

#[test]
fn an_interrupted_backup_leaves_nothing() {
    let site = slow();
    for form in ["tar.gz", "folder"] {
        for signal in [Signal::INT, Signal::TERM] {
            let running = started_backup(&site, form);
            running.signal(signal);
            let answer = running.wait().expect(130);
            assert!(answer.stderr.ends_with("error: cancelled\n"), "{answer}");
            assert_eq!(site.names("backups"), [""; 0], "{form}");
        }
    }
}

#[test]
fn a_killed_backup_leaves_a_name_that_is_no_backup() {
    let site = slow();
    for form in ["tar.gz", "folder"] {
        let running = started_backup(&site, form);
        running.signal(Signal::KILL);
        running.wait().expect(137);
    }
    let left = site.names("backups");
    assert!(!left.is_empty() && left.iter().all(|name| name.starts_with('.')), "{left:?}");
    let list = ok(&site, &["list"]);
    assert!(list.stdout.starts_with("No backups in"), "{list}");
    run(&site, &["restore", "latest", "--force"]).expect(10);
    let doctor = run(&site, &["doctor"]);
    for name in &left {
        assert!(doctor.stdout.contains(name.trim_end_matches(".held")), "{name}: {doctor}");
    }
    let next = ok(&site, &["backup", "--filename", "next"]);
    assert!(next.stderr.contains("which a killed run left"), "{next}");
    ok(&site, &["verify", "next"]);
    assert_eq!(site.names("backups"), ["next.tar.gz", "next.tar.gz.manifest.json"]);
}

fn started_restore(site: &Site, args: &[&str]) -> Running {
    let mut all = vec!["restore", "b", "--force", "--no-pre-backup"];
    all.extend(args);
    let mut running = site.call(BINARY, &all).start();
    let root = site.root();
    running.until("it staged anything", || has_dot_name(&root));
    running
}

#[test]
fn an_interrupted_restore_changes_nothing_and_leaves_nothing() {
    let site = slow();
    backup(&site, "b", &["--no-compress"]);
    damage(&site);
    let (before, names) = (site.state(), site.names(""));
    let running = started_restore(&site, &[]);
    running.signal(Signal::INT);
    let answer = running.wait().expect(130);
    assert!(answer.stderr.ends_with("error: cancelled\n"), "{answer}");
    assert_same(&before, &site.state());
    assert_eq!(site.names(""), names);
}

#[test]
fn a_killed_restore_changes_nothing_and_the_doctor_names_what_it_left() {
    let site = slow();
    let whole = site.state();
    backup(&site, "b", &["--no-compress"]);
    damage(&site);
    let before = site.state();
    let running = started_restore(&site, &[]);
    running.signal(Signal::KILL);
    running.wait().expect(137);
    assert_same(&before, &site.state());
    let left: Vec<String> = site.names("").into_iter().filter(|n| n.starts_with('.')).collect();
    assert_ne!(left, [""; 0]);
    let doctor = run(&site, &["doctor"]);
    assert_snapshot!(doctor.out().lines().filter(|l| !l.starts_with("ok")).collect::<Vec<_>>().join("\n"), @r#"
    warning  restore [ID] was interrupted before it changed anything
             hint: Run `dalsegno rollback [ID]`: it removes what was staged.
    "#);
    // The next restore brings the killed one to an end, and says so.
    let answer = ok(&site, &["restore", "b", "--force"]);
    assert!(answer.all().contains("was interrupted; the site has its old data"), "{answer}");
    assert_same(&whole, &site.state());
    let staged: Vec<String> = site.names("").into_iter().filter(|n| left.contains(n)).collect();
    assert_eq!(staged, [""; 0]);
    ok(&site, &["discard", "latest", "--force"]);
    assert!(!site.names("").iter().any(|n| n.starts_with('.')), "{:?}", site.names(""));
}

#[test]
fn a_rollback_brings_a_killed_restore_to_an_end() {
    let site = slow();
    backup(&site, "b", &["--no-compress"]);
    damage(&site);
    let (before, names) = (site.state(), site.names(""));
    let running = started_restore(&site, &[]);
    running.signal(Signal::KILL);
    running.wait().expect(137);
    ok(&site, &["rollback", "latest", "--force"]);
    assert_same(&before, &site.state());
    assert_eq!(site.names(""), names);
}

#[test]
fn one_restore_at_a_time() {
    let site = slow();
    backup(&site, "b", &["--no-compress"]);
    backup(&site, "c", &["--skip-media"]);
    let running = started_restore(&site, &[]);
    running.signal(Signal::STOP);
    assert_snapshot!(run(&site, &["-q", "restore", "c", "--force"]), @r#"
    exit 11
    err| error: `[SITE]/backups_data` is in use: restore, pid [PID], since [TIME]
    err| hint: Wait until it ends, or stop that process.
    "#);
    run(&site, &["rollback", "latest", "--force"]).expect(11);
    // A backup would hold rows of one state and files of the other.
    run(&site, &["backup"]).expect(11);
    running.signal(Signal::CONT);
    running.wait().expect(0);
    ok(&site, &["restore", "c", "--force"]);
}

#[test]
fn failed_backups_leave_nothing() {
    let site = slow();
    let out = site.outside("out");
    fs::create_dir(&out).expect("it is new");
    for form in ["tar.gz", "tar", "tar.zst", "folder"] {
        let left = site.outside("left");
        let answer = site
            .call(BINARY, &["-q", "backup", "--form", form, "--output-dir", text(&out)])
            .tmpfs(&out, "4m", &left)
            .run()
            .expect(13);
        assert_eq!(fs::read_to_string(&left).expect("it was written"), "", "{form}: {answer}");
    }
    site.write("db.sqlite3", "no database at all".repeat(300));
    run(&site, &["-q", "backup", "--output-dir", text(&out)]).expect(1);
    run(&site, &["-q", "backup", "--output-dir", text(&out), "--database", "nosuch"]).expect(2);
    assert_eq!(fs::read_dir(&out).expect("it is there").count(), 0);
}

#[test]
fn a_first_restore_waits_for_the_backup_that_runs() {
    let site = slow();
    backup(&site, "b", &[]);
    fs::remove_dir_all(site.path("backups_data")).unwrap();
    let running = started_backup(&site, "tar");
    running.signal(Signal::STOP);
    let answer = run(&site, &["-q", "restore", "b", "--force", "--no-pre-backup"]).expect(11);
    assert!(answer.stderr.contains("a backup that runs"), "{answer}");
    running.signal(Signal::CONT);
    running.wait().expect(0);
}
