//! The judge of `examples/prove.py`, started once and asked often.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use crate::python::{python, workspace};
use crate::site::Site;
use crate::state::State;

const PROGRAM: &str = r#"
import json, os, shutil, sqlite3, sys, tempfile
sys.path.insert(0, sys.argv[1])
import prove

def rows(path):
    # A site opens its database for writing: only so is what a crash left brought to an end.
    db = sqlite3.connect(path, timeout=30)
    found = db.execute("PRAGMA integrity_check").fetchone()[0]
    db.close()
    return list(prove.rows(path)) + [b"integrity\t" + found.encode() + b"\n"]

entries = prove.entries

def own(path):
    # Where media are a mount point, what a restore keeps of them lies inside.
    prove.entries = lambda root: [one for one in entries(root) if not one[1].startswith(b".dalsegno-")]
    try:
        return list(prove.files(path, True, True))
    finally:
        prove.entries = entries

def aside(path):
    with tempfile.TemporaryDirectory(dir=sys.argv[2]) as folder:
        for end in ("", "-journal", "-wal"):
            if os.path.exists(path + end):
                shutil.copyfile(path + end, os.path.join(folder, "db.sqlite3" + end))
        return rows(os.path.join(folder, "db.sqlite3"))

for line in sys.stdin:
    kind, path = json.loads(line)
    try:
        if not os.path.exists(path):
            found = ["does not exist"]
        else:
            look = {"rows": rows, "aside": aside, "own": own, "files": lambda path: prove.files(path, True, True)}[kind]
            found = [one.decode("utf-8", "backslashreplace").rstrip("\n") for one in look(path)]
    except (OSError, sqlite3.Error) as error:
        found = [f"cannot be read: {error}"]
    print(json.dumps(found), flush=True)
"#;

/// A process that says what databases and folders hold, a few milliseconds each time.
#[derive(Debug)]
pub struct Judge {
    child: Child,
    answers: RefCell<BufReader<ChildStdout>>,
    files: &'static str,
}

impl Judge {
    /// Starts it; copies of databases go to the site's temporary folder.
    pub fn start(site: &Site) -> Self {
        let mut child = Command::new(python())
            .args(["-c", PROGRAM])
            .arg(workspace().join("examples"))
            .arg(site.temp())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python starts");
        let answers = RefCell::new(BufReader::new(child.stdout.take().expect("it is piped")));
        Self { child, answers, files: "files" }
    }

    /// Does not count what a restore keeps inside media that are a mount point.
    #[must_use]
    pub fn without_kept(mut self) -> Self {
        self.files = "own";
        self
    }

    /// What a site's databases and media hold. Databases are opened as the site would open them, so
    /// that what a crash left of a transaction is rolled back; `integrity_check` is part of it.
    pub fn state(&self, site: &Site) -> State {
        self.look(site, "rows")
    }

    /// The same of copies of the databases: whatever a crash left stays as it is.
    pub fn state_aside(&self, site: &Site) -> State {
        self.look(site, "aside")
    }

    fn look(&self, site: &Site, how: &str) -> State {
        let mut lines = BTreeMap::new();
        for name in ["db.sqlite3", "archive.sqlite3"] {
            lines.insert(name.to_owned(), self.ask(how, &site.path(name)));
        }
        for name in ["media", "private"] {
            lines.insert(name.to_owned(), self.ask(self.files, &site.path(name)));
        }
        State::new(lines)
    }

    fn ask(&self, kind: &str, path: &Path) -> Vec<String> {
        let path = path.to_str().expect("the paths of the tests are text");
        let mut stdin = self.child.stdin.as_ref().expect("it is piped");
        writeln!(stdin, "{}", json!([kind, path])).expect("the judge listens");
        let mut line = String::new();
        self.answers.borrow_mut().read_line(&mut line).expect("the judge answers");
        let lines: Vec<Value> = serde_json::from_str(&line).expect("the judge answers in JSON");
        let text = |value: &Value| value.as_str().expect("its lines are text").to_owned();
        lines.iter().map(text).collect()
    }
}

impl Drop for Judge {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
