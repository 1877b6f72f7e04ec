//! A machine without Dalsegno: tar, sha256sum, sh.

#![allow(clippy::unnecessary_debug_formatting, reason = "odd names are shown escaped")]
#![allow(clippy::unwrap_used, reason = "tests end where something is not as expected")]

mod support;

use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use dalsegno_format::{EntryKind, Form, Timestamp};
use support::*;

/// A site's folder with a name that a careless script would trip over.
const SITE: &str = "it's a \"site\" $(touch oops) `x` \\ *\n2nd line";

struct Site {
    folder: tempfile::TempDir,
    root: PathBuf,
    tree: PathBuf,
    samples: Vec<Sample>,
}

/// A backup extracted in one form, of a site that still stands.
fn site(form: Form) -> Site {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join(SITE);
    std::fs::create_dir_all(root.join("media/old")).unwrap();
    std::fs::write(root.join("media/old/file"), b"old").unwrap();
    std::fs::write(root.join("db.sqlite3"), b"old database").unwrap();
    std::fs::write(root.join("db.sqlite3-wal"), b"old wal").unwrap();
    std::fs::set_permissions(root.join("db.sqlite3"), std::fs::Permissions::from_mode(0o664))
        .unwrap();
    let mut samples = odd_tree();
    samples.retain(|s| !s.entry.path.as_bytes().starts_with(b"storages"));
    let database = folder.path().join("made.sqlite3");
    run(Command::new("python3").args([
        "-c",
        "import sqlite3,sys; c=sqlite3.connect(sys.argv[1]); c.execute('create table t(x)'); c.execute('insert into t values(42)'); c.commit()",
        database.to_str().unwrap(),
    ]));
    for sample in &mut samples {
        match sample.entry.path.as_bytes() {
            b"database/default/db.sqlite3" => {
                *sample = file("database/default/db.sqlite3", std::fs::read(&database).unwrap());
            }
            b"files/empty" => sample.entry.mtime = Timestamp { secs: -2, nanos: 999_999_999 },
            b"files/-rf" => sample.entry.mtime = Timestamp { secs: -1, nanos: 500_000_000 },
            b"files/text.csv" => {
                (sample.entry.uid, sample.entry.gid) = (33, 33);
                sample.entry.mode = 0o4755;
            }
            b"files/a\nb" => {
                (sample.entry.uid, sample.entry.gid) = (7777, 1);
                (sample.entry.user, sample.entry.group) = ("no.such*user".into(), "daemon".into());
            }
            b"files" => sample.entry.mode = 0o2770,
            _ => {}
        }
    }
    let path = folder.path().join(format!("stored{}", form.extension()));
    write_with(&path, &metadata_at(form, root.to_str().unwrap()), &samples);
    let tree = if form == Form::Folder {
        path
    } else {
        run(Command::new("tar").arg("-xf").arg(&path).arg("-C").arg(folder.path()));
        folder.path().join(NAME)
    };
    Site { folder, root, tree, samples }
}

