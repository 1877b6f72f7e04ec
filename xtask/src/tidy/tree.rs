//! The files of the repository: what git tracks, and what it would track if it were added.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// One text file.
#[derive(Clone, Debug)]
pub(super) struct SourceFile {
    /// From the root of the repository, with `/`.
    pub(super) path: String,
    pub(super) text: String,
}

impl SourceFile {
    pub(super) fn extension(&self) -> &str {
        Path::new(&self.path).extension().and_then(|end| end.to_str()).unwrap_or_default()
    }
}

/// What the rules read.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// Text files alone.
    pub(super) files: Vec<SourceFile>,
    /// Every file, and every folder above one.
    pub(super) paths: BTreeSet<String>,
}

impl Tree {
    pub(super) fn add_path(&mut self, path: &str) {
        let mut rest = path;
        while self.paths.insert(rest.to_owned()) {
            let Some((above, _)) = rest.rsplit_once('/') else { break };
            rest = above;
        }
    }
}

/// Files that are removed but still in the index are left out; so are those that are not UTF-8.
pub(super) fn read(root: &Path) -> Result<Tree> {
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .context("cannot run `git`")?;
    let said = String::from_utf8_lossy(&listed.stderr);
    ensure!(listed.status.success(), "`git ls-files` failed: {}", said.trim());

    let mut tree = Tree::default();
    let names: BTreeSet<&[u8]> =
        listed.stdout.split(|byte| *byte == 0).filter(|name| !name.is_empty()).collect();
    for name in names {
        let path = std::str::from_utf8(name)
            .with_context(|| format!("the name of {} is not UTF-8", name.escape_ascii()))?;
        let full = root.join(path);
        match fs::symlink_metadata(&full) {
            Ok(status) if status.is_file() => {
                let bytes = fs::read(&full).with_context(|| format!("cannot read {path}"))?;
                tree.files.extend(
                    String::from_utf8(bytes)
                        .ok()
                        .filter(|text| !text.contains('\0'))
                        .map(|text| SourceFile { path: path.to_owned(), text }),
                );
            }
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(error).with_context(|| format!("cannot read {path}")),
        }
        tree.add_path(path);
    }
    ensure!(!tree.files.is_empty(), "git lists no file below {}", root.display());
    Ok(tree)
}

#[cfg(test)]
pub(super) fn file(path: &str, text: &str) -> SourceFile {
    SourceFile { path: path.to_owned(), text: text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_brings_its_folders() {
        let mut tree = Tree::default();
        tree.add_path("docs/pictures/a.png");
        tree.add_path("docs/format.md");
        let paths: Vec<&str> = tree.paths.iter().map(String::as_str).collect();
        assert_eq!(paths, ["docs", "docs/format.md", "docs/pictures", "docs/pictures/a.png"]);
    }

    #[test]
    fn this_repository_holds_this_file() {
        let tree = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).unwrap();
        let this = tree.files.iter().find(|file| file.path == "xtask/src/tidy/tree.rs").unwrap();
        assert!(this.text.contains("fn this_repository_holds_this_file"));
        assert_eq!(this.extension(), "rs");
        assert!(tree.paths.contains("xtask/src"));
        assert!(tree.files.iter().all(|file| !file.path.starts_with("target/")));
    }
}
