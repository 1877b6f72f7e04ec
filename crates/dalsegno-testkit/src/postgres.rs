//! A throw-away `PostgreSQL` server.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::call::is_root;

/// How long a server may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// A cluster in a temporary folder, run by a user without rights (`nobody` where the tests are
/// root), which listens on a socket in that folder and on a free port of the loopback. Dropped, it
/// is stopped and removed; killed with the test, it stops too.
///
/// Passwords are asked for on both ways in. A crash of the machine would lose data (`fsync=off`);
/// a crash of the server does not.
#[derive(Debug)]
pub struct PostgresServer {
    folder: TempDir,
    programs: PathBuf,
    port: u16,
    settings: Vec<String>,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    pid: Pid,
    /// Locked, so that several threads of a test may share the server.
    ended: Mutex<Receiver<ExitStatus>>,
}

impl PostgresServer {
    /// The superuser.
    pub const USER: &str = "postgres";
    /// Its password.
    pub const PASSWORD: &str = "it's 100% \"secret\" \\ ü";

    /// A fresh cluster, UTF-8 and locale C, of the newest version that is installed.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// A fresh cluster with settings of `postgresql.conf`: `max_connections=20`.
    pub fn start_with(settings: &[&str]) -> Self {
        let programs = programs();
        let folder = folder();
        copy(&template(&programs), &folder.path().join("data"));
        let mut server = Self {
            folder,
            programs,
            port: 0,
            settings: settings.iter().map(ToString::to_string).collect(),
            running: None,
        };
        server.restart();
        server
    }

    /// The address: `127.0.0.1`.
    #[allow(clippy::unused_self, reason = "a fact of the server like the others")]
    pub fn host(&self) -> &'static str {
        "127.0.0.1"
    }

    /// The folder of the socket.
    pub fn socket_folder(&self) -> &Path {
        self.folder.path()
    }

    /// The port, and the last part of the socket's name. Another one after [`Self::restart`] only
    /// if somebody took it meanwhile.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The data folder of the cluster.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The folder of `psql`, `pg_dump` and the others, of the server's own version.
    pub fn programs(&self) -> &Path {
        &self.programs
    }

    /// The major version.
    pub fn major(&self) -> u32 {
        major(&self.programs).expect("the folder of the programs is found by it")
    }

    /// Makes an empty database.
    pub fn create_database(&self, name: &str) {
        self.psql("postgres", &format!("CREATE DATABASE \"{}\"", name.replace('"', "\"\"")));
    }

    /// Runs SQL as the superuser; what it printed, fields divided by `|`. The test fails with the
    /// first statement that does.
    pub fn psql(&self, database: &str, sql: &str) -> String {
        self.try_psql(database, sql).unwrap_or_else(|error| panic!("psql: {error}"))
    }

    /// Runs SQL as the superuser; an error is what was said on standard error.
    pub fn try_psql(&self, database: &str, sql: &str) -> Result<String, String> {
        let mut psql = self.client("psql", database);
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]);
        fed(psql, sql.as_bytes())
    }

    /// A client program with what it needs to reach `database` as the superuser.
    pub fn client(&self, program: &str, database: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command
            .env("PGHOST", self.socket_folder())
            .env("PGPORT", self.port.to_string())
            .env("PGUSER", Self::USER)
            .env("PGPASSWORD", Self::PASSWORD)
            .env("PGDATABASE", database)
            .env("PGCLIENTENCODING", "UTF8");
        command
    }

    /// The process of the server, if it runs.
    pub fn pid(&self) -> Option<u32> {
        self.running.as_ref().map(|running| running.pid.as_raw_nonzero().get().cast_unsigned())
    }

    /// Stops it as an operator in a hurry does: sessions are ended, the cluster is clean.
    pub fn stop(&mut self) {
        self.end(Signal::INT);
    }

    /// Lets it crash: nothing is written any more, and the next start recovers.
    pub fn crash(&mut self) {
        self.end(Signal::QUIT);
    }

    /// Starts it, stopped before if it runs.
    pub fn restart(&mut self) {
        self.stop();
        for _ in 0..5 {
            if self.port == 0 {
                self.port = free_port();
            }
            match self.run() {
                Ok(running) => {
                    self.running = Some(running);
                    return;
                }
                Err(said) if said.contains("Address already in use") => self.port = 0,
                Err(said) => panic!("the server does not start: {said}"),
            }
        }
        panic!("no free port is found");
    }

    fn run(&self) -> Result<Running, String> {
        let log = self.folder.path().join("log");
        let mut command = as_nobody(&self.programs.join("postgres"));
        command.arg("-D").arg(self.data()).current_dir(self.folder.path());
        let socket = format!("unix_socket_directories={}", self.folder.path().display());
        for setting in ["listen_addresses=127.0.0.1", "fsync=off", "logging_collector=off", &socket]
            .into_iter()
            .chain(self.settings.iter().map(String::as_str))
        {
            command.args(["-c", setting]);
        }
        command.args(["-p", &self.port.to_string()]);
        let out = fs::File::create(&log).expect("the folder can be written to");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(out);
        // A thread of its own starts it: it is told when its parent *thread* is gone.
        let (tell, started) = channel();
        let (end, ended) = channel();
        thread::spawn(move || {
            let mut child = command.spawn().expect("the server's program starts");
            let pid = Pid::from_child(&child);
            // Whoever asked may have given up: then nobody wants to know.
            let _ = tell.send(pid);
            let _ = end.send(child.wait().expect("a child can be waited for"));
        });
        let running =
            Running { pid: started.recv().expect("a server has a pid"), ended: Mutex::new(ended) };
        let patience = Instant::now() + PATIENCE;
        while self.try_psql("postgres", "SELECT 1").is_err() {
            if running.has_ended(Duration::ZERO) || Instant::now() > patience {
                return Err(fs::read_to_string(&log).unwrap_or_default());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(running)
    }

    fn end(&mut self, signal: Signal) {
        let Some(running) = self.running.take() else { return };
        // One that has ended by itself is not there any more.
        let _ = kill_process(running.pid, signal);
        if !running.has_ended(PATIENCE) {
            let _ = kill_process(running.pid, Signal::KILL);
            running.has_ended(PATIENCE);
        }
    }
}

impl Running {
    fn has_ended(&self, patience: Duration) -> bool {
        let ended = self.ended.lock().expect("no holder panics");
        ended.recv_timeout(patience) != Err(RecvTimeoutError::Timeout)
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        self.end(Signal::QUIT);
    }
}

/// What a program prints when it is fed with `input`; an error is what it says then.
fn fed(mut command: Command, input: &[u8]) -> Result<String, String> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the client's program starts");
    let mut stdin = child.stdin.take().expect("it is piped");
    let input = input.to_owned();
    let feeder = thread::spawn(move || {
        // One that ends early says why by itself.
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().expect("its output can be read");
    feeder.join().expect("feeding does not fail");
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim_end_matches('\n').to_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// A program that runs without rights, and ends when whoever started it does.
fn as_nobody(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "QUIT"]);
    if is_root() {
        command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups"]);
    }
    command.arg("--").arg(program).env("LC_ALL", "C").env_remove("PGDATA");
    command
}

/// The folder of the newest server's programs.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    versions
        .map(|version| version.path().join("bin"))
        .filter(|bin| bin.join("initdb").is_file() && bin.join("postgres").is_file())
        .max_by_key(|bin| major(bin))
        .expect("no PostgreSQL server is installed: `sh xtask/setup.sh test` does it")
}

