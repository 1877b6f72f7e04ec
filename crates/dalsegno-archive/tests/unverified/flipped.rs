//! Wrong bytes in contents, headers, lists and frames: what they cost, and that they are named.

use crate::reading::*;
use crate::support::*;
use dalsegno_archive::{Archive, Check, MemberContent, ReadError};
use dalsegno_format::Form;

#[test]
fn a_flipped_byte_of_a_content_is_handed_out_and_named() {
    let folder = tempfile::tempdir().unwrap();
    // Nothing compresses: each form stores the bytes as they are.
    let samples = [
        crate::support::folder("files"),
        file("files/a", noise(400_000, 1)),
        file("files/b", noise(1_500_000, 2)),
        file("files/c", noise(9000, 3)),
    ];
    for form in Form::ALL {
        for (number, name) in [(1, "files/a"), (2, "files/b"), (3, "files/c")] {
            let path = write(folder.path(), form, &samples);
            let target = if form == Form::Folder { path.join(name) } else { path.clone() };
            let mut bytes = std::fs::read(&target).unwrap();
            let middle = &samples[number].data[5000..5032];
            let at = bytes.windows(32).position(|part| part == middle).unwrap();
            bytes[at] ^= 4;
            std::fs::write(&target, &bytes).unwrap();
            // With a sound end, and without.
            for cut in [false, true] {
                if cut && form != Form::Folder {
                    std::fs::write(&target, &bytes[..bytes.len() - 9]).unwrap();
                } else if cut {
                    std::fs::remove_file(path.join("backup_complete.json")).unwrap();
                }
                let (read, report) = salvage(&open(&path)).unwrap();
                assert_eq!(read.len(), samples.len() + 2);
                let mut expected = samples[number].data.clone();
                expected[5000] ^= 4;
                assert!(read[number + 1].data == expected, "{form:?} {name}");
                let named = format!("contents of {name}: it has not the SHA-256");
                let told = tolerated(&report);
                assert!(told.iter().any(|t| t.starts_with(&named)), "{form:?} {told:?}");
            }
            if form == Form::Folder {
                std::fs::remove_dir_all(&path).unwrap();
            }
            let _ = std::fs::remove_file(&path);
        }
    }
}

#[test]
fn no_flipped_bit_is_handed_out_unnamed() {
    let folder = tempfile::tempdir().unwrap();
    let mut samples = vec![crate::support::folder("files")];
    for n in 0..20 {
        samples.push(file(format!("files/{n:02}a"), noise(3000, n)));
        samples.push(file(format!("files/{n:02}b"), b"words and ".repeat(300)));
    }
    for form in TARS {
        let path = write(folder.path(), form, &samples);
        let good = std::fs::read(&path).unwrap();
        for n in 0..150 {
            let place = 10 + n * (good.len() - 10) / 150;
            let mut bad = good.clone();
            bad[place] ^= 1 << (n % 8);
            std::fs::write(&path, &bad).unwrap();
            let Ok(archive) = Archive::open_unverified(&path) else {
                panic!("{form:?} byte {place}")
            };
            let (read, report) = salvage(&archive).unwrap();
            let told = tolerated(&report).join("\n");
            for found in &read {
                let path = &found.entry.path;
                let Some(written) = samples.iter().find(|s| s.entry.path == *path) else {
                    continue;
                };
                let named = told.contains(&format!("contents of {path}: "));
                assert!(found.data == written.data || named, "{form:?} {place} {path}: {told}");
                assert_eq!(found.entry, written.entry);
            }
            let all = read.len() == samples.len() + 2;
            assert!(all || !told.is_empty(), "{form:?} byte {place}");
        }
    }
}

#[test]
fn a_lost_frame_costs_its_members_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let mut samples = vec![crate::support::folder("files")];
    for n in 10..30 {
        samples.push(crate::support::folder(format!("files/{n}")));
        samples.push(file(format!("files/{n}/text"), b"some text\n".repeat(50_000 + n)));
        samples.push(file(format!("files/{n}/z"), vec![b'z'; 100]));
    }
    for form in [Form::TarGz, Form::TarZst] {
        let path = write(folder.path(), form, &samples);
        let mut bytes = std::fs::read(&path).unwrap();
        let magic: &[u8] =
            if form == Form::TarGz { &[0x1f, 0x8b, 8, 0] } else { &[0x28, 0xb5, 0x2f, 0xfd] };
        let starts: Vec<usize> =
            (0..bytes.len()).filter(|&at| bytes[at..].starts_with(magic)).collect();
        // The second frame of `files`, which holds none of the lists.
        let at = starts[2];
        bytes[at + 12..at + 60].fill(0xff);
        std::fs::write(&path, &bytes).unwrap();
        let (read, report) = salvage(&open(&path)).unwrap();
        let told = tolerated(&report);
        assert!(told.iter().any(|t| t.starts_with("frame 2 at byte ")), "{told:?}");
        let found = paths(&read);
        assert_eq!(found.first().unwrap(), "backup_metadata.json");
        assert_eq!(found.last().unwrap(), "restore.sh");
        for sample in &samples {
            let path = sample.entry.path.to_string();
            if let Some(found) = read.iter().find(|s| s.entry.path == sample.entry.path) {
                assert!(found.data == sample.data, "{path}");
            } else {
                assert!(sample.entry.size().is_some(), "{path}");
                assert!(told.iter().any(|t| t.contains(&format!(" of {path}:"))), "{told:?}");
            }
        }
        assert!(found.len() < samples.len() + 2 && found.len() > samples.len() / 2, "{found:?}");
    }
}

