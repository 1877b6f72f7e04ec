//! Another process with a connection of its own: the site, as SQLite sees it.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use dalsegno_testkit::python;

const PEER: &str = r#"
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=20, isolation_level=None)
db.execute("PRAGMA wal_autocheckpoint = 0")
for line in sys.stdin:
    try:
        print("ok", db.execute(line.strip()).fetchall(), flush=True)
    except sqlite3.Error as error:
        print("error", error, flush=True)
db.close()
"#;

/// Does one statement after another; writes nothing of its log back by itself.
#[derive(Debug)]
pub(crate) struct Peer {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Peer {
    pub(crate) fn new(database: &Path) -> Self {
        let mut command = Command::new(python());
        command.args(["-c", PEER]).arg(database);
        Self::start(command)
    }

    /// As the user `nobody`, by the system's Python.
    pub(crate) fn as_nobody(database: &Path) -> Self {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]);
        command.args(["/usr/bin/python3", "-c", PEER]).arg(database);
        Self::start(command)
    }

    fn start(mut command: Command) -> Self {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("Python starts");
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        Self { child, input, output }
    }

    /// What a statement gives: `ok [rows]`, or `error` and what SQLite says.
    pub(crate) fn ask(&mut self, sql: &str) -> String {
        let input = self.input.as_mut().expect("it is open");
        writeln!(input, "{}", sql.replace('\n', " ")).expect("it takes statements");
        let mut line = String::new();
        self.output.read_line(&mut line).expect("it answers");
        line.trim_end().to_owned()
    }

    /// Does a statement, which must succeed.
    #[track_caller]
    pub(crate) fn run(&mut self, sql: &str) {
        let answer = self.ask(sql);
        assert!(answer.starts_with("ok"), "{sql}: {answer}");
    }

    /// Closes the connection, as a site that is stopped does.
    pub(crate) fn close(mut self) {
        drop(self.input.take());
        assert!(self.child.wait().expect("it can be waited for").success());
    }

    /// Kills the process, which closes nothing.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it can be waited for");
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
