//! `restore.sh`: a site comes back with ordinary tools, where there is neither Dalsegno nor Python.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Command, Output};

use dalsegno_testkit::{Site, State, damage};

use crate::backup;

/// A folder with what a small machine has, and nothing else.
fn bare_path(site: &Site) -> std::path::PathBuf {
    let bin = site.outside("bin");
    fs::create_dir(&bin).expect("it is new");
    for tool in [
        "sh",
        "tar",
        "gzip",
        "sha256sum",
        "sqlite3",
        "cp",
        "mv",
        "rm",
        "ln",
        "mkdir",
        "rmdir",
        "ls",
        "cat",
        "cut",
        "sed",
        "awk",
        "grep",
        "chmod",
        "chown",
        "touch",
        "date",
        "dirname",
        "basename",
        "head",
        "tail",
        "tr",
        "sort",
        "wc",
        "test",
        "printf",
        "id",
        "stat",
        "find",
        "readlink",
        "mktemp",
        "dd",
        "truncate",
        "env",
        "expr",
        "uname",
        "cmp",
        "od",
        "sync",
        "true",
        "false",
        "echo",
        "pwd",
        "xargs",
        "tee",
    ] {
        let found = ["/usr/bin", "/bin", "/usr/sbin"]
            .iter()
            .map(|d| std::path::Path::new(d).join(tool))
            .find(|p| p.exists());
        if let Some(found) = found {
            symlink(found, bin.join(tool)).expect("links can be made");
        }
    }
    bin
}

fn sh(site: &Site, script: &str) -> Output {
    Command::new("/bin/sh")
        .args(["-euc", script])
        .env_clear()
        .env("PATH", site.outside("bin"))
        .env("LC_ALL", "C")
        .current_dir(site.outside("unpacked"))
        .output()
        .expect("sh runs")
}

#[test]
fn a_site_comes_back_without_dalsegno() {
    let site = Site::bookshop(600, 60);
    let before = site.state();
    let path = backup(&site, "b", &[]);
    damage(&site);
    bare_path(&site);
    fs::create_dir(site.outside("unpacked")).expect("it is new");
    let done = sh(
        &site,
        &format!(
            "tar xzf '{}'\ncd b\nsha256sum -c --quiet checksums.sha256\necho yes | sh restore.sh",
            path.display()
        ),
    );
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr)
    );
    assert!(done.status.success(), "{said}");
    let lines = |state: &State, part: &str| -> Vec<String> {
        let left_out = [".gitkeep", "outline.json~", ".thumbnails.db"];
        let keep =
            |l: &&String| !l.starts_with("ALL") && !left_out.iter().any(|name| l.contains(name));
        state.part(part).iter().filter(keep).cloned().collect()
    };
    let after = site.state();
    for part in ["db.sqlite3", "media", "private"] {
        assert_eq!(lines(&after, part), lines(&before, part));
    }
}
