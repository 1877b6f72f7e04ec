//! The packages of the workspace and of everything below it, as `cargo metadata` tells them.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// When a dependency is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    Normal,
    Build,
    Dev,
}

#[derive(Clone, Debug)]
pub(super) struct Dependency {
    /// The package's name, whatever it is renamed to.
    pub(super) name: String,
    pub(super) need: Need,
}

#[derive(Clone, Debug)]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) version: String,
    /// An SPDX expression; none where the package names a file instead.
    pub(super) licence: Option<String>,
    /// A registry or repository; none for a folder of this machine.
    pub(super) source: Option<String>,
    /// From the root of the repository; none for what lies elsewhere.
    pub(super) manifest: Option<String>,
    /// As written in the manifest: whatever the platform, optional ones too.
    pub(super) dependencies: Vec<Dependency>,
}

/// Every package of the locked tree, for every platform.
pub(super) fn read(root: &Path) -> Result<Vec<Package>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let told = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(root)
        .output()
        .context("cannot run `cargo`")?;
    let said = String::from_utf8_lossy(&told.stderr);
    ensure!(told.status.success(), "`cargo metadata --locked` failed: {}", said.trim());
    let metadata: Value = serde_json::from_slice(&told.stdout)?;
    parse(&metadata, root)
}

fn parse(metadata: &Value, root: &Path) -> Result<Vec<Package>> {
    let packages = metadata["packages"].as_array().context("there are no `packages`")?;
    packages.iter().map(|package| parse_package(package, root)).collect()
}

fn parse_package(package: &Value, root: &Path) -> Result<Package> {
    let text = |key: &str| package[key].as_str().map(str::to_owned);
    let name = text("name").context("a package has no `name`")?;
    let manifest = text("manifest_path").and_then(|path| {
        let below = Path::new(&path).strip_prefix(root).ok()?;
        // Vendored packages and cargo's own folder may lie below the root too.
        package["source"].is_null().then(|| below.to_string_lossy().into_owned())
    });
    let dependencies = package["dependencies"]
        .as_array()
        .with_context(|| format!("{name} has no `dependencies`"))?
        .iter()
        .map(|dependency| {
            Ok(Dependency {
                name: dependency["name"].as_str().context("a dependency has no `name`")?.to_owned(),
                need: match dependency["kind"].as_str() {
                    None => Need::Normal,
                    Some("build") => Need::Build,
                    Some(_) => Need::Dev,
                },
            })
        })
        .collect::<Result<_>>()?;
    Ok(Package {
        version: text("version").with_context(|| format!("{name} has no `version`"))?,
        licence: text("license"),
        source: text("source"),
        manifest,
        dependencies,
        name,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cargo_tells() {
        let metadata = serde_json::json!({"packages": [
            {"name": "ours", "version": "0.1.0", "license": "MIT OR Apache-2.0", "source": null,
             "manifest_path": "/house/crates/ours/Cargo.toml", "dependencies": [
                {"name": "serde", "kind": null}, {"name": "cc", "kind": "build"},
                {"name": "insta", "kind": "dev", "rename": "snapshots"}]},
            {"name": "serde", "version": "1.0.0", "license": null, "source": "registry+x",
             "manifest_path": "/registry/serde/Cargo.toml", "dependencies": []},
        ]});
        let packages = parse(&metadata, Path::new("/house")).unwrap();
        assert_eq!(packages[0].manifest.as_deref(), Some("crates/ours/Cargo.toml"));
        let needs: Vec<_> =
            packages[0].dependencies.iter().map(|it| (it.name.as_str(), it.need)).collect();
        assert_eq!(needs, [("serde", Need::Normal), ("cc", Need::Build), ("insta", Need::Dev)]);
        assert_eq!(packages[1].manifest, None);
        assert_eq!(packages[1].licence, None);
        assert!(parse(&serde_json::json!({}), Path::new("/house")).is_err());
    }
}
