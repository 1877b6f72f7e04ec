//! The program behind another: a descriptor that is handed over, questions and answers by line.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use dalsegno_testkit::{Answer, Site, assert_same, damage, noise};
use insta::assert_snapshot;
use serde_json::Value;

use crate::{BINARY, backup, ok, report, text};

/// Runs the program with descriptor 3 open on a file.
fn with_descriptor(site: &Site, file: &Path, args: &[&str]) -> Answer {
    let script = "file=$1; shift; exec \"$@\" 3<\"$file\"";
    let mut all = vec!["-c", script, "sh", text(file), BINARY, "--descriptor-fd", "3"];
    all.extend(args);
    site.call("sh", &all).run()
}

/// A descriptor as it is handed over: its length goes before it.
fn framed(descriptor: &str) -> Vec<u8> {
    let length = u32::try_from(descriptor.len()).expect("it is small");
    [&length.to_be_bytes(), descriptor.as_bytes()].concat()
}

/// What `describe` shows of a site that has no secrets is its descriptor.
fn descriptor(site: &Site) -> Value {
    report(site, &["describe"])["project"].take()
}

#[test]
fn a_descriptor_that_is_handed_over_is_the_project() {
    let site = Site::plain();
    let file = site.outside("descriptor.json");
    let told = descriptor(&site);
    std::fs::write(&file, framed(&told.to_string())).expect("it can be written");
    std::fs::remove_file(site.path("dalsegno.toml")).expect("it is there");

    let again = with_descriptor(&site, &file, &["--format", "json", "describe"]).expect(0).json();
    assert_eq!(again["project"], told);
    let before = site.state();
    let made = with_descriptor(&site, &file, &["backup", "--filename", "b"]).expect(0);
    assert!(!made.stdout.contains("start-up"), "nothing was started: {made}");
    damage(&site);
    with_descriptor(&site, &file, &["restore", "b", "--force"]).expect(0);
    assert_same(&before, &site.state());
    // The verb looks the project up twice, and the descriptor can be read once.
    with_descriptor(&site, &file, &["diff", "b", "live"]).expect(0);
    assert_snapshot!(with_descriptor(&site, &file, &["doctor"]).expect(0).stdout.lines().next().unwrap_or_default(),
        @"ok       project plain: Django ? on Python ?, described by the calling process");
}

