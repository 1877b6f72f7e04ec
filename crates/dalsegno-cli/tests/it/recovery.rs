//! What a killed restore, rollback or discard left, brought to an end by the next one.
//!
//! The records are put into the states that a kill leaves between two steps: between a change of
//! the site and its line in the record, or between the last line and the end.

use std::fs;
use std::path::PathBuf;

use dalsegno_testkit::{Site, assert_same, damage};
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::{backup, ok, restore, run};

fn record_path(site: &Site, id: &str) -> PathBuf {
    site.path(format!("backups_data/restores/{id}.json"))
}

pub(crate) fn change_record(site: &Site, id: &str, change: impl FnOnce(&mut Value)) {
    let path = record_path(site, id);
    let bytes = fs::read(&path).expect("the record is there");
    let mut record = serde_json::from_slice(&bytes).expect("it is JSON");
    change(&mut record);
    fs::write(&path, record.to_string()).expect("it can be written");
}

pub(crate) fn state(site: &Site, id: &str) -> String {
    let bytes = fs::read(record_path(site, id)).expect("the record is there");
    let record: Value = serde_json::from_slice(&bytes).expect("it is JSON");
    record["state"].as_str().expect("it has a state").to_owned()
}

/// A damaged site, and one whose database was restored when the process died before the storage.
pub(crate) fn half_restored() -> (Site, dalsegno_testkit::State, String) {
    let site = Site::plain();
    backup(&site, "b", &[]);
    damage(&site);
    let damaged = site.state();
    let id = restore(&site, &["b", "--skip-media", "--no-pre-backup"]);
    change_record(&site, &id, |record| {
        record["state"] = json!("switching");
        record["databases"][0]["switched"] = Value::Null;
        record["storages"] = json!([{
            "alias": "default",
            "live": site.path("media"),
            "existed": true,
            "begun": false,
            "switched": null,
        }]);
    });
    (site, damaged, id)
}

/// A site whose database was restored when the process died before the storage, and that has been
/// written to since.
pub(crate) fn half_restored_and_written() -> (Site, String) {
    let (site, _, id) = half_restored();
    change_record(&site, &id, |record| record["state"] = json!("switched"));
    let id = restore(&site, &["b", "--skip-media", "--no-pre-backup"]);
    change_record(&site, &id, |record| {
        record["state"] = json!("switching");
        record["storages"] = json!([{
            "alias": "default", "live": site.path("media"), "existed": true, "switched": null,
        }]);
    });
    site.sql("db.sqlite3", "INSERT INTO author (name) VALUES ('written since')");
    (site, id)
}

#[test]
fn a_restore_that_died_half_way_is_undone_by_the_next_verb() {
    let (site, damaged, id) = half_restored();
    let answer = run(&site, &["rollback", &id]);
    assert_eq!(answer.code, 13, "nobody was asked: {answer}");
    let answer = ok(&site, &["rollback", &id, "--force"]);
    assert!(answer.stderr.contains("was interrupted; the site has its old data"), "{answer}");
    assert_same(&damaged, &site.state());
    assert_eq!(state(&site, &id), "failed");
}

