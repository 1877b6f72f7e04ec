//! Members that must not be: outside, through links, of other types, twice.

use super::FORMS;
use super::forge::{Forge, Member};
use super::header::{Header, extended, record};
use super::trap::{EVIL, Trap};

/// The forged archive goes through every verb in each form, listed or not.
fn all_refused(cases: &[(&str, fn(&Forge, &str) -> Vec<Member>)]) {
    let trap = Trap::new();
    let victim = trap.victim();
    for (what, members) in cases {
        for form in FORMS {
            for listed in [true, false] {
                let mut forge = trap.good.clone();
                let mut members = members(&forge, &victim);
                if !listed {
                    members = members.into_iter().map(Member::unlisted).collect();
                }
                forge.push(members);
                let path = trap.write(&forge, "hostile", form);
                let what = format!("{what}, {form}, listed: {listed}");
                // One form with all verbs is enough: behind the frames they are the same.
                if form == "tar" && listed {
                    trap.refused(&what, &path);
                } else {
                    let answer = trap.run(&["-q", "verify", crate::text(&path)]);
                    assert_eq!(answer.code, 20, "{what}: {answer}");
                }
                if (form == "tar") != listed {
                    trap.harmless_unverified(&what, &path);
                }
            }
        }
    }
}

fn evil(forge: &Forge, path: &str, name: impl AsRef<[u8]>) -> Vec<Member> {
    let header = Header { size: EVIL.len() as u64, ..Header::new(name, b'0') };
    vec![forge.listed('f', path.as_bytes(), &header, EVIL)]
}

fn evil_of_type(forge: &Forge, tag: u8) -> Vec<Member> {
    let size = if matches!(tag, b'3' | b'4' | b'6') { 0 } else { EVIL.len() as u64 };
    let header = Header { size, ..Header::new(forge.full(b"files/zz"), tag) };
    vec![forge.listed('f', b"files/zz", &header, &EVIL[..usize::try_from(size).expect("short")])]
}

#[test]
fn paths_that_lead_elsewhere() {
    all_refused(&[
        ("absolute", |f, victim| evil(f, "files/zz", victim)),
        ("absolute in the list too", |f, victim| evil(f, victim, victim)),
        ("up and out", |f, _| {
            evil(f, "files/../../../outside/new", f.full(b"files/../../../outside/new"))
        }),
        ("up only in the header", |f, _| evil(f, "files/zz", f.full(b"files/../../zz"))),
        ("up at once", |f, _| evil(f, "../zz", "../zz")),
        ("up behind the top", |f, _| evil(f, "zz", f.full(b"../zz"))),
        ("another top folder", |f, _| evil(f, "files/zz", "other/files/zz")),
        ("no folder at all", |f, _| evil(f, "zz", "zz")),
        ("beside the tops", |f, _| evil(f, "zz", f.full(b"zz"))),
        ("a top that is no top", |f, _| {
            let mut members = vec![f.folder("etc")];
            members.extend(evil(f, "etc/zz", f.full(b"etc/zz")));
            members
        }),
        ("a folder that never came", |f, _| evil(f, "files/yy/zz", f.full(b"files/yy/zz"))),
        ("the folder of backups", |f, _| {
            evil(f, "files/.dalsegno-1.kept", f.full(b"files/.dalsegno-1.kept/../zz"))
        }),
        ("an empty part", |f, _| evil(f, "files//zz", f.full(b"files//zz"))),
        ("a dot", |f, _| evil(f, "files/./zz", f.full(b"files/./zz"))),
        ("a file that ends in a slash", |f, _| evil(f, "files/zz/", f.full(b"files/zz/"))),
        ("an empty name", |f, _| evil(f, "", "")),
        ("the top folder as a file", |f, _| evil(f, "", f.full(b""))),
        ("an absolute record", |f, victim| {
            let header = Header {
                pax: vec![("path".into(), victim.as_bytes().to_vec())],
                ..Header::new(f.full(b"files/zz"), b'0')
            };
            vec![f.listed('f', b"files/zz", &header, b"")]
        }),
        ("a NUL in a record", |f, _| {
            let path = [&f.full(b"files/zz")[..], b"\0/../../../zz"].concat();
            let header = Header { pax: vec![("path".into(), path)], ..Header::new("", b'0') };
            vec![f.listed('f', b"files/zz", &header, b"")]
        }),
        ("a name longer than any", |f, _| {
            let path = f.full(&[&b"files/zz"[..], &vec![b'z'; 70_000]].concat());
            let header = Header { pax: vec![("path".into(), path)], ..Header::new("", b'0') };
            vec![f.listed('f', b"files/zz", &header, b"")]
        }),
    ]);
}