#[test]
fn a_damaged_top_header_or_folder_header_costs_no_other_member() {
    let folder = tempfile::tempdir().unwrap();
    let samples = odd_tree();
    let path = write(folder.path(), Form::Tar, &samples);
    let good = std::fs::read(&path).unwrap();
    let whole = read_all(&path).unwrap().0;
    let head = |name: &str| {
        let name = format!("{NAME}{name}\0");
        (0..good.len() / 512)
            .map(|n| n * 512)
            .find(|&at| good[at..].starts_with(name.as_bytes()))
            .unwrap()
    };
    for (name, shown) in [
        ("/", "header of the top folder"),
        ("/files/", "header of files"),
        ("/files/z/to-parent", "header of files/z/to-parent"),
    ] {
        let mut bad = good.clone();
        bad[head(name) + 105] ^= 1;
        std::fs::write(&path, &bad).unwrap();
        let found = findings(&path);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found.iter().any(|f| f.starts_with("frame ")), "{found:?}");
        let (read, report) = salvage(&open(&path)).unwrap();
        assert!(tolerated(&report).iter().any(|t| t.starts_with(shown)), "{report:?}");
        // What has no content comes from the list.
        assert!(read == whole, "{name}");
    }
    let mut bad = good.clone();
    bad[head("/files/z/noise.bin") + 105] ^= 1;
    std::fs::write(&path, &bad).unwrap();
    let (read, report) = salvage(&open(&path)).unwrap();
    let told = tolerated(&report);
    assert!(
        told.contains(&"header of files/z/noise.bin: the header is not as it was written".into())
    );
    // Nor does a link come to a file that does not.
    let link = "member files/z/other-name: the hard link names no earlier file";
    assert!(told.contains(&link.into()), "{told:?}");
    assert_eq!(read.len(), whole.len() - 2);
}

#[test]
fn a_streamed_content_that_is_lost_is_an_error_of_the_stream() {
    let folder = tempfile::tempdir().unwrap();
    let big = b"a line of text that compresses\n".repeat(200_000);
    let samples =
        [crate::support::folder("files"), file("files/a", big), file("files/b", vec![1; 9])];
    let path = write(folder.path(), Form::TarZst, &samples);
    let mut bytes = std::fs::read(&path).unwrap();
    let magic = [0x28, 0xb5, 0x2f, 0xfd];
    let third = (0..bytes.len()).filter(|&at| bytes[at..].starts_with(&magic)).nth(2).unwrap();
    bytes[third] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let archive = open(&path);
    match salvage(&archive) {
        Err(ReadError::Visit { path, source }) => {
            assert_eq!(path.to_string(), "files/a");
            assert!(source.to_string().contains("damaged frame"), "{source}");
        }
        other => panic!("{other:?}"),
    }
    // Whoever goes on past it gets the rest.
    let mut seen = Vec::new();
    let report = quiet(|watch| {
        archive.read(Check::Unverified, 2, watch, &mut |member| {
            let mut whole = true;
            if let MemberContent::Stream(stream) = member.content {
                whole = std::io::copy(stream, &mut std::io::sink()).is_ok();
            }
            seen.push((member.entry.path.to_string(), whole));
            Ok(())
        })
    });
    let report = report.unwrap();
    assert!(seen.contains(&("files/a".to_owned(), false)));
    assert!(seen.contains(&("files/b".to_owned(), true)));
    assert!(tolerated(&report).contains(&"contents of files/a: it lies in a damaged frame".into()));
}

#[test]
fn flipped_lists_do_not_count() {
    let folder = tempfile::tempdir().unwrap();
    let samples = odd_tree();
    let path = write(folder.path(), Form::Tar, &samples);
    let good = std::fs::read(&path).unwrap();
    let whole = read_all(&path).unwrap().0;
    for (list, text) in [
        ("entries.tsv", &b"\tfiles/text.csv\t"[..]),
        ("checksums.sha256", b"  files/text.csv\n"),
        ("checksums.sha256", b"\n"),
    ] {
        // The list's own copy of the text is the last but for the index.
        let mut bad = good.clone();
        let head = format!("{NAME}/{list}\0");
        let from = (0..bad.len() / 512)
            .map(|n| n * 512)
            .rfind(|&at| bad[at..].starts_with(head.as_bytes()))
            .unwrap();
        let at = (from + 512..bad.len()).find(|&at| bad[at..].starts_with(text)).unwrap();
        bad[at] ^= 2;
        std::fs::write(&path, &bad).unwrap();
        let archive = open(&path);
        assert!(!archive.end_is_missing());
        let (read, report) = salvage(&archive).unwrap();
        assert!(read == whole, "{list}");
        assert_eq!(entries(&archive), paths(&whole));
        assert!(tolerated(&report).iter().any(|t| t.starts_with(list)), "{report:?}");
    }
}
