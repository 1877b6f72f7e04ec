//! Libraries in C that stand between a program and the C library, compiled when a test wants one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Compiles `shim/NAME.c` of this crate and returns the library, fit for `LD_PRELOAD`.
///
/// It is kept in the folder of temporary files under a name made of its source, so that one
/// compilation serves every test until the source changes.
pub fn compile(name: &str) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("shim/{name}.c"));
    let text = fs::read(&source).expect("the source of the shim is there");
    let mark = xxhash_rust::xxh3::xxh3_64(&text);
    let user = rustix::process::geteuid().as_raw();
    let folder = std::env::temp_dir().join(format!("dalsegno-shims-{user}"));
    fs::create_dir_all(&folder).expect("temporary folders can be made");
    let library = folder.join(format!("{name}-{mark:016x}.so"));
    if library.exists() {
        return library;
    }
    let aside = folder.join(format!(".{name}-{mark:016x}.{}", std::process::id()));
    let output = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-std=gnu11", "-Wall", "-Wextra", "-Werror"])
        .arg("-o")
        .args([&aside, &source])
        .args(["-ldl", "-lpthread"])
        .output()
        .expect("a C compiler, `cc`, is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    fs::rename(&aside, &library).expect("the library can be put in its place");
    library
}
