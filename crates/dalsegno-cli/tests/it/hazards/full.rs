//! A disk that is full in the middle of a restore, or before a backup.

use std::fs;

use dalsegno_testkit::{Site, python, with_own_mounts};

use super::{EVERYTHING, LIVE, REGISTER, describe, everything, filled, make};
use crate::{BINARY, backup, ok, text};

/// Runs a restore on a small file system of its own, stops it at a given point, fills that file
/// system, lets it go on, and says how it ended, what was left, and what the database holds then.
const DRIVER: &str = r#"
import os, shutil, signal, subprocess, sys, time
binary, seed, folder, point, everything = sys.argv[1:]
live = os.path.join(folder, "db.sqlite3")
shutil.copyfile(seed, live)
child = subprocess.Popen([binary, "-q", "restore", "b", "--force", "--no-pre-backup"], stderr=subprocess.PIPE)
def reached():
    names = os.listdir(folder)
    if point == "staging":
        return any(name.endswith(".staged") for name in names)
    return any(name.endswith(".kept.part") for name in names)
while child.poll() is None:
    try:
        if reached():
            break
    except FileNotFoundError:
        pass
assert child.poll() is None, "it was over before it could be stopped"
child.send_signal(signal.SIGSTOP)
os.waitid(os.P_PID, child.pid, os.WSTOPPED)
filler = open(os.path.join(folder, "filler"), "wb", buffering=0)
# At "writing" there is room for the rest of the kept copy, and for nothing after it.
room = 0
if point == "writing":
    part = next(name for name in os.listdir(folder) if name.endswith(".kept.part"))
    room = os.path.getsize(seed) - os.path.getsize(os.path.join(folder, part)) + (1 << 20)
def free():
    found = os.statvfs(folder)
    return found.f_bavail * found.f_bsize
while free() > room:
    try:
        filler.write(bytes(min(1 << 20, free() - room)))
    except OSError:
        break
child.send_signal(signal.SIGCONT)
said = child.stderr.read().decode()
print("exit", child.wait())
filler.close()
os.remove(filler.name)
print("left", *sorted(name for name in os.listdir(folder) if name.startswith(".")))
print("said", *said.splitlines())
sys.stdout.flush()
subprocess.run([sys.executable, "-c", everything, live], check=True)
"#;

#[test]
fn a_disk_that_fills_up_during_a_restore_leaves_the_old_rows() {
    for mode in ["wal", "delete"] {
        let first = format!("PRAGMA journal_mode = {mode};");
        let site = Site::empty();
        let folder = site.path("small");
        fs::create_dir(&folder).expect("it is new");
        describe(&site, "small/db.sqlite3");
        let live = folder.join(LIVE);
        make(&live, &format!("{first} {}", filled("new", 6000)));
        backup(&site, "b", &["--no-compress"]);
        fs::remove_file(&live).expect("it is there");
        let seed = site.outside("seed");
        make(&seed, &format!("{first} {}", filled("old", 5500)));
        let before = everything(&seed);
        for point in ["staging", "keeping", "writing"] {
            let script = "mount -t tmpfs -o size=48m none \"$1\" || exit 99; shift; exec \"$@\"";
            let output = with_own_mounts()
                .args(["sh", "-c", script, "sh", text(&folder), text(&python()), "-c", DRIVER])
                .args([BINARY, text(&seed), text(&folder), point])
                .arg(format!("{REGISTER}{EVERYTHING}"))
                .current_dir(site.root())
                .output()
                .expect("it starts");
            let said = String::from_utf8_lossy(&output.stdout);
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{mode}, {point}: {said}{errors}");
            let lines: Vec<&str> = said.lines().take(3).collect();
            assert_eq!(lines[0], "exit 1", "{mode}, {point}: {said}");
            assert_eq!(lines[1], "left", "{mode}, {point}: {said}");
            assert!(lines[2].contains("Free some space"), "{mode}, {point}: {said}");
            assert!(said.ends_with(&before), "{mode}, {point}: {said}\nbut was\n{before}");
        }
        // With space again, the same backup goes in.
        fs::copy(&seed, &live).expect("it can be copied");
        ok(&site, &["restore", "b", "--force", "--no-pre-backup"]);
        assert_eq!(site.ask(&live, "SELECT count(*) FROM new"), "6000");
    }
}

/// Rows that compress to nearly nothing.
fn airy(rows: u32) -> String {
    filled("a", rows).replace("randomblob", "zeroblob")
}

#[test]
fn a_backup_without_room_for_its_private_copy_is_refused_before_it_takes_the_lock() {
    for (mode, code) in [("delete", 13), ("wal", 0)] {
        let site = Site::empty();
        let folder = site.path("small");
        fs::create_dir(&folder).expect("it is new");
        describe(&site, LIVE);
        make(&site.path(LIVE), &format!("PRAGMA journal_mode = {mode}; {}", airy(8000)));
        let script = "mount -t tmpfs -o size=6m none \"$1\" || exit 99; shift; exec \"$@\"";
        let output = with_own_mounts()
            .args(["sh", "-c", script, "sh", text(&folder), BINARY])
            .args(["-q", "backup", "--form", "tar.gz", "--output-dir", text(&folder)])
            .current_dir(site.root())
            .output()
            .expect("it starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{mode}: {said}");
        assert_eq!(said.contains("not enough space"), code == 13, "{mode}: {said}");
    }
}
