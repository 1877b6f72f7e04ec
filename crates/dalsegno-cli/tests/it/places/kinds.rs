//! The same restore in every kind of place.

use std::time::Duration;

use dalsegno_testkit::{Signal, Site};

use super::mounts::Mounts;
use crate::backup;

/// What is mounted, and where.
const KINDS: [(&str, &str); 6] = [
    ("a folder", ":"),
    ("another file system", "mount -t tmpfs none media; cp -a ../spare/. media"),
    ("a bind mount", "mount --bind ../spare media"),
    (
        "an image layer",
        "mkdir ../layer; mount -t tmpfs none ../layer; mkdir ../layer/upper ../layer/work; \
         mount -t overlay -o lowerdir=\"$PWD\",upperdir=../layer/upper,workdir=../layer/work,redirect_dir=off \
         overlay \"$PWD\"; cd \"$PWD\"",
    ),
    (
        "a link to another file system",
        "mkdir ../disk; mount -t tmpfs none ../disk; mv media ../disk/files; ln -s ../disk/files media",
    ),
    (
        "a link to a mount point",
        "mkdir ../disk; mount -t tmpfs none ../disk; cp -a media/. ../disk; rm -r media; ln -s ../disk media",
    ),
];

const STRATEGIES: [&str; 3] = ["replace", "merge", "keep-existing"];

/// A site whose media were changed after its backup.
fn changed(script: &str) -> (Site, Mounts, String, String) {
    let site = Site::plain();
    site.write("media/.htaccess", "deny");
    site.write("media/.well-known/acme", "challenge");
    backup(&site, "b", &[]);
    crate::ok(&site, &["delete", "b", "--force"]);
    let copied = std::process::Command::new("cp")
        .args(["-a", "media", "../spare"])
        .current_dir(site.root())
        .status();
    assert!(copied.expect("cp runs").success());
    let mounts = Mounts::new(&site, script);
    let media = site.path("media");
    let good = mounts.picture(&media);
    mounts.call(&site, &["backup", "--filename", "b"]).run().expect(0);
    mounts.sh("echo changed >media/a/two.txt; rm media/picture.jpg media/.well-known/acme; \
         mkdir media/new; echo new >media/new/file; echo hidden >media/new/.keep; \
         ln -s file media/new/link");
    let bad = mounts.picture(&media);
    (site, mounts, good, bad)
}

/// What lies below the media and beside them that a restore made.
fn leftovers(mounts: &Mounts) -> String {
    mounts.sh("find . ../spare ../disk -name '.*dalsegno-*' 2>/dev/null || :")
}

#[track_caller]
fn expect_restored(what: &str, mounts: &Mounts, strategy: &str) {
    let look = mounts
        .sh("cat media/a/two.txt; cat media/picture.jpg | wc -c; cat media/.well-known/acme; \
         cat media/.htaccess media/new/.keep; ls media/new");
    let two = if strategy == "keep-existing" { "changed" } else { "two" };
    let new = if strategy == "replace" { "" } else { "file\nlink\n" };
    assert_eq!(look, format!("{two}\n30000\nchallengedenyhidden\n{new}"), "{what}");
}

#[test]
fn every_strategy_rollback_and_discard_everywhere() {
    for (kind, script) in KINDS {
        let (site, mounts, _, bad) = changed(script);
        let media = site.path("media");
        let root = mounts.sh("stat -c %F media; readlink media || :");
        for strategy in STRATEGIES {
            let what = format!("{kind}, {strategy}");
            let restore =
                ["restore", "b", "--force", "--no-pre-backup", "--media-strategy", strategy];
            mounts.call(&site, &restore).run().expect(0);
            expect_restored(&what, &mounts, strategy);
            assert_ne!(leftovers(&mounts), "", "{what}: nothing is kept");
            let back = mounts.call(&site, &["rollback", "latest", "--force"]).run().expect(0);
            assert_eq!(mounts.picture(&media), bad, "{what}: rolled back");
            assert_eq!(leftovers(&mounts), "", "{what}: after the rollback: {back}");
        }
        for strategy in STRATEGIES.iter().rev() {
            let what = format!("{kind}, {strategy}, discarded");
            let restore = ["restore", "b", "--force", "--media-strategy", strategy];
            mounts.call(&site, &restore).run().expect(0);
            expect_restored(&what, &mounts, strategy);
            mounts.call(&site, &["discard", "latest", "--force"]).run().expect(0);
            assert_eq!(leftovers(&mounts), "", "{what}");
            if *strategy == "keep-existing" {
                // The next one is to replace something.
                mounts.sh("echo changed >media/a/two.txt; rm media/picture.jpg");
            }
        }
        // The link, the mount and the folder are what they were.
        assert_eq!(mounts.sh("stat -c %F media; readlink media || :"), root, "{kind}");
    }
}

#[test]
fn a_killed_restore_is_brought_to_an_end_everywhere() {
    for (kind, script) in KINDS {
        let (site, mounts, good, _) = changed(script);
        let media = site.path("media");
        mounts.sh("rm -r media/new");
        let bad = mounts.picture(&media);
        let restore = ["restore", "b", "--force", "--no-pre-backup"];
        for wait in [2, 6, 12, 20, 35, 60] {
            let running = mounts.call(&site, &restore).start();
            std::thread::sleep(Duration::from_millis(wait));
            running.signal(Signal::KILL);
            let what = format!("{kind}, killed after {wait} ms: {}", running.wait());
            expect_back(&what, &site, &mounts, &bad);
        }
        let running = mounts.call(&site, &restore).start();
        std::thread::sleep(Duration::from_millis(25));
        running.signal(Signal::KILL);
        running.wait();
        mounts.call(&site, &restore).run().expect(0);
        assert_eq!(mounts.picture(&media), good, "{kind}");
        mounts.call(&site, &["discard", "latest", "--force"]).run().expect(0);
        let shown = mounts.call(&site, &["doctor"]).run();
        assert_eq!(leftovers(&mounts), "", "{kind}: {shown}");
    }
}

#[test]
fn a_restore_killed_between_any_two_of_its_steps_is_rolled_back_everywhere() {
    for (kind, script) in KINDS {
        let (site, mounts, _, bad) = changed(script);
        let restore = ["restore", "b", "--force", "--no-pre-backup"];
        for step in 1.. {
            let killed =
                mounts.call(&site, &restore).env("DALSEGNO_DIE_AT", step.to_string()).run();
            let what = format!("{kind}, killed at step {step}: {killed}");
            expect_back(&what, &site, &mounts, &bad);
            if killed.code == 0 {
                assert!(step > 8, "{what}: so few steps");
                break;
            }
        }
    }
}

/// Rolls back what was killed: the media are the old ones, and nothing is kept of a tree that nobody
/// wrote to.
#[track_caller]
fn expect_back(what: &str, site: &Site, mounts: &Mounts, bad: &str) {
    let last = mounts.call(site, &["rollback", "latest", "--force"]).run();
    // 10 and 13: it was killed before there was anything to put back, or had been undone.
    assert!([0, 10, 13].contains(&last.code), "{what}, rollback {last}");
    assert_eq!(mounts.picture(&site.path("media")), bad, "{what}, rollback {last}");
    assert_eq!(leftovers(mounts), "", "{what}, rollback {last}");
}
