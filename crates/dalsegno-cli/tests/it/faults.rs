//! The disk is full or broken, at each call of the program that changes something.

use std::fs::File;
use std::path::Path;
use std::process::Command;

use dalsegno_testkit::{Answer, Blow, Fault, Struck};

use crate::BINARY;
use crate::kills::again_with_own_mounts;
use crate::scene::{Scene, Seen, Verb, tell, torture};

/// Faults of one call, and of the disk from one call on.
const BLOWS: [(Blow, bool); 6] = [
    (Blow::NoSpace, false),
    (Blow::NoSpace, true),
    (Blow::Broken, false),
    (Blow::Broken, true),
    (Blow::Quota, true),
    (Blow::Short, false),
];

/// Every verb's end under a fault: done and whole, or failed, said so, and nothing changed.
struct Strike<'s> {
    scene: &'s Scene,
    verb: Verb,
    what: String,
    blow: Blow,
    states: (Seen, Seen),
}

impl Strike<'_> {
    #[track_caller]
    fn check(&self, answer: &Answer, struck: &[Struck]) {
        let what = &self.what;
        assert!(!answer.stderr.contains("panicked"), "{what}: {answer}");
        match answer.code {
            0 => self.is_done(struck),
            1 | 3 | 13 => self.failed(answer, struck),
            code => panic!("{what}: exit {code}: {answer}"),
        }
        self.scene.listed_are_whole(what);
        self.goes_on(struck);
    }

    /// What it could do without did not work; all the rest is done.
    #[track_caller]
    fn is_done(&self, struck: &[Struck]) {
        let lost = struck.first().filter(|one| self.blow != Blow::Short && is_needed(one));
        assert_eq!(lost, None, "{}: it says that it is done", self.what);
        self.scene.all_are(&[self.states.1], &self.what);
        if self.verb.is_backup() {
            assert!(self.is_listed(), "{}: the backup is not listed", self.what);
        }
        if self.verb == Verb::Discard {
            assert_eq!(self.scene.working_names(), [""; 0], "{}: not discarded", self.what);
        }
    }

    #[track_caller]
    fn failed(&self, answer: &Answer, struck: &[Struck]) {
        let (scene, what) = (self.scene, &self.what);
        // The fault is not shown alone, but with what was attempted on which object.
        let error = answer.stderr.lines().find(|line| line.starts_with("error: "));
        let error = error.unwrap_or_else(|| panic!("{what}: no error is shown: {answer}"));
        assert!(error.contains('`') && error.len() > 30, "{what}: {answer}");
        let stuck = answer.stderr.contains("could not be put back");
        let half = stuck || matches!(self.verb, Verb::Rollback | Verb::Discard);
        if half {
            // What could not be put back is finished by the next verb.
            scene.each_is_one_of(self.states, false, what);
        } else {
            let now = scene.all_are(&[self.states.0, self.states.1], what);
            // A restore that is in place and cannot say so in its record is none that failed.
            assert_eq!(now, self.states.0, "{what}: it failed, and changed the site: {answer}");
        }
        let unlinked = struck.iter().any(|one| one.class == "unlink");
        if self.verb.is_backup() && !unlinked {
            assert_eq!(scene.partial_backups(), [""; 0], "{what}: left lying");
            // Under its name it is whole; only whether the name outlives a crash is not known.
            let last = |one: &Struck| one.class == "sync" && one.path.ends_with("backups");
            let unsure = struck.first().is_some_and(last);
            assert!(!self.is_listed() || unsure, "{what}: it failed, and is listed: {answer}");
        }
    }

    fn is_listed(&self) -> bool {
        let names = self.scene.site.names("backups");
        names.iter().any(|name| name == "n" || name == "n.tar.zst")
    }

    /// Without the fault everything goes on.
    #[track_caller]
    fn goes_on(&self, struck: &[Struck]) {
        let (scene, what) = (self.scene, &self.what);
        scene.next_verb(what);
        let now = scene.all_are(&[self.states.0, self.states.1], what);
        if !struck.iter().any(|one| one.class == "unlink") {
            scene.nothing_lies_about(now, what);
        }
        if self.verb.is_backup() && self.is_listed() {
            return;
        }
        let again = scene.call(self.verb).run();
        let over = now == self.states.1 && matches!(self.verb, Verb::Rollback | Verb::Discard);
        assert!(again.code == 0 || over, "{what}, {:?}: run again: {again}", self.blow);
        scene.all_are(&[self.states.1], what);
    }
}

/// Whether a failing call leaves a backup, or a copy that a restore makes, without something that it
/// needs: no verb may go on over that. The sidecar of a backup can be rebuilt.
fn is_needed(struck: &Struck) -> bool {
    let path = struck.path.to_string_lossy();
    let copy = path.contains(".dalsegno-") || path.contains(".partial");
    let content =
        ["write", "sync", "truncate", "copy", "mkdir", "link"].contains(&struck.class.as_str());
    copy && content && !path.contains(".manifest.json.")
}

