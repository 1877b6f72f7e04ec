//! Verbs killed between any two of their durable steps: the site is old or new, the next verb
//! brings what was killed to an end, and no half backup is listed.
//!
//! Builds with debug assertions die where `DALSEGNO_DIE_AT` tells them to.

use std::fs;

use dalsegno_testkit::{Answer, Site, State, assert_same, damage};

use crate::{BINARY, backup, ok, report, restore, run};

const KILLED: i32 = 137;

/// Runs a verb that dies at a step: the name of one, or the number of any.
fn dying(site: &Site, at: &str, args: &[&str]) -> Answer {
    site.call(BINARY, args).env("DALSEGNO_DIE_AT", at).run()
}

/// Runs a verb again and again, each time killed one step later, until it gets through; `after` is
/// called after each kill. Returns how many there were.
fn at_every_step(site: &Site, args: &[&str], mut after: impl FnMut(usize)) -> usize {
    for step in 1.. {
        let answer = dying(site, &step.to_string(), args);
        if answer.code == 0 {
            return step - 1;
        }
        assert_eq!(answer.code, KILLED, "step {step}: {answer}");
        after(step);
    }
    unreachable!("a verb has an end")
}

#[track_caller]
fn no_leftovers(site: &Site, what: &str) {
    for folder in ["", "backups", "backups_data", "backups_data/restores"] {
        let names = site.names(folder);
        let left = names.iter().filter(|n| n.starts_with('.') && *n != ".lock");
        let left: Vec<_> = left.chain(names.iter().filter(|n| n.ends_with(".json.new"))).collect();
        assert!(left.is_empty(), "{what}: {left:?}");
    }
}

#[track_caller]
fn doctor_is_content(site: &Site, what: &str) {
    let doctor = ok(site, &["doctor"]);
    assert!(doctor.stdout.lines().all(|line| line.starts_with("ok ")), "{what}: {doctor}");
}

/// Every backup that is listed is whole, and has its sidecar where it should.
#[track_caller]
fn listed_backups_are_whole(site: &Site) {
    let list = report(site, &["list"]);
    for listed in list["backups"].as_array().expect("it is a list") {
        assert_eq!(listed["outcome"], "complete", "{listed}");
        ok(site, &["verify", listed["path"].as_str().expect("it has a path")]);
    }
}

#[test]
fn a_backup_killed_at_any_step_is_whole_or_gone() {
    for form in ["tar.gz", "folder"] {
        let site = Site::plain();
        let steps = at_every_step(&site, &["backup", "--form", form], |step| {
            listed_backups_are_whole(&site);
            ok(&site, &["backup", "--form", form]);
            no_leftovers(&site, &format!("{form}, step {step}"));
            doctor_is_content(&site, &format!("{form}, step {step}"));
            listed_backups_are_whole(&site);
        });
        assert!(steps >= 3, "{form}: killed {steps} times only");
        if form != "folder" {
            let names = site.names("backups");
            let lacks = |n: &&String| !names.contains(&format!("{n}.manifest.json"));
            let archives = names.iter().filter(|n| n.ends_with(".tar.gz"));
            assert_eq!(archives.filter(lacks).count(), 0, "{names:?}");
        }
    }
}

#[test]
fn a_published_backup_gets_the_sidecar_its_run_did_not_come_to() {
    let site = Site::plain();
    dying(&site, "published", &["backup", "--filename", "b"]).expect(KILLED);
    assert!(!site.path("backups/b.tar.gz.manifest.json").exists());
    ok(&site, &["verify", "b"]);
    let answer = ok(&site, &["backup", "--filename", "c"]);
    assert!(answer.stderr.contains("its sidecar is written now"), "{answer}");
    let written = fs::read(site.path("backups/b.tar.gz.manifest.json")).expect("it is there");
    fs::remove_file(site.path("backups/b.tar.gz.manifest.json")).expect("it is there");
    // One that somebody took away stays away.
    let answer = ok(&site, &["backup", "--filename", "d"]);
    assert!(!answer.stderr.contains("sidecar"), "{answer}");
    assert!(!site.path("backups/b.tar.gz.manifest.json").exists());
    assert!(written.starts_with(b"{"), "it is a manifest");
}

#[test]
fn a_deletion_killed_at_any_step_leaves_a_whole_backup_or_none() {
    for form in ["tar.gz", "folder"] {
        let site = Site::plain();
        let path = backup(&site, "b", &["--form", form]);
        let mut kills = 0;
        for step in 1.. {
            if !path.exists() {
                backup(&site, "b", &["--form", form]);
            }
            let answer = dying(&site, &step.to_string(), &["delete", "b", "--force"]);
            if answer.code == 0 {
                break;
            }
            assert_eq!(answer.code, KILLED, "{answer}");
            kills += 1;
            listed_backups_are_whole(&site);
        }
        assert!(kills >= 1, "{form}");
        no_leftovers(&site, form);
    }
}

struct Restored {
    site: Site,
    damaged: State,
    whole: State,
}

/// A site with a backup `b`, whose data are not those of the backup any more.
fn damaged_site() -> Restored {
    let site = Site::plain();
    let whole = site.state();
    backup(&site, "b", &[]);
    damage(&site);
    let damaged = site.state();
    Restored { site, damaged, whole }
}

impl Restored {
    /// Each database and each storage is old or new, at any instant.
    #[track_caller]
    fn each_part_is_old_or_new(&self, what: &str) {
        let now = self.site.state();
        for part in ["db.sqlite3", "media"] {
            let part_now = now.part(part);
            let known = part_now == self.damaged.part(part) || part_now == self.whole.part(part);
            assert!(known, "{what}: {part} is neither old nor new: {part_now:?}");
        }
    }

