//! Mounts that only the calls of one test see. They are gone with the process that holds them, and
//! that ends with the test, however the test ends.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use dalsegno_testkit::{Call, Site, with_own_mounts};

use crate::BINARY;

pub(super) struct Mounts {
    holder: Child,
    root: PathBuf,
}

impl Mounts {
    /// Runs a script that mounts things, in the site's folder.
    pub(super) fn new(site: &Site, script: &str) -> Self {
        let script = format!("{script}\necho ready\nread -r end || :");
        let mut holder = with_own_mounts()
            .args(["sh", "-euc", &script])
            .current_dir(site.root())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare starts");
        let mut line = String::new();
        let out = holder.stdout.as_mut().expect("it is piped");
        BufReader::with_capacity(1, out).read_line(&mut line).expect("it speaks");
        let mounts = Self { holder, root: site.root() };
        assert_eq!(line, "ready\n", "the mounts cannot be made");
        mounts
    }

    /// A call that sees the mounts.
    pub(super) fn call(&self, site: &Site, args: &[&str]) -> Call {
        let pid = self.holder.id().to_string();
        let root = crate::text(&self.root);
        let enter = ["-m", "-t", &pid, "sh", "-c", "cd \"$0\" && exec \"$@\"", root, BINARY];
        site.call("nsenter", &[&enter[..], args].concat())
    }

    /// What a shell prints that sees the mounts, in the site's folder; it must succeed.
    #[track_caller]
    pub(super) fn sh(&self, script: &str) -> String {
        let pid = self.holder.id().to_string();
        let script = format!("cd '{}'\n{script}", self.root.display());
        let done = Command::new("nsenter")
            .args(["-m", "-t", &pid, "sh", "-euc", &script])
            .output()
            .expect("nsenter starts");
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{script}: {said}");
        String::from_utf8(done.stdout).expect("the names are text")
    }

    /// Everything below a folder but the engine's own: type, mode, owner, size, target, time, then
    /// contents. Of the folder itself only mode and owner: making anything in it moves its time.
    pub(super) fn picture(&self, folder: &Path) -> String {
        self.sh(&format!(
            "cd '{}'; find . -not -path '*/.dalsegno-*' -printf '%y %m %U:%G ' \\( -name . -printf '.\\n' -o \
             -type d -printf '%T@ %P\\n' -o -printf '%T@ %s %l %P\\n' \\) | LC_ALL=C sort; \
             find . -type f -not -path '*/.dalsegno-*' -exec sha256sum {{}} + | LC_ALL=C sort",
            folder.display()
        ))
    }
}

impl Drop for Mounts {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