fn major(programs: &Path) -> Option<u32> {
    programs.parent()?.file_name()?.to_str()?.parse().ok()
}

/// A folder that the user without rights can use: in memory where there is plenty.
fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let free = rustix::fs::statvfs(memory).map_or(0, |fs| fs.f_bavail * fs.f_frsize);
    let parent = if free > 8 << 30 { memory.to_owned() } else { std::env::temp_dir() };
    let folder = tempfile::tempdir_in(parent).expect("a temporary folder can be made");
    if is_root() {
        let mut chown = Command::new("chown");
        run(chown.arg("nobody:nogroup").arg(folder.path()));
    }
    folder
}

/// A cluster that nobody has used, made once for each build folder.
fn template(programs: &Path) -> PathBuf {
    let binary = std::env::current_exe().expect("a test knows its own binary");
    let build = binary.parent().and_then(Path::parent).expect("it lies in a build folder");
    let template = build.join(format!("postgres-{}-cluster", major(programs).unwrap_or(0)));
    if template.is_dir() {
        return template;
    }
    let fresh = folder();
    let password = fresh.path().join("password");
    fs::write(&password, PostgresServer::PASSWORD).expect("the folder can be written to");
    let data = fresh.path().join("data");
    let mut initdb = as_nobody(&programs.join("initdb"));
    initdb
        .args(["--no-sync", "--encoding=UTF8", "--locale=C", "--auth=scram-sha-256"])
        .args(["--wal-segsize=1", "--username", PostgresServer::USER])
        .arg(format!("--pwfile={}", password.display()))
        .arg("-D")
        .arg(&data)
        .current_dir(fresh.path());
    run(&mut initdb);
    // Several tests may come here at once: one rename wins, and all are as good.
    let partial = build.join(format!(".postgres-cluster-{}", std::process::id()));
    copy(&data, &partial);
    if fs::rename(&partial, &template).is_err() {
        let _ = fs::remove_dir_all(&partial);
        assert!(template.is_dir(), "`{}` cannot be made", template.display());
    }
    template
}

/// A folder with owners and modes.
fn copy(from: &Path, to: &Path) {
    run(Command::new("cp").arg("-a").arg(from).arg(to));
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("the loopback has free ports");
    listener.local_addr().expect("it is bound").port()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_runs_crashes_recovers_and_is_gone_with_its_owner() {
        let mut server = PostgresServer::start();
        server.create_database("shop");
        server.psql("shop", "CREATE TABLE t (a int); INSERT INTO t VALUES (1), (2)");
        server.crash();
        assert!(server.try_psql("shop", "SELECT 1").is_err());
        server.restart();
        assert_eq!(server.psql("shop", "SELECT count(*), 'ü' FROM t"), "2|ü");
        let pid = server.pid().expect("it runs");
        let folder = server.socket_folder().to_owned();
        drop(server);
        assert!(!Path::new("/proc").join(pid.to_string()).exists());
        assert!(!folder.exists());
    }
}