#[test]
fn links_that_lead_elsewhere() {
    all_refused(&[
        ("absolute", |f, victim| vec![f.symlink("files/zz", victim)]),
        ("up", |f, _| vec![f.symlink("files/zz", "../../../outside/victim")]),
        ("up by one", |f, _| vec![f.symlink("files/zz", "../zz")]),
        ("down and up", |f, _| vec![f.symlink("files/zz", "a/../../zz")]),
        ("to nothing", |f, _| vec![f.symlink("files/zz", "")]),
        ("out, and a file through it", |f, _| {
            let mut members = vec![f.symlink("files/zz", "../../../outside")];
            members.extend(evil(f, "files/zz/victim", f.full(b"files/zz/victim")));
            members
        }),
        ("to a folder inside, and a file through it", |f, _| {
            let mut members = vec![f.symlink("files/zz", "a")];
            members.extend(evil(f, "files/zz/new", f.full(b"files/zz/new")));
            members
        }),
        ("a folder that is a link, then a folder", |f, _| {
            let mut members = vec![f.symlink("files/zz", "../../outside"), f.folder("files/zz")];
            members.extend(evil(f, "files/zz/victim", f.full(b"files/zz/victim")));
            members
        }),
        ("in the place of the storage", |f, _| vec![f.symlink("storages", "../outside")]),
        ("a hard link outside", |f, victim| vec![f.hard("files/zz", victim)]),
        ("a hard link up", |f, _| vec![f.hard("files/zz", "../../outside/victim")]),
        ("a hard link up from inside", |f, _| {
            vec![f.hard("files/zz", "files/../../outside/victim")]
        }),
        ("a hard link to a symbolic one", |f, _| vec![f.hard("files/zz", "files/a/link")]),
        ("a hard link to a symbolic one that leads out", |f, victim| {
            vec![f.symlink("files/yy", victim), f.hard("files/zz", "files/yy")]
        }),
        ("a hard link to a later file", |f, _| {
            vec![f.hard("files/zy", "files/zz"), f.file("files/zz", EVIL)]
        }),
        ("a hard link to itself", |f, _| vec![f.hard("files/zz", "files/zz")]),
        ("a hard link to a folder", |f, _| vec![f.hard("files/zz", "files/a")]),
        ("a hard link to the database", |f, _| {
            vec![f.hard("files/zz", "database/default/db.sqlite3")]
        }),
        ("a hard link to the metadata", |f, _| vec![f.hard("files/zz", "backup_metadata.json")]),
    ]);
}

