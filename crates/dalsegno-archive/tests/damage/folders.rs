//! The folder form, file by file.

use crate::support::*;
use dalsegno_format::Form;

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
