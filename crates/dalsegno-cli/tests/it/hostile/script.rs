//! `restore.sh`, run by hand where the archive was unpacked.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::trap::{EVIL, Picture, Trap, same};
use crate::text;

/// Unpacks an archive with tar, as an operator would, and runs its script.
fn by_hand(trap: &Trap, tar: &Path) -> (bool, String) {
    let unpacked = trap.site.outside("unpacked");
    if unpacked.exists() {
        fs::remove_dir_all(&unpacked).expect("it can be removed");
    }
    fs::create_dir(&unpacked).expect("it is new");
    let script = "tar xf \"$1\" 2>&1; cd good* && sh restore.sh --force 2>&1";
    let done = Command::new("sh")
        .args(["-c", script, "sh", text(tar)])
        .current_dir(&unpacked)
        .env("TMPDIR", trap.site.temp())
        .output()
        .expect("sh runs");
    fs::remove_dir_all(&unpacked).expect("it can be removed");
    (done.status.success(), String::from_utf8_lossy(&done.stdout).into_owned())
}

/// A script that was changed is damage; one that was changed with all sums made right is another
/// backup, which no sum can tell.
#[test]
fn another_script_is_damage() {
    let trap = Trap::new();
    let path = crate::backup(&trap.site, "b", &["--form", "folder"]);
    fs::write(path.join("restore.sh"), "#!/bin/sh\necho EVIL\n").expect("it can be written");
    let answer = trap.run(&["-q", "verify", text(&path)]).expect(20);
    assert!(answer.stdout.contains("contents of restore.sh"), "{answer}");
    let mut forge = trap.good.clone();
    let script = forge.member("restore.sh");
    let length = script.data.len();
    script.data = b"EVIL".repeat(length / 4 + 1)[..length].to_vec();
    let path = trap.write(&forge, "script", "tar.gz");
    let answer = trap.run(&["-q", "verify", text(&path)]).expect(20);
    assert!(answer.stdout.contains("contents of restore.sh"), "{answer}");
}

/// Everything around the site, and not the site itself.
fn outside(trap: &Trap) -> Picture {
    let mut picture = trap.picture();
    let site = trap.site.root();
    picture.retain(|path, _| !path.starts_with(&site));
    picture
}

#[test]
fn odd_names_come_back_by_hand() {
    let trap = Trap::new();
    let names = ["z\n/x", "-rf", "$(touch pwned)", "q'\"`touch pwned`", "zz"];
    for (number, name) in names.iter().enumerate() {
        trap.site.write(&format!("media/{name}"), number.to_string());
    }
    let path = crate::backup(&trap.site, "good2", &["--no-compress"]);
    for name in names {
        fs::remove_file(trap.site.path("media").join(name)).expect("it is there");
    }
    let before = outside(&trap);
    let (done, said) = by_hand(&trap, &path);
    assert!(done, "{said}");
    same("odd names", &before, &outside(&trap));
    for (number, name) in names.iter().enumerate() {
        let found = fs::read_to_string(trap.site.path("media").join(name));
        assert_eq!(found.expect("it came back"), number.to_string(), "{name:?}: {said}");
    }
    assert!(!trap.site.path("pwned").exists() && !trap.site.path("media/pwned").exists());
}

/// The script checks every sum first, and leaves alone what a list names outside the tree.
#[test]
fn lists_that_lead_elsewhere_lead_nowhere_by_hand() {
    let trap = Trap::new();
    let victim = trap.victim();
    let lies: [(&str, fn(&mut Vec<u8>)); 5] = [
        ("a link that is called a file", |l| {
            l.extend(b"f\t0777\t0\t0\t\t\t1600000000.000000000\t1\tfiles/zz\t\n");
        }),
        ("a hard link to outside", |l| {
            l.extend(b"h\t0644\t0\t0\t\t\t1600000000.000000000\t-\tfiles/zy\tfiles/../../../outside/victim\n");
        }),
        ("a hard link put outside", |l| {
            l.extend(b"h\t0644\t0\t0\t\t\t1600000000.000000000\t-\tfiles/../../outside/new\tfiles/a/one.txt\n");
        }),
        ("a mode outside", |l| {
            l.extend(b"f\t0777\t65534\t65534\t\t\t1600000000.000000000\t1\tfiles/../../outside/victim\t\n");
        }),
        ("a time outside", |l| {
            l.extend(b"d\t0777\t0\t0\t\t\t1.000000000\t-\tfiles/../../outside\t\n");
        }),
    ];
    for (number, (what, lie)) in lies.into_iter().enumerate() {
        let mut forge = trap.good.clone();
        forge.lies.entries = Some(lie);
        if number == 0 {
            let link = forge.symlink("files/zz", &victim).unlisted();
            forge.push([link]);
        }
        let path = trap.write(&forge, "lie", "tar");
        let before = outside(&trap);
        let (done, said) = by_hand(&trap, &path);
        same(what, &before, &outside(&trap));
        assert!(!done, "{what}: {said}");
    }
}

#[test]
fn a_file_through_a_link_stays_inside_by_hand() {
    let trap = Trap::new();
    let mut forge = trap.good.clone();
    let link = forge.symlink("files/zz", text(&trap.site.outside("outside")));
    let file = forge.file("files/zz/victim", EVIL);
    forge.push([link, file]);
    let path = trap.write(&forge, "through", "tar");
    let before = outside(&trap);
    by_hand(&trap, &path);
    same("a file through a link", &before, &outside(&trap));
}
