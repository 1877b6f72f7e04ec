//! Power cuts. Each verb is recorded once, every write and sync of it, and the site is laid out as it
//! could be after a crash at each instant, with what was not synced lost in several ways. SQLite's
//! own files are part of that.
//!
//! With `DALSEGNO_TORTURE` set (`make torture`), more ways to lose are tried, and after each crash
//! every verb that an operator might turn to; without, one of them in turn.

mod judge;
mod story;

use std::path::Path;
use std::process::Command;

use dalsegno_testkit::replay::Loss;
use dalsegno_testkit::with_own_mounts;
use story::{Next, Setting, Story, Verb};

const JOURNALS: [&str; 2] = ["wal", "delete"];
const UNDOING: [Next; 3] = [Next::Rollback, Next::Restore, Next::Discard];
const QUICK: &[&str] = &["--no-pre-backup"];
const FORCED: &[&str] = &["--force"];

#[test]
fn a_crash_during_a_backup_leaves_no_half_one() {
    for (journal, form) in [("wal", "folder"), ("delete", "tar.zst"), ("wal", "tar.gz")] {
        let story = Story::of(Setting::with(journal), Verb::Backup, &["--form", form]);
        story.tell(&[Next::Backup, Next::Restore]);
    }
}

#[test]
fn a_crash_during_a_restore_leaves_the_old_site_or_the_new() {
    for journal in JOURNALS {
        Story::of(Setting::with(journal), Verb::Restore, QUICK).tell(&UNDOING);
    }
}

#[test]
fn a_crash_during_a_restore_with_its_backup_leaves_the_old_site_or_the_new() {
    Story::of(Setting::with("wal"), Verb::Restore, &[]).tell(&UNDOING);
}

#[test]
fn a_crash_during_a_rollback_leaves_the_old_site_or_the_new() {
    for journal in JOURNALS {
        Story::of(Setting::with(journal), Verb::Rollback, FORCED).tell(&UNDOING);
    }
}

#[test]
fn a_crash_during_a_discard_changes_nothing_of_the_site() {
    Story::of(Setting::with("wal"), Verb::Discard, FORCED).tell(&UNDOING);
}

#[test]
fn a_crash_while_the_database_file_is_replaced_leaves_the_old_one_or_the_new() {
    for journal in JOURNALS {
        let setting = Setting { other_pages: true, ..Setting::with(journal) };
        for (verb, more) in [(Verb::Restore, QUICK), (Verb::Rollback, FORCED)] {
            Story::of(setting, verb, more).tell(&UNDOING);
        }
    }
}

#[test]
fn a_crash_while_a_site_is_restored_where_there_was_none_leaves_none_or_all_of_it() {
    let setting = Setting { bare: true, ..Setting::with("wal") };
    for (verb, more) in [(Verb::Restore, QUICK), (Verb::Rollback, FORCED)] {
        Story::of(setting, verb, more).tell(&UNDOING);
    }
}

#[test]
fn on_a_mount_point_the_next_verb_makes_media_whole_after_a_crash() {
    let me = std::env::current_exe().expect("it has a name");
    let mut command = with_own_mounts();
    command.arg(me).args(["--exact", "replay::on_a_mount", "--ignored", "--nocapture"]);
    assert!(command.status().expect("unshare is installed").success());
}

#[test]
#[ignore = "run by on_a_mount_point_the_next_verb_makes_media_whole_after_a_crash"]
fn on_a_mount() {
    let setting = Setting { mounted: true, ..Setting::with("delete") };
    for (verb, more) in [(Verb::Restore, QUICK), (Verb::Rollback, FORCED), (Verb::Discard, FORCED)]
    {
        Story::of(setting, verb, more).tell(&UNDOING);
    }
}

fn mount(folder: &Path) {
    let status = Command::new("mount").arg("--bind").args([folder, folder]).status();
    assert!(status.expect("mount is installed").success(), "in a process with mounts of its own");
}

/// What all of the above is worth: the same program without any sync does not stand the test.
#[test]
fn without_its_syncs_no_verb_survives_a_crash() {
    for (verb, more, next) in [
        (Verb::Backup, &["--form", "tar.zst"][..], Next::Backup),
        (Verb::Backup, &["--form", "folder"][..], Next::Backup),
        (Verb::Restore, QUICK, Next::Rollback),
        (Verb::Rollback, FORCED, Next::Rollback),
        (Verb::Discard, FORCED, Next::Rollback),
    ] {
        let story = Story::without_syncs(Setting::with("delete"), verb, more);
        assert_eq!(story.damage(Loss::Nothing, next), None, "a kill alone does no harm");
        for loss in [Loss::Unsynced, Loss::Bytes, Loss::Some(1)] {
            let wrong = story.damage(loss, next);
            assert!(wrong.is_some(), "{story}: {loss:?} does no harm");
        }
    }
}
