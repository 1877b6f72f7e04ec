//! Ends that lie: trailer, tables, counts; and what lies behind the end.

use serde_json::json;

use super::FORMS;
use super::forge::Forge;
use super::trap::{EVIL, Trap};
use crate::text;

fn put(payload: &mut [u8], at: usize, value: u64) {
    payload[at..at + 8].copy_from_slice(&value.to_le_bytes());
}

fn get(payload: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(payload[at..at + 8].try_into().expect("eight bytes"))
}

#[test]
fn trailers_that_lie() {
    let trap = Trap::new();
    // Offsets as in the format document: file 16, tar 24, frames 32, members 40, then place and
    // record of manifest 48, root 72, closing frame 96.
    let lies: [(&str, fn(&mut [u8])); 21] = [
        ("a longer file", |t| put(t, 16, get(t, 16) + 1)),
        ("a longer tar", |t| put(t, 24, u64::MAX)),
        ("no frames", |t| put(t, 32, 0)),
        ("endless frames", |t| put(t, 32, u64::MAX)),
        ("a frame more", |t| put(t, 32, get(t, 32) + 1)),
        ("no members", |t| put(t, 40, 0)),
        ("endless members", |t| put(t, 40, u64::MAX)),
        ("2^61 members", |t| put(t, 40, 1 << 61)),
        ("a member less", |t| put(t, 40, get(t, 40) - 1)),
        ("the manifest behind the end", |t| put(t, 48, u64::MAX)),
        ("the manifest at the beginning", |t| put(t, 48, 0)),
        ("a huge manifest", |t| t[60..64].copy_from_slice(&u32::MAX.to_le_bytes())),
        ("an empty manifest", |t| t[56..64].fill(0)),
        ("the root in the manifest", |t| put(t, 72, get(t, 48))),
        ("the root at the beginning", |t| put(t, 72, 0)),
        ("a huge root", |t| t[84..88].copy_from_slice(&(16_u32 << 20).to_le_bytes())),
        ("the end in the root", |t| put(t, 96, get(t, 72))),
        ("a huge end", |t| t[108..112].copy_from_slice(&(16_u32 << 20).to_le_bytes())),
        ("another manifest", |t| t[120] ^= 1),
        ("other tables", |t| t[152] ^= 1),
        ("something in what is kept for later", |t| t[200] = 1),
    ];
    for (what, lie) in lies {
        for form in FORMS {
            let mut forge = trap.good.clone();
            forge.lies.trailer = Some(lie);
            let path = trap.write(&forge, "trailer", form);
            let what = format!("{form}, {what}");
            if form == "tar.gz" {
                trap.refused(&what, &path);
                trap.harmless_unverified(&what, &path);
            } else {
                trap.run(&["-q", "verify", text(&path)]).expect(20);
            }
        }
    }
}

/// The content of a file is a member of its own, which a table can point at.
fn smuggled(forge: &mut Forge) {
    let inner = forge.file("files/zz", EVIL);
    let mut data = inner.head.clone();
    data.extend(&inner.data);
    super::header::pad(&mut data);
    let outer = forge.file("files/z", &data);
    forge.push([outer]);
}

#[test]
fn tables_that_lie() {
    let trap = Trap::new();
    let lies: [(&str, fn(&mut Vec<u64>)); 9] = [
        ("all at the beginning", |table| table.fill(0)),
        ("all at the same member", |table| {
            let third = table[3];
            table.fill(third);
        }),
        ("two exchanged", |table| table.swap(5, 6)),
        ("backwards", |table| table.reverse()),
        ("behind the end", |table| table[4] = u64::MAX),
        ("between two blocks", |table| table[4] += 1),
        ("into a content", |table| {
            let at = table.len() - 6;
            table[at] += 512;
        }),
        ("one less", |table| {
            table.remove(5);
        }),
        ("one more", |table| table.insert(5, table[5])),
    ];
    for (what, lie) in lies {
        for form in FORMS {
            let mut forge = trap.good.clone();
            smuggled(&mut forge);
            forge.lies.table = Some(lie);
            let path = trap.write(&forge, "table", form);
            let what = format!("{form}, {what}");
            if form == "tar.zst" {
                trap.refused(&what, &path);
            } else {
                trap.run(&["-q", "verify", text(&path)]).expect(20);
            }
            trap.harmless_unverified(&what, &path);
        }
    }
}

