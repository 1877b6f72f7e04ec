//! Tars that somebody changed and made plausible again.

use crate::support::*;
use dalsegno_format::Form;

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
        crate::support::folder("files"),
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
