//! The bookshop, filled once and copied for every test.

use std::collections::hash_map::DefaultHasher;
use std::fs::{self, File};
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::python::{output, python, workspace};

/// A folder with a filled bookshop of `rows` rows and `media` files. Processes that ask for the
/// same one wait for the first, which fills it; later runs find it until the site's code changes.
pub(crate) fn filled(rows: u32, media: u32) -> PathBuf {
    let source = source();
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| workspace().join("target"), PathBuf::from)
        .join("tmp");
    fs::create_dir_all(&target).expect("the target folder can be written");
    let lock = File::create(target.join("bookshop.lock")).expect("a lock can be made");
    lock.lock().expect("the lock is given some day");
    let name = format!("bookshop-{rows}-{media}-{:016x}", fingerprint(&source));
    let site = target.join(&name);
    if !site.is_dir() {
        let unfinished = target.join(format!("{name}.unfinished"));
        let _ = fs::remove_dir_all(&unfinished);
        copy(&source, &unfinished);
        fill(&unfinished, rows, media);
        fs::rename(&unfinished, &site).expect("the filled site gets its name");
    }
    site
}

/// The site as it is in the repository.
pub(crate) fn source() -> PathBuf {
    workspace().join("examples/bookshop")
}

/// Makes the tables of a site and fills them and its folders.
pub(crate) fn fill(site: &Path, rows: u32, media: u32) {
    let manage = |args: &[&str]| {
        let mut command = Command::new(python());
        for name in ["DATABASE_URL", "MEDIA_ROOT", "INVOICES_ROOT", "DJANGO_SETTINGS_MODULE"] {
            command.env_remove(name);
        }
        output(command.arg("manage.py").args(args).current_dir(site))
    };
    manage(&["migrate", "--verbosity", "0"]);
    let (rows, media) = (rows.to_string(), media.to_string());
    manage(&["fill", "--rows", &rows, "--media", &media]);
    // The copies would compile every module again.
    let compile = ["-m", "compileall", "-q", "accounts", "books", "bookshop"];
    output(Command::new(python()).args(compile).current_dir(site));
}

/// Copies a folder with times, modes, owners, links and holes.
pub(crate) fn copy(from: &Path, to: &Path) {
    let mut command = Command::new("cp");
    command.args(["-a", "--reflink=auto", "--sparse=auto"]).arg(from).arg(to);
    output(&mut command);
}

/// Changes with every byte of the site's code and with the interpreter.
fn fingerprint(source: &Path) -> u64 {
    let mut hasher = DefaultHasher::new();
    python().hash(&mut hasher);
    let mut folders = vec![source.to_owned()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the examples can be read") {
            let path = entry.expect("the examples can be read").path();
            if path.file_name().is_some_and(|name| name == "__pycache__") {
            } else if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files.sort();
    for file in files {
        file.hash(&mut hasher);
        fs::read(&file).expect("the examples can be read").hash(&mut hasher);
    }
    hasher.finish()
}
