//! A throw-away `MariaDB` server: its own folder, its own port, gone with the test.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::call::is_root;
use crate::python::{output, workspace};

/// Nobody, where the tests run as root: the server itself must not be root.
const NOBODY: &str = "65534";
const USER: &str = "site";
/// What shells, quotes and URLs trip over.
const PASSWORD: &str = "p'a\"s %w\\ö#";
/// A folder of system tables that is copied instead of being made again.
const TEMPLATE: &str = "target/mariadb-template";
const PATIENCE: Duration = Duration::from_secs(60);

/// A server with the rights of an ordinary user, on a socket and on a free port of the loopback.
///
/// It ends when this is dropped, and also when the process of the test ends in any other way.
#[derive(Debug)]
pub struct MariadbServer {
    folder: TempDir,
    port: u16,
    options: Vec<String>,
    child: Option<Child>,
}

impl MariadbServer {
    /// Starts one with its defaults, and with little memory.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts one with more options, such as `--sql-mode=ANSI_QUOTES`.
    pub fn start_with(options: &[&str]) -> Self {
        let folder = TempDir::with_prefix("dalsegno-mariadb-").expect("a folder can be made");
        let data = folder.path().join("data");
        copy_template(&data);
        let account = folder.path().join("account.sql");
        let password = quoted(PASSWORD);
        let text = format!(
            "SET SESSION sql_mode = '';\n\
             CREATE USER IF NOT EXISTS '{USER}'@'%' IDENTIFIED BY {password};\n\
             GRANT ALL ON *.* TO '{USER}'@'%' WITH GRANT OPTION;\n"
        );
        fs::write(&account, text).expect("the folder takes a file");
        give_away(folder.path());
        let options = options.iter().map(ToString::to_string).collect();
        let mut server = Self { folder, port: free_port(), options, child: None };
        server.start_again();
        server
    }

