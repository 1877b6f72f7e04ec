//! Whatever happens to a backup on its way is found and named.

#![allow(clippy::unnecessary_debug_formatting, reason = "odd names are shown escaped")]
#![allow(clippy::unwrap_used, reason = "tests end where something is not as expected")]

mod support;

use std::path::Path;

use dalsegno_archive::{Archive, Check, MemberContent, ReadError};
use dalsegno_format::Form;
use support::*;

const TARS: [Form; 3] = [Form::Tar, Form::TarGz, Form::TarZst];

/// Small, so that every region of the archive gets its share of the samples.
fn small_tree() -> Vec<Sample> {
    let mut samples = vec![folder("files"), file("files/a.txt", b"text, text\n".repeat(900))];
    for n in 0..6 {
        samples.push(file(format!("files/b{n}.bin"), noise(1000 + 37 * n, n as u64 + 1)));
    }
    samples.push(folder("files/z"));
    samples
}

fn write_bytes(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn one_flipped_bit_anywhere_is_found() {
    let folder = tempfile::tempdir().unwrap();
    for form in TARS {
        let path = write(folder.path(), form, &small_tree());
        let good = std::fs::read(&path).unwrap();
        assert_eq!(findings(&path), [""; 0]);
        let mut places: Vec<usize> = (0..300).map(|n| n * good.len() / 300).collect();
        places.extend(0..16);
        places.extend(good.len() - 300..good.len());
        for (n, place) in places.into_iter().enumerate() {
            let mut bad = good.clone();
            bad[place] ^= 1 << (n % 8);
            write_bytes(&path, &bad);
            let found = findings(&path);
            assert!(!found.is_empty(), "{form:?} byte {place} of {}", good.len());
            assert!(read_all(&path).is_err(), "{form:?} byte {place} reads");
        }
    }
}

#[test]
fn a_visitor_that_fails_by_itself_is_not_told_of_damage_it_did_not_meet() {
    let scratch = tempfile::tempdir().unwrap();
    for form in Form::ALL {
        let big = noise(6 << 20, 5);
        let samples = [folder("files"), file("files/big", big), file("files/c", vec![1])];
        let path = write(scratch.path(), form, &samples);
        let stored = if form == Form::Folder { path.join("files/big") } else { path.clone() };
        let mut bytes = std::fs::read(&stored).unwrap();
        bytes[5 << 20] ^= 1;
        write_bytes(&stored, &bytes);
        let archive = Archive::open(&path).unwrap();
        let mut calls = 0;
        let error = quiet(|watch| {
            archive.read(Check::Full, 2, watch, &mut |member| {
                calls += u32::from(member.entry.path.as_bytes() >= &b"files/big"[..]);
                match member.content {
                    MemberContent::Stream(_) => Err("the disk is full".into()),
                    _ => Ok(()),
                }
            })
        });
        let ReadError::Visit { source, .. } = error.unwrap_err() else { panic!("{form:?}") };
        assert_eq!(source.to_string(), "the disk is full");
        assert_eq!(calls, 1, "{form:?}");
        // One that reads on meets the damage, and that is what is told.
        let error = quiet(|watch| {
            archive.read(Check::Full, 2, watch, &mut |member| match member.content {
                MemberContent::Stream(data) => {
                    Ok(std::io::copy(data, &mut std::io::sink()).map(|_| ())?)
                }
                _ => Ok(()),
            })
        });
        let error = error.unwrap_err();
        assert!(matches!(error, ReadError::Archive(_)), "{form:?}: {error:?}");
    }
}

#[test]
fn a_shortened_archive_is_never_taken() {
    let folder = tempfile::tempdir().unwrap();
    for form in TARS {
        let path = write(folder.path(), form, &small_tree());
        let good = std::fs::read(&path).unwrap();
        for n in 0..200 {
            let length = n * good.len() / 200;
            write_bytes(&path, &good[..length]);
            assert!(!findings(&path).is_empty(), "{form:?} cut to {length}");
            assert!(Archive::open(&path).is_err());
            assert!(Archive::peek(&path).is_err());
        }
        for less in 1..20 {
            write_bytes(&path, &good[..good.len() - less]);
            let found = findings(&path);
            assert!(found[0].contains("was cut short"), "{form:?} shorter by {less}: {found:?}");
        }
        for more in [1, 512, 10_000] {
            write_bytes(&path, &[&good[..], &vec![0; more]].concat());
            assert_eq!(
                findings(&path),
                [format!("end of the file: {more} bytes follow the trailer")]
            );
        }
    }
}

#[test]
fn a_damaged_frame_names_itself_and_its_members() {
    let folder = tempfile::tempdir().unwrap();
    let mut samples = vec![support::folder("files")];
    samples.extend((0..8).map(|n| file(format!("files/{n}"), noise(900_000, n + 1))));
    for form in TARS {
        let path = write(folder.path(), form, &samples);
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x10;
        write_bytes(&path, &bytes);
        let found = findings(&path);
        assert!(found.iter().any(|f| f.starts_with("frame ")), "{found:?}");
        assert!(found.iter().any(|f| f.starts_with("contents of files/")), "{found:?}");
        assert!(found.len() < 6, "the rest is still read: {found:?}");
    }
}

/// Many members in few frames, folders among them.
fn crowded_tree() -> Vec<Sample> {
    let mut samples = vec![folder("files")];
    for n in 0..20 {
        samples.push(folder(format!("files/d{n:02}")));
        for m in 0..40 {
            let data = if m % 2 == 0 { noise(700, n * 40 + m) } else { b"text ".repeat(150) };
            samples.push(file(format!("files/d{n:02}/f{m:02}"), data));
        }
    }
    samples
}

#[test]
fn one_break_is_few_findings() {
    let folder = tempfile::tempdir().unwrap();
    for form in TARS {
        let path = write(folder.path(), form, &crowded_tree());
        let good = std::fs::read(&path).unwrap();
        let mut counted = 0;
        for n in 1..30 {
            let place = n * good.len() / 30;
            let mut bad = good.clone();
            bad[place] ^= 1 << (n % 8);
            write_bytes(&path, &bad);
            let found = findings(&path);
            let contents = found.iter().filter(|f| f.starts_with("contents of files/"));
            let others = found.len() - contents.count();
            assert!((1..=5).contains(&others), "{form:?} byte {place}: {found:#?}");
            counted += found.iter().filter(|f| f.ends_with("members could not be checked")).count();
        }
        assert!(form == Form::Tar || counted > 0, "{form:?}");
    }
}

#[test]
fn a_lost_frame_says_how_many_members_it_takes_along() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), Form::TarZst, &crowded_tree());
    let mut bytes = std::fs::read(&path).unwrap();
    // The magic number of the second frame, which ends between the two lists.
    let magic = [0x28, 0xb5, 0x2f, 0xfd];
    let second = (1..bytes.len()).find(|&at| bytes[at..].starts_with(&magic)).unwrap();
    bytes[second] ^= 1;
    write_bytes(&path, &bytes);
    let frame = format!("frame 1 at byte {second}: its stored bytes have changed");
    assert_eq!(
        findings(&path),
        [
            format!("header of entries.tsv: {frame}"),
            frame,
            "header of member 2: it lies in a damaged frame".to_owned(),
            "after member 2: 822 members could not be checked".to_owned(),
        ]
    );
}

