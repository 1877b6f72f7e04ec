//! Running the program as a user does: in a clean environment, in the project's folder.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, kill_process};

use crate::answer::Answer;
use crate::masking::Masks;
use crate::python::{python, text, workspace};

pub use rustix::process::Signal;

/// The system's programs, and nothing of the developer's.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A call that is being put together.
#[derive(Debug)]
pub struct Call {
    binary: String,
    args: Vec<OsString>,
    cwd: PathBuf,
    env: Vec<(OsString, OsString)>,
    wrapping: Wrapping,
    typed: Option<String>,
    masks: Masks,
}

#[derive(Debug)]
enum Wrapping {
    Nothing,
    Unprivileged,
    Tmpfs { folder: PathBuf, size: String, look: PathBuf },
    Terminal,
}

impl Call {
    pub(crate) fn new(folder: &Path, binary: &str, args: &[&str]) -> Self {
        let mut masks = Masks::default();
        masks.add(folder.join("site").to_string_lossy(), "SITE");
        masks.add(folder.to_string_lossy(), "TEMP");
        masks.add(workspace().to_string_lossy(), "WORKSPACE");
        let mut env = vec![
            (OsString::from("PATH"), OsString::from(PATH)),
            ("LANG".into(), "C.UTF-8".into()),
            ("HOME".into(), folder.into()),
            ("TMPDIR".into(), folder.join("tmp").into()),
        ];
        let python = python();
        masks.add(python.to_string_lossy(), "PYTHON");
        // Where the interpreter of the tests is a virtual environment, the site's is found by it.
        if let Some(environment) = python.parent().and_then(Path::parent)
            && environment.join("pyvenv.cfg").is_file()
        {
            env.push(("VIRTUAL_ENV".into(), environment.into()));
            masks.add(environment.to_string_lossy(), "VENV");
        } else if let Some(bin) = python.parent() {
            env[0].1 = OsString::from(format!("{}:{PATH}", bin.display()));
        }
        Self {
            binary: binary.to_owned(),
            args: args.iter().map(OsString::from).collect(),
            cwd: folder.join("site"),
            env,
            wrapping: Wrapping::Nothing,
            typed: None,
            masks,
        }
    }

    /// Adds an argument, which need not be text.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Sets a variable, or takes it away with an empty value.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.env.retain(|(known, _)| known != name);
        if !value.as_ref().is_empty() {
            self.env.push((name.into(), value.as_ref().to_owned()));
        }
        self
    }

    /// Runs in another folder.
    #[must_use]
    pub fn in_folder(mut self, folder: impl AsRef<Path>) -> Self {
        folder.as_ref().clone_into(&mut self.cwd);
        self
    }

    /// Runs without any of root's privileges, so that modes of files count. The user stays the
    /// same: interpreter and program may lie where no other user can reach them.
    #[must_use]
    pub fn unprivileged(mut self) -> Self {
        self.wrapping = Wrapping::Unprivileged;
        self
    }

    /// Runs with a file system of its own, of `size` (as `mount -o size=`), mounted on `folder`.
    /// What is in `folder` at the end is written into the file `look`, a name a line.
    #[must_use]
    pub fn tmpfs(mut self, folder: &Path, size: &str, look: &Path) -> Self {
        self.wrapping = Wrapping::Tmpfs {
            folder: folder.to_owned(),
            size: size.to_owned(),
            look: look.to_owned(),
        };
        self
    }

    /// Runs on a terminal, on which `typed` is typed. Both outputs come as one.
    #[must_use]
    pub fn on_terminal(mut self, typed: &str) -> Self {
        self.wrapping = Wrapping::Terminal;
        self.typed = Some(typed.to_owned());
        self
    }

    /// Runs it to its end.
    pub fn run(self) -> Answer {
        self.start().wait()
    }

    /// Starts it.
    pub fn start(self) -> Running {
        let mut command = self.command();
        command
            .env_clear()
            .envs(self.env)
            .current_dir(&self.cwd)
            .stdin(if self.typed.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let mut stdin = child.stdin.take();
        if let (Some(stdin), Some(typed)) = (&mut stdin, &self.typed) {
            stdin.write_all(typed.as_bytes()).expect("the terminal takes what is typed");
        }
        Running { child: Some(child), masks: self.masks, _stdin: stdin }
    }

    fn command(&self) -> Command {
        let mut command;
        match &self.wrapping {
            Wrapping::Unprivileged if is_root() => {
                command = Command::new("setpriv");
                command.args(["--bounding-set=-all", "--inh-caps=-all", "--"]).arg(&self.binary);
            }
            Wrapping::Nothing | Wrapping::Unprivileged => command = Command::new(&self.binary),
            Wrapping::Tmpfs { folder, size, look } => {
                command = with_own_mounts();
                let script = "mount -t tmpfs -o size=\"$1\" none \"$2\" || exit 99\n\
                    look=$3; folder=$2; shift 3\n\
                    \"$@\"; code=$?; ls -A \"$folder\" >\"$look\"; exit $code";
                command.args(["sh", "-c", script, "sh", size]).arg(folder).arg(look);
                command.arg(&self.binary);
            }
            Wrapping::Terminal => {
                let mut line = quoted(OsStr::new(&self.binary));
                for arg in &self.args {
                    line.push(' ');
                    line.push_str(&quoted(arg));
                }
                command = Command::new("script");
                command.args(["-qec", &line, "/dev/null"]);
                return command;
            }
        }
        command.args(&self.args);
        command
    }
}

/// Whether the tests run as root.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A command that runs its arguments where they may mount what they like and nobody sees it.
pub fn with_own_mounts() -> Command {
    let mut command = Command::new("unshare");
    command.arg(if is_root() { "-m" } else { "-rm" });
    command
}

fn quoted(word: &OsStr) -> String {
    format!("'{}'", word.to_str().expect("arguments on a terminal are text").replace('\'', "'\\''"))
}

/// A call that runs.
#[derive(Debug)]
pub struct Running {
    child: Option<Child>,
    masks: Masks,
    _stdin: Option<ChildStdin>,
}

impl Running {
    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("it runs until it is waited for");
        kill_process(Pid::from_child(child), signal).expect("the process is there");
    }

    /// Waits until `ready` says so; fails when the program ends first or a minute has passed.
    pub fn until(&mut self, what: &str, ready: impl Fn() -> bool) {
        let started = Instant::now();
        while !ready() {
            let child = self.child.as_mut().expect("it runs until it is waited for");
            if let Some(status) = child.try_wait().expect("it can be asked") {
                let answer = self.take();
                panic!("it ended with {status} before {what}:\n{answer}");
            }
            assert!(
                started.elapsed() < Duration::from_secs(60),
                "a minute has passed before {what}"
            );
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits for its end.
    pub fn wait(mut self) -> Answer {
        self.take()
    }

    fn take(&mut self) -> Answer {
        let child = self.child.take().expect("it is waited for once");
        let Output { status, stdout, stderr } =
            child.wait_with_output().expect("its output can be read");
        Answer {
            code: status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
            stdout: text(&stdout),
            stderr: text(&stderr),
            masks: self.masks.clone(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
