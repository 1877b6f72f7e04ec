//! Trees made, read and compared without the code under test.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test uses a part of it")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "test code")]
#![allow(clippy::format_push_string, clippy::unnecessary_debug_formatting, reason = "brevity")]

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use dalsegno_format::{Entry, EntryKind, TreePath};
use dalsegno_media::{
    CaptureOptions, Found, Rule, SealedTree, Selection, StageOptions, StagedTree, Strategy, Target,
    capture,
};

pub const NO: &dyn Fn() -> bool = &|| false;

pub fn prefix() -> TreePath {
    TreePath::new("files").unwrap()
}

/// Patterns as sites have them.
pub fn usual() -> Selection {
    Selection::new(&[".*".to_owned(), "*~".to_owned()], &[]).unwrap()
}

pub fn write(path: &Path, content: &[u8], mode: u32, mtime: (i64, u32)) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    set_mtime(path, mtime);
}

pub fn set_mtime(path: &Path, (secs, nanos): (i64, u32)) {
    use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_OMIT, utimensat};
    let times = Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: secs, tv_nsec: nanos.into() },
    };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

/// What a tree looks like: by path, type, mode, owner, time and content or target; with names of the
/// same inode.
pub fn picture(root: &Path) -> BTreeMap<Vec<u8>, String> {
    let mut picture = BTreeMap::new();
    let mut inodes = BTreeMap::new();
    look(root, Path::new(""), &mut picture, &mut inodes);
    picture
}

fn look(
    root: &Path,
    below: &Path,
    picture: &mut BTreeMap<Vec<u8>, String>,
    inodes: &mut BTreeMap<u64, Vec<u8>>,
) {
    let path = root.join(below);
    let path = if below.as_os_str().is_empty() { root.to_path_buf() } else { path };
    let meta = fs::symlink_metadata(&path).unwrap();
    let key = below.as_os_str().as_bytes().to_vec();
    let mut text = format!(
        "{:06o} {}:{} {}.{:09}",
        meta.mode(),
        meta.uid(),
        meta.gid(),
        meta.mtime(),
        meta.mtime_nsec()
    );
    if meta.is_symlink() {
        text += &format!(" -> {:?}", fs::read_link(&path).unwrap());
    } else if meta.is_file() {
        let first = inodes.entry(meta.ino()).or_insert_with(|| key.clone()).clone();
        if first != key {
            text += &format!(" = {}", first.escape_ascii());
        }
        text += &format!(" {} {}", meta.len(), hash(&path));
    }
    picture.insert(key, text);
    if meta.is_dir() {
        let mut names: Vec<_> =
            fs::read_dir(&path).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        for name in names {
            look(root, &below.join(name), picture, inodes);
        }
    }
}

fn hash(path: &Path) -> String {
    use sha2::Digest as _;
    dalsegno_format::hex(&sha2::Sha256::digest(fs::read(path).unwrap()))
}

/// The paths and contents of a tree's files.
pub fn contents(root: &Path) -> BTreeMap<String, String> {
    let mut contents = BTreeMap::new();
    for key in picture(root).keys() {
        let path = root.join(OsStr::from_bytes(key));
        let meta = fs::symlink_metadata(&path).unwrap();
        let name = String::from_utf8_lossy(key).into_owned();
        if meta.is_file() {
            contents.insert(name, String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned());
        } else if meta.is_symlink() {
            contents.insert(name, format!("-> {}", fs::read_link(&path).unwrap().display()));
        }
    }
    contents
}

/// A captured tree, held in memory.
#[derive(Debug, Default)]
pub struct Taken {
    pub entries: Vec<(Entry, Vec<u8>)>,
    pub left_out: Vec<(String, Rule, bool)>,
    pub vanished: Vec<String>,
    pub unreadable: Vec<(String, String)>,
    pub large: usize,
    /// What comes when, by path.
    pub order: Vec<TreePath>,
}

pub fn take(root: &Path, selection: &Selection) -> Taken {
    take_with(root, selection, CaptureOptions::default())
}

