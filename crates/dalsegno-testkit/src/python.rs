//! The interpreter of the tests, and `examples/prove.py` as the independent judge.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The root of the workspace.
pub(crate) fn workspace() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().expect("the workspace is where this crate was built")
}

/// An interpreter with Django and Pillow: `DALSEGNO_TEST_PYTHON`, else the workspace's `.venv`.
pub fn python() -> PathBuf {
    let python = std::env::var_os("DALSEGNO_TEST_PYTHON")
        .map_or_else(|| workspace().join(".venv/bin/python"), PathBuf::from);
    assert!(
        python.is_file(),
        "no Python with Django at {}: run `python3 -m venv .venv && .venv/bin/pip install -r \
        examples/bookshop/requirements.txt` in the workspace, or set DALSEGNO_TEST_PYTHON",
        python.display()
    );
    python
}

/// Runs `python -c script args…` and gives back what it printed.
pub fn run_python<A: AsRef<OsStr>>(script: &str, args: &[A]) -> String {
    output(Command::new(python()).arg("-c").arg(script).args(args))
}

/// Runs `examples/prove.py` and gives back what it printed; names that are not UTF-8 are escaped.
pub fn prove<A: AsRef<OsStr>>(args: &[A]) -> String {
    output(&mut judge(args))
}

/// Like [`prove`]; what the judge says when it cannot read its input is an error.
pub(crate) fn try_prove<A: AsRef<OsStr>>(args: &[A]) -> Result<String, String> {
    let done = judge(args).output().expect("the judge starts");
    match done.status.code() {
        Some(0) => Ok(text(&done.stdout)),
        _ => Err(text(&done.stderr).lines().last().unwrap_or_default().to_owned()),
    }
}

fn judge<A: AsRef<OsStr>>(args: &[A]) -> Command {
    let mut command = Command::new(python());
    command.arg(workspace().join("examples/prove.py")).args(args);
    command
}

/// What a command printed, each byte that is no text as `\xNN`; it must succeed.
pub(crate) fn output(command: &mut Command) -> String {
    let done = command.env("PYTHONDONTWRITEBYTECODE", "1").output().expect("the program starts");
    assert!(
        done.status.success(),
        "{command:?} ended with {}:\n{}{}",
        done.status,
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr)
    );
    text(&done.stdout)
}

pub(crate) fn text(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
}
