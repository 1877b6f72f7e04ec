//! Whose files are after a restore, by root and by the site's own user.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use dalsegno_testkit::{Answer, Site};

use crate::{BINARY, backup, ok, restore, text};

/// A user that owns nothing else here.
const USER: u32 = 12_345;

/// A site that belongs to its own user, in a folder that everybody can enter.
fn owned_site() -> (Site, PathBuf) {
    let site = Site::plain();
    let program = site.outside("dalsegno");
    fs::copy(BINARY, &program).expect("the program can be copied");
    for folder in [site.outside(""), site.temp()] {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).expect("modes can be set");
    }
    let owner = format!("{USER}:{USER}");
    let done =
        Command::new("chown").args(["-Rh", &owner]).args([site.root(), site.temp()]).status();
    assert!(done.expect("chown runs").success());
    (site, program)
}

fn as_user(site: &Site, program: &Path, args: &[&str]) -> Answer {
    let user = USER.to_string();
    let mut all = vec!["--reuid", &user, "--regid", &user, "--clear-groups", "--", text(program)];
    all.extend(args);
    site.call("setpriv", &all).run()
}

/// What in the site is somebody else's.
fn foreign(site: &Site) -> String {
    let test = format!("( -not -uid {USER} -o -not -gid {USER} )");
    let mut find = Command::new("find");
    find.arg(site.root()).args(test.split(' ')).args(["-printf", "%u:%g %m %p\n"]);
    let done = find.output().expect("find runs");
    String::from_utf8_lossy(&done.stdout).into_owned()
}

#[test]
fn nothing_of_the_site_becomes_roots() {
    let (site, program) = owned_site();
    for form in ["tar.gz", "folder"] {
        backup(&site, form, &["--form", form]);
        assert_eq!(foreign(&site), "", "a backup as root, {form}");
    }
    for strategy in ["replace", "merge", "keep-existing"] {
        let id = restore(&site, &["folder", "--media-strategy", strategy]);
        assert_eq!(foreign(&site), "", "a restore as root, {strategy}");
        ok(&site, &["rollback", &id, "--force"]);
        assert_eq!(foreign(&site), "", "a rollback as root, {strategy}");
    }
    let id = restore(&site, &["tar.gz"]);
    // What root did, the site's user can go on with.
    let user = |args: &[&str]| as_user(&site, &program, args).expect(0);
    user(&["rollback", &id, "--force"]);
    user(&["backup", "--filename", "theirs"]);
    user(&["restore", "theirs", "--force"]);
    user(&["discard", "latest", "--force"]);
    user(&["delete", "tar.gz", "--force"]);
    site.sql("db.sqlite3", "DELETE FROM log");
    let id = restore(&site, &["theirs"]);
    ok(&site, &["discard", &id, "--force"]);
    assert_eq!(foreign(&site), "", "at the end");
}

#[test]
fn recorded_owners_come_back_by_root_and_not_by_others() {
    let (site, program) = owned_site();
    chown(site.path("media/a/two.txt"), Some(34_567), Some(USER)).expect("root gives files away");
    backup(&site, "b", &[]);
    let owner = |below: &str| {
        let meta = site.path(below).metadata().expect("it is there");
        (meta.uid(), meta.gid())
    };
    let id = restore(&site, &["b"]);
    assert_eq!(owner("media/a/two.txt"), (34_567, USER));
    assert_eq!(owner("media/a/one.txt"), (USER, USER));
    ok(&site, &["rollback", &id, "--force"]);
    assert_eq!(owner("media/a/two.txt"), (34_567, USER));
    as_user(&site, &program, &["restore", "b", "--force"]).expect(0);
    assert_eq!(owner("media/a/two.txt"), (USER, USER));
}

