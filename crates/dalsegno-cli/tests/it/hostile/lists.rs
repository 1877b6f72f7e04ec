//! Lists and metadata that say other things than the members, or dreadful things with them.

use std::os::unix::fs::MetadataExt;

use serde_json::{Value, json};

use super::forge::Forge;
use super::trap::Trap;
use crate::text;

fn replace(list: &mut Vec<u8>, from: &str, to: &str) {
    let text = String::from_utf8(std::mem::take(list)).expect("the lists are text");
    assert!(text.contains(from), "{from}");
    *list = text.replacen(from, to, 1).into_bytes();
}

#[test]
fn entries_that_disagree_with_the_members() {
    let trap = Trap::new();
    let lies: [(&str, fn(&mut Vec<u8>)); 18] = [
        ("a path outside", |l| replace(l, "files/a/two.txt", "../../outside/victim")),
        ("an absolute path", |l| replace(l, "files/a/two.txt", "/etc/passwd")),
        ("another path", |l| replace(l, "files/a/two.txt", "files/a/tw.txt")),
        ("another mode", |l| replace(l, "f\t0640", "f\t6755")),
        ("a mode with a type", |l| replace(l, "f\t0640", "f\t120777")),
        ("another owner", |l| replace(l, "f\t0640\t0\t", "f\t0640\t65534\t")),
        ("an owner that is no number", |l| replace(l, "f\t0640\t0\t", "f\t0640\t-1\t")),
        ("an endless owner", |l| replace(l, "f\t0640\t0\t", "f\t0640\t4294967296\t")),
        ("another type", |l| replace(l, "f\t0640", "d\t0640")),
        ("an unknown type", |l| replace(l, "f\t0640", "c\t0640")),
        ("a target that leads out", |l| {
            replace(l, "files/a/link\tone.txt", "files/a/link\t../../../x");
        }),
        ("another target", |l| replace(l, "files/a/link\tone.txt", "files/a/link\ttwo.txt")),
        ("a line less", |l| {
            let at = l.iter().position(|&b| b == b'\n').expect("it has lines");
            l.drain(..=at);
        }),
        ("a line more", |l| l.extend(l.clone())),
        ("no end of line", |l| {
            l.pop();
        }),
        ("nothing", Vec::clear),
        ("one endless line", |l| *l = vec![b'f'; 2 << 20]),
        ("escapes that are none", |l| replace(l, "files/a/two.txt", "files/a/tw\\q.txt")),
    ];
    for (what, lie) in lies {
        let mut forge = trap.good.clone();
        forge.lies.entries = Some(lie);
        for form in ["tar", "tar.zst"] {
            let path = trap.write(&forge, "entries", form);
            if form == "tar" {
                trap.refused(what, &path);
                trap.harmless_unverified(what, &path);
            } else {
                trap.run(&["-q", "verify", text(&path)]).expect(20);
            }
        }
    }
}

#[test]
fn checksums_that_disagree_with_the_members() {
    let trap = Trap::new();
    let lies: [(&str, fn(&mut Vec<u8>)); 6] = [
        ("another digest", |l| {
            let digit = if l[0] == b'0' { b'1' } else { b'0' };
            l[0] = digit;
        }),
        ("another file", |l| replace(l, "  files/a/two.txt", "  ../../outside/victim")),
        ("a file outside more", |l| {
            l.extend([b"0".repeat(64), b"  /etc/passwd\n".to_vec()].concat());
        }),
        ("nothing", Vec::clear),
        ("one endless line", |l| *l = vec![b'0'; 2 << 20]),
        ("no digests", |l| *l = b"x  backup_metadata.json\n".to_vec()),
    ];
    for (what, lie) in lies {
        let mut forge = trap.good.clone();
        forge.lies.checksums = Some(lie);
        let path = trap.write(&forge, "checksums", "tar.gz");
        trap.refused(what, &path);
        trap.harmless_unverified(what, &path);
    }
}

/// The top folder's name stands in front of every member; what leads elsewhere is refused.
#[test]
fn a_top_folder_elsewhere() {
    let trap = Trap::new();
    for name in ["../outside", "/etc", ".", "..", "", "a/b", "good\u{0}x"] {
        let mut forge = trap.good.clone();
        forge.manifest["metadata"]["folder"] = json!(name);
        let path = trap.write(&forge, "top", "tar.gz");
        trap.refused(name, &path);
        trap.harmless_unverified(name, &path);
    }
}

