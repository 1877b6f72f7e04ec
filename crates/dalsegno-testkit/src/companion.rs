//! A process of the site that has its database open while the program runs.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use crate::faulty::Fault;
use crate::python::python;
use crate::site::Site;

const PROGRAM: &str = r#"
import hashlib, json, os, subprocess, sys, time
how, path, readers = sys.argv[1], sys.argv[2], int(sys.argv[3])

def connect():
    if how == "django":
        import django
        from django.conf import settings
        if not settings.configured:
            settings.configure(DATABASES={"default": {
                "ENGINE": "django.db.backends.sqlite3", "NAME": path, "CONN_MAX_AGE": None}})
            django.setup()
        from django.db import connection
        return connection.cursor()
    import sqlite3
    return sqlite3.connect(path, timeout=30, isolation_level=None)

def digest(db):
    # One statement a table: outside a transaction a switch may fall between two of them.
    found = hashlib.sha256()
    tables = db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall()
    for (name,) in tables:
        rows = db.execute(f'SELECT * FROM "{name}"').fetchall()
        found.update(repr((name, sorted(map(repr, rows)))).encode())
    return found.hexdigest()

def whole(db):
    db.execute("BEGIN")
    try:
        return digest(db)
    finally:
        db.execute("COMMIT")

def read_on(allowed):
    db = connect()
    looks = 0
    while True:
        seen = whole(db)
        if seen not in allowed:
            print(f"a reader saw {seen}, which is neither old nor new", file=sys.stderr, flush=True)
            os._exit(1)
        looks += 1
        time.sleep(0.03)

db = connect()
children = []
for line in sys.stdin:
    ask = json.loads(line)
    if ask["do"] == "look":
        answer = whole(db)
    elif ask["do"] == "hold":
        db.execute("BEGIN")
        answer = digest(db)
    elif ask["do"] == "look again":
        answer = digest(db)
    elif ask["do"] == "release":
        db.execute("COMMIT")
        answer = None
    elif ask["do"] == "read on":
        # Connections are not carried over a fork.
        db.close()
        for _ in range(readers):
            child = os.fork()
            if not child:
                read_on(set(ask["allowed"]))
            children.append(child)
        db = connect()
        answer = len(children)
    elif ask["do"] == "alive":
        answer = sum(os.waitpid(child, os.WNOHANG) == (0, 0) for child in children)
    elif ask["do"] == "run":
        done = subprocess.run(ask["argv"], env=ask["env"], cwd=ask["cwd"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        answer = [done.returncode, done.stderr.decode()]
    print(json.dumps(answer), flush=True)
for child in children:
    os.kill(child, 9)
    os.waitpid(child, 0)
"#;

/// The process. Its connection stays open between two questions.
#[derive(Debug)]
pub struct Companion {
    child: Child,
    stdin: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Companion {
    /// Python's own `sqlite3` on a database; `readers` is how many more [`Companion::read_on`]
    /// starts.
    pub fn plain(database: &Path, readers: u32) -> Self {
        Self::start("sqlite3", database, readers)
    }

    /// Django, with a connection that it keeps.
    pub fn django(database: &Path) -> Self {
        Self::start("django", database, 0)
    }

    fn start(how: &str, database: &Path, readers: u32) -> Self {
        let mut child = Command::new(python())
            .args(["-c", PROGRAM, how])
            .arg(database)
            .arg(readers.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python starts");
        let stdin = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().expect("it is piped"));
        Self { child, stdin, answers }
    }

    /// Digest of all rows, read in one transaction.
    pub fn look(&mut self) -> String {
        self.text(&json!({ "do": "look" }))
    }

    /// Begins a transaction and reads all rows.
    pub fn hold(&mut self) -> String {
        self.text(&json!({ "do": "hold" }))
    }

    /// Reads all rows again in the transaction that is open.
    pub fn look_again(&mut self) -> String {
        self.text(&json!({ "do": "look again" }))
    }

    /// Ends the transaction.
    pub fn release(&mut self) {
        self.ask(&json!({ "do": "release" }));
    }

    /// Starts the readers. Each reads everything all the time, and ends when it sees anything but
    /// one of these digests, or an error.
    pub fn read_on(&mut self, allowed: &[String]) {
        self.ask(&json!({ "do": "read on", "allowed": allowed }));
    }

    /// How many of the readers have seen nothing wrong.
    pub fn alive(&mut self) -> u64 {
        self.ask(&json!({ "do": "alive" })).as_u64().expect("it is a number")
    }

    /// Runs the program as its child; gives back the exit code, negative for a signal, and what was
    /// said on standard error.
    pub fn run(&mut self, site: &Site, argv: &[&str], fault: Option<&Fault>) -> (i64, String) {
        let mut env = serde_json::Map::new();
        env.insert("PATH".to_owned(), json!("/usr/bin:/bin"));
        for (name, value) in fault.iter().flat_map(|fault| fault.variables()) {
            env.insert(name.to_owned(), json!(value));
        }
        let cwd = site.root();
        let ask = json!({ "do": "run", "argv": argv, "env": env, "cwd": cwd });
        let answer = self.ask(&ask);
        let code = answer[0].as_i64().expect("it is a number");
        (code, answer[1].as_str().expect("it is text").to_owned())
    }

    fn text(&mut self, question: &Value) -> String {
        self.ask(question).as_str().expect("it is text").to_owned()
    }

    #[track_caller]
    fn ask(&mut self, question: &Value) -> Value {
        let stdin = self.stdin.as_mut().expect("it is open until the end");
        writeln!(stdin, "{question}").expect("the companion listens");
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("the companion answers");
        assert!(!line.is_empty(), "the companion failed at {question}");
        serde_json::from_str(&line).expect("the companion answers in JSON")
    }
}

impl Drop for Companion {
    fn drop(&mut self) {
        // It ends its readers itself.
        drop(self.stdin.take());
        let _ = self.child.wait();
    }
}
