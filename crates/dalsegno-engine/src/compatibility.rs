//! Whether a backup's migrations fit the code.

use std::collections::BTreeSet;

use dalsegno_format::Migration;
use dalsegno_project::descriptor::{Migration as CodeMigration, MigrationKey};

use crate::Site;

/// How a backup's migrations differ from the code's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MigrationGap {
    /// Applied in the backup, unknown to the code: the backup is newer.
    pub unknown: Vec<String>,
    /// In the code, not applied in the backup: the backup is older.
    pub missing: Vec<String>,
}

/// The migrations a live database holds, each marked whether the code has a file for it. `None`
/// when the database did not say.
pub(crate) fn applied(site: &Site, alias: &str) -> Option<Vec<Migration>> {
    let descriptor = site.descriptor();
    let applied = descriptor.databases.get(alias)?.migrations.applied.as_ref()?;
    let code = descriptor.migrations.as_deref();
    Some(
        applied
            .iter()
            .map(|key| Migration {
                app: key.app.clone(),
                name: key.name.clone(),
                in_code: code.is_none_or(|code| knows(code, key)),
            })
            .collect(),
    )
}

/// Compares the migrations of a backup with those of the code. `None` when either is not known:
/// there is then nothing to compare.
pub(crate) fn gap(site: &Site, backup: Option<&[Migration]>) -> Option<MigrationGap> {
    let code = site.descriptor().migrations.as_deref()?;
    Some(compare(code, backup?))
}

/// Whether the code has a migration, as a file of its own or squashed into another.
fn knows(code: &[CodeMigration], key: &MigrationKey) -> bool {
    code.iter().any(|m| m.key == *key || m.replaces.contains(key))
}

/// A squashed migration counts as applied when it is recorded or when all it replaces are; while
/// only some are, those that are not count as missing (Django's `MigrationLoader` decides so too).
/// Rows that had no file when the backup was made never count.
fn compare(code: &[CodeMigration], backup: &[Migration]) -> MigrationGap {
    let key = |m: &Migration| MigrationKey { app: m.app.clone(), name: m.name.clone() };
    let applied: BTreeSet<MigrationKey> = backup.iter().map(key).collect();
    let mut unknown: Vec<String> = backup
        .iter()
        .filter(|m| m.in_code)
        .map(key)
        .filter(|k| !knows(code, k))
        .map(|k| k.to_string())
        .collect();
    unknown.sort();
    let replaced: BTreeSet<&MigrationKey> = code.iter().flat_map(|m| &m.replaces).collect();
    let mut missing = Vec::new();
    for migration in code.iter().filter(|m| !replaced.contains(&m.key)) {
        missing_of(code, migration, &applied, &mut missing);
    }
    MigrationGap { unknown, missing }
}

fn missing_of(
    code: &[CodeMigration],
    migration: &CodeMigration,
    applied: &BTreeSet<MigrationKey>,
    missing: &mut Vec<String>,
) {
    if applied.contains(&migration.key) {
        return;
    }
    let begun = migration.replaces.iter().any(|key| has(code, key, applied));
    if !begun {
        missing.push(migration.key.to_string());
        return;
    }
    for key in &migration.replaces {
        match code.iter().find(|m| m.key == *key) {
            Some(inner) => missing_of(code, inner, applied, missing),
            None if !applied.contains(key) => missing.push(key.to_string()),
            None => {}
        }
    }
}

/// Whether a migration, or anything squashed into it, is recorded.
fn has(code: &[CodeMigration], key: &MigrationKey, applied: &BTreeSet<MigrationKey>) -> bool {
    applied.contains(key)
        || code
            .iter()
            .filter(|m| m.key == *key)
            .any(|m| m.replaces.iter().any(|inner| has(code, inner, applied)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(list: &[(&str, &[&str])]) -> Vec<CodeMigration> {
        let key = |name: &&str| MigrationKey { app: "a".into(), name: (*name).to_owned() };
        list.iter()
            .map(|(name, replaces)| CodeMigration {
                key: key(name),
                replaces: replaces.iter().map(key).collect(),
            })
            .collect()
    }

    fn backup(list: &[&str]) -> Vec<Migration> {
        list.iter()
            .map(|name| Migration {
                app: "a".into(),
                name: name.trim_start_matches('-').to_owned(),
                in_code: !name.starts_with('-'),
            })
            .collect()
    }

    type Case<'a> = (&'a [CodeMigration], &'a [&'a str], &'a [&'a str], &'a [&'a str]);

    #[test]
    fn gaps() {
        let plain = code(&[("1", &[]), ("2", &[])]);
        let squashed = code(&[("1", &[]), ("2", &[]), ("12", &["1", "2"]), ("3", &[])]);
        let only_squash = code(&[("12", &["1", "2"]), ("3", &[])]);
        let cases: &[Case<'_>] = &[
            (&plain, &["1", "2"], &[], &[]),
            (&plain, &["1"], &[], &["a.2"]),
            (&plain, &["1", "2", "3"], &["a.3"], &[]),
            (&plain, &["1", "2", "-old"], &[], &[]),
            (&squashed, &["12", "3"], &[], &[]),
            (&squashed, &["1", "2", "3"], &[], &[]),
            (&squashed, &["1", "3"], &[], &["a.2"]),
            (&squashed, &[], &[], &["a.12", "a.3"]),
            (&only_squash, &["1", "2", "3"], &[], &[]),
            (&only_squash, &["1", "3"], &[], &["a.2"]),
            (&only_squash, &["1", "2", "12", "3"], &[], &[]),
        ];
        for (code, applied, unknown, missing) in cases {
            let expected = MigrationGap {
                unknown: unknown.iter().map(ToString::to_string).collect(),
                missing: missing.iter().map(ToString::to_string).collect(),
            };
            assert_eq!(compare(code, &backup(applied)), expected, "{applied:?}");
        }
    }
}
