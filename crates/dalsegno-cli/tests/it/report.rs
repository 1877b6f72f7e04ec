//! How the program speaks: JSON lines, silence, help.

use dalsegno_testkit::Site;
use insta::assert_snapshot;
use serde_json::Value;

use crate::{BINARY, ok, run};

#[test]
fn json_lines() {
    let site = Site::plain();
    let answer = ok(
        &site,
        &[
            "--format",
            "json",
            "backup",
            "--name",
            "n",
            "--description",
            "d",
            "--tag",
            "t",
            "--tag",
            "u",
        ],
    );
    assert_eq!(answer.stderr, "");
    let lines: Vec<Value> = answer
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).expect("each line is JSON"))
        .collect();
    let (last, before) = lines.split_last().expect("there is a report");
    for line in before {
        assert!(
            ["stage", "progress", "warning"].contains(&line["event"].as_str().unwrap_or_default()),
            "{line}"
        );
    }
    let keys: Vec<&String> = last.as_object().expect("it is an object").keys().collect();
    assert_snapshot!(format!("{keys:?}"), @r#"
    ["event", "verb", "id", "name", "path", "form", "outcome", "stored_bytes", "recovered", "engine_seconds", "startup_seconds", "manifest"]
    "#);
    assert_eq!(
        (&last["event"], &last["verb"], &last["outcome"]),
        (&"report".into(), &"backup".into(), &"complete".into())
    );
    let metadata = &last["manifest"]["metadata"];
    assert_eq!((&metadata["name"], &metadata["description"]), (&"n".into(), &"d".into()));
    assert_eq!(metadata["tags"], serde_json::json!(["t", "u"]));
    for key in [
        "backup_timestamp",
        "django_version",
        "backup_options",
        "storage_backend",
        "database_engine",
    ] {
        assert!(metadata.get(key).is_some(), "{key}");
    }
}

#[test]
fn errors_are_json_too() {
    let site = Site::plain();
    let answer = run(&site, &["--format", "json", "show", "nothing"]).expect(10);
    assert_eq!(answer.stderr, "");
    let error = answer.json();
    assert_eq!(
        (&error["event"], &error["kind"], &error["exit_code"]),
        (&"error".into(), &"not_found".into(), &10.into())
    );
    assert!(error["hint"].is_string());
}

#[test]
fn quiet_says_nothing() {
    let site = Site::plain();
    for args in [
        &["-q", "backup", "--filename", "x"][..],
        &["-q", "restore", "x", "--force"],
        &["-q", "rollback", "latest", "--force"],
    ] {
        let answer = ok(&site, args);
        assert_eq!(answer.all(), "", "{args:?}");
    }
    assert_ne!(ok(&site, &["-q", "list"]).stdout, "");
}

#[test]
fn help_fits_on_a_screen() {
    let site = Site::empty();
    assert_snapshot!(ok(&site, &["--help"]), @r#"
    exit 0
    out| Backup and restore for Django projects: databases and media as one thing
    out|
    out| Usage: dalsegno [OPTIONS] <COMMAND>
    out|
    out| Commands:
    out|   backup       Back up databases and media into one archive or folder
    out|   restore      Restore a backup: staged beside the live data, checked, switched in at once
    out|   verify       Check every stored byte of a backup against its manifest
    out|   list         List the project's backups
    out|   show         Show what a backup holds and how it was made
    out|   contents     List the files in a backup
    out|   get          Write one file of a backup to standard output or to a file
    out|   diff         Compare two backups, or a backup with the live site
    out|   rollback     Put back the data that a restore replaced
    out|   discard      Drop the old data that a restore kept
    out|   delete       Delete a backup
    out|   describe     Show what was found out about the project, secrets masked
    out|   doctor       Check that backups and restores can work here, and say how to get what is missing
    out|   completions  Print a completion script for a shell
    out|
    out| Options:
    out|   -h, --help     Print help
    out|   -V, --version  Print version
    out|
    out| Project:
    out|       --project <DIR>  Folder of the project: the one that holds manage.py, or its parent
    out|       --config <FILE>  Describe the project by this file instead of by Django
    out|       --python <PATH>  The project's Python [default: virtual environment, manage.py's shebang,
    out|                        python3]
    out|
    out| Output:
    out|       --format <FORMAT>  How to report: for people, or one JSON object a line [default: text]
    out|                          [possible values: text, json]
    out|   -q, --quiet            Say nothing but errors
    out|   -v, --verbose...       Say more; twice: everything
    out|
    out| Exit codes: 0 done; 1 failed; 2 usage; 3 finished, but not all of it; 10 no such backup; 11 locked;
    out| 12 wrong key; 13 refused, since it would endanger data; 20 damage found; 130 cancelled.
    "#);
}

