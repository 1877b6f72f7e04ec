//! Trees to write and ways to look at them.
#![allow(dead_code, reason = "each test uses its part")]
#![allow(unreachable_pub, reason = "shared by several tests")]
#![allow(clippy::unwrap_used, reason = "tests end where something is not as expected")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use dalsegno_archive::{
    Archive, ArchiveError, Check, Closing, Content, MemberContent, Progress, ReadError, ReadReport,
    TreeWriter, VerifyReport, Watch, WriteOptions, Written, restore_script,
};
use dalsegno_format::{
    BackupId, Completion, Entry, EntryKind, Extent, Form, Metadata, Outcome, Timestamp, TreePath,
};

pub const NAME: &str = "backup_20261120_030000";
pub const TARS: [Form; 3] = [Form::Tar, Form::TarGz, Form::TarZst];
pub const MTIME: Timestamp = Timestamp { secs: 1_700_000_000, nanos: 5 };

pub fn metadata(form: Form) -> Metadata {
    metadata_at(form, "/srv/site")
}

pub fn metadata_at(form: Form, root: &str) -> Metadata {
    let value = serde_json::json!({
        "format": 1,
        "id": BackupId::new(1_700_000_000_000, [7; 10]),
        "name": NAME,
        "folder": NAME,
        "created_at": "2026-11-20T03:00:00.000000Z",
        "backup_timestamp": "2026-11-20T04:00:00.000000",
        "time_zone": "Europe/Berlin",
        "type": "full",
        "capture": "native",
        "form": form,
        "django_version": "5.2",
        "backup_options": {"include_files": true, "skip_db": false, "compress": false, "models": "all"},
        "storage_backend": null,
        "database_engine": "django.db.backends.sqlite3",
        "versions": {"dalsegno": "0.1.0", "django": "5.2", "python": "3.12"},
        "project": {"name": "site", "settings_module": null},
        "host": {"name": "h", "system": "Linux"},
        "options": {"compression_level": null},
        "databases": {"default": {"vendor": "sqlite", "engine": null,
            "name": format!("{root}/db.sqlite3"), "folder": "database/default"}},
        "storages": {"default": {"backend": null, "location": format!("{root}/media"),
            "folder": "files"}},
    });
    serde_json::from_value(value).unwrap()
}

pub fn completion(closing: &Closing) -> Completion {
    Completion {
        format: 1,
        id: BackupId::new(1_700_000_000_000, [7; 10]),
        finished_at: "2026-11-20T03:00:01.000000Z".into(),
        duration_ms: 1000,
        outcome: Outcome::Complete,
        databases: BTreeMap::new(),
        storages: BTreeMap::new(),
        fixtures: None,
        references: None,
        members: closing.members,
        bytes: closing.bytes,
        digests: closing.digests.clone(),
        warnings: vec![],
        problems: vec![],
    }
}

/// A member of a sample tree and the bytes of its extents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    pub entry: Entry,
    pub data: Vec<u8>,
}

pub fn entry(path: impl AsRef<[u8]>, kind: EntryKind, mode: u32) -> Entry {
    Entry {
        path: TreePath::new(path.as_ref()).unwrap(),
        kind,
        mode,
        uid: 0,
        gid: 0,
        user: String::new(),
        group: String::new(),
        mtime: Timestamp { secs: 1_600_000_000, nanos: 123_456_789 },
    }
}

pub fn folder(path: impl AsRef<[u8]>) -> Sample {
    Sample { entry: entry(path, EntryKind::Directory, 0o755), data: vec![] }
}

pub fn file(path: impl AsRef<[u8]>, data: Vec<u8>) -> Sample {
    let kind = EntryKind::File { size: data.len() as u64, extents: None };
    Sample { entry: entry(path, kind, 0o644), data }
}

pub fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut out = Vec::with_capacity(length + 8);
    while out.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.extend_from_slice(&state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
    }
    out.truncate(length);
    out
}