/// Where a member's header and data lie in a plain tar made by `write`.
fn place(bytes: &[u8], name: &str) -> usize {
    let full = format!("{NAME}/{name}\0");
    (0..bytes.len() / 512)
        .map(|n| n * 512)
        .find(|&at| bytes[at..].starts_with(full.as_bytes()) && bytes[at + 156] != b'x')
        .unwrap_or_else(|| panic!("{name}"))
}

fn fix_checksum(header: &mut [u8]) {
    header[148..156].copy_from_slice(b"        ");
    let sum: u32 = header[..512].iter().map(|&b| u32::from(b)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

#[test]
fn a_changed_header_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), Form::Tar, &small_tree());
    let good = std::fs::read(&path).unwrap();
    let at = place(&good, "files/b3.bin");

    let mut bad = good.clone();
    bad[at + 100..at + 107].copy_from_slice(b"0004755");
    fix_checksum(&mut bad[at..at + 512]);
    write_bytes(&path, &bad);
    let found = findings(&path);
    assert!(
        found.contains(&"header of files/b3.bin: its mode is 4755, entries.tsv says 0644".into()),
        "{found:?}"
    );

    let mut bad = good.clone();
    let name = format!("{NAME}/files/b9.bin");
    bad[at..at + name.len()].copy_from_slice(name.as_bytes());
    fix_checksum(&mut bad[at..at + 512]);
    write_bytes(&path, &bad);
    let found = findings(&path).join("\n");
    assert!(found.contains("header of files/b3.bin: its path is files/b9.bin"), "{found}");

    let mut bad = good.clone();
    bad[at + 500] = 1;
    write_bytes(&path, &bad);
    let found = findings(&path).join("\n");
    assert!(
        found.contains("header of files/b3.bin: the header is not as it was written"),
        "{found}"
    );

    let mut bad = good;
    bad[at + 512 + 1111] = 1;
    write_bytes(&path, &bad);
    let found = findings(&path).join("\n");
    assert!(found.contains("padding after files/b3.bin: it is not zero"), "{found}");
}