#[test]
fn types_that_no_backup_has() {
    all_refused(&[
        ("character device", |f, _| evil_of_type(f, b'3')),
        ("block device", |f, _| evil_of_type(f, b'4')),
        ("pipe", |f, _| evil_of_type(f, b'6')),
        ("contiguous file", |f, _| evil_of_type(f, b'7')),
        ("socket", |f, _| evil_of_type(f, b's')),
        ("old file", |f, _| evil_of_type(f, 0)),
        ("sparse file of old GNU tar", |f, _| evil_of_type(f, b'S')),
        ("folder dump", |f, _| evil_of_type(f, b'D')),
        ("continued volume", |f, _| evil_of_type(f, b'M')),
        ("volume name", |f, _| evil_of_type(f, b'V')),
        ("GNU long name", |f, victim| {
            let header = Header { size: 200, ..Header::new("././@LongLink", b'L') };
            let mut name = victim.as_bytes().to_vec();
            name.resize(200, 0);
            let long = f.listed('f', b"files/zy", &header, &name).unlisted();
            [vec![long], evil(f, "files/zz", f.full(b"files/zz"))].concat()
        }),
        ("GNU long link", |f, victim| {
            let header = Header { size: 200, ..Header::new("././@LongLink", b'K') };
            let mut name = victim.as_bytes().to_vec();
            name.resize(200, 0);
            let long = f.listed('f', b"files/zy", &header, &name).unlisted();
            vec![long, f.symlink("files/zz", "a")]
        }),
        ("header for all that follow", |f, victim| {
            let mut member = f.file("files/zz", EVIL);
            let global = extended(b'g', &record("path", victim.as_bytes()));
            member.head.splice(0..0, global);
            vec![member]
        }),
        ("unknown", |f, _| evil_of_type(f, b'Z')),
    ]);
}

#[test]
fn names_that_come_twice() {
    all_refused(&[
        ("a file", |f, _| vec![f.file("files/zz", b"first"), f.file("files/zz", EVIL)]),
        ("a file of before", |f, _| vec![f.file("files/a/one.txt", EVIL)]),
        ("a file and a folder", |f, _| vec![f.file("files/zz", b"first"), f.folder("files/zz")]),
        ("a folder and a link", |f, _| vec![f.folder("files/zz"), f.symlink("files/zz", "a")]),
        ("a folder", |f, _| vec![f.folder("files/a")]),
        ("a top", |f, _| vec![f.folder("files"), f.file("files/zz", EVIL)]),
        ("the database", |f, _| vec![f.file("database/default/db.sqlite3", EVIL)]),
        ("the metadata", |f, _| vec![f.file("backup_metadata.json", EVIL)]),
        ("the script", |f, _| vec![f.file("restore.sh", EVIL)]),
        ("a list", |f, _| vec![f.file("entries.tsv", EVIL)]),
        ("the record", |f, _| vec![f.file("backup_complete.json", EVIL)]),
        ("the index", |f, _| vec![f.file("backup_index.bin", EVIL)]),
        ("a file with a dot", |f, _| {
            vec![f.file("files/zz", b"first"), f.file("files/./zz", EVIL)]
        }),
        ("a file with two slashes", |f, _| {
            vec![f.file("files/zz", b"first"), f.file("files//zz", EVIL)]
        }),
        ("out of order", |f, _| vec![f.file("files/zz", b"first"), f.file("files/zy", EVIL)]),
    ]);
}

/// A case or a normal form that differs is another name here.
#[test]
fn names_that_only_look_the_same_are_two() {
    let trap = Trap::new();
    let mut forge = trap.good.clone();
    forge.push([
        forge.file("files/zA", b"2"),
        forge.file("files/za", b"3"),
        forge.file("files/ze\u{301}", b"4"),
        forge.file("files/z\u{e9}", b"5"),
    ]);
    for form in FORMS {
        let path = trap.write(&forge, "good", form);
        let answer = trap.run(&["-q", "verify", crate::text(&path)]);
        assert_eq!(answer.code, 0, "{answer}");
        trap.harmless_unverified("sound", &path);
    }
    let path = trap.site.outside("forged/good.tar.gz");
    crate::restore(&trap.site, &[crate::text(&path)]);
    for (name, content) in [("zA", "2"), ("za", "3"), ("ze\u{301}", "4"), ("z\u{e9}", "5")] {
        let found = std::fs::read_to_string(trap.site.path("media").join(name));
        assert_eq!(found.expect("it is there"), content);
    }
}
