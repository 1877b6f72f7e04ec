use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// A process that has a file open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its process id.
    pub pid: u32,
    /// Its command line, arguments separated by blanks, cut at 80 characters.
    pub command: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (`{}`)", self.pid, self.command)
    }
}

/// The other processes that have the file at `path` open, by device and inode.
///
/// Reads `/proc` without opening the file: closing any descriptor of a live `SQLite` database
/// would drop the locks this process holds on it. Without the right to look into other users'
/// processes their descriptors stay unseen; a lock attempt is what protects then. A file that does
/// not exist has no holders.
pub fn holders(path: &Path) -> io::Result<Vec<Holder>> {
    match fs::metadata(path) {
        Ok(file) => holders_of(file.dev(), file.ino()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

pub(crate) fn holders_of(device: u64, inode: u64) -> io::Result<Vec<Holder>> {
    let own = std::process::id();
    let mut found = Vec::new();
    let processes = match fs::read_dir("/proc") {
        Ok(processes) => processes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        Err(error) => return Err(error),
    };
    for process in processes.flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse::<u32>().ok())
        else {
            continue;
        };
        if pid != own && has_open(&process.path(), device, inode) {
            found.push(Holder { pid, command: command(&process.path()) });
        }
    }
    found.sort_by_key(|holder| holder.pid);
    Ok(found)
}

fn has_open(process: &Path, device: u64, inode: u64) -> bool {
    fs::read_dir(process.join("fd")).is_ok_and(|descriptors| {
        descriptors.flatten().any(|descriptor| {
            fs::metadata(descriptor.path())
                .is_ok_and(|file| file.dev() == device && file.ino() == inode)
        })
    })
}

/// Control characters are shown as blanks: the text goes to a terminal.
fn command(process: &Path) -> String {
    let text = fs::read(process.join("cmdline"))
        .ok()
        .filter(|line| !line.is_empty())
        .or_else(|| fs::read(process.join("comm")).ok())
        .unwrap_or_default();
    let shown: String = String::from_utf8_lossy(&text)
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(80)
        .collect();
    shown.trim().to_owned()
}