#[test]
fn swapped_members_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let samples = [
        support::folder("files"),
        file("files/a", noise(512, 1)),
        file("files/b", noise(512, 2)),
        file("files/c", noise(512, 3)),
    ];
    let path = write(folder.path(), Form::Tar, &samples);
    let good = std::fs::read(&path).unwrap();
    let (a, b, c) = (place(&good, "files/a"), place(&good, "files/b"), place(&good, "files/c"));
    let size = c - b;
    // Each begins at its extended header, 1024 bytes before.
    let (a, b) = (a - 1024, b - 1024);
    let mut bad = good.clone();
    bad[a..a + size].copy_from_slice(&good[b..b + size]);
    bad[b..b + size].copy_from_slice(&good[a..a + size]);
    write_bytes(&path, &bad);
    let found = findings(&path).join("\n");
    assert!(found.contains("header of files/a: its path is files/b"), "{found}");
    assert!(found.contains("frame "), "{found}");

    let mut bad = good.clone();
    bad[a..a + size].copy_from_slice(&good[b..b + size]);
    write_bytes(&path, &bad);
    let found = findings(&path).join("\n");
    assert!(found.contains("header of files/a: its path is files/b"), "{found}");
}

#[test]
fn an_archive_packed_anew_by_others_is_not_taken() {
    const SCRIPT: &str = r#"
import sys, tarfile, io
how, source, target = sys.argv[1:]
with tarfile.open(source) as old, tarfile.open(target, "w:gz" if target.endswith("gz") else "w", format=tarfile.PAX_FORMAT) as new:
    members = old.getmembers()
    names = [m.name for m in members]
    at = next(i for i, m in enumerate(members) if m.name.endswith("files/b3.bin"))
    if how == "delete":
        del members[at]
    if how == "swap":
        members[at], members[at + 1] = members[at + 1], members[at]
    for m in members:
        data = old.extractfile(m) if m.isfile() else None
        if how == "rename" and m.name.endswith("files/b3.bin"):
            m.name = m.name.replace("b3", "b33")
            m.pax_headers.pop("path", None)
        if how == "mode" and m.name.endswith("files/b3.bin"):
            m.mode = 0o777
        new.addfile(m, data)
        if how == "add" and m.name.endswith("files/b3.bin"):
            more = tarfile.TarInfo(m.name.replace("b3", "b35"))
            more.size = 3
            new.addfile(more, io.BytesIO(b"abc"))
"#;
    let folder = tempfile::tempdir().unwrap();
    for form in [Form::Tar, Form::TarGz] {
        let path = write(folder.path(), form, &small_tree());
        for how in ["delete", "swap", "rename", "mode", "add", "nothing"] {
            let target = folder.path().join(format!("{how}{}", form.extension()));
            run(std::process::Command::new("python3")
                .args(["-c", SCRIPT, how])
                .args([&path, &target]));
            assert!(!findings(&target).is_empty(), "{form:?} {how}");
            assert!(read_all(&target).is_err(), "{form:?} {how}");
        }
    }
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table of changes")]
fn the_folder_form_is_checked_file_by_file() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let samples = odd_tree();
    let path = write(folder.path(), Form::Folder, &samples);
    let at = |name: &str| path.join(name);
    let check = |change: &dyn Fn(), undo: &dyn Fn(), expected: &str| {
        change();
        let found = findings(&path).join("\n");
        assert!(found.contains(expected), "{expected}: {found}");
        assert!(read_all(&path).is_err(), "{expected}");
        undo();
        assert_eq!(findings(&path), [""; 0], "after {expected}");
    };
    let text = at("files/text.csv");
    let good = std::fs::read(&text).unwrap();
    let back = || std::fs::write(&text, &good).unwrap();
    check(
        &|| {
            let mut bad = good.clone();
            bad[5000] ^= 1;
            std::fs::write(&text, bad).unwrap();
        },
        &back,
        "contents of files/text.csv: it has not the SHA-256",
    );
    check(
        &|| std::fs::write(&text, &good[1..]).unwrap(),
        &back,
        "contents of files/text.csv: it has 319999 bytes, entries.tsv says 320000",
    );
    check(&|| std::fs::remove_file(&text).unwrap(), &back, "member files/text.csv: it is missing");
    check(
        &|| {
            std::fs::remove_file(&text).unwrap();
            std::os::unix::fs::symlink("empty", &text).unwrap();
        },
        &|| {
            std::fs::remove_file(&text).unwrap();
            back();
        },
        "member files/text.csv: it, or a folder above it, is of another type",
    );
    let link = at("files/z/to-parent");
    let relink = |target: &str| {
        std::fs::remove_file(&link).unwrap();
        std::os::unix::fs::symlink(target, &link).unwrap();
    };
    check(
        &|| relink("../empty"),
        &|| relink("../text.csv"),
        "member files/z/to-parent: its target is not the one",
    );
    let extra = at("files/z/extra");
    check(
        &|| std::fs::write(&extra, b"").unwrap(),
        &|| std::fs::remove_file(&extra).unwrap(),
        "extra files/z/extra: it does not belong",
    );
    for name in ["entries.tsv", "checksums.sha256", "restore.sh", "backup_metadata.json"] {
        let file = at(name);
        let good = std::fs::read(&file).unwrap();
        check(
            &|| {
                let mut bad = good.clone();
                let place = bad.iter().rposition(|&b| b == b'0' || b == b'e').unwrap();
                bad[place] ^= 1;
                std::fs::write(&file, bad).unwrap();
            },
            &|| std::fs::write(&file, &good).unwrap(),
            "",
        );
    }
    // What a copy changes is no damage.
    std::fs::set_permissions(&text, std::fs::Permissions::from_mode(0o666)).unwrap();
    let twin = at("files/z/other-name");
    let bytes = std::fs::read(&twin).unwrap();
    std::fs::remove_file(&twin).unwrap();
    std::fs::write(&twin, &bytes).unwrap();
    assert_eq!(findings(&path), [""; 0]);
    std::fs::write(&twin, &bytes[1..]).unwrap();
    assert!(findings(&path)[0].contains("it is not the same file as files/z/noise.bin"));
    std::fs::remove_file(at("backup_complete.json")).unwrap();
    assert!(findings(&path)[0].contains("was cut short"));
}

#[test]
fn flipped_bits_in_the_folder_form() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), Form::Folder, &small_tree());
    let names = [
        "backup_metadata.json",
        "entries.tsv",
        "checksums.sha256",
        "restore.sh",
        "files/a.txt",
        "files/b0.bin",
        "files/b5.bin",
    ];
    for (n, name) in names.into_iter().cycle().take(100).enumerate() {
        let file = path.join(name);
        let good = std::fs::read(&file).unwrap();
        let mut bad = good.clone();
        let place = (n * 7919) % bad.len();
        bad[place] ^= 1 << (n % 8);
        std::fs::write(&file, &bad).unwrap();
        assert!(!findings(&path).is_empty(), "{name} byte {place}");
        std::fs::write(&file, &good).unwrap();
    }
    assert_eq!(findings(&path), [""; 0]);
}