#[test]
fn what_is_no_descriptor_is_refused() {
    let site = Site::plain();
    let file = site.outside("descriptor.json");
    for nonsense in ["", "{", "[]", r#"{"descriptor_version": 1}"#] {
        std::fs::write(&file, framed(nonsense)).expect("it can be written");
        let answer = with_descriptor(&site, &file, &["backup"]).expect(2);
        assert!(answer.stderr.contains("is not understood"), "{answer}");
    }
    let short = framed("{}").into_iter().take(5).collect();
    for (unframed, why) in [
        (vec![], "failed to fill whole buffer"),
        (short, "unexpected end of file"),
        (b"{\"descriptor_version\": 1}".to_vec(), "it has more than 67108864 bytes"),
    ] {
        std::fs::write(&file, unframed).expect("it can be written");
        let answer = with_descriptor(&site, &file, &["backup"]).expect(2);
        assert!(answer.stderr.contains("cannot read the descriptor"), "{answer}");
        assert!(answer.stderr.contains(why), "{answer}");
    }
    assert_snapshot!(site.call(BINARY, &["--descriptor-fd", "99", "backup"]).run(), @r"
    exit 2
    err| error: cannot read the descriptor that was handed over
    err|   because: No such file or directory (os error 2)
    err| hint: Only the Python package `dalsegno` hands a descriptor over; install the binary and the package in the same version.
    ");
    for other in [&["--project", "."][..], &["--config", "x.toml"], &["--python", "python3"]] {
        let mut args = vec!["describe"];
        args.extend(other);
        with_descriptor(&site, &file, &args).expect(2);
    }
    assert_eq!(site.names("backups"), [""; 0]);
    assert!(!ok(&site, &["backup", "--help"]).stdout.contains("descriptor"));
}

/// The program as a client runs it.
struct Asked {
    child: Child,
    answers: Option<ChildStdin>,
    lines: Box<dyn Iterator<Item = Value>>,
}

impl Asked {
    fn start(site: &Site, args: &[&str]) -> Self {
        let mut child = Command::new(BINARY)
            .args(["--format", "client"])
            .args(args)
            .current_dir(site.root())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let stdout = child.stdout.take().expect("it is a pipe");
        let lines = BufReader::new(stdout).lines().map(|line| {
            serde_json::from_str(&line.expect("lines are text")).expect("each line is JSON")
        });
        Self { answers: child.stdin.take(), child, lines: Box::new(lines) }
    }

    /// The first line of this kind.
    fn until(&mut self, event: &str) -> Value {
        self.lines.find(|line| line["event"] == event).unwrap_or_else(|| panic!("no {event} comes"))
    }

    fn answer(&mut self, word: &str) {
        let answers = self.answers.as_mut().expect("it listens");
        writeln!(answers, "{word}").expect("it listens");
    }

    fn kill(&self) {
        let killed = Command::new("kill").arg(self.child.id().to_string()).status();
        assert!(killed.expect("`kill` runs").success());
    }

    fn code(mut self) -> Option<i32> {
        self.lines.for_each(drop);
        self.child.wait().expect("it ends").code()
    }
}

#[test]
fn a_client_is_asked_and_only_yes_is_a_yes() {
    let site = Site::plain();
    let before = site.state();
    backup(&site, "b", &[]);
    damage(&site);
    let damaged = site.state();
    for (word, message) in [
        ("no", "cancelled: the restore was not confirmed"),
        ("", "cancelled: the restore was not confirmed"),
        ("y", "cancelled: the restore was not confirmed"),
        ("nobody", "the restore needs a yes, and there is no terminal to ask on"),
    ] {
        let mut asked = Asked::start(&site, &["restore", "b"]);
        let question = asked.until("question");
        let question = question["text"].as_str().expect("it is a text");
        assert!(question.ends_with("Restore it into project plain?"), "{question}");
        asked.answer(word);
        let error = asked.until("error");
        assert_eq!((&error["message"], &error["exit_code"]), (&message.into(), &13.into()));
        assert_eq!(asked.code(), Some(13));
        assert_same(&damaged, &site.state());
    }
    let mut asked = Asked::start(&site, &["restore", "b"]);
    asked.until("question");
    asked.answer("yes");
    let report = asked.until("report");
    assert!(report["text"].as_str().is_some_and(|text| text.starts_with("Restored b.\n")));
    assert_eq!(asked.code(), Some(0));
    assert_same(&before, &site.state());
}

#[test]
fn what_a_client_shows_to_people_turns_no_terminal() {
    let site = Site::plain();
    let config = std::fs::read_to_string(site.path("dalsegno.toml")).expect("it is there");
    site.write("dalsegno.toml", config.replace("\"plain\"", "\"plain\\u001b[3J\""));
    site.sql("db.sqlite3", "CREATE TABLE \"t\u{1b}[2J\u{202e}\nRestore it?\" (id INTEGER)");
    backup(&site, "b", &[]);
    site.sql("db.sqlite3", "INSERT INTO \"t\u{1b}[2J\u{202e}\nRestore it?\" VALUES (1)");
    let mut asked = Asked::start(&site, &["restore", "b"]);
    let question = asked.until("question");
    let question = question["text"].as_str().expect("it is a text");
    assert!(question.contains(r"t\u{1b}[2J\u{202e}\nRestore it?"), "{question}");
    assert!(question.ends_with(r"into project plain\u{1b}[3J?"), "{question}");
    assert!(!question.contains(['\u{1b}', '\u{202e}']), "{question}");
    asked.answer("no");
    assert_eq!(asked.code(), Some(13));

    site.settings("[databases.\"a\\u001b[2J\"]\nengine = \"sqlite\"\nname = \"a.sqlite3\"\n");
    site.sql("a.sqlite3", "CREATE TABLE t (id INTEGER)");
    for file in 0..6 {
        site.write(&format!("media/{file}.bin"), noise(8_000_000, file));
    }
    let folder = site.path("out\u{1b}[2J");
    let args = ["backup", "--output-dir", text(&folder), "--database", "all"];
    let mut killed = Asked::start(&site, &args);
    let stages = std::iter::from_fn(|| Some(killed.until("stage")));
    let texts = stages.map(|stage| stage["text"].as_str().unwrap_or_default().to_owned());
    let texts: Vec<String> = texts.take(3).collect();
    assert!(texts.iter().any(|text| text.contains(r"a\u{1b}[2J")), "{texts:?}");
    assert!(!texts.concat().contains('\u{1b}'), "{texts:?}");
    killed.child.kill().expect("it runs");
    assert_eq!(killed.code(), None);
    let warning = Asked::start(&site, &args).until("warning");
    let warning = warning["text"].as_str().expect("it is a text");
    assert!(warning.contains(r"out\u{1b}[2J") && !warning.contains('\u{1b}'), "{warning}");
}

#[test]
fn a_client_that_is_gone_wants_no_more() {
    let site = Site::plain();
    backup(&site, "b", &[]);
    let mut asked = Asked::start(&site, &["restore", "b"]);
    asked.until("question");
    drop(asked.answers.take());
    assert_eq!(asked.until("error")["kind"], "cancelled");
    assert_eq!(asked.code(), Some(130));

    let mut asked = Asked::start(&site, &["restore", "b"]);
    asked.until("question");
    asked.kill();
    assert_eq!(asked.until("error")["kind"], "cancelled");

    for file in 0..6 {
        site.write(&format!("media/{file}.bin"), noise(8_000_000, file));
    }
    let mut asked = Asked::start(&site, &["backup", "--filename", "c"]);
    asked.until("stage");
    drop(asked.answers.take());
    assert_eq!(asked.code(), Some(130));
    assert_eq!(site.names("backups"), ["b.tar.gz", "b.tar.gz.manifest.json"]);
}

#[test]
fn a_client_that_goes_in_every_way_at_once_leaves_nothing() {
    let site = Site::plain();
    for file in 0..6 {
        site.write(&format!("media/{file}.bin"), noise(8_000_000, file));
    }
    for _ in 0..3 {
        let mut asked = Asked::start(&site, &["backup"]);
        asked.until("stage");
        asked.until("stage");
        drop(asked.answers.take());
        asked.kill();
        asked.kill();
        assert_eq!(asked.code(), Some(130));
        assert_eq!(site.names("backups"), [""; 0]);
    }
}

#[test]
fn stages_and_reports_carry_their_texts_for_a_client() {
    let site = Site::plain();
    let mut asked = Asked::start(&site, &["backup", "--filename", "b"]);
    let stage = asked.until("stage");
    assert_eq!(stage["stage"], "backing up database default");
    let shown = stage["text"].as_str().unwrap_or_default();
    assert!(shown.starts_with("backing up database default ("), "{shown}");
    let report = asked.until("report");
    assert!(report["text"].as_str().is_some_and(|text| text.starts_with("Backup b is complete: ")));
    assert_eq!(asked.code(), Some(0));
    assert!(crate::report(&site, &["backup"]).get("text").is_none());
}