    /// All parts are old, or all are new; tells whether they are new.
    #[track_caller]
    fn is_new(&self, what: &str) -> bool {
        let now = self.site.state();
        if now == self.whole {
            return true;
        }
        assert!(now == self.damaged, "{what}: the site is neither old nor new: {now:?}");
        false
    }
}

/// The verbs that end what they find; each is the next one after some kill.
fn next_verb(site: &Site, step: usize) -> Answer {
    match step % 3 {
        0 => ok(site, &["backup"]),
        1 => run(site, &["rollback", "latest", "--force"]),
        _ => ok(site, &["restore", "b", "--force", "--no-pre-backup", "--to-media", "elsewhere"]),
    }
}

#[test]
fn a_restore_killed_at_any_step_is_undone_or_complete_after_the_next_verb() {
    let restored = damaged_site();
    let site = &restored.site;
    let mut ends = [0, 0];
    let args = ["restore", "b", "--force", "--no-pre-backup"];
    let steps = at_every_step(site, &args, |step| {
        let what = format!("step {step}");
        restored.each_part_is_old_or_new(&what);
        next_verb(site, step);
        let new = restored.is_new(&what);
        ends[usize::from(new)] += 1;
        if site.path("elsewhere").exists() {
            fs::remove_dir_all(site.path("elsewhere")).expect("it is a folder");
        }
        while run(site, &["rollback", "latest", "--force"]).code == 0 {}
        assert_same(&restored.damaged, &site.state());
        no_leftovers(site, &what);
        doctor_is_content(site, &what);
    });
    assert!(steps >= 20, "killed {steps} times only");
    assert!(ends[0] > 0 && ends[1] > 0, "undone {}, completed {}", ends[0], ends[1]);
    assert_same(&restored.whole, &site.state());
}

#[test]
fn a_rollback_killed_at_any_step_is_finished_by_the_next_backup() {
    let restored = damaged_site();
    let site = &restored.site;
    restore(site, &["b", "--no-pre-backup"]);
    let mut finished = 0;
    at_every_step(site, &["rollback", "latest", "--force"], |step| {
        let what = format!("step {step}");
        restored.each_part_is_old_or_new(&what);
        let answer = ok(site, &["backup"]);
        finished += usize::from(answer.stderr.contains("the rollback is finished"));
        if !restored.is_new(&what) {
            no_leftovers(site, &what);
            restore(site, &["b", "--no-pre-backup"]);
        }
    });
    assert!(finished >= 6, "finished {finished} times only");
    assert_same(&restored.damaged, &site.state());
    no_leftovers(site, "at the end");
    doctor_is_content(site, "at the end");
}

/// Whether a file lies in the live media or in any tree beside them.
fn is_somewhere(site: &Site, file: &str) -> bool {
    let beside = site.names("").into_iter().filter(|name| name.starts_with(".media."));
    beside.chain(["media".to_owned()]).any(|tree| site.path(tree).join(file).exists())
}

#[test]
fn what_was_written_since_survives_a_rollback_killed_at_any_step() {
    let restored = damaged_site();
    let site = &restored.site;
    let prepare = || {
        restore(site, &["b", "--no-pre-backup"]);
        site.write("media/since.txt", "written since");
        site.sql("db.sqlite3", "INSERT INTO author (name) VALUES ('since')");
    };
    prepare();
    let mut kept = 0;
    at_every_step(site, &["rollback", "latest", "--force"], |step| {
        ok(site, &["backup"]);
        assert!(is_somewhere(site, "since.txt"), "step {step}");
        if site.path("media/since.txt").exists() {
            return;
        }
        kept += 1;
        assert_same(&restored.damaged, &site.state());
        let names = site.names("");
        let present = names.iter().find(|n| n.ends_with(".present"));
        let present = present.unwrap_or_else(|| panic!("step {step}: {names:?}"));
        let query = "SELECT count(*) FROM author WHERE name = 'since'";
        assert_eq!(site.ask(site.path(present), query).trim(), "1", "step {step}");
        ok(site, &["discard", "latest", "--force"]);
        no_leftovers(site, &format!("step {step}"));
        prepare();
    });
    assert!(kept >= 6, "finished {kept} times only");
}

#[test]
fn a_discard_killed_at_any_step_is_finished_by_the_next_backup() {
    let restored = damaged_site();
    let site = &restored.site;
    let mut id = restore(site, &["b", "--no-pre-backup"]);
    for step in 1.. {
        let answer = dying(site, &step.to_string(), &["discard", &id, "--force"]);
        if answer.code == 0 {
            assert!(step > 6, "killed {step} times only");
            break;
        }
        assert_eq!(answer.code, KILLED, "{answer}");
        ok(site, &["backup"]);
        assert!(restored.is_new(&format!("step {step}")));
        if run(site, &["discard", &id, "--force"]).code == 13 {
            // The backup finished it.
            no_leftovers(site, &format!("step {step}"));
        }
        id = restore(site, &["b", "--no-pre-backup"]);
    }
    no_leftovers(site, "at the end");
}

#[test]
fn a_look_into_a_backup_killed_half_way_is_cleaned_up_by_the_next_one() {
    let site = Site::plain();
    backup(&site, "b", &[]);
    for args in [&["verify", "b", "--deep"][..], &["diff", "b"]] {
        dying(&site, "extracted", args).expect(KILLED);
        let doctor = ok(&site, &["doctor"]);
        assert!(doctor.stdout.contains("a killed `verify` or `diff` left"), "{doctor}");
        let answer = ok(&site, args);
        assert!(answer.stderr.contains("which a killed run left"), "{answer}");
        doctor_is_content(&site, args[0]);
    }
}
