//! What lies beside an archive where its sidecar should.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::trap::{Trap, same};
use crate::{backup, text};

fn fifo(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("pipes can be made");
}

/// The archive alone counts: it is listed, shown and restored as if there were no sidecar.
#[test]
fn a_sidecar_that_is_none_changes_nothing() {
    let trap = Trap::new();
    let other = backup(&trap.site, "other", &["--description", "the other one"]);
    let path = backup(&trap.site, "b", &["--description", "the right one"]);
    let beside = PathBuf::from(format!("{}.manifest.json", path.display()));
    let right = fs::read_to_string(&beside).expect("it is there");
    let theirs = PathBuf::from(format!("{}.manifest.json", other.display()));
    let puts: [(&str, &dyn Fn()); 9] = [
        ("another backup's", &|| {
            fs::copy(&theirs, &beside).expect("it can be copied");
        }),
        ("a changed one", &|| {
            let lie = right.replace("the right one", "the wrong one");
            fs::write(&beside, lie).expect("it can be written");
        }),
        ("no JSON", &|| fs::write(&beside, "{").expect("it can be written")),
        ("nothing", &|| fs::write(&beside, "").expect("it can be written")),
        ("a terabyte", &|| {
            let file = fs::File::create(&beside).expect("it can be made");
            file.set_len(1 << 40).expect("holes are allowed");
        }),
        ("a link to the right one", &|| {
            fs::write(trap.site.outside("outside/real"), &right).expect("it can be written");
            symlink(trap.site.outside("outside/real"), &beside).expect("links can be made");
        }),
        ("a link to nowhere", &|| symlink("/nowhere", &beside).expect("links can be made")),
        ("a pipe", &|| fifo(&beside)),
        ("a folder", &|| fs::create_dir(&beside).expect("it can be made")),
    ];
    for (what, put) in puts {
        if beside.is_dir() {
            fs::remove_dir(&beside).expect("it is empty");
        } else if beside.symlink_metadata().is_ok() {
            fs::remove_file(&beside).expect("it can be removed");
        }
        put();
        let before = trap.picture();
        let verify = trap.run(&["-q", "verify", text(&path)]);
        assert!([0, 20].contains(&verify.code), "{what}: {verify}");
        let shown = trap.run(&["-q", "show", text(&path)]).expect(0);
        assert!(shown.stdout.contains("the right one"), "{what}: {shown}");
        let listed = trap.run(&["--format", "json", "list"]).expect(0);
        let listed = listed.json().to_string();
        assert!(listed.contains("the right one") && !listed.contains("wrong"), "{what}: {listed}");
        trap.run(&["-q", "restore", text(&path), "--dry-run"]).expect(0);
        same(what, &before, &trap.picture());
    }
}

/// Archives themselves that are no files.
#[test]
fn an_archive_that_is_no_file_is_not_waited_for() {
    let trap = Trap::new();
    let pipe = trap.site.outside("forged/pipe.tar.gz");
    fifo(&pipe);
    let link = trap.site.outside("forged/link.tar.gz");
    symlink(&pipe, &link).expect("links can be made");
    for path in [text(&pipe), text(&link), "/dev/zero", "/dev/full", "/dev/null", "/proc/self/mem"]
    {
        for verb in [
            &["verify", path][..],
            &["show", path],
            &["contents", path],
            &["get", path, "files/a/one.txt"],
            &["restore", path, "--force"],
            &["restore", path, "--force", "--no-backup-check"],
        ] {
            let answer = trap.run(verb);
            assert_ne!(answer.code, 0, "{verb:?}: {answer}");
        }
    }
    let list = trap.run(&["list", "--output-dir", text(&trap.site.outside("forged"))]);
    assert_eq!(list.code, 0, "{list}");
}
