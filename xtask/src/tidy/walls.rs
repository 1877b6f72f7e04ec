//! Which crate may know which: arrows point down only, and some packages belong to one crate.
//! Dev-dependencies are free, but nothing stands on the test kit.

use std::collections::BTreeMap;

use super::finding::{Finding, line_of};
use super::packages::{Need, Package};

const TESTKIT: &str = "dalsegno-testkit";

/// What each crate of the workspace may stand on. A crate that is not here has no place yet.
const WALLS: &[(&str, &[&str])] = &[
    ("dalsegno-format", &[]),
    ("dalsegno-project", &["dalsegno-format"]),
    ("dalsegno-store", &["dalsegno-format"]),
    ("dalsegno-archive", &["dalsegno-format"]),
    ("dalsegno-database", &["dalsegno-format"]),
    ("dalsegno-media", &["dalsegno-format"]),
    (
        "dalsegno-engine",
        &[
            "dalsegno-archive",
            "dalsegno-database",
            "dalsegno-format",
            "dalsegno-media",
            "dalsegno-project",
            "dalsegno-store",
        ],
    ),
    (
        "dalsegno-cli",
        &["dalsegno-archive", "dalsegno-engine", "dalsegno-format", "dalsegno-project"],
    ),
    ("xtask", &[]),
];

/// Packages that only some crates may stand on, and why.
const RESERVED: &[(&[&str], &[&str], &str)] = &[
    (
        &["clap", "clap_complete", "console", "dialoguer", "indicatif"],
        &["dalsegno-cli"],
        "the engine knows no terminal",
    ),
    (
        &["rusqlite", "libsqlite3-sys"],
        &["dalsegno-database"],
        "one crate speaks to databases, with one SQLite library",
    ),
    (
        &["mysql", "postgres", "tokio-postgres", "tokio-postgres-rustls"],
        &["dalsegno-database"],
        "one crate speaks to databases",
    ),
    (&["anyhow"], &["dalsegno-cli", "xtask"], "libraries have an enum of errors"),
];

/// Packages that nothing in the tree may bring in, and why.
const BANNED: &[(&[&str], &str)] = &[(
    &[
        "actix-rt",
        "actix-web",
        "async-executor",
        "async-global-executor",
        "async-io",
        "async-std",
        "axum",
        "futures-executor",
        "hyper",
        "reqwest",
        "smol",
        "tokio",
    ],
    "everything inside is synchronous",
)];

/// What is banned, and by whom it may be brought in all the same: those who let nobody see it.
const HIDDEN: &[(&str, &str)] = &[("tokio", "postgres")];

pub(super) fn check(packages: &[Package], files: &BTreeMap<&str, &str>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let ours: Vec<(&Package, &str)> = packages
        .iter()
        .filter_map(|package| Some((package, package.manifest.as_deref()?)))
        .collect();
    for (package, manifest) in &ours {
        let mut wrong = |start: &str, what: String| {
            findings.push(Finding::error(manifest, line_of(files, manifest, start), what));
        };
        let name = &package.name;
        let below = WALLS.iter().find(|(of, _)| of == name).map(|(_, below)| *below);
        if below.is_none() && name != TESTKIT {
            wrong("name", format!("`{name}` has no wall: say in xtask what it may stand on"));
        }
        for dependency in &package.dependencies {
            let on = dependency.name.as_str();
            if let Some(why) = banned(on) {
                wrong(on, format!("`{name}` may not need `{on}`: {why}"));
            }
            if dependency.need == Need::Dev || name == TESTKIT {
                continue;
            }
            if on == TESTKIT {
                wrong(on, format!("`{on}` is a dev-dependency, and never another one"));
            } else if ours.iter().any(|(other, _)| other.name == on) {
                if below.is_some_and(|below| !below.contains(&on)) {
                    wrong(on, format!("`{name}` may not know `{on}`"));
                }
            } else if let Some(why) = reserved(name, on) {
                wrong(on, format!("`{name}` may not need `{on}`: {why}"));
            }
        }
    }
    for package in packages.iter().filter(|package| package.manifest.is_none()) {
        let hidden = HIDDEN.iter().any(|(inside, by)| {
            *inside == package.name && packages.iter().any(|other| other.name == *by)
        });
        if let Some(why) = banned(&package.name).filter(|_| !hidden) {
            let line = line_of(files, "Cargo.lock", &format!("name = \"{}\"", package.name));
            let what = format!("`{}` may not be in the tree: {why}", package.name);
            findings.push(Finding::error("Cargo.lock", line, what));
        }
    }
    findings
}

