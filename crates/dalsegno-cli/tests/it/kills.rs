//! The program is killed, at each of its calls that change something and at any instant.

use std::time::Instant;

use dalsegno_testkit::{Blow, Fault, Signal, with_own_mounts};

use crate::scene::{Scene, Seen, VERBS, Verb, tell, torture};

const KILLS: [Blow; 3] = [Blow::KillBefore, Blow::KillWithin, Blow::KillAfter];

/// After a kill: each part old or new, no half backup listed; after the next verb all agree; and
/// the verb can be run again.
#[track_caller]
fn settles(scene: &Scene, verb: Verb, states: (Seen, Seen), round: u32, what: &str) {
    // Looked at as the site would, which ends a transaction that died; or aside, which leaves that
    // to the program.
    scene.each_is_one_of(states, round.is_multiple_of(2), what);
    scene.listed_are_whole(what);
    scene.next_verb(what);
    let now = scene.all_are(&[states.0, states.1], what);
    scene.nothing_lies_about(now, what);
    let again = scene.call(verb).run();
    match verb {
        // It may have been finished under its name, or have been brought to an end.
        Verb::BackupFolder | Verb::BackupArchive => {
            assert!([0, 13].contains(&again.code), "{what}: run again: {again}");
        }
        Verb::Rollback | Verb::Discard => {
            let over = now == Seen::Old || verb == Verb::Discard;
            assert!(again.code == 0 || over, "{what}: run again: {again}");
        }
        Verb::Restore | Verb::RestoreSafely => {
            assert_eq!(again.code, 0, "{what}: run again: {again}");
        }
    }
    scene.all_are(&[states.1], what);
    scene.listed_are_whole(what);
}

/// Kills the verb at every call, or at a sample of `sample`.
fn kill_at_every_call(scene: &Scene, verb: Verb, sample: u32) {
    let count = Fault::count(&scene.site, Blow::KillBefore);
    scene.prepare(verb);
    count.on(scene.call(verb)).run().expect(0);
    let calls = u32::try_from(count.struck().len()).expect("there are not that many");
    assert!(calls > 10, "{verb:?}: the calls of the program are not seen");
    let step = if torture() { 1 } else { (calls / sample).max(1) };
    let mut killed = 0;
    // Threads make the number of calls differ a little from run to run.
    for number in (1..=calls).step_by(usize::try_from(step).expect("it is small")) {
        let blow = KILLS[usize::try_from((number / step) % 3).expect("it is small")];
        let fault = Fault::at(&scene.site, blow, number);
        let states = scene.prepare(verb);
        let answer = fault.on(scene.call(verb)).run();
        let struck = fault.struck();
        let what = format!("{verb:?}, {blow:?} at call {number} of {calls}: {struck:?}");
        assert!(answer.code == 137 || (answer.code == 0 && struck.is_empty()), "{what}: {answer}");
        killed += u32::from(answer.code == 137);
        settles(scene, verb, states, number / step, &what);
    }
    tell(&format!("{verb:?}: {killed} kills over {calls} calls"));
    assert!(killed > 3, "{verb:?}: nothing was killed");
}

#[test]
fn a_backup_killed_at_any_call_is_whole_or_not_listed() {
    let scene = Scene::new();
    kill_at_every_call(&scene, Verb::BackupFolder, 8);
    kill_at_every_call(&scene, Verb::BackupArchive, 8);
}

#[test]
fn a_restore_killed_at_any_call_leaves_old_or_new() {
    let scene = Scene::new();
    kill_at_every_call(&scene, Verb::Restore, 24);
    if torture() {
        kill_at_every_call(&scene, Verb::RestoreSafely, 24);
    }
}

#[test]
fn a_rollback_killed_at_any_call_leaves_old_or_new() {
    kill_at_every_call(&Scene::new(), Verb::Rollback, 16);
}

#[test]
fn a_discard_killed_at_any_call_leaves_the_site_alone() {
    kill_at_every_call(&Scene::new(), Verb::Discard, 8);
}

/// Runs a test of this program again where it may mount what it likes.
#[track_caller]
pub(crate) fn again_with_own_mounts(test: &str) {
    let done = with_own_mounts()
        .arg(std::env::current_exe().expect("the test knows its program"))
        .args(["--exact", test, "--ignored", "--nocapture"])
        .output()
        .expect("unshare runs");
    let said = String::from_utf8_lossy(&done.stdout) + String::from_utf8_lossy(&done.stderr);
    tell(&said);
    assert!(done.status.success() && said.contains("1 passed"), "{test} failed");
}

#[test]
fn media_on_a_mount_point_are_old_or_new_after_the_next_verb() {
    again_with_own_mounts("kills::with_media_on_a_mount_point");
}

#[test]
#[ignore = "run by media_on_a_mount_point_are_old_or_new_after_the_next_verb, with mounts of its own"]
fn with_media_on_a_mount_point() {
    let scene = Scene::mounted();
    kill_at_every_call(&scene, Verb::Restore, 16);
    kill_at_every_call(&scene, Verb::Rollback, 12);
    kill_at_every_call(&scene, Verb::Discard, 4);
}

/// Numbers that look like chance and are the same in every run.
struct Chance(u64);

impl Chance {
    /// A number from 0 to 1.
    fn next(&mut self) -> f64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let high = u32::try_from(self.0 >> 32).expect("it is half of the bits");
        f64::from(high) / f64::from(u32::MAX)
    }
}

fn kill_at_random(scene: &Scene, rounds: u32, seed: u64) {
    let mut chance = Chance(seed);
    for verb in VERBS {
        scene.prepare(verb);
        let begun = Instant::now();
        scene.call(verb).run().expect(0);
        let whole = begun.elapsed();
        let (mut killed, mut tries) = (0, 0);
        // Some end before they are killed; these do not count.
        while killed < rounds && tries < 10 * rounds {
            tries += 1;
            let states = scene.prepare(verb);
            let delay = whole.mul_f64(chance.next());
            let running = scene.call(verb).start();
            std::thread::sleep(delay);
            running.signal(Signal::KILL);
            let answer = running.wait();
            let what = format!("{verb:?}, killed after {delay:?} of {whole:?}");
            assert!([0, 137].contains(&answer.code), "{what}: {answer}");
            killed += u32::from(answer.code == 137);
            settles(scene, verb, states, tries, &what);
        }
        tell(&format!("{verb:?}: {killed} of {tries} killed within {whole:?}"));
        assert_eq!(killed, rounds, "{verb:?}: hardly any run was killed");
    }
}

/// Rounds for each of six verbs and both places of the media.
fn random_rounds() -> u32 {
    if torture() { 25 } else { 1 }
}

#[test]
fn verbs_killed_at_random_instants_leave_old_or_new() {
    kill_at_random(&Scene::new(), random_rounds(), 1);
}

#[test]
fn verbs_killed_at_random_instants_with_media_on_a_mount_point() {
    again_with_own_mounts("kills::at_random_instants_with_media_on_a_mount_point");
}

#[test]
#[ignore = "run by verbs_killed_at_random_instants_with_media_on_a_mount_point, with mounts of its own"]
fn at_random_instants_with_media_on_a_mount_point() {
    kill_at_random(&Scene::mounted(), random_rounds(), 2);
}