/// Every kind of member and of name.
pub fn odd_tree() -> Vec<Sample> {
    let long = [b"files/long/".to_vec(), vec![b'n'; 240]].concat();
    let deep: Vec<Vec<u8>> = (1..=12)
        .map(|n| {
            format!("files/deep{}", "/a-folder-with-a-name-of-some-length".repeat(n)).into_bytes()
        })
        .collect();
    let mut out = vec![
        folder("database"),
        folder("database/default"),
        file("database/default/db.sqlite3", b"SQLite format 3\0 not really".repeat(5000)),
        folder("files"),
        file("files/ leading and trailing ", b"x".to_vec()),
        file("files/-rf", b"dash".to_vec()),
        file("files/a\nb", b"newline".to_vec()),
        file("files/a\tb", b"tab".to_vec()),
        file(b"files/bad-\xff\xe9", b"not UTF-8".to_vec()),
        file("files/back\\slash\\n", b"backslash".to_vec()),
        folder("files/deep"),
    ];
    out.extend(deep.iter().map(folder));
    out.push(file([&deep[11][..], b"/leaf"].concat(), noise(3000, 1)));
    out.extend([
        file("files/empty", vec![]),
        folder("files/empty-folder"),
        folder("files/long"),
        file(&long, noise(70_000, 2)),
        file("files/quote'\"$(touch x)`;*", b"quotes".to_vec()),
        file("files/text.csv", b"1,2,3,some text\n".repeat(20_000)),
        file("files/umlaut-\u{fc}.txt", b"\xc3\xbc".to_vec()),
        folder("files/z"),
        file("files/z/noise.bin", noise(300_000, 3)),
    ]);
    let hard = |path: &str, target: &str| {
        let target = TreePath::new(target).unwrap();
        Sample { entry: entry(path, EntryKind::HardLink { target }, 0o644), data: vec![] }
    };
    let soft = |path: &str, target: &[u8]| Sample {
        entry: entry(path, EntryKind::Symlink { target: target.to_vec() }, 0o777),
        data: vec![],
    };
    out.push(hard("files/z/other-name", "files/z/noise.bin"));
    let extents =
        vec![Extent { offset: 4096, length: 4096 }, Extent { offset: 1 << 20, length: 8192 }];
    let kind = EntryKind::File { size: 3 << 20, extents: Some(extents) };
    out.push(Sample { entry: entry("files/z/sparse", kind, 0o600), data: noise(12_288, 4) });
    let kind = EntryKind::File { size: 1 << 20, extents: Some(vec![]) };
    out.push(Sample { entry: entry("files/z/sparse-all-hole", kind, 0o600), data: vec![] });
    out.push(soft("files/z/to-dangling", b"nowhere\n\xff"));
    out.push(soft(
        "files/z/to-long",
        &long[6..].iter().copied().cycle().take(150).collect::<Vec<_>>(),
    ));
    out.push(soft("files/z/to-parent", b"../text.csv"));
    out.extend([
        folder("storages"),
        folder("storages/private"),
        file("storages/private/old", b"before 1970".to_vec()),
        file("storages/private/whole-second", b"no fraction".to_vec()),
    ]);
    out.sort_by(|a, b| a.entry.path.cmp(&b.entry.path));
    for sample in &mut out {
        match sample.entry.path.as_bytes() {
            b"storages/private/old" => {
                sample.entry.mtime = Timestamp { secs: -2, nanos: 999_999_999 }
            }
            b"storages/private/whole-second" => {
                sample.entry.mtime = Timestamp { secs: 7, nanos: 0 }
            }
            b"files/z/noise.bin" | b"files/z/other-name" => sample.entry.mode = 0o640,
            b"files/empty-folder" => sample.entry.mode = 0o2775,
            b"files/-rf" => sample.entry.mode = 0o400,
            _ => {}
        }
    }
    out
}

/// Small, so that every region of the archive gets its share of the samples.
pub fn small_tree() -> Vec<Sample> {
    let mut samples = vec![folder("files"), file("files/a.txt", b"text, text\n".repeat(900))];
    for n in 0..6 {
        samples.push(file(format!("files/b{n}.bin"), noise(1000 + 37 * n, n as u64 + 1)));
    }
    samples.push(folder("files/z"));
    samples
}

pub fn options(form: Form, spool: &Path) -> WriteOptions {
    WriteOptions {
        name: NAME.into(),
        form,
        level: None,
        workers: 2,
        file_mode: if form == Form::Folder { 0o750 } else { 0o640 },
        max_size: None,
        spool_dir: spool.to_owned(),
        finished_mtime: Some(MTIME),
    }
}

pub fn add(writer: &mut TreeWriter, sample: &Sample) -> Result<(), ArchiveError> {
    if sample.entry.size().is_some() {
        // Small ones in one piece, others as a stream.
        if sample.data.len() < 1000 {
            let content = Content::Bytes { data: &sample.data, sha256: None };
            writer.add_file(&sample.entry, content)?;
        } else {
            writer.add_file(&sample.entry, Content::Stream(&mut &sample.data[..]))?;
        }
        Ok(())
    } else {
        writer.add(&sample.entry)
    }
}

pub fn archive_path(folder: &Path, form: Form) -> PathBuf {
    folder.join(format!("{NAME}{}", form.extension()))
}

pub fn write_with(path: &Path, metadata: &Metadata, samples: &[Sample]) -> Written {
    let spool = path.parent().unwrap();
    let mut writer = TreeWriter::create(path, options(metadata.form, spool)).unwrap();
    writer.add_metadata(metadata).unwrap();
    for sample in samples {
        add(&mut writer, sample).unwrap_or_else(|error| panic!("{:?}: {error}", sample.entry.path));
    }
    writer.finish(&restore_script(metadata), completion).unwrap()
}

pub fn write(folder: &Path, form: Form, samples: &[Sample]) -> PathBuf {
    let path = archive_path(folder, form);
    write_with(&path, &metadata(form), samples);
    path
}

pub fn write_bytes(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap();
}

pub fn quiet<T>(run: impl FnOnce(&mut Watch<'_>) -> T) -> T {
    let mut progress = |_: Progress| {};
    run(&mut Watch { progress: &mut progress, cancelled: &|| false })
}

pub fn verify(path: &Path) -> Result<VerifyReport, ArchiveError> {
    quiet(|watch| dalsegno_archive::verify(path, 2, watch))
}

/// All findings, or the error, as text; empty for a good backup.
pub fn findings(path: &Path) -> Vec<String> {
    match verify(path) {
        Ok(report) => report.damage.iter().map(ToString::to_string).collect(),
        Err(error) => vec![format!("error: {error}")],
    }
}

pub fn read_all(path: &Path) -> Result<(Vec<Sample>, ReadReport), ReadError> {
    read_members(&Archive::open(path)?, Check::Full)
}

/// All members that come, read as a restore would.
pub fn read_members(
    archive: &Archive,
    check: Check,
) -> Result<(Vec<Sample>, ReadReport), ReadError> {
    let mut out = Vec::new();
    let report = quiet(|watch| {
        archive.read(check, 2, watch, &mut |member| {
            let mut data = Vec::new();
            match member.content {
                MemberContent::None => {}
                MemberContent::Bytes(bytes) => data = bytes,
                MemberContent::Stream(stream) => {
                    stream.read_to_end(&mut data)?;
                }
            }
            out.push(Sample { entry: member.entry, data });
            Ok(())
        })
    })?;
    Ok((out, report))
}

/// Runs a program and gives what it printed; fails when it fails.
pub fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {text}{errors}");
    text + &errors
}
