//! The rules of the house that can be read off the files. Each rule is a function from files or
//! packages to findings, and reads nothing itself; it does not repair what it finds.

mod finding;
mod imports;
mod licences;
mod links;
mod names;
mod packages;
mod shown;
mod sizes;
mod spdx;
mod texts;
mod tree;
mod walls;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};

use finding::Weight;

/// Prints every finding as `file:line: what is wrong`; false if one of them is an error.
pub(crate) fn run(out: &mut impl Write) -> Result<bool> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize()?;
    let tree = tree::read(&root).context("cannot read the files of the repository")?;
    let packages = packages::read(&root).context("cannot read the packages of the workspace")?;
    let manifests: BTreeMap<&str, &str> =
        tree.files.iter().map(|file| (file.path.as_str(), file.text.as_str())).collect();

    let mut findings = Vec::new();
    findings.extend(walls::check(&packages, &manifests));
    findings.extend(licences::check(&packages, &manifests));
    findings.extend(imports::check(&tree.files));
    findings.extend(names::check(&tree.files));
    findings.extend(sizes::check(&tree.files));
    findings.extend(texts::check(&tree.files));
    findings.extend(links::check(&tree));
    findings.extend(shown::check(&tree.files));
    findings.sort();

    for finding in &findings {
        writeln!(out, "{finding}")?;
    }
    let errors = findings.iter().filter(|finding| finding.weight == Weight::Error).count();
    let questions = findings.len() - errors;
    writeln!(
        out,
        "tidy: {} files, {} packages, {errors} errors, {questions} questions",
        tree.files.len(),
        packages.len()
    )?;
    Ok(errors == 0)
}