#[test]
fn counts_that_lie() {
    let trap = Trap::new();
    let lies: [(&str, fn(&mut serde_json::Value)); 9] = [
        ("more members", |record| record["members"] = json!(1_000_000)),
        ("fewer members", |record| record["members"] = json!(3)),
        ("endless members", |record| record["members"] = json!(u64::MAX)),
        ("no bytes", |record| record["bytes"] = json!(0)),
        ("endless bytes", |record| record["bytes"] = json!(u64::MAX)),
        ("bytes below zero", |record| record["bytes"] = json!(-1)),
        ("another list", |record| record["digests"]["entries"] = json!("0".repeat(64))),
        ("no digest", |record| record["digests"]["checksums"] = json!("zz")),
        ("another backup", |record| record["id"] = json!("01a1f91e-832b-72a0-be38-ad375eaea24d")),
    ];
    for (what, lie) in lies {
        let mut forge = trap.good.clone();
        forge.lies.completion = Some(lie);
        let path = trap.write(&forge, "counts", "tar.gz");
        trap.refused(what, &path);
        trap.harmless_unverified(what, &path);
    }
}

#[test]
fn what_comes_after_the_end() {
    let trap = Trap::new();
    let evil = |forge: &Forge| {
        let member = forge.file("files/zz", EVIL);
        let mut bytes = [member.head, member.data].concat();
        super::header::pad(&mut bytes);
        bytes
    };
    for (what, zeros) in [("a member", 0), ("zeros and a member", 1024), ("a block of zeros", 512)]
    {
        for form in FORMS {
            let mut forge = trap.good.clone();
            forge.lies.after = vec![0; zeros];
            if zeros != 512 {
                forge.lies.after.extend(evil(&trap.good));
            }
            let path = trap.write(&forge, "after", form);
            trap.refused(&format!("{form}, {what} after the record"), &path);
            trap.harmless_unverified(what, &path);
        }
    }
    for form in FORMS {
        let path = trap.write(&trap.good, "behind", form);
        let mut bytes = std::fs::read(&path).expect("it is there");
        bytes.extend(super::cut::stored(form, &evil(&trap.good)));
        std::fs::write(&path, &bytes).expect("it can be written");
        trap.refused(&format!("{form}, a member behind the trailer"), &path);
        trap.harmless_unverified(form, &path);
        // Two archives, one behind the other: the trailer of the second is not of this file.
        let second = trap.good.seal(form).0;
        std::fs::write(&path, [&second[..], &second].concat()).expect("it can be written");
        trap.refused(&format!("{form}, twice"), &path);
    }
}

/// What the format document says must be there, in its place.
#[test]
fn what_must_be_there() {
    let trap = Trap::new();
    for gone in ["restore.sh", "files", "files/a", "database", "database/default"] {
        let mut forge = trap.good.clone();
        forge.members.remove(forge.place(gone));
        let path = trap.write(&forge, "gone", "tar.gz");
        trap.refused(&format!("without {gone}"), &path);
        trap.harmless_unverified(gone, &path);
    }
    // A tree without a database is a tree: that one should be there, the restore knows.
    let mut forge = trap.good.clone();
    forge.members.remove(forge.place("database/default/db.sqlite3"));
    let path = trap.write(&forge, "no database", "tar.gz");
    let before = trap.picture();
    trap.run(&["-q", "restore", text(&path), "--force", "--no-pre-backup"]).expect(20);
    super::trap::same("no database", &before, &trap.picture());
    type Change = fn(&mut Forge);
    let changes: [(&str, Change); 4] = [
        ("the metadata are second", |f| f.members.swap(0, 1)),
        ("the script comes first", |f| {
            let script = f.members.pop().expect("it is the last");
            f.members.insert(1, script);
        }),
        ("the script comes twice", |f| {
            let script = f.members[f.place("restore.sh")].clone();
            f.members.push(script);
        }),
        ("a file behind the script", |f| {
            let file = f.file("files/zz", EVIL);
            f.members.push(file);
        }),
    ];
    for (what, change) in changes {
        let mut forge = trap.good.clone();
        change(&mut forge);
        let path = trap.write(&forge, "moved", "tar.gz");
        trap.refused(what, &path);
        trap.harmless_unverified(what, &path);
    }
}