fn strike_every_call(scene: &Scene, verb: Verb, sample: u32) {
    let mut tolerated = Vec::new();
    for (index, (blow, onwards)) in (0_u32..).zip(BLOWS) {
        let count = Fault::count(&scene.site, blow);
        scene.prepare(verb);
        count.on(scene.call(verb)).run().expect(0);
        let calls = u32::try_from(count.struck().len()).expect("there are not that many");
        let step = if torture() { 1 } else { (calls / sample).max(1) };
        // Each fault begins elsewhere, so that a sample of each strikes other calls.
        let first = 1 + index % step;
        for number in (first..=calls).step_by(usize::try_from(step).expect("it is small")) {
            let mut fault = Fault::at(&scene.site, blow, number);
            if onwards {
                fault = fault.onwards();
            }
            let states = scene.prepare(verb);
            let answer = fault.on(scene.call(verb)).run();
            let struck = fault.struck();
            let from = if onwards { " and all after it" } else { "" };
            let what = format!(
                "{verb:?}, {blow:?} at call {number} of {calls}{from}: {:?}",
                struck.first()
            );
            if answer.code == 0 && !struck.is_empty() && blow != Blow::Short {
                tolerated.push(what.clone());
            }
            Strike { scene, verb, what, blow, states }.check(&answer, &struck);
        }
    }
    tell(&format!("{verb:?}: {} faults that it could do without", tolerated.len()));
    for one in &tolerated {
        tell(&format!("  {one}"));
    }
}

#[test]
fn a_backup_on_a_full_or_broken_disk_fails_and_leaves_nothing() {
    let scene = Scene::new();
    strike_every_call(&scene, Verb::BackupFolder, 5);
    strike_every_call(&scene, Verb::BackupArchive, 5);
}

#[test]
fn a_restore_on_a_full_or_broken_disk_fails_and_changes_nothing() {
    let scene = Scene::new();
    strike_every_call(&scene, Verb::Restore, 8);
    if torture() {
        strike_every_call(&scene, Verb::RestoreSafely, 8);
    }
}

#[test]
fn a_rollback_on_a_full_or_broken_disk_can_be_finished() {
    strike_every_call(&Scene::new(), Verb::Rollback, 8);
}

#[test]
fn a_discard_on_a_full_or_broken_disk_can_be_finished() {
    strike_every_call(&Scene::new(), Verb::Discard, 5);
}

#[test]
fn a_restore_whose_last_line_cannot_be_written_is_complete() {
    let scene = Scene::new();
    let count = Fault::count(&scene.site, Blow::NoSpace);
    scene.prepare(Verb::Restore);
    count.on(scene.call(Verb::Restore)).run().expect(0);
    let of_record =
        |one: &Struck| one.class == "open" && one.path.extension().is_some_and(|e| e == "new");
    let struck = count.struck();
    let last = struck.iter().rfind(|one| of_record(one)).expect("a record is written");
    scene.prepare(Verb::Restore);
    let fault = Fault::at(&scene.site, Blow::NoSpace, last.number).onwards();
    let answer = fault.on(scene.site.call(BINARY, &Verb::Restore.args("")[1..])).run().expect(0);
    assert!(
        answer.stdout.contains("the restore is complete; its record was not closed"),
        "{answer}"
    );
    scene.all_are(&[Seen::New], "afterwards");
    let next = scene.next_verb("afterwards");
    assert!(next.stderr.contains("it is complete"), "{next}");
    scene.all_are(&[Seen::New], "after the next verb");
}

#[test]
fn verbs_on_a_disk_that_fills_up_fail_and_change_nothing() {
    again_with_own_mounts("faults::on_a_disk_that_fills_up");
}

#[test]
#[ignore = "run by verbs_on_a_disk_that_fills_up_fail_and_change_nothing, with mounts of its own"]
fn on_a_disk_that_fills_up() {
    let scene = Scene::on_small_disk();
    let filler = scene.site.path("filler");
    let step = if torture() { 64 } else { 1100 };
    for verb in [Verb::BackupFolder, Verb::BackupArchive, Verb::Restore, Verb::Rollback] {
        let (mut done, mut failed) = (0, 0);
        // Before, a little is free for what comes before the verb.
        for free in (0..9000).step_by(step) {
            let states = scene.prepare(verb);
            leave_free(&filler, free);
            let answer = scene.call(verb).run();
            std::fs::remove_file(&filler).expect("it was just written");
            let what = format!("{verb:?} with {free} KiB free");
            done += u32::from(answer.code == 0);
            failed += u32::from(answer.code != 0);
            Strike { scene: &scene, verb, what, blow: Blow::NoSpace, states }.check(&answer, &[]);
        }
        tell(&format!("{verb:?}: {done} done, {failed} failed"));
        assert!(done > 0 && failed > 0, "{verb:?}: the disk never filled up, or always");
    }
}

/// Fills the disk but for so many KiB.
fn leave_free(filler: &Path, free: u64) {
    File::create(filler).expect("the disk can be written");
    let asked = Command::new("stat").args(["-f", "-c", "%a %S"]).arg(filler).output();
    let said = String::from_utf8(asked.expect("stat starts").stdout).expect("it prints numbers");
    let numbers: Vec<u64> = said.split_whitespace().map(|n| n.parse().expect("a number")).collect();
    let disk = numbers[0] * numbers[1];
    let size = disk.saturating_sub(free << 10).max(1);
    let done = Command::new("fallocate").arg("-l").arg(size.to_string()).arg(filler).status();
    assert!(done.expect("fallocate starts").success(), "the disk cannot be filled");
}