pub fn take_with(root: &Path, selection: &Selection, options: CaptureOptions) -> Taken {
    let mut taken = Taken::default();
    for found in capture(root, &prefix(), selection, options).unwrap() {
        match found.unwrap() {
            Found::Entry(entry) => {
                taken.order.push(entry.path.clone());
                taken.entries.push((entry, Vec::new()));
            }
            Found::Small { entry, data, sha256 } => {
                use sha2::Digest as _;
                assert_eq!(<[u8; 32]>::from(sha2::Sha256::digest(&data)), sha256);
                taken.order.push(entry.path.clone());
                taken.entries.push((entry, data));
            }
            Found::Large { mut entry, mut file } => {
                taken.order.push(entry.path.clone());
                taken.large += 1;
                loop {
                    let mut data = Vec::new();
                    file.read_to_end(&mut data).unwrap();
                    if file.unchanged().unwrap() {
                        taken.entries.push((entry, data));
                        break;
                    }
                    match file.again() {
                        Ok(again) => (entry, file) = again,
                        Err(error) => {
                            let path = entry.path.to_string();
                            taken.unreadable.push((path, error.to_string()));
                            break;
                        }
                    }
                }
            }
            Found::LeftOut { path, rule, folder } => {
                taken.left_out.push((path.to_string(), rule, folder));
                taken.order.push(path);
            }
            Found::Vanished { path } => taken.vanished.push(path.to_string()),
            Found::Unreadable { path, source } => {
                taken.unreadable.push((path.to_string(), source.to_string()));
            }
        }
    }
    assert!(taken.order.is_sorted_by(|a, b| a < b), "out of order: {:?}", taken.order);
    taken
}

pub fn without_prefix(mut entry: Entry) -> Option<Entry> {
    let below = entry.path.below(&prefix())?.to_vec();
    entry.path = TreePath::new(below).unwrap();
    if let EntryKind::HardLink { target } = &mut entry.kind {
        *target = TreePath::new(target.below(&prefix()).unwrap()).unwrap();
    }
    Some(entry)
}

/// Puts a captured tree into a staged one: small files through the threads, every other one as a
/// stream.
pub fn fill(staged: &mut StagedTree, taken: &Taken) {
    for (index, (entry, data)) in taken.entries.iter().enumerate() {
        let Some(entry) = without_prefix(entry.clone()) else {
            staged.root(entry);
            continue;
        };
        match &entry.kind {
            EntryKind::Directory => staged.folder(&entry).unwrap(),
            EntryKind::Symlink { .. } => staged.symlink(&entry).unwrap(),
            EntryKind::HardLink { .. } => staged.hard_link(&entry).unwrap(),
            EntryKind::File { .. } if index % 2 == 0 => {
                staged.file(&entry, &mut &data[..]).unwrap();
            }
            EntryKind::File { .. } => staged.small_file(entry, data.clone()).unwrap(),
        }
    }
}

pub fn stage(live: &Path, id: &str, taken: &Taken) -> StagedTree {
    let mut staged = Target::new(live, id).unwrap().begin(StageOptions::default()).unwrap();
    fill(&mut staged, taken);
    staged
}

pub fn seal(
    live: &Path,
    id: &str,
    taken: &Taken,
    strategy: Strategy,
    selection: &Selection,
) -> SealedTree {
    stage(live, id, taken).seal(strategy, selection, &[], NO).unwrap()
}

/// A tree with everything that breaks careless tools.
pub fn odd_tree(root: &Path) {
    let old = (-5, 999_999_999);
    let now = (1_700_000_000, 123_456_789);
    write(&root.join("plain.txt"), b"plain", 0o644, now);
    write(&root.join("before-1970"), b"x", 0o600, old);
    write(&root.join("empty"), b"", 0o644, now);
    write(&root.join("read-only"), b"ro", 0o400, now);
    write(&root.join("no-rights"), b"none", 0o000, now);
    write(&root.join("set-id"), b"s", 0o6755, now);
    write(&root.join("big"), &vec![7; 3 << 20], 0o640, now);
    write(&root.join(OsStr::from_bytes(b"caf\xe9")), b"latin", 0o644, now);
    write(&root.join("new\nline\tand\\"), b"nl", 0o644, now);
    write(&root.join("n".repeat(240)), b"long", 0o644, now);
    write(&root.join("dir/a"), b"first name", 0o644, now);
    fs::hard_link(root.join("dir/a"), root.join("dir/b")).unwrap();
    fs::create_dir_all(root.join("other")).unwrap();
    fs::hard_link(root.join("dir/a"), root.join("other/c")).unwrap();
    write(&root.join("dir-x"), b"sorts after what lies in dir", 0o644, now);
    write(&root.join(".well-known/acme"), b"kept", 0o644, now);
    fs::create_dir_all(root.join("hollow/inner")).unwrap();
    symlink("plain.txt", root.join("link")).unwrap();
    symlink("nowhere", root.join("dangling")).unwrap();
    symlink("../plain.txt", root.join("dir/up")).unwrap();
    symlink("dir", root.join("dirlink")).unwrap();
    for link in ["link", "dangling", "dir/up", "dirlink"] {
        set_mtime(&root.join(link), now);
    }
    sparse(&root.join("sparse"), 8 << 20, &[(1 << 20, 4096), (5 << 20, 100)]);
    sparse(&root.join("all-hole"), 4 << 20, &[]);
    sparse(&root.join("small-sparse"), 300_000, &[(200_000, 10)]);
    for (folder, mode) in
        [("hollow/inner", 0o700), ("hollow", 0o2755), ("dir", 0o555), ("other", 0o750)]
    {
        fs::set_permissions(root.join(folder), fs::Permissions::from_mode(mode)).unwrap();
        set_mtime(&root.join(folder), (1_000_000_000, 7));
    }
    fs::set_permissions(root, fs::Permissions::from_mode(0o755)).unwrap();
    set_mtime(root, (1_100_000_000, 9));
}