    /// Where it listens, for clients on this machine.
    pub fn host(&self) -> &'static str {
        "127.0.0.1"
    }

    /// The port, the same after a restart.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The socket, the same after a restart.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("s.sock")
    }

    /// An account that may do everything, over the socket and the port.
    pub fn user(&self) -> &'static str {
        USER
    }

    /// Its password.
    pub fn password(&self) -> &'static str {
        PASSWORD
    }

    /// What the server wrote about itself.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// Makes a database with the server's own character set.
    pub fn create_database(&self, name: &str) {
        self.sql("", &format!("CREATE DATABASE `{}`", name.replace('`', "``")));
    }

    /// Runs statements with the plain client, `DELIMITER` and all, in a database or, with an empty
    /// name, in none. Returns the rows, columns parted by tabs, as the client escapes them.
    #[track_caller]
    pub fn sql(&self, database: &str, text: &str) -> String {
        match self.try_sql(database, text.as_bytes()) {
            Ok(rows) => rows,
            Err(said) => panic!("the client failed: {said}\n{text}"),
        }
    }

    /// Like [`MariadbServer::sql`], of bytes; what the client says when it fails is an error.
    pub fn try_sql(&self, database: &str, text: &[u8]) -> Result<String, String> {
        let mut child = self.client(database).spawn().expect("`mariadb` is installed");
        let mut stdin = child.stdin.take().expect("it is piped");
        let text = text.to_owned();
        // The client may answer before it has read everything, or end early.
        let writer = thread::spawn(move || stdin.write_all(&text));
        let done = child.wait_with_output().expect("it ends");
        let written = writer.join().expect("writing does not panic");
        if !done.status.success() {
            return Err(String::from_utf8_lossy(&done.stderr).into_owned());
        }
        written.map_err(|error| error.to_string())?;
        Ok(crate::python::text(&done.stdout))
    }

    /// The plain client, with its standard streams piped, that takes statements in a database.
    pub fn client(&self, database: &str) -> Command {
        let mut command = Command::new("mariadb");
        command
            .args(["--no-defaults", "--batch", "--skip-column-names", "--binary-mode"])
            .args(["--local-infile=1", "--default-character-set=utf8mb4"])
            .arg(format!("--user={USER}"))
            .arg(OsStr::new("--socket"))
            .arg(self.socket())
            .arg(format!("--database={database}"))
            .env("MYSQL_PWD", PASSWORD)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Kills it, as a crash would. [`MariadbServer::start_again`] then recovers.
    pub fn kill(&mut self) {
        self.end(Signal::KILL);
    }

    /// Stops it in an orderly way.
    pub fn stop(&mut self) {
        self.end(Signal::TERM);
    }

    /// Starts it on what it left, after [`MariadbServer::kill`] or [`MariadbServer::stop`].
    #[track_caller]
    pub fn start_again(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        let mut command = unprivileged("mariadbd");
        let folder = self.folder.path();
        let option = |name: &str, value: &Path| format!("--{name}={}", value.display());
        command
            .arg("--no-defaults")
            .args([
                option("datadir", &folder.join("data")),
                option("socket", &self.socket()),
                option("pid-file", &folder.join("pid")),
                option("init-file", &folder.join("account.sql")),
                option("tmpdir", folder),
                format!("--port={}", self.port),
            ])
            .args([
                "--bind-address=127.0.0.1",
                "--skip-name-resolve",
                "--character-set-server=utf8mb4",
            ])
            // A crash of the process keeps what it handed to the system; nobody pulls a plug here.
            .args(["--innodb-flush-log-at-trx-commit=2", "--innodb-flush-method=fsync"])
            .args(["--innodb-buffer-pool-size=32M", "--innodb-log-file-size=16M"])
            .args(["--max-allowed-packet=64M", "--event-scheduler=OFF"])
            .args(&self.options)
            .current_dir(folder);
        let log = fs::File::create(folder.join("log")).expect("the folder takes a file");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.child = Some(spawn_for_life(command));
        let since = Instant::now();
        while self.try_sql("", b"SELECT 1").is_err() {
            let child = self.child.as_mut().expect("it was just started");
            let ended = child.try_wait().expect("it can be asked");
            assert!(ended.is_none(), "the server ended: {ended:?}\n{}", self.log());
            assert!(since.elapsed() < PATIENCE, "the server does not answer:\n{}", self.log());
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn end(&mut self, signal: Signal) {
        let mut child = self.child.take().expect("it runs");
        let pid = Pid::from_child(&child);
        kill_process(pid, signal).expect("it has not been waited for");
        child.wait().expect("it ends");
    }
}

impl Drop for MariadbServer {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Its folder goes with it: there is nothing to save.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Starts a program that is killed when this process ends: the system does that when the *thread*
/// ends that started it, so it gets one that lives on.
fn spawn_for_life(mut command: Command) -> Child {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let _ = sender.send(command.spawn());
        loop {
            thread::park();
        }
    });
    receiver.recv().expect("the thread answers").expect("`mariadbd` is installed")
}

/// A command without root's rights that dies with the thread that starts it.
fn unprivileged(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    if is_root() {
        command.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"]);
    }
    command.args(["--pdeathsig", "KILL", "--", program]);
    // Debian keeps servers where only root's PATH looks.
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:/usr/sbin:/sbin"));
    command
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("the loopback has a free port");
    listener.local_addr().expect("it is bound").port()
}

fn copy_template(to: &Path) {
    let template = workspace().join(TEMPLATE);
    if !template.is_dir() {
        make_template(&template);
    }
    output(Command::new("cp").args(["-a", "--reflink=auto", "--"]).args([&*template, to]));
}

/// System tables, made under another name and renamed: whoever comes second finds them.
fn make_template(template: &Path) {
    let work = TempDir::with_prefix("dalsegno-mariadb-").expect("a folder can be made");
    let data = work.path().join("data");
    fs::create_dir(&data).expect("the folder takes another");
    give_away(work.path());
    output(
        unprivileged("mariadb-install-db")
            .args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"])
            .args(["--innodb-log-file-size=16M", "--skip-name-resolve"])
            .arg(format!("--datadir={}", data.display()))
            .current_dir(work.path()),
    );
    let target = template.parent().expect("it has a folder");
    fs::create_dir_all(target).expect("the folder of builds can be made");
    let aside = target.join(format!(".mariadb-template.{}", std::process::id()));
    output(Command::new("cp").args(["-a", "--"]).args([&*data, &aside]));
    match fs::rename(&aside, template) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
            fs::remove_dir_all(&aside).expect("our own copy can be removed");
        }
        Err(error) => panic!("{}: {error}", template.display()),
    }
}

/// Makes a folder and what it holds the server's own.
fn give_away(folder: &Path) {
    if is_root() {
        let owner = format!("{NOBODY}:{NOBODY}");
        output(Command::new("chown").args(["-R", &owner, "--"]).arg(folder));
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_committed_is_there_after_a_crash_and_nothing_is_left_at_the_end() {
        let mut server = MariadbServer::start();
        server.create_database("a`b");
        server.sql("a`b", "CREATE TABLE t (x TEXT); INSERT INTO t VALUES ('ö\\n');");
        server.kill();
        server.start_again();
        assert_eq!(server.sql("a`b", "SELECT x FROM t"), "ö\\n\n");
        assert!(server.try_sql("", b"no statement").unwrap_err().contains("syntax"));
        let (pid, folder) = (server.pid(), server.folder.path().to_owned());
        assert_ne!(fs::read_to_string(format!("/proc/{pid}/status")).unwrap(), "");
        drop(server);
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
        assert!(!folder.exists());
    }
}
