//! What `backup` captures, by its options.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

use dalsegno_testkit::{BANK_SUM, Bank, Site, bank_sum, is_root};
use insta::assert_snapshot;

use crate::{backup, mode, ok, path_of, report, run, text};

#[test]
fn a_backup_tells_what_it_holds() {
    let site = Site::bookshop(600, 60);
    assert_snapshot!(ok(&site, &["backup", "--name", "first"]), @r#"
    exit 0
    out| Backup first is complete: [SITE]/backups/backup_[TIME].tar.gz
    out|   id          [ID]
    out|   database    default: 30 tables, 767 rows, [SIZE]
    out|   storage     default: 63 files, [SIZE], 3 left out by rule
    out|               invoices: 3 files, [SIZE]
    out|   references  63 files named by rows: 1 missing, 5 orphaned
    out|   [SIZE] stored of [SIZE], in [DURATION] (start-up of the project [DURATION])
    err| backing up database default ([SIZE])
    err| backing up storage default ([SIZE])
    err| backing up storage invoices ([SIZE])
    err| making it durable
    "#);
    let manifest = &report(&site, &["show", "first"])["manifest"];
    let references = &manifest["completion"]["references"];
    assert_eq!(references["missing"], 1);
    assert_eq!(references["orphaned"], 5);
    let missing = references["missing_examples"].to_string();
    assert!(missing.contains("media/books/lost in the move.epub"), "{missing}");
    let orphaned = references["orphaned_examples"].to_string();
    assert!(orphaned.contains("images/old banner.jpg"), "{orphaned}");
}

#[test]
fn compression_is_chosen() {
    let site = Site::plain();
    site.write("media/text", "much the same again\n".repeat(20_000));
    let size = |name: &str, args: &[&str]| {
        fs::metadata(backup(&site, name, args)).expect("it is there").len()
    };
    let plain = size("plain", &["--no-compress"]);
    let fast = size("fast", &["--compression-level", "1"]);
    let best = size("best", &["--compression-level", "9", "--compress"]);
    assert!(best <= fast && fast < plain / 4, "{best} {fast} {plain}");
    assert!(site.path("backups/plain.tar").is_file());
    assert!(site.path("backups/best.tar.gz").is_file());
    site.settings("[settings]\nBACKUP_USE_COMPRESSION = false");
    assert!(text(&backup(&site, "by-setting", &[])).ends_with("by-setting.tar"));
}

#[test]
fn nothing_existing_is_overwritten() {
    let site = Site::plain();
    let path = backup(&site, "kept", &[]);
    let before = fs::read(&path).expect("it is there");
    assert_snapshot!(run(&site, &["-q", "backup", "--filename", "kept"]), @r#"
    exit 13
    err| error: `[SITE]/backups/kept.tar.gz` exists already
    err| hint: Choose another name: nothing existing is overwritten.
    "#);
    assert_eq!(fs::read(&path).expect("it is there"), before);
    // Another form has another file name.
    backup(&site, "kept", &["--form", "folder"]);
    run(&site, &["backup", "--filename", "kept", "--form", "folder"]).expect(13);
}

#[test]
fn a_taken_name_gets_a_number() {
    let site = Site::plain();
    let clock =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("it is not 1970");
    for ahead in 0..60 {
        let output = std::process::Command::new("date")
            .args([
                "-u",
                "-d",
                &format!("@{}", clock.as_secs() + ahead),
                "+backups/backup_%Y%m%d_%H%M%S.tar",
            ])
            .output()
            .expect("date runs");
        site.write(String::from_utf8_lossy(&output.stdout).trim(), "");
    }
    let path = path_of(&ok(&site, &["--format", "json", "backup"]));
    assert!(text(&path).ends_with("_2.tar.gz"), "{}", path.display());
}

#[test]
fn the_folder_is_chosen() {
    let site = Site::plain();
    ok(&site, &["backup", "--output-dir", "elsewhere/deep", "--filename", "x"]);
    assert_eq!(site.names("elsewhere/deep"), ["x.tar.gz", "x.tar.gz.manifest.json"]);
    assert!(!site.path("backups").exists());
    let listed = report(&site, &["list", "--output-dir", "elsewhere/deep"]);
    assert_eq!(listed["backups"][0]["name"], "x");
}

#[test]
fn parts_are_chosen() {
    let site = Site::plain();
    for (args, databases, storages, kind) in [
        (&["--type", "database"][..], 1, 0, "database"),
        (&["--skip-media"], 1, 0, "database"),
        (&["--type", "media"], 0, 1, "media"),
        (&["--skip-database"], 0, 1, "media"),
        (&["--type", "full"], 1, 1, "full"),
    ] {
        let mut all = vec!["backup", "--output-dir", "parts"];
        all.extend(args);
        let manifest = &report(&site, &all)["manifest"];
        let held =
            |what: &str| manifest["completion"][what].as_object().map_or(0, serde_json::Map::len);
        assert_eq!((held("databases"), held("storages")), (databases, storages), "{args:?}");
        assert_eq!(manifest["metadata"]["type"], kind, "{args:?}");
    }
    assert_snapshot!(run(&site, &["-q", "backup", "--skip-media", "--skip-database"]), @r#"
    exit 2
    err| error: `--skip-database` and `--skip-media` together leave nothing to back up
    "#);
    assert_snapshot!(run(&site, &["-q", "backup", "--type", "media", "--skip-media"]), @r#"
    exit 2
    err| error: `--type media` and the `--skip` options contradict each other
    "#);
    assert_snapshot!(run(&site, &["-q", "backup", "--no-compress", "--compression-level", "3"]), @r#"
    exit 2
    err| error: `--compression-level` means nothing for the form tar
    err| hint: Leave it out, or choose `--form tar.gz` or `--form tar.zst`.
    "#);
}

#[test]
fn a_storage_for_backups_is_no_media() {
    let site = Site::plain();
    let config = site.path("dalsegno.toml");
    let text = fs::read_to_string(&config).unwrap();
    let more =
        "\n[storages.archives]\nlocation = \"backups\"\n\n[storages.spare]\nlocation = \"spare\"\n";
    fs::write(&config, text + more).unwrap();
    fs::create_dir(site.path("spare")).unwrap();
    let held = |args: &[&str], code: i32| {
        let mut all = vec!["--format", "json", "backup"];
        all.extend(args);
        let answer = run(&site, &all).expect(code);
        let line = answer.stdout.lines().last().unwrap();
        let report: serde_json::Value = serde_json::from_str(line).unwrap();
        let held = report["manifest"]["completion"]["storages"].as_object().unwrap();
        held.keys().map(String::as_str).collect::<Vec<_>>().join(" ")
    };
    for name in ["one", "two"] {
        assert_eq!(held(&["--filename", name], 0), "default spare");
    }
    assert_eq!(held(&["--output-dir", "spare"], 3), "default");
    assert_eq!(held(&["--output-dir", "media"], 3), "spare");
}

#[test]
fn databases_are_chosen() {
    let site = Site::two_databases();
    let held = |args: &[&str]| {
        let mut all = vec!["backup", "--output-dir", "chosen"];
        all.extend(args);
        let manifest = report(&site, &all)["manifest"].clone();
        let databases = manifest["metadata"]["databases"].as_object().expect("there are databases");
        let left_out = manifest["metadata"]["left_out"].as_array().expect("a list");
        let names = left_out.iter().map(|l| l["name"].as_str().unwrap_or_default().to_owned());
        (databases.keys().cloned().collect::<Vec<_>>(), names.collect::<Vec<_>>())
    };
    let strings = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(held(&[]), (strings(&["default"]), strings(&["archive"])));
    assert_eq!(held(&["--database", "archive"]), (strings(&["archive"]), strings(&["default"])));
    assert_eq!(held(&["--database", "all"]), (strings(&["archive", "default"]), strings(&[])));
    let both = ["--database", "default", "--database", "archive"];
    assert_eq!(held(&both), (strings(&["archive", "default"]), strings(&[])));
}

#[test]
fn rows_are_left_out_and_their_tables_kept() {
    let site = Site::bookshop(600, 60);
    let changes = site.ask("db.sqlite3", "SELECT count(*) FROM books_changelog");
    assert_ne!(changes, "0");
    backup(
        &site,
        "lean",
        &["--exclude-data", "books.ChangeLog", "--exclude-data", "sessions.Session"],
    );
    let target = site.outside("lean.db");
    ok(
        &site,
        &[
            "restore",
            "lean",
            "--force",
            "--skip-media",
            "--to-database",
            &format!("sqlite:///{}", target.display()),
        ],
    );
    assert_eq!(site.ask(&target, "SELECT count(*) FROM books_changelog"), "0");
    let books = site.ask("db.sqlite3", "SELECT count(*) FROM books_book");
    assert_eq!(site.ask(&target, "SELECT count(*) FROM books_book"), books);
    let manifest = &report(&site, &["show", "lean"])["manifest"];
    assert_eq!(manifest["metadata"]["options"]["exclude_data"][0], "books.ChangeLog");
    assert_snapshot!(run(&site, &["-q", "backup", "--exclude-data", "book.changelog"]), @r#"
    exit 2
    err| error: the project has no model `book.changelog`
    err| hint: Did you mean `books.ChangeLog`?
    "#);
    assert_snapshot!(run(&site, &["-q", "backup", "--exclude-data", "books.ChangeLogg"]), @r#"
    exit 2
    err| error: the project has no model `books.ChangeLogg`
    err| hint: Did you mean `books.ChangeLog`?
    "#);
}

#[test]
fn media_are_left_out_by_pattern() {
    let site = Site::plain();
    site.write("media/a/cache/x", "x");
    let names = |args: &[&str]| {
        let mut all = vec!["backup", "--form", "folder", "--output-dir", "out"];
        all.extend(args);
        let path = path_of(&ok(&site, &[&["--format", "json"], &all[..]].concat()));
        let found = walk(&path.join("files"));
        fs::remove_dir_all(path).expect("it can be removed");
        found
    };
    let all = names(&[]);
    assert!(
        all.contains(&"a/cache/x".to_owned()) && !all.contains(&".hidden".to_owned()),
        "{all:?}"
    );
    let some = names(&["--exclude-media", "a/cache", "--exclude-media", "*.jpg"]);
    assert!(!some.iter().any(|n| n.starts_with("a/cache") || n.contains(".jpg")), "{some:?}");
    assert!(some.contains(&"a/one.txt".to_owned()), "{some:?}");
    site.settings("[settings]\nBACKUP_MEDIA_EXCLUDE = []");
    assert!(names(&[]).contains(&".hidden".to_owned()));
}

fn walk(root: &std::path::Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("it can be read") {
            let path = entry.expect("it can be read").path();
            if path.is_dir() && !path.is_symlink() {
                folders.push(path.clone());
            }
            found.push(text(path.strip_prefix(root).expect("it lies below")).to_owned());
        }
    }
    found
}

#[test]
fn cache_folders_are_left_out_by_their_tag() {
    let site = Site::plain();
    site.write(
        "media/thumbs/CACHEDIR.TAG",
        "Signature: 8a477f597d28d172789f06886806bc55\n# thumbs\n",
    );
    site.write("media/thumbs/big.png", "made again at any time");
    site.write("media/fake/CACHEDIR.TAG", "no signature");
    site.write("media/fake/real.png", "not made again");
    let path = backup(&site, "tagged", &["--form", "folder"]);
    let found = walk(&path.join("files"));
    assert!(!found.contains(&"thumbs/big.png".to_owned()), "{found:?}");
    assert!(found.contains(&"fake/real.png".to_owned()), "{found:?}");
    let before = site.state();
    crate::restore(&site, &["tagged"]);
    dalsegno_testkit::assert_same(&before, &site.state());
}

#[test]
fn fixtures_are_included_on_request() {
    let site = Site::bookshop(600, 60);
    let report = report(&site, &["backup", "--include-fixtures", "--filename", "f"]);
    assert_eq!(report["manifest"]["completion"]["fixtures"]["files"], 2);
    let contents = ok(&site, &["contents", "f", "fixtures"]).stdout;
    assert!(contents.contains("fixtures/books/languages.json"), "{contents}");
    assert!(contents.contains("genres.json"), "{contents}");
}

#[test]
fn what_the_site_asks_for_and_cannot_be_done_is_refused() {
    let site = Site::plain();
    let config = fs::read_to_string(site.path("dalsegno.toml")).expect("it is there");
    site.settings("[settings]\nBACKUP_USE_ENCRYPTION = true\nBACKUP_ENCRYPTION_KEY = \"hunter2\"");
    assert_snapshot!(run(&site, &["-q", "backup"]), @r#"
    exit 13
    err| error: `BACKUP_USE_ENCRYPTION` is on, and this version cannot encrypt
    err| hint: Set `BACKUP_USE_ENCRYPTION` to False, or wait for the version that can.
    "#);
    site.write("dalsegno.toml", config);
    site.settings("[settings]\nBACKUP_SFTP_ENABLED = true");
    assert_snapshot!(run(&site, &["-q", "backup"]), @r#"
    exit 13
    err| error: `BACKUP_SFTP_ENABLED` is on, and this version cannot upload
    err| hint: Set `BACKUP_SFTP_ENABLED` to False, or wait for the version that can.
    "#);
    assert_eq!(site.names("backups"), [""; 0]);
}

#[test]
fn stored_files_are_private() {
    let site = Site::plain();
    let path = backup(&site, "private", &[]);
    assert_eq!(mode(&path), "0600");
    assert_eq!(mode(site.path("backups/private.tar.gz.manifest.json")), "0600");
    assert_eq!(mode(site.path("backups")), "0750");
    let folder = backup(&site, "folder", &["--form", "folder"]);
    for (below, expected) in [
        ("", "0750"),
        ("files", "0700"),
        ("files/picture.jpg", "0600"),
        ("database/default/db.sqlite3", "0600"),
        ("backup_complete.json", "0600"),
    ] {
        assert_eq!(mode(folder.join(below)), expected, "{below}");
    }
    site.settings("[settings]\nBACKUP_FILE_PERMISSIONS = \"0640\"");
    assert_eq!(mode(backup(&site, "group", &[])), "0640");
    // The folder of restores, scratch and catalog is as private.
    ok(&site, &["diff", "private"]);
    crate::restore(&site, &["private"]);
    assert_eq!(mode(site.path("backups_data")), "0750");
}

#[test]
fn root_gives_what_it_makes_to_the_owner_of_the_folder() {
    if !is_root() {
        // Nobody else can give files away: there is nothing to see.
        return;
    }
    let site = Site::plain();
    for folder in ["backups", "backups_data"] {
        fs::create_dir(site.path(folder)).expect("it is new");
        std::os::unix::fs::chown(site.path(folder), Some(65534), Some(65534))
            .expect("root may give it away");
    }
    backup(&site, "a", &[]);
    backup(&site, "b", &["--form", "folder"]);
    crate::restore(&site, &["a"]);
    let mut folders = vec![site.path("backups"), site.path("backups_data")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("it can be read") {
            let path = entry.expect("it can be read").path();
            let meta = path.symlink_metadata().expect("it is there");
            assert_eq!((meta.uid(), meta.gid()), (65534, 65534), "{}", path.display());
            if meta.is_dir() {
                folders.push(path);
            }
        }
    }
}

#[test]
fn the_site_may_write_throughout() {
    for journal in ["wal", "delete"] {
        let site = Site::plain();
        let bank = Bank::open(&site.path("db.sqlite3"), journal);
        let targets = [site.outside("first.db"), site.outside("second.db")];
        for (number, target) in targets.iter().enumerate() {
            let name = format!("b{number}");
            backup(&site, &name, &[]);
            let url = format!("sqlite:///{}", target.display());
            ok(&site, &["restore", &name, "--force", "--skip-media", "--to-database", &url]);
        }
        assert!(bank.close() > 0);
        for target in targets {
            assert_eq!(bank_sum(&target), BANK_SUM, "{journal}");
        }
    }
}

#[test]
fn links_inside_the_storage_are_kept_as_links() {
    let site = Site::plain();
    symlink("../a/two.txt", site.path("media/b/up")).expect("links can be made");
    symlink("nowhere", site.path("media/b/dangling")).expect("links can be made");
    let before = site.state();
    backup(&site, "links", &[]);
    fs::remove_dir_all(site.path("media")).expect("it can be removed");
    crate::restore(&site, &["links"]);
    // Names left out by rule were in the folder that is gone.
    let mut expected = before.part("media").to_vec();
    expected.retain(|line| !line.contains(".hidden") && !line.starts_with("ALL"));
    let mut found = site.state().part("media").to_vec();
    found.retain(|line| !line.starts_with("ALL"));
    assert_eq!(found, expected);
}