pub fn sparse(path: &Path, size: u64, data: &[(u64, usize)]) {
    use std::os::unix::fs::FileExt as _;
    let file = fs::File::create(path).unwrap();
    file.set_len(size).unwrap();
    for (offset, length) in data {
        file.write_all_at(&vec![9; *length], *offset).unwrap();
    }
    file.sync_all().unwrap();
    set_mtime(path, (1_600_000_000, 1));
}

/// A folder `live` in a new temporary one, with these files: path and content, folders by a final
/// `/`, links as `-> target`.
pub fn site(files: &[(&str, &str)]) -> (tempfile::TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let live = home.path().canonicalize().unwrap().join("live");
    fs::create_dir(&live).unwrap();
    put(&live, files);
    (home, live)
}

pub fn put(root: &Path, files: &[(&str, &str)]) {
    for (path, content) in files {
        let full = root.join(path);
        fs::create_dir_all(full.parent().unwrap()).unwrap();
        if path.ends_with('/') {
            fs::create_dir_all(full).unwrap();
        } else if let Some(target) = content.strip_prefix("-> ") {
            symlink(target, full).unwrap();
        } else {
            fs::write(full, content).unwrap();
        }
    }
}

/// Set where the ignored tests run with mounts of their own, and not because somebody runs all.
const OWN_MOUNTS: &str = "DALSEGNO_MEDIA_TEST_OWN_MOUNTS";

/// Runs one ignored test of this very program in another process, under a command that changes its
/// mounts.
pub fn again(wrapper: &[&str], test: &str, environment: &[(&str, &OsStr)]) -> ExitStatus {
    run(&std::env::current_exe().unwrap(), wrapper, test, environment)
}

/// The same as a user without rights, who can enter `home`.
pub fn as_nobody(home: &Path, test: &str, environment: &[(&str, &OsStr)]) -> ExitStatus {
    fs::set_permissions(home, fs::Permissions::from_mode(0o755)).unwrap();
    // The test program itself may lie below a folder that only root can enter.
    let program = home.join("program");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let wrapper = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    run(&program, &wrapper, test, environment)
}

fn run(program: &Path, wrapper: &[&str], test: &str, environment: &[(&str, &OsStr)]) -> ExitStatus {
    let mut words: Vec<&OsStr> = wrapper.iter().map(OsStr::new).collect();
    words.push(program.as_os_str());
    words.extend(["--exact", test, "--ignored", "--nocapture"].map(OsStr::new));
    let mut command = Command::new(words[0]);
    if wrapper.first() == Some(&"unshare") {
        command.env(OWN_MOUNTS, "1");
    }
    let output = command.args(&words[1..]).envs(environment.iter().copied()).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    if output.status.success() {
        assert!(text.contains("1 passed"), "no such test: {text}");
    } else if output.status.code().is_some() {
        println!("{text}");
    }
    output.status
}

pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A mount, which ends when this is dropped: a folder that is one cannot be removed.
#[must_use]
#[derive(Debug)]
pub struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        let done = Command::new("umount").arg("-l").arg(&self.0).status();
        assert!(done.is_ok_and(|status| status.success()), "{:?} stays mounted", self.0);
    }
}

/// Mounts something, in a process that has mounts of its own: see [`again`].
pub fn mount(arguments: &[&str], at: &Path) -> Mounted {
    assert!(std::env::var_os(OWN_MOUNTS).is_some(), "everybody would see this mount");
    let status = Command::new("mount").args(arguments).arg(at).status().unwrap();
    assert!(status.success());
    Mounted(at.to_path_buf())
}