#[test]
fn what_was_written_meanwhile_is_not_taken_away_unasked() {
    let (site, damaged, id) = half_restored();
    // The record knows what the switch put there, and the site has changed it.
    run(&site, &["doctor"]).expect(1);
    let second = restore_again(&site);
    assert_eq!(second.code, 0, "nothing was written yet: {second}");
    assert_eq!(state(&site, &id), "failed");
    drop(damaged);

    let (site, id) = half_restored_and_written();
    let written = site.state();
    let refused = restore_again(&site);
    assert_snapshot!(refused, @r"
    exit 13
    err| error: restore `[ID]` was interrupted half-way, and the site was written to since (database `default`: `[SITE]/db.sqlite3` was written to after it was restored)
    err| hint: `dalsegno rollback [ID] --force` puts the old data back and keeps what is there now.
    ");
    assert_same(&written, &site.state());
    let answer = ok(&site, &["rollback", &id, "--force"]);
    assert!(answer.stderr.contains("what was there until now is kept in"), "{answer}");
}

fn restore_again(site: &Site) -> dalsegno_testkit::Answer {
    run(site, &["-q", "restore", "b", "--force", "--no-pre-backup", "--skip-database"])
}

#[test]
fn a_restore_that_died_after_its_last_step_is_complete() {
    let site = Site::plain();
    let before = site.state();
    backup(&site, "b", &[]);
    damage(&site);
    let id = restore(&site, &["b"]);
    change_record(&site, &id, |record| {
        record["state"] = json!("switching");
        record["storages"][0]["switched"] = Value::Null;
    });
    let answer = ok(&site, &["discard", &id, "--force"]);
    assert!(answer.stderr.contains("it is complete"), "{answer}");
    assert_same(&before, &site.state());
    assert_eq!(state(&site, &id), "discarded");
}

#[test]
fn a_rollback_that_died_before_its_line_is_finished() {
    let site = Site::plain();
    backup(&site, "b", &[]);
    damage(&site);
    let damaged = site.state();
    let id = restore(&site, &["b"]);
    let bytes = fs::read(record_path(&site, &id)).expect("the record is there");
    ok(&site, &["rollback", &id, "--force"]);
    // As if each of its lines were still to be written.
    fs::write(record_path(&site, &id), bytes).expect("it can be written");
    change_record(&site, &id, |record| record["state"] = json!("rolling_back"));
    let answer = ok(&site, &["rollback", &id, "--force"]);
    assert!(answer.stderr.contains("the rollback is finished"), "{answer}");
    assert_same(&damaged, &site.state());
    restore(&site, &["b"]);
}

#[test]
fn a_database_that_somebody_made_after_the_kill_is_not_ours() {
    let site = Site::plain();
    backup(&site, "b", &[]);
    let database = site.path("db.sqlite3");
    let mine = fs::read(&database).expect("it is there");
    fs::remove_file(&database).expect("it is there");
    let id = restore(&site, &["b", "--no-pre-backup"]);
    change_record(&site, &id, |record| {
        record["state"] = json!("staging");
        record["databases"][0]["switched"] = Value::Null;
        record["databases"][0]["begun"] = Value::Null;
        record["storages"] = json!([]);
    });
    fs::write(&database, &mine).expect("it can be written");
    let answer = run(&site, &["restore", "b", "--force", "--no-pre-backup", "--skip-database"]);
    assert!(database.exists(), "{answer}");
    assert_eq!(fs::read(&database).expect("it is there"), mine);
}

#[test]
fn a_copy_of_a_site_does_not_undo_the_restores_of_the_original() {
    let site = Site::plain();
    backup(&site, "b", &[]);
    damage(&site);
    let id = restore(&site, &["b"]);
    let restored = site.state();
    change_record(&site, &id, |record| record["project_dir"] = json!("/srv/elsewhere"));
    for verb in ["rollback", "discard"] {
        let answer = run(&site, &[verb, &id, "--force"]).expect(13);
        assert!(answer.stderr.contains("/srv/elsewhere"), "{answer}");
    }
    change_record(&site, &id, |record| record["state"] = json!("switching"));
    restore(&site, &["b", "--skip-database"]);
    assert_same(&restored, &site.state());
    assert_eq!(state(&site, &id), "switching");
}

#[test]
fn a_record_that_cannot_be_read_stands_in_nobody_s_way() {
    let site = Site::plain();
    backup(&site, "b", &[]);
    damage(&site);
    let id = restore(&site, &["b"]);
    fs::write(record_path(&site, &id), "{").expect("it can be written");
    restore(&site, &["b"]);
    let doctor = ok(&site, &["doctor"]);
    assert!(doctor.stdout.contains("cannot read the record"), "{doctor}");
}

#[test]
fn a_restore_whose_folder_is_gone_stands_in_nobody_s_way() {
    let site = Site::plain();
    backup(&site, "b", &[]);
    damage(&site);
    let id = restore(&site, &["b"]);
    change_record(&site, &id, |record| {
        record["state"] = json!("staging");
        record["databases"][0]["live"] = json!("/no/such/folder/db.sqlite3");
    });
    restore(&site, &["b"]);
}

#[test]
fn an_edited_fixture_is_not_thrown_away() {
    let site = Site::bookshop(400, 20);
    backup(&site, "b", &["--include-fixtures"]);
    let genres = site.path("fixtures/genres.json");
    fs::write(&genres, "[]").expect("it can be written");
    let id = restore(&site, &["b", "--skip-media", "--skip-database"]);
    fs::write(&genres, "[ ]").expect("it can be written");
    let answer = run(&site, &["rollback", &id]);
    assert_eq!(answer.code, 13, "{answer}");
    ok(&site, &["rollback", &id, "--force"]);
    assert_eq!(fs::read(&genres).expect("it is back"), b"[]");
    let names = site.names("fixtures");
    let kept = names.iter().find(|name| name.ends_with(".present")).expect("the edit is kept");
    assert_eq!(fs::read(site.path("fixtures").join(kept)).expect("it is there"), b"[ ]");
    ok(&site, &["discard", &id, "--force"]);
    assert!(!site.names("fixtures").iter().any(|name| name.contains("dalsegno")));
}

#[test]
fn a_tree_that_this_restore_did_not_put_there_is_not_deleted() {
    let site = Site::plain();
    backup(&site, "b", &[]);
    site.write("media/old-site.txt", "only here");
    let first = restore(&site, &["b", "--skip-database"]);
    let second = restore(&site, &["b", "--skip-database"]);
    ok(&site, &["rollback", &first, "--force"]);
    assert_eq!(fs::read(site.path("media/old-site.txt")).expect("it is back"), b"only here");
    ok(&site, &["rollback", &second, "--force"]);
    let kept = site.names("").into_iter().filter(|name| name.starts_with(".media.dalsegno"));
    let mut kept = kept.map(|name| site.path(name).join("old-site.txt"));
    assert!(kept.any(|path| path.exists()), "the old site lies beside the live one");
}

#[test]
fn a_record_cannot_lead_to_places_that_are_not_the_site_s() {
    let site = Site::plain();
    backup(&site, "b", &[]);
    let id = restore(&site, &["b"]);
    let victim = site.outside("victim");
    fs::write(&victim, "theirs").expect("it can be written");
    change_record(&site, &id, |record| {
        record["fixtures"] = json!([{ "live": &victim, "kept": null, "sha256": "" }]);
    });
    for verb in ["rollback", "discard"] {
        let answer = run(&site, &[verb, &id, "--force"]).expect(13);
        assert!(answer.stderr.contains("is not a place of this site"), "{answer}");
    }
    change_record(&site, &id, |record| record["state"] = json!("switching"));
    run(&site, &["restore", "b", "--force"]);
    assert_eq!(fs::read(&victim).expect("it is there"), b"theirs");
}

#[test]
fn a_link_planted_where_the_record_is_written_is_not_followed() {
    let site = Site::plain();
    backup(&site, "b", &[]);
    damage(&site);
    let id = restore(&site, &["b"]);
    let victim = site.outside("victim");
    fs::write(&victim, "theirs").expect("it can be written");
    let aside = record_path(&site, &id).with_extension("json.new");
    std::os::unix::fs::symlink(&victim, aside).expect("it can be made");
    ok(&site, &["rollback", &id, "--force"]);
    assert_eq!(fs::read(&victim).expect("it is there"), b"theirs");
    assert_eq!(state(&site, &id), "rolled_back");
}
