//! A throwaway site.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::call::Call;
use crate::python::{output, python, run_python};
use crate::state::State;
use crate::{bookshop, plain};

/// A site in a folder of its own, removed when dropped.
#[derive(Debug)]
pub struct Site {
    folder: TempDir,
}

impl Site {
    /// `examples/bookshop` with `rows` rows and `media` files.
    pub fn bookshop(rows: u32, media: u32) -> Self {
        let site = Self::in_folder();
        bookshop::copy(&bookshop::filled(rows, media), &site.root());
        site
    }

    /// `examples/bookshop` on the empty database of a server, as [`PostgresServer::url`] and
    /// [`MariadbServer::url`] name it, filled with `rows` rows and `media` files.
    ///
    /// [`PostgresServer::url`]: crate::PostgresServer::url
    /// [`MariadbServer::url`]: crate::MariadbServer::url
    pub fn bookshop_on(url: &str, rows: u32, media: u32) -> Self {
        let site = Self::in_folder();
        bookshop::copy(&bookshop::source(), &site.root());
        site.settings(&format!("DATABASES = {{\"default\": database({url:?})}}"));
        bookshop::fill(&site.root(), rows, media);
        site
    }

    /// A site without Django: `dalsegno.toml`, `db.sqlite3` (3 tables, 211 rows), `media/`.
    pub fn plain() -> Self {
        let site = Self::empty();
        plain::write(&site.root());
        site
    }

    /// Like [`Site::plain`], with a second database, alias `archive`, in `archive.sqlite3`.
    pub fn two_databases() -> Self {
        let site = Self::plain();
        plain::write_second(&site.root());
        site
    }

    /// Like [`Site::two_databases`], the first in WAL mode, the other in rollback-journal mode. It
    /// lies in memory where the system has a place for that: it is made anew hundreds of times.
    pub fn in_memory() -> Self {
        let site = Self::below(Some(Path::new("/dev/shm")).filter(|folder| folder.is_dir()));
        fs::create_dir(site.root()).expect("the folder is new");
        plain::write(&site.root());
        plain::write_second(&site.root());
        site.sql("db.sqlite3", "PRAGMA journal_mode = wal");
        site
    }

    /// An empty folder.
    pub fn empty() -> Self {
        let site = Self::in_folder();
        fs::create_dir(site.root()).expect("the folder is new");
        site
    }

    fn in_folder() -> Self {
        Self::below(None)
    }

    fn below(folder: Option<&Path>) -> Self {
        let folder = folder.map_or_else(std::env::temp_dir, Path::to_owned);
        let folder = tempfile::Builder::new().prefix("dalsegno-").tempdir_in(folder);
        let folder = folder.expect("a temporary folder can be made");
        fs::create_dir(folder.path().join("tmp")).expect("the folder is new");
        Self { folder }
    }

    /// The project's folder.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("site")
    }

    /// A path below the project's folder.
    pub fn path(&self, below: impl AsRef<Path>) -> PathBuf {
        self.root().join(below)
    }

    /// `TMPDIR` of everything that runs for this site.
    pub fn temp(&self) -> PathBuf {
        self.folder.path().join("tmp")
    }

    /// The folder of the site and of everything that belongs to its test.
    pub fn outside(&self, below: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(below)
    }

    /// Writes a file below the project's folder, and its folders.
    pub fn write(&self, below: &str, content: impl AsRef<[u8]>) {
        let path = self.path(below);
        fs::create_dir_all(path.parent().expect("it lies below the root"))
            .expect("folders can be made");
        fs::write(path, content).expect("the site can be written");
    }

    /// Appends to the site's settings: `bookshop/settings.py`, else `dalsegno.toml`.
    pub fn settings(&self, text: &str) {
        let python = self.path("bookshop/settings.py");
        let file = if python.is_file() { python } else { self.path("dalsegno.toml") };
        let mut file = fs::File::options().append(true).open(file).expect("the site has settings");
        file.write_all(format!("\n{text}\n").as_bytes()).expect("the site can be written");
    }

    /// Runs `manage.py` as the site's owner would.
    pub fn manage(&self, args: &[&str]) -> String {
        let mut command = Command::new(python());
        for name in ["DATABASE_URL", "MEDIA_ROOT", "INVOICES_ROOT", "DJANGO_SETTINGS_MODULE"] {
            command.env_remove(name);
        }
        output(command.arg("manage.py").args(args).current_dir(self.root()))
    }

    /// Runs a script of SQL on a database below the project's folder, by Python's own SQLite.
    pub fn sql(&self, database: &str, script: &str) {
        let path = self.path(database);
        let program = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1], timeout=30); \
            db.executescript(sys.argv[2]); db.commit(); db.close()";
        run_python(program, &[path.as_os_str(), script.as_ref()]);
    }

    /// The first column of the first row of a query on a database.
    pub fn ask(&self, database: impl AsRef<Path>, query: &str) -> String {
        let path = self.path(database);
        let program = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1], timeout=30); \
            print(db.execute(sys.argv[2]).fetchone()[0])";
        run_python(program, &[path.as_os_str(), query.as_ref()]).trim_end().to_owned()
    }

    /// What the site's databases and media hold now, by the judge.
    pub fn state(&self) -> State {
        State::of(&self.root())
    }

    /// Copies the whole site aside, for [`Site::put_back`].
    pub fn put_aside(&self) {
        bookshop::copy(&self.root(), &self.outside("aside"));
    }

    /// Makes the site again what it was when it was put aside. Nobody may have it open. Mount
    /// points stay.
    pub fn put_back(&self) {
        clear(&self.root());
        bookshop::copy(&self.outside("aside/."), &self.root());
    }

    /// Names in a folder below the project's folder, sorted; none when it does not exist.
    pub fn names(&self, below: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.path(below)) else { return Vec::new() };
        let mut names: Vec<String> = entries
            .map(|e| e.expect("the folder can be read").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    /// A call of the program in the project's folder.
    pub fn call(&self, binary: &str, args: &[&str]) -> Call {
        Call::new(self.folder.path(), binary, args)
    }
}

fn clear(folder: &Path) {
    for entry in fs::read_dir(folder).expect("the site can be read") {
        let path = entry.expect("the site can be read").path();
        if path.is_symlink() || !path.is_dir() {
            fs::remove_file(&path).expect("the site can be written");
            continue;
        }
        clear(&path);
        match fs::remove_dir(&path) {
            Err(error) if error.kind() == ErrorKind::ResourceBusy => {}
            done => done.expect("the site can be written"),
        }
    }
}