/// Aliases are keys of the metadata. What a restore writes is named by the site, never by them.
#[test]
fn aliases_that_are_paths_lead_nowhere() {
    type Change = fn(&mut Value);
    let trap = Trap::new();
    let changes: [(&str, Change); 6] = [
        ("a storage", |m| m["storages"]["../../outside"] = m["storages"]["default"].clone()),
        ("a storage with a slash", |m| m["storages"]["a/b"] = m["storages"]["default"].clone()),
        ("a database", |m| m["databases"]["../../outside/x"] = m["databases"]["default"].clone()),
        ("an empty one", |m| m["databases"][""] = m["databases"]["default"].clone()),
        ("a folder elsewhere", |m| m["storages"]["default"]["folder"] = json!("../../../outside")),
        ("a database elsewhere", |m| {
            m["databases"]["default"]["folder"] = json!("/etc");
            m["databases"]["default"]["name"] = json!("/etc/passwd");
        }),
    ];
    for (what, change) in changes {
        let mut forge = trap.good.clone();
        for part in ["metadata", "completion"] {
            if part == "metadata" {
                change(&mut forge.manifest[part]);
            }
        }
        let path = trap.write(&forge, "alias", "tar.zst");
        trap.harmless_unverified(what, &path);
        let before = trap.picture();
        for verb in ["verify", "show", "contents"] {
            trap.run(&["-q", verb, text(&path)]);
        }
        trap.run(&["-q", "restore", text(&path), "--dry-run"]);
        super::trap::same(what, &before, &trap.picture());
        // Named or not, nothing outside the site's own places changes.
        trap.run(&["-q", "restore", text(&path), "--force", "--no-pre-backup"]);
        let mut after = trap.picture();
        let mut before = before;
        let site = trap.site.root();
        before.retain(|path, _| !path.starts_with(&site));
        after.retain(|path, _| !path.starts_with(&site));
        super::trap::same(what, &before, &after);
        trap.run(&["-q", "rollback", "latest", "--force"]);
    }
}

/// What is whole is restored as it was recorded, set-user-id bits too: but only by root, whose
/// files they were, and never for an owner who could not have set them.
#[test]
fn set_id_bits_need_the_recorded_owner() {
    let trap = Trap::new();
    let mut forge = trap.good.clone();
    let mut member = forge.file("files/zz", b"#!/bin/sh\n");
    member = member.change(|head| head[100..107].copy_from_slice(b"0006755"));
    let line = String::from_utf8(member.line.take().expect("it is listed")).expect("it is text");
    member.line = Some(line.replacen("0644", "6755", 1).into_bytes());
    forge.push([member]);
    let path = trap.write(&forge, "setid", "tar");
    trap.run(&["-q", "verify", text(&path)]).expect(0);
    crate::restore(&trap.site, &[text(&path)]);
    let meta = trap.site.path("media/zz").metadata().expect("it is there");
    assert_eq!((meta.mode() & 0o7777, meta.uid()), (0o6755, 0));
}

#[test]
fn metadata_of_any_shape() {
    let trap = Trap::new();
    type Change = fn(&mut Forge);
    let changes: [(&str, Change); 8] = [
        ("a number for a name", |f| f.manifest["metadata"]["name"] = json!(1)),
        ("no databases", |f| f.manifest["metadata"]["databases"] = json!(null)),
        ("no id", |f| f.manifest["metadata"]["id"] = json!("../../x")),
        ("a newer format", |f| f.manifest["metadata"]["format"] = json!(2)),
        ("a format below zero", |f| f.manifest["metadata"]["format"] = json!(-1)),
        ("deep", |f| {
            let deep = (0..100).fold(json!(1), |inner, _| json!([inner]));
            f.manifest["metadata"]["name"] = deep;
        }),
        ("nothing", |f| f.manifest["metadata"] = json!({"folder": f.top})),
        ("an unknown form", |f| f.manifest["metadata"]["form"] = json!("rar")),
    ];
    for (what, change) in changes {
        let mut forge = trap.good.clone();
        change(&mut forge);
        let path = trap.write(&forge, "metadata", "tar.gz");
        let before = trap.picture();
        for args in [
            &["-q", "verify", text(&path)][..],
            &["-q", "restore", text(&path), "--force", "--no-pre-backup"],
        ] {
            let answer = trap.run(args);
            assert!([13, 20].contains(&answer.code), "{what}: {args:?} {answer}");
        }
        super::trap::same(what, &before, &trap.picture());
        trap.harmless_unverified(what, &path);
    }
}