fn banned(package: &str) -> Option<&'static str> {
    BANNED.iter().find(|(names, _)| names.contains(&package)).map(|(_, why)| *why)
}

fn reserved(by: &str, package: &str) -> Option<&'static str> {
    let (_, only, why) = RESERVED.iter().find(|(names, _, _)| names.contains(&package))?;
    (!only.contains(&by)).then_some(*why)
}

#[cfg(test)]
mod tests {
    use super::super::packages::Dependency;
    use super::*;

    fn package(name: &str, ours: bool, dependencies: &[(&str, Need)]) -> Package {
        Package {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            licence: Some("MIT".to_owned()),
            source: (!ours).then(|| "registry".to_owned()),
            manifest: ours.then(|| format!("crates/{name}/Cargo.toml")),
            dependencies: dependencies
                .iter()
                .map(|(name, need)| Dependency { name: (*name).to_owned(), need: *need })
                .collect(),
        }
    }

    fn said(packages: &[Package]) -> Vec<String> {
        check(packages, &BTreeMap::new()).iter().map(|finding| finding.what.clone()).collect()
    }

    #[test]
    fn arrows_that_point_down_are_fine() {
        let said = said(&[
            package("dalsegno-format", true, &[("serde", Need::Normal)]),
            package(
                "dalsegno-testkit",
                true,
                &[("dalsegno-cli", Need::Normal), ("rusqlite", Need::Normal)],
            ),
            package(
                "dalsegno-database",
                true,
                &[("dalsegno-format", Need::Normal), ("rusqlite", Need::Normal)],
            ),
            package(
                "dalsegno-cli",
                true,
                &[
                    ("dalsegno-format", Need::Normal),
                    ("clap", Need::Normal),
                    ("dalsegno-testkit", Need::Dev),
                ],
            ),
            package("serde", false, &[("dalsegno-cli", Need::Normal)]),
        ]);
        assert!(said.is_empty(), "{said:?}");
    }

    #[test]
    fn arrows_that_point_up_or_sideways() {
        let said = said(&[
            package("dalsegno-format", true, &[("dalsegno-store", Need::Build)]),
            package("dalsegno-store", true, &[("dalsegno-archive", Need::Normal)]),
            package("dalsegno-archive", true, &[("dalsegno-store", Need::Dev)]),
            package("dalsegno-engine", true, &[("dalsegno-testkit", Need::Normal)]),
            package("dalsegno-testkit", true, &[]),
        ]);
        assert_eq!(
            said,
            [
                "`dalsegno-format` may not know `dalsegno-store`",
                "`dalsegno-store` may not know `dalsegno-archive`",
                "`dalsegno-testkit` is a dev-dependency, and never another one",
            ]
        );
    }

    #[test]
    fn packages_that_belong_elsewhere_or_nowhere() {
        let said = said(&[
            package("dalsegno-engine", true, &[("clap", Need::Normal), ("rusqlite", Need::Dev)]),
            package("dalsegno-store", true, &[("tokio", Need::Dev), ("anyhow", Need::Normal)]),
            package("dalsegno-cloud", true, &[]),
            package("hyper", false, &[]),
        ]);
        assert_eq!(
            said,
            [
                "`dalsegno-engine` may not need `clap`: the engine knows no terminal",
                "`dalsegno-store` may not need `tokio`: everything inside is synchronous",
                "`dalsegno-store` may not need `anyhow`: libraries have an enum of errors",
                "`dalsegno-cloud` has no wall: say in xtask what it may stand on",
                "`hyper` may not be in the tree: everything inside is synchronous",
            ]
        );
    }

    #[test]
    fn a_runtime_is_there_only_inside_what_hides_it() {
        let client = package("postgres", false, &[("tokio", Need::Normal)]);
        let runtime = package("tokio", false, &[]);
        assert!(said(&[client, runtime.clone()]).is_empty());
        assert_eq!(
            said(&[runtime]),
            ["`tokio` may not be in the tree: everything inside is synchronous"]
        );
    }

    #[test]
    fn the_line_is_that_of_the_dependency() {
        let files =
            BTreeMap::from([("crates/dalsegno-store/Cargo.toml", "[dependencies]\n\nclap = 4\n")]);
        let found = check(&[package("dalsegno-store", true, &[("clap", Need::Normal)])], &files);
        assert_eq!(
            (found[0].path.as_str(), found[0].line),
            ("crates/dalsegno-store/Cargo.toml", 3)
        );
    }
}
