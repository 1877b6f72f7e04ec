//! Under which licence, and from where, each package of the tree comes.

use std::collections::{BTreeMap, BTreeSet};

use super::finding::{Finding, line_of};
use super::packages::Package;
use super::spdx::Expression;

const LOCK: &str = "Cargo.lock";
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Licences that one package may have, and no other.
const EXCEPTIONS: &[(&str, &str)] = &[
    // The Boost licence asks for less than MIT does: no notice with a binary.
    ("xxhash-rust", "BSL-1.0"),
    // Data: Mozilla's list of authorities. The licence asks only that it be kept with them.
    ("webpki-roots", "CDLA-Permissive-2.0"),
];

/// Packages whose manifest names no licence, and what the file that comes with them is.
const IN_A_FILE: &[(&str, &str)] = &[("webpki", "ISC")];

/// Packages of which the tree holds one version: two SQLite libraries in one process would take
/// each other's file locks away when either closes a file.
const SINGLE: &[&str] = &["libsqlite3-sys", "rusqlite"];

pub(super) fn check(packages: &[Package], files: &BTreeMap<&str, &str>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in packages {
        let (path, start) = match &package.manifest {
            Some(manifest) => (manifest.as_str(), "license".to_owned()),
            None => (LOCK, format!("name = \"{}\"", package.name)),
        };
        let mut wrong = |what: String| {
            let what = format!("`{}` {}: {what}", package.name, package.version);
            findings.push(Finding::error(path, line_of(files, path, &start), what));
        };
        if package.manifest.is_none() && package.source.as_deref() != Some(CRATES_IO) {
            let from = package.source.as_deref().unwrap_or("a folder outside the repository");
            wrong(format!("it comes from {from}, not from crates.io"));
        }
        if let Some(what) = complaint(&package.name, package.licence.as_deref()) {
            wrong(what);
        }
    }
    for name in SINGLE {
        let versions: BTreeSet<&str> =
            packages.iter().filter(|it| it.name == *name).map(|it| it.version.as_str()).collect();
        if versions.len() > 1 {
            let versions = versions.into_iter().collect::<Vec<_>>().join(" and ");
            let line = line_of(files, LOCK, &format!("name = \"{name}\""));
            let what = format!("`{name}` is there as {versions}: one SQLite library, once");
            findings.push(Finding::error(LOCK, line, what));
        }
    }
    findings
}

fn complaint(package: &str, licence: Option<&str>) -> Option<String> {
    let in_a_file = IN_A_FILE.iter().find(|(name, _)| *name == package).map(|(_, text)| *text);
    let Some(text) = licence.or(in_a_file) else {
        return Some("it names no licence".to_owned());
    };
    let allowed = |name: &str| ALLOWED.contains(&name) || EXCEPTIONS.contains(&(package, name));
    match Expression::parse(text) {
        Err(why) => Some(format!("its licence `{text}` cannot be read: {why}")),
        Ok(expression) if !expression.is_met(&allowed) => {
            Some(format!("its licence `{text}` is not one of those we take"))
        }
        Ok(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, version: &str, licence: Option<&str>, source: Option<&str>) -> Package {
        Package {
            name: name.to_owned(),
            version: version.to_owned(),
            licence: licence.map(str::to_owned),
            source: source.map(str::to_owned),
            manifest: None,
            dependencies: Vec::new(),
        }
    }

    fn said(packages: &[Package]) -> Vec<String> {
        let lock = "[[package]]\nname = \"serde\"\n\n[[package]]\nname = \"rusqlite\"\n";
        let files = BTreeMap::from([(LOCK, lock)]);
        check(packages, &files).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn licences_that_we_take() {
        let exception = package("xxhash-rust", "0.8.0", Some("BSL-1.0"), Some(CRATES_IO));
        let unusual = package("serde", "1.0.0", Some("Zlib OR GPL-2.0-only"), Some(CRATES_IO));
        let ours = Package {
            manifest: Some("xtask/Cargo.toml".to_owned()),
            ..package("xtask", "0.1.0", Some("MIT OR Apache-2.0"), None)
        };
        let in_a_file = package("webpki", "0.22.4", None, Some(CRATES_IO));
        assert!(said(&[exception, unusual, ours, in_a_file]).is_empty());
    }

    #[test]
    fn licences_that_we_do_not_take() {
        let said = said(&[
            package("serde", "1.0.0", Some("MPL-2.0"), Some(CRATES_IO)),
            package("serde", "1.0.1", None, Some(CRATES_IO)),
            package("serde", "1.0.2", Some("MIT OR"), Some(CRATES_IO)),
            package("serde", "1.0.3", Some("BSL-1.0"), Some(CRATES_IO)),
        ]);
        assert_eq!(
            said,
            [
                "Cargo.lock:2: `serde` 1.0.0: its licence `MPL-2.0` is not one of those we take",
                "Cargo.lock:2: `serde` 1.0.1: it names no licence",
                "Cargo.lock:2: `serde` 1.0.2: its licence `MIT OR` cannot be read: \
                 a licence is missing at the end",
                "Cargo.lock:2: `serde` 1.0.3: its licence `BSL-1.0` is not one of those we take",
            ]
        );
    }

    #[test]
    fn sources_and_doubles() {
        let said = said(&[
            package("serde", "1.0.0", Some("MIT"), Some("git+https://example.org/serde")),
            package("serde", "1.0.0", Some("MIT"), None),
            package("rusqlite", "0.40.0", Some("MIT"), Some(CRATES_IO)),
            package("rusqlite", "0.41.1", Some("MIT"), Some(CRATES_IO)),
        ]);
        assert_eq!(
            said,
            [
                "Cargo.lock:2: `serde` 1.0.0: it comes from git+https://example.org/serde, \
                 not from crates.io",
                "Cargo.lock:2: `serde` 1.0.0: it comes from a folder outside the repository, \
                 not from crates.io",
                "Cargo.lock:5: `rusqlite` is there as 0.40.0 and 0.41.1: one SQLite library, once",
            ]
        );
    }
}
