//! Times this crate on a folder: `measure write FORM FOLDER OUT [LEVEL]`, `measure verify ARCHIVE`,
//! `measure unpack ARCHIVE OUT`, `measure many FORM COUNT OUT` (tiny files out of nowhere).
#![allow(clippy::print_stdout)]

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::File;
use std::io::{Read, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Instant;

use dalsegno_archive::{
    Archive, Check, Closing, Content, MemberContent, Progress, TreeWriter, Watch, WriteOptions,
    restore_script, verify,
};
use dalsegno_format::{
    BackupId, Completion, Entry, EntryKind, Form, Metadata, Outcome, Timestamp, TreePath,
};

type Outcomes = Result<(), Box<dyn Error>>;

fn main() -> Outcomes {
    let args: Vec<String> = std::env::args().collect();
    let start = Instant::now();
    match &args.iter().map(String::as_str).collect::<Vec<_>>()[1..] {
        ["write", form, folder, out, level @ ..] => {
            let form = Form::from_name(form).ok_or("unknown form")?;
            let level = level.first().map(|level| level.parse()).transpose()?;
            write(form, Path::new(folder), Path::new(out), level)?;
        }
        ["verify", archive] => {
            let mut progress = |_: Progress| {};
            let watch = &mut Watch { progress: &mut progress, cancelled: &|| false };
            let report = verify(Path::new(archive), 2, watch)?;
            println!("{} members, {} findings", report.members, report.damage.len());
        }
        ["many", form, count, out] => {
            let form = Form::from_name(form).ok_or("unknown form")?;
            many(form, count.parse()?, Path::new(out))?;
        }
        ["unpack", archive, out] => unpack(Path::new(archive), Path::new(out))?,
        _ => return Err("measure write|verify|unpack …".into()),
    }
    println!("{:.3} s", start.elapsed().as_secs_f64());
    if let Some(line) =
        std::fs::read_to_string("/proc/self/status")?.lines().find(|line| line.starts_with("VmHWM"))
    {
        println!("{line}");
    }
    Ok(())
}

fn metadata(form: Form) -> Result<Metadata, serde_json::Error> {
    serde_json::from_value(serde_json::json!({
        "format": 1, "id": BackupId::new(1, [7; 10]), "name": "backup_1", "folder": "backup_1",
        "created_at": "", "backup_timestamp": "", "time_zone": "UTC", "type": "full",
        "capture": "native", "form": form, "django_version": null,
        "backup_options": {"include_files": true, "skip_db": false, "compress": false, "models": "all"},
        "storage_backend": null, "database_engine": null,
        "versions": {"dalsegno": "0", "django": null, "python": null},
        "project": {"name": "x", "settings_module": null}, "host": {"name": "h", "system": "s"},
        "options": {"compression_level": null}, "databases": {}, "storages": {},
    }))
}

fn completion(closing: &Closing) -> Completion {
    Completion {
        format: 1,
        id: BackupId::new(1, [7; 10]),
        finished_at: String::new(),
        duration_ms: 0,
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

fn many(form: Form, count: u32, out: &Path) -> Outcomes {
    let mut writer = create(form, out, None)?;
    let mut entry = Entry {
        path: TreePath::new("files")?,
        kind: EntryKind::Directory,
        mode: 0o644,
        uid: 0,
        gid: 0,
        user: "root".into(),
        group: "root".into(),
        mtime: Timestamp { secs: 1_600_000_000, nanos: 1 },
    };
    writer.add(&entry)?;
    for number in 0..count {
        let text = format!("{number:08}");
        entry.path = TreePath::new(format!("files/{text}"))?;
        entry.kind = EntryKind::File { size: text.len() as u64, extents: None };
        writer.add_file(&entry, Content::Bytes { data: text.as_bytes(), sha256: None })?;
    }
    let written = writer.finish(&restore_script(&metadata(form)?), completion)?;
    println!("{} bytes, {} members", written.stored_bytes, written.members);
    Ok(())
}

fn create(form: Form, out: &Path, level: Option<u32>) -> Result<TreeWriter, Box<dyn Error>> {
    let options = WriteOptions {
        name: "backup_1".into(),
        form,
        level,
        workers: 2,
        file_mode: 0o700,
        max_size: None,
        spool_dir: "/tmp".into(),
        finished_mtime: None,
    };
    let mut writer = TreeWriter::create(out, options)?;
    writer.add_metadata(&metadata(form)?)?;
    Ok(writer)
}

fn write(form: Form, folder: &Path, out: &Path, level: Option<u32>) -> Outcomes {
    let mut writer = create(form, out, level)?;
    add(&mut writer, folder, &TreePath::new("files")?)?;
    let written = writer.finish(&restore_script(&metadata(form)?), completion)?;
    println!("{} bytes, {} members", written.stored_bytes, written.members);
    Ok(())
}

fn add(writer: &mut TreeWriter, from: &Path, path: &TreePath) -> Outcomes {
    let meta = from.symlink_metadata()?;
    let mut entry = Entry {
        path: path.clone(),
        kind: EntryKind::Directory,
        mode: meta.mode() & 0o7777,
        uid: meta.uid(),
        gid: meta.gid(),
        user: "root".into(),
        group: "root".into(),
        mtime: Timestamp { secs: meta.mtime(), nanos: u32::try_from(meta.mtime_nsec())? },
    };
    if meta.is_dir() {
        writer.add(&entry)?;
        let mut names: Vec<_> = std::fs::read_dir(from)?
            .map(|found| found.map(|found| found.file_name()))
            .collect::<Result<_, _>>()?;
        names.sort();
        for name in names {
            add(writer, &from.join(&name), &path.join(name.as_bytes())?)?;
        }
    } else if meta.is_file() {
        entry.kind = EntryKind::File { size: meta.len(), extents: None };
        let mut file = File::open(from)?;
        if meta.len() <= 1 << 20 {
            let mut data = Vec::with_capacity(usize::try_from(meta.len())?);
            file.read_to_end(&mut data)?;
            writer.add_file(&entry, Content::Bytes { data: &data, sha256: None })?;
        } else {
            writer.add_file(&entry, Content::Stream(&mut file))?;
        }
    }
    Ok(())
}

fn unpack(archive: &Path, out: &Path) -> Outcomes {
    let archive = Archive::open(archive)?;
    std::fs::create_dir(out)?;
    let mut progress = |_: Progress| {};
    let watch = &mut Watch { progress: &mut progress, cancelled: &|| false };
    let report = archive.read(Check::Full, 2, watch, &mut |member| {
        let path = out.join(std::ffi::OsStr::from_bytes(member.entry.path.as_bytes()));
        match member.content {
            MemberContent::None => std::fs::create_dir(path)?,
            MemberContent::Bytes(bytes) => std::fs::write(path, bytes)?,
            MemberContent::Stream(stream) => {
                let mut file = File::create(path)?;
                let mut buffer = vec![0; 1 << 20];
                loop {
                    let read = stream.read(&mut buffer)?;
                    if read == 0 {
                        break;
                    }
                    file.write_all(&buffer[..read])?;
                }
            }
        }
        Ok(())
    })?;
    println!("{} members", report.members);
    Ok(())
}