fn script(site: &Site, args: &[&str], answer: &str) -> Output {
    let mut child = Command::new("dash")
        .arg(site.tree.join("restore.sh"))
        .args(args)
        .current_dir(site.folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let written = std::io::Write::write_all(&mut child.stdin.take().unwrap(), answer.as_bytes());
    // A script that ends without asking closes the pipe.
    drop(written);
    child.wait_with_output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

/// Everything but owners is as recorded; owners, too, for root.
fn compare(media: &Path, samples: &[Sample]) {
    let mut expected = 0;
    for sample in samples {
        let entry = &sample.entry;
        let bytes = entry.path.as_bytes();
        if !bytes.starts_with(b"files") {
            continue;
        }
        expected += 1;
        let rest = bytes.strip_prefix(b"files/").unwrap_or(b"");
        let path = media.join(std::ffi::OsStr::from_bytes(rest));
        let meta = path.symlink_metadata().unwrap_or_else(|e| panic!("{path:?}: {e}"));
        if let EntryKind::HardLink { target } = &entry.kind {
            let other = media.join(std::ffi::OsStr::from_bytes(&target.as_bytes()[6..]));
            assert_eq!(meta.ino(), other.symlink_metadata().unwrap().ino());
            continue;
        }
        let nanos = u32::try_from(meta.mtime_nsec()).unwrap();
        assert_eq!(Timestamp { secs: meta.mtime(), nanos }, entry.mtime, "{path:?}");
        if let EntryKind::Symlink { target } = &entry.kind {
            assert_eq!(std::fs::read_link(&path).unwrap().as_os_str().as_bytes(), target);
            continue;
        }
        assert_eq!(meta.permissions().mode() & 0o7777, entry.mode, "{path:?}");
        assert_eq!((meta.uid(), meta.gid()), (entry.uid, entry.gid), "{path:?}");
        if let EntryKind::File { size, extents } = &entry.kind {
            assert_eq!(meta.len(), *size);
            if extents.is_none() {
                assert!(std::fs::read(&path).unwrap() == sample.data, "{path:?}");
            } else {
                assert!(meta.blocks() * 512 < size / 2, "{path:?} has no holes");
            }
        }
    }
    let found = run(Command::new("find").arg(media).args(["-printf", "x"]));
    assert_eq!(found.len(), expected);
}

fn kept(root: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(root)
        .unwrap()
        .map(|found| found.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("before-restore"))
        .collect();
    names.sort();
    names
}

#[test]
fn a_site_comes_back_with_owners_modes_times_links_and_holes() {
    for form in [Form::Folder, Form::TarGz, Form::Tar] {
        let site = site(form);
        let output = script(&site, &[], "yes\n");
        assert!(output.status.success(), "{form:?}: {}", text(&output));
        let database = site.root.join("db.sqlite3");
        let rows = run(Command::new("python3").args([
            "-c",
            "import sqlite3,sys; print(sqlite3.connect(sys.argv[1]).execute('select x from t').fetchall())",
            database.to_str().unwrap(),
        ]));
        assert_eq!(rows, "[(42,)]\n");
        assert_eq!(database.metadata().unwrap().permissions().mode() & 0o7777, 0o664);
        compare(&site.root.join("media"), &site.samples);
        let kept = kept(&site.root);
        assert_eq!(kept.len(), 3, "{kept:?}");
        assert!(kept[0].starts_with("db.sqlite3.before") && kept[1].ends_with("-wal"));
        assert_eq!(std::fs::read(site.root.join(&kept[0])).unwrap(), b"old database");
        assert_eq!(std::fs::read(site.root.join(&kept[2]).join("old/file")).unwrap(), b"old");
        assert!(text(&output).contains(&kept[2]), "it says where");
        assert!(!site.root.join("db.sqlite3-wal").exists());
        for place in [&site.root, site.folder.path(), &site.tree] {
            assert!(!place.join("oops").exists());
        }
        let names = std::fs::read_dir(&site.root).unwrap().count();
        assert_eq!(names, 5, "nothing else is left behind");
    }
}

#[test]
fn nothing_happens_without_a_yes_or_with_damage() {
    let site = site(Form::Tar);
    let untouched = || {
        assert_eq!(std::fs::read(site.root.join("db.sqlite3")).unwrap(), b"old database");
        assert!(site.root.join("media/old/file").exists());
        assert_eq!(kept(&site.root), [""; 0]);
    };
    for (args, answer, expected) in [
        (&[][..], "no\n", "not confirmed"),
        (&[], "", "not confirmed"),
        (&["--frobnicate"], "yes\n", "unknown option"),
        (&["--media", "other=/tmp/x"], "yes\n", "holds nothing named 'other'"),
        (&["--media", "default"], "yes\n", "needs ALIAS=PATH"),
        (&["--database"], "yes\n", "needs ALIAS=PATH"),
    ] {
        let output = script(&site, args, answer);
        assert!(!output.status.success(), "{args:?}");
        assert!(text(&output).contains(expected), "{args:?}: {}", text(&output));
        untouched();
    }
    let output = script(&site, &["--list"], "");
    assert!(output.status.success());
    let said = text(&output);
    assert!(said.contains("database default: SQLite, ") && said.contains("storage default: "));
    assert!(said.contains(NAME) && said.contains(SITE), "{said}");
    untouched();
    for name in ["files/text.csv", "checksums.sha256", "entries.tsv"] {
        let path = site.tree.join(name);
        let good = std::fs::read(&path).unwrap();
        let mut bad = good.clone();
        bad[10] ^= 1;
        std::fs::write(&path, &bad).unwrap();
        let output = script(&site, &["--force"], "");
        assert!(!output.status.success(), "{name}");
        assert!(text(&output).contains("nothing was changed"), "{}", text(&output));
        untouched();
        std::fs::write(&path, &good).unwrap();
    }
}

#[test]
fn other_targets_and_parts() {
    let site = site(Form::Tar);
    let elsewhere = site.folder.path().join("else where");
    let media = format!("default={}/m", elsewhere.display());
    let output = script(&site, &["--force", "--skip-database", "--media", &media], "");
    assert!(output.status.success(), "{}", text(&output));
    compare(&elsewhere.join("m"), &site.samples);
    assert!(!elsewhere.join("db").exists());
    // A relative path counts from where the script was started.
    let args = ["--force", "--skip-media", "--database", "default=else where/db"];
    let output = script(&site, &args, "");
    assert!(output.status.success(), "{}", text(&output));
    assert!(std::fs::read(elsewhere.join("db")).unwrap().starts_with(b"SQLite format 3\0"));
    assert_eq!(std::fs::read(site.root.join("db.sqlite3")).unwrap(), b"old database");
}

#[test]
fn other_engines_are_refused_and_servers_want_an_empty_database() {
    for (vendor, answer) in [
        ("oracle", "database 'default' is oracle: restore database/default with its own tools"),
        ("postgresql", "database 'default' came from /nowhere/db.sqlite3: make an empty one"),
        ("mysql", "give --database default=NAME"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut metadata = metadata_at(Form::Folder, "/nowhere");
        metadata.databases.get_mut("default").unwrap().vendor = vendor.into();
        let tree = folder.path().join("tree");
        write_with(&tree, &metadata, &odd_tree());
        let script = tree.join("restore.sh");
        let output = Command::new("dash").arg(script).arg("--force").output().unwrap();
        assert!(!output.status.success());
        assert!(text(&output).contains(answer), "{}", text(&output));
    }
}