#[test]
fn help_of_each_verb_has_each_option() {
    let site = Site::empty();
    let verbs: [(&str, &[&str]); 13] = [
        (
            "backup",
            &[
                "--output-dir",
                "--filename",
                "--form",
                "--compress",
                "--no-compress",
                "--compression-level",
                "--skip-media",
                "--skip-database",
                "--database",
                "--include-fixtures",
                "--type",
                "--name",
                "--description",
                "--tag",
                "--exclude-data",
                "--exclude-media",
                "--capture",
            ],
        ),
        (
            "restore",
            &[
                "--database",
                "--from-database",
                "--skip-media",
                "--skip-database",
                "--skip-fixtures",
                "--no-backup-check",
                "--force",
                "--no-input",
                "--noinput",
                "--media-strategy",
                "--dry-run",
                "--mode",
                "--no-migrate",
                "--verify",
                "--keep-going",
                "--to-database",
                "--to-media",
                "--no-pre-backup",
                "--other-project",
            ],
        ),
        ("verify", &["--deep"]),
        ("list", &["--output-dir", "--limit"]),
        ("show", &[]),
        ("contents", &[]),
        ("get", &["--output"]),
        ("diff", &[]),
        ("rollback", &["--force", "--no-input"]),
        ("discard", &["--force", "--no-input"]),
        ("delete", &["--force", "--no-input"]),
        ("describe", &[]),
        ("doctor", &[]),
    ];
    for (verb, options) in verbs {
        let help = ok(&site, &[verb, "--help"]).stdout;
        for option in options.iter().chain(&[
            "--project",
            "--config",
            "--python",
            "--format",
            "--quiet",
            "--verbose",
        ]) {
            assert!(help.contains(option), "{verb} {option}:\n{help}");
        }
    }
    for later in ["--background", "--models", "--encrypt", "--destination", "--plan"] {
        assert!(!ok(&site, &["backup", "--help"]).stdout.contains(later), "{later}");
        assert!(!ok(&site, &["restore", "--help"]).stdout.contains(later), "{later}");
    }
}

#[test]
fn completions() {
    let site = Site::empty();
    for (shell, word) in
        [("bash", "complete -F"), ("zsh", "#compdef dalsegno"), ("fish", "complete -c dalsegno")]
    {
        let script = ok(&site, &["completions", shell]).stdout;
        assert!(script.contains(word) && script.contains("exclude-media"), "{shell}");
        if shell == "bash" {
            let file = site.path("completion");
            std::fs::write(&file, &script).expect("it can be written");
            let read = std::process::Command::new("bash")
                .arg("-n")
                .arg(&file)
                .status()
                .expect("bash runs");
            assert!(read.success());
        }
    }
}

#[test]
fn an_option_that_does_not_exist_is_a_usage_error() {
    let site = Site::plain();
    run(&site, &["backup", "--no-such-option"]).expect(2);
    run(&site, &["backup", "--compression-level", "10"]).expect(2);
    run(&site, &["restore"]).expect(2);
    run(&site, &["restore", "x", "--media-strategy", "burn"]).expect(2);
}

#[test]
fn a_terminal_gets_no_lines_for_programs() {
    let site = Site::plain();
    let answer = site.call(BINARY, &["backup"]).on_terminal("").run().expect(0);
    assert!(answer.stdout.contains("is complete"), "{answer}");
    assert!(!answer.stdout.contains("\"event\""), "{answer}");
}
