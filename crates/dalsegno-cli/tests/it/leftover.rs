//! What was left, told by those who look and ended by those who may.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};

use dalsegno_testkit::{Signal, Site, assert_same, damage, noise};
use insta::assert_snapshot;
use serde_json::Value;

use crate::recovery::{half_restored, half_restored_and_written, state};
use crate::{BINARY, backup, ok, report, restore, run};

#[test]
fn a_backup_never_captures_a_half_restored_site() {
    let (site, damaged, id) = half_restored();
    let answer = ok(&site, &["-q", "backup", "--filename", "after"]);
    assert!(answer.stderr.contains("was interrupted; the site has its old data"), "{answer}");
    assert_same(&damaged, &site.state());
    assert_eq!(state(&site, &id), "failed");
    restore(&site, &["b", "--no-pre-backup"]);
    restore(&site, &["after", "--no-pre-backup"]);
    assert_same(&damaged, &site.state());
}

#[test]
fn a_backup_is_refused_where_undoing_would_take_something_away() {
    let (site, _) = half_restored_and_written();
    let written = site.state();
    assert_snapshot!(run(&site, &["-q", "backup"]), @r#"
    exit 13
    err| error: restore `[ID]` was interrupted half-way, and the site was written to since (database `default`: `[SITE]/db.sqlite3` was written to after it was restored)
    err| hint: `dalsegno rollback [ID] --force` puts the old data back and keeps what is there now.
    "#);
    assert_snapshot!(run(&site, &["-q", "restore", "b", "--force", "--dry-run"]), @r#"
    exit 13
    err| error: restore `[ID]` was interrupted half-way, and the site was written to since (database `default`: `[SITE]/db.sqlite3` was written to after it was restored)
    err| hint: `dalsegno rollback [ID] --force` puts the old data back and keeps what is there now.
    "#);
    assert_same(&written, &site.state());
}

#[test]
fn those_who_only_look_say_that_a_restore_was_interrupted() {
    let (site, _, id) = half_restored();
    let before = site.state();
    for args in [&["list"][..], &["show", "b"], &["verify", "b"], &["diff", "b"], &["describe"]] {
        let answer = ok(&site, args);
        let line = format!("restore {id} was interrupted while switching. Run `dalsegno rollback");
        assert!(answer.stderr.contains(&line), "{args:?}: {answer}");
        let with = |option: &[&str]| run(&site, &[option, args].concat()).expect(0);
        let quiet = with(&["-q"]);
        assert_eq!(quiet.stderr, "", "{args:?}");
        let json = with(&["--format", "json"]);
        let first: Value = serde_json::from_str(json.stdout.lines().next().unwrap_or_default())
            .expect("each line is JSON");
        assert_eq!(first["event"], "warning", "{args:?}: {json}");
        assert_eq!(json.json()["event"], "report");
    }
    for args in [&["contents", "b"][..], &["get", "b", "backup_metadata.json"]] {
        assert_eq!(ok(&site, args).stderr, "", "{args:?}: it goes on to another program");
    }
    assert_same(&before, &site.state());
    assert_eq!(state(&site, &id), "switching", "looking changes nothing");
    ok(&site, &["rollback", &id, "--force"]);
    assert_eq!(ok(&site, &["list"]).stderr, "");
}

#[test]
fn a_dry_run_tells_what_would_be_ended_first_and_changes_nothing() {
    let (site, _, id) = half_restored();
    let before = site.state();
    let answer = ok(&site, &["restore", "b", "--dry-run"]);
    let note = format!(
        "note: restore {id} was interrupted while switching: it is undone first, unless its last \
         step took place"
    );
    assert!(answer.stdout.contains(&note), "{answer}");
    assert_same(&before, &site.state());
    assert_eq!(state(&site, &id), "switching");
}

#[test]
fn a_dry_run_meets_who_would_be_in_the_way() {
    let site = Site::plain();
    for file in 0..4 {
        site.write(&format!("media/large/{file}.bin"), noise(8_000_000, file));
    }
    backup(&site, "b", &["--no-compress"]);
    let mut running = site.call(BINARY, &["restore", "b", "--force", "--no-pre-backup"]).start();
    let root = site.root();
    running.until("it staged anything", || {
        let names = fs::read_dir(&root).expect("it is there").flatten();
        names.into_iter().any(|e| e.file_name().to_string_lossy().contains(".staged"))
    });
    running.signal(Signal::STOP);
    let busy = run(&site, &["-q", "restore", "b", "--dry-run"]);
    let list = ok(&site, &["list"]);
    let doctor = run(&site, &["doctor"]);
    running.signal(Signal::CONT);
    running.wait().expect(0);
    assert_snapshot!(busy, @r#"
    exit 11
    err| error: `[SITE]/backups_data` is in use: restore, pid [PID], since [TIME]
    err| hint: Wait until it ends, or stop that process.
    "#);
    assert_eq!(list.stderr, "", "a restore that runs was not interrupted");
    assert!(doctor.stdout.contains("is under way"), "{doctor}");
    assert!(!doctor.stdout.contains("interrupted"), "{doctor}");

    site.sql("db.sqlite3", "PRAGMA journal_mode = DELETE; PRAGMA page_size = 8192; VACUUM");
    let answer = ok(&site, &["restore", "b", "--dry-run"]);
    assert!(answer.stdout.contains("cannot be written in place"), "{answer}");
    let holder = fs::File::open(site.path("db.sqlite3")).expect("it is there");
    let held = run(&site, &["-q", "restore", "b", "--dry-run"]).expect(11);
    assert!(held.stderr.contains("error: database `default`"), "{held}");
    drop(holder);
    ok(&site, &["restore", "b", "--dry-run"]);
}

#[test]
fn a_backup_that_lives_is_left_alone_by_others() {
    let site = Site::plain();
    for file in 0..4 {
        site.write(&format!("media/large/{file}.bin"), noise(8_000_000, file));
    }
    backup(&site, "old", &["--skip-media"]);
    let mut running = site.call(BINARY, &["backup", "--filename", "living"]).start();
    let folder = site.path("backups");
    running.until("it wrote anything", || {
        let names = fs::read_dir(&folder).expect("it is there").flatten();
        names.into_iter().any(|e| e.file_name().to_string_lossy().ends_with(".partial"))
    });
    running.signal(Signal::STOP);
    let second = ok(&site, &["backup", "--filename", "second", "--skip-media"]);
    assert!(!second.stderr.contains("removed"), "{second}");
    ok(&site, &["delete", "old", "--force"]);
    let doctor = ok(&site, &["doctor"]);
    assert!(!doctor.stdout.contains(".partial"), "{doctor}");
    running.signal(Signal::CONT);
    running.wait().expect(0);
    ok(&site, &["verify", "living"]);
}

#[test]
fn a_discard_that_may_not_remove_a_file_names_it_and_keeps_nobody_from_working() {
    let site = Site::plain();
    backup(&site, "b", &[]);
    damage(&site);
    site.write("media/theirs/file.txt", "nobody's");
    chown(site.path("media/theirs"), Some(65_534), Some(65_534)).expect("root may");
    fs::set_permissions(site.path("media/theirs"), fs::Permissions::from_mode(0o755))
        .expect("root may");
    let id = restore(&site, &["b", "--no-pre-backup"]);
    let unprivileged = |args: &[&str]| site.call(BINARY, args).unprivileged().run();
    assert_snapshot!(unprivileged(&["-q", "discard", &id, "--force"]), @r#"
    exit 1
    err| error: not all of the old data of restore `[ID]` could be removed: storage `default`: cannot remove `[SITE]/.media.dalsegno-[ID].kept/theirs/file.txt`
    err|   because: Permission denied (os error 13)
    err| hint: Run `dalsegno discard [ID]` as root, or as the owner of the folder it lies in: what could be removed is gone.
    "#);
    assert_eq!(state(&site, &id), "discarding");
    assert_snapshot!(unprivileged(&["-q", "discard", &id, "--force"]), @r#"
    exit 1
    err| error: not all of the old data of restore `[ID]` could be removed: storage `default`: cannot remove `[SITE]/.media.dalsegno-[ID].kept/theirs/file.txt`
    err|   because: Permission denied (os error 13)
    err| hint: Run `dalsegno discard [ID]` as root, or as the owner of the folder it lies in: what could be removed is gone.
    "#);
    let answer = unprivileged(&["backup"]).expect(0);
    assert!(answer.stderr.contains("cannot be brought to an end"), "{answer}");
    ok(&site, &["discard", &id, "--force"]);
    assert_eq!(state(&site, &id), "discarded");
    assert!(!site.names("").iter().any(|n| n.starts_with('.')), "{:?}", site.names(""));
}

/// A process that keeps the write lock of a database.
fn locked(site: &Site) -> dalsegno_testkit::Running {
    let script = "
import sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute('BEGIN IMMEDIATE')
open(sys.argv[2], 'w').close()
time.sleep(120)
";
    let (database, flag) = (site.path("db.sqlite3"), site.outside("locked"));
    let python = dalsegno_testkit::python();
    let mut running = site
        .call(python.to_str().expect("it is text"), &["-c", script])
        .arg(database)
        .arg(&flag)
        .start();
    running.until("it had the lock", || flag.exists());
    running
}

#[test]
fn a_rollback_that_stops_half_way_says_what_is_on_which_side() {
    let site = Site::plain();
    backup(&site, "b", &[]);
    damage(&site);
    let damaged = site.state();
    let id = restore(&site, &["b", "--no-pre-backup"]);
    let holder = locked(&site);
    let answer = run(&site, &["-q", "rollback", &id, "--force"]);
    holder.signal(Signal::KILL);
    holder.wait();
    assert_eq!(answer.code, 11, "{answer}");
    for words in [
        "stopped half-way: storage `default` has its old data back; database `default` is still \
         restored: database `default`: cannot restore into",
        &format!("`dalsegno rollback {id}` goes on from there; until then keep the site stopped."),
    ] {
        assert!(answer.stderr.contains(words), "{answer}");
    }
    assert_eq!(site.state().part("media"), damaged.part("media"));
    assert_ne!(site.state().part("db.sqlite3"), damaged.part("db.sqlite3"));
    ok(&site, &["rollback", &id, "--force"]);
    assert_same(&damaged, &site.state());
}

#[test]
fn a_rollback_that_did_nothing_is_not_finished_by_somebody_else() {
    let site = Site::plain();
    backup(&site, "b", &[]);
    damage(&site);
    let id = restore(&site, &["b", "--no-pre-backup", "--skip-media"]);
    let restored = site.state();
    let holder = locked(&site);
    let answer = run(&site, &["-q", "rollback", &id, "--force"]).expect(11);
    holder.signal(Signal::KILL);
    holder.wait();
    assert!(!answer.stderr.contains("half-way"), "{answer}");
    assert_eq!(state(&site, &id), "switched");
    ok(&site, &["backup"]);
    assert_same(&restored, &site.state());
    ok(&site, &["rollback", &id, "--force"]);
}

/// Everything that can be left, what `doctor` says about it, and whether the next verbs remove it.
#[test]
fn the_doctor_lists_every_leftover() {
    let site = Site::plain();
    backup(&site, "b", &[]);
    let failed = restore(&site, &["b", "--no-pre-backup"]);
    ok(&site, &["rollback", &failed, "--force"]);
    let unknown = "019f0000-0000-7000-8000-000000000000";
    let held = "pid 7 locked\n";
    let next_backup = "The next `dalsegno backup` or `dalsegno delete` in that folder removes it.";
    let next_restore = "The next restore, rollback or discard removes it.";
    let by_hand = "Delete it when no backup is running.";
    let look = "It may be the only copy of what was there before a restore: look at it before you delete it.";
    let other_root = "If no other settings of this site name another BACKUP_ROOT, and no restore is running, delete it.";
    // Name, whether it is a folder, hint, and whether it goes by itself.
    let table: Vec<(String, bool, &str, bool)> = vec![
        ("backups/.x.tar.gz.7-0.partial".into(), false, next_backup, true),
        ("backups/.x.7-1.partial".into(), true, next_backup, true),
        ("backups/.x.tar.gz.manifest.json.7-2.partial".into(), false, next_backup, true),
        ("backups/.backup_20260101_000000.claim.held".into(), false, next_backup, true),
        ("backups/.y.7-3.removed".into(), true, next_backup, true),
        ("backups/.z.tar.gz.7-4.partial".into(), false, by_hand, false),
        (
            "backups/.spool-0011223344556677".into(),
            false,
            "It holds nothing: delete it when no backup is running.",
            false,
        ),
        (
            "backups/gone.tar.gz.manifest.json".into(),
            false,
            "Delete it, unless the archive is to come back.",
            false,
        ),
        (
            "backups_data/temp/.dalsegno-verify.7-5.partial".into(),
            true,
            "The next `verify --deep` or `diff` there removes it.",
            true,
        ),
        (format!("backups_data/restores/{unknown}.json.new"), false, next_restore, true),
        (format!(".db.sqlite3.dalsegno-{failed}.staged"), false, next_restore, true),
        (format!(".db.sqlite3.dalsegno-{failed}.kept.part"), false, next_restore, true),
        (format!(".media.dalsegno-{failed}.staged"), true, next_restore, true),
        (format!(".media.dalsegno-{failed}.part"), false, next_restore, true),
        (format!(".db.sqlite3.dalsegno-{unknown}.staged"), false, other_root, false),
        (format!(".db.sqlite3.dalsegno-{unknown}.kept"), false, look, false),
        (format!(".media.dalsegno-{unknown}.staged"), true, other_root, false),
        (format!(".media.dalsegno-{unknown}.kept"), true, look, false),
    ];
    for (name, folder, _, goes) in &table {
        if *folder {
            site.write(&format!("{name}/file"), "data");
        } else {
            site.write(name, held);
        }
        if *goes && name.ends_with(".partial") {
            site.write(&format!("{name}.held"), held);
        }
    }
    let findings = report(&site, &["doctor"])["findings"].clone();
    let findings = findings.as_array().expect("it is a list").clone();
    for (name, _, hint, _) in &table {
        let path = site.path(name).display().to_string();
        let of = |f: &&Value| f["text"].as_str().is_some_and(|t| t.contains(&format!("`{path}`")));
        let finding = findings.iter().find(of);
        let finding = finding.unwrap_or_else(|| panic!("{name} is not listed: {findings:#?}"));
        assert_eq!(finding["hint"], **hint, "{name}");
        assert_eq!(finding["level"], "warning", "{name}");
    }
    ok(&site, &["backup"]);
    ok(&site, &["diff", "b"]);
    let id = restore(&site, &["b", "--no-pre-backup", "--skip-media"]);
    ok(&site, &["discard", &id, "--force"]);
    for (name, _, _, goes) in &table {
        assert_eq!(site.path(name).exists(), !goes, "{name}");
    }
}

#[test]
fn a_look_into_a_backup_removes_its_own_scratch_and_nothing_else() {
    let site = Site::plain();
    backup(&site, "b", &[]);
    let (own, others) = (".dalsegno-verify.7-0.partial", ".x.tar.gz.7-1.partial");
    for verb in [&["diff", "b"][..], &["verify", "b", "--deep"]] {
        for name in [own, others] {
            site.write(&format!("backups_data/temp/{name}/file"), "data");
            site.write(&format!("backups_data/temp/{name}.held"), "pid 7 locked\n");
        }
        let scratch = site.path("backups_data/temp");
        site.call(BINARY, verb).env("TMPDIR", &scratch).run().expect(0);
        assert!(!scratch.join(own).exists(), "{verb:?}");
        assert!(scratch.join(others).join("file").exists(), "{verb:?}");
    }
}

#[test]
fn staged_fixtures_of_a_restore_that_is_over_are_removed() {
    let site = Site::bookshop(400, 20);
    backup(&site, "b", &["--include-fixtures"]);
    let id = restore(&site, &["b", "--no-pre-backup", "--skip-media", "--skip-database"]);
    let short = &id.replace('-', "")[20..];
    let staged = format!("fixtures/.genres.json.dalsegno-{short}.staged");
    site.write(&staged, "[]");
    let doctor = run(&site, &["doctor"]);
    assert!(doctor.stdout.contains(&staged), "{doctor}");
    ok(&site, &["discard", &id, "--force"]);
    ok(&site, &["restore", "b", "--force", "--no-pre-backup", "--skip-database"]);
    assert!(!site.path(&staged).exists());
}