#[test]
fn a_user_who_may_not_write_there_changes_nothing() {
    let (site, program) = owned_site();
    backup(&site, "b", &[]);
    let archive = site.path("backups/b.tar.gz");
    fs::set_permissions(&archive, fs::Permissions::from_mode(0o644)).expect("modes can be set");
    fs::set_permissions(site.path("backups"), fs::Permissions::from_mode(0o755)).expect("so too");
    let before = site.state();
    let args = ["--reuid", "54321", "--regid", "54321", "--clear-groups", "--", text(&program)];
    let restore = ["restore", text(&archive), "--force", "--no-pre-backup"];
    let answer = site.call("setpriv", &[&args[..], &restore].concat()).run().expect(13);
    assert!(answer.stderr.contains("hint: "), "{answer}");
    dalsegno_testkit::assert_same(&before, &site.state());
    assert_eq!(foreign(&site), "");
}

#[test]
fn folders_keep_their_special_bits() {
    let (site, _) = owned_site();
    let bits =
        [("media/a", 0o2775), ("media/b", 0o1777), ("media/incoming", 0o3770), ("media", 0o2755)];
    for (folder, mode) in bits {
        fs::set_permissions(site.path(folder), fs::Permissions::from_mode(mode)).expect("they can");
    }
    backup(&site, "b", &[]);
    for strategy in ["replace", "merge", "keep-existing"] {
        let id = restore(&site, &["b", "--media-strategy", strategy]);
        for (folder, mode) in bits {
            assert_eq!(
                crate::mode(site.path(folder)),
                format!("{mode:04o}"),
                "{strategy} {folder}"
            );
        }
        assert_eq!(foreign(&site), "");
        ok(&site, &["rollback", &id, "--force"]);
    }
    fs::set_permissions(site.path("media/a"), fs::Permissions::from_mode(0o700)).expect("they can");
    restore(&site, &["b"]);
    assert_eq!(crate::mode(site.path("media/a")), "2775");
}

/// A file or folder that not even root may change, until the end of the test.
struct Immutable(PathBuf);

impl Immutable {
    fn new(path: PathBuf) -> Self {
        let done = Command::new("chattr").arg("+i").arg(&path).status().expect("chattr runs");
        assert!(done.success(), "this file system has no immutable files");
        Self(path)
    }
}

impl Drop for Immutable {
    fn drop(&mut self) {
        let _ = Command::new("chattr").arg("-i").arg(&self.0).status();
    }
}

#[test]
fn an_immutable_folder_stops_a_restore_with_all_as_it_was() {
    let site = Site::plain();
    backup(&site, "b", &[]);
    site.write("media/a/two.txt", "changed");
    site.sql("db.sqlite3", "DELETE FROM log");
    let before = site.state();
    let immutable = Immutable::new(site.path("media"));
    let answer = crate::run(&site, &["restore", "b", "--force"]);
    assert!([1, 13].contains(&answer.code), "{answer}");
    dalsegno_testkit::assert_same(&before, &site.state());
    let left: Vec<_> = site.names("").into_iter().filter(|n| n.starts_with('.')).collect();
    assert_eq!(left, [""; 0], "{answer}");
    drop(immutable);
    restore(&site, &["b"]);
    assert_eq!(site.ask("db.sqlite3", "SELECT count(*) FROM log"), "1");
}

#[test]
fn an_immutable_file_stays_and_says_so_when_it_is_to_be_dropped() {
    let site = Site::plain();
    backup(&site, "b", &[]);
    site.write("media/.htaccess", "deny");
    site.write("media/a/two.txt", "changed");
    let before = site.state();
    let _left_out = Immutable::new(site.path("media/.htaccess"));
    let id = restore(&site, &["b"]);
    assert_eq!(fs::read(site.path("media/.htaccess")).expect("it stays"), b"deny");
    assert_eq!(fs::read(site.path("media/a/two.txt")).expect("it is there"), b"two\n");
    ok(&site, &["rollback", &id, "--force"]);
    dalsegno_testkit::assert_same(&before, &site.state());
    let id = restore(&site, &["b"]);
    let answer = crate::run(&site, &["discard", &id, "--force"]);
    assert_ne!(answer.code, 0, "{answer}");
    assert!(answer.stderr.contains(".htaccess"), "{answer}");
    let kept = site.names("").into_iter().find(|name| name.starts_with(".media."));
    let kept = site.path(kept.expect("it is still there")).join(".htaccess");
    assert!(Command::new("chattr").arg("-i").arg(kept).status().expect("chattr runs").success());
    ok(&site, &["discard", &id, "--force"]);
}
