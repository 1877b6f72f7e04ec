//! Names of settings, and names that are nearly one.

use serde::Serialize;

use crate::descriptor::{SettingOrigin, SettingValues};

/// Every name there is.
pub const SETTING_NAMES: [&str; 26] = [
    "BACKUP_ARCHIVE_ROOT",
    "BACKUP_CATALOG_URL",
    "BACKUP_CHUNK_SIZE",
    "BACKUP_DATABASE_ROOT",
    "BACKUP_DESTINATIONS",
    "BACKUP_DIR",
    "BACKUP_ENCRYPTION_KEY",
    "BACKUP_FILE_PERMISSIONS",
    "BACKUP_MAX_FILE_SIZE",
    "BACKUP_MEDIA_EXCLUDE",
    "BACKUP_MEDIA_ROOT",
    "BACKUP_NOTIFICATIONS",
    "BACKUP_RETENTION_COUNT",
    "BACKUP_RETENTION_DAYS",
    "BACKUP_ROOT",
    "BACKUP_SCHEDULES",
    "BACKUP_SFTP_DIRECTORY",
    "BACKUP_SFTP_ENABLED",
    "BACKUP_SFTP_HOST",
    "BACKUP_SFTP_KEY_FILE",
    "BACKUP_SFTP_KNOWN_HOSTS",
    "BACKUP_SFTP_PASSWORD",
    "BACKUP_SFTP_PORT",
    "BACKUP_SFTP_USER",
    "BACKUP_USE_COMPRESSION",
    "BACKUP_USE_ENCRYPTION",
];

/// A name that begins with `BACKUP_` and means nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnknownSetting {
    /// The name.
    pub name: String,
    /// Where it was found. In the environment it may belong to another program.
    pub origin: SettingOrigin,
    /// The name that was probably meant.
    pub nearest: Option<&'static str>,
}

pub(super) fn unknown(settings: &SettingValues) -> Vec<UnknownSetting> {
    settings
        .iter()
        .filter(|(name, _)| !SETTING_NAMES.contains(name))
        .map(|(name, value)| UnknownSetting {
            name: name.to_owned(),
            origin: value.origin,
            nearest: nearest(name),
        })
        .collect()
}

fn nearest(name: &str) -> Option<&'static str> {
    nearest_name(name, SETTING_NAMES, "BACKUP_".len())
}

/// The known name with the fewest edits, if they are few for its length; `shared` bytes that all
/// names begin with do not count.
pub fn nearest_name<'n>(
    name: &str,
    known: impl IntoIterator<Item = &'n str>,
    shared: usize,
) -> Option<&'n str> {
    known
        .into_iter()
        .map(|known| (distance(name, known), known))
        .min()
        .filter(|(edits, known)| *edits <= known.len().saturating_sub(shared).div_ceil(3))
        .map(|(_, known)| known)
}

/// Edits from one text to the other: inserting, deleting, replacing a character or exchanging two
/// neighbours (optimal string alignment).
fn distance(from: &str, to: &str) -> usize {
    let (from, to) = (from.as_bytes(), to.as_bytes());
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in to.iter().enumerate() {
            let mut best = (last[j] + usize::from(a != b)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == to[j - 1] && from[i - 1] == *b {
                best = best.min(before_last[j - 1] + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_names() {
        for (name, meant) in [
            ("BACKUP_DIRS", Some("BACKUP_DIR")),
            ("BACKUP_RETENTION_DAY", Some("BACKUP_RETENTION_DAYS")),
            ("BACKUP_RETETNION_DAYS", Some("BACKUP_RETENTION_DAYS")),
            ("BACKUP_SFTP_PASSWD", Some("BACKUP_SFTP_PASSWORD")),
            ("BACKUP_USE_ENCRYPT", Some("BACKUP_USE_ENCRYPTION")),
            ("BACKUP_S3_BUCKET", None),
            ("BACKUP_X", None),
        ] {
            assert_eq!(nearest(name), meant, "{name}");
        }
    }

    #[test]
    fn distances() {
        for (from, to, edits) in [
            ("", "", 0),
            ("", "ab", 2),
            ("ab", "ba", 1),
            ("kitten", "sitting", 3),
            ("abc", "abc", 0),
        ] {
            assert_eq!(distance(from, to), edits);
            assert_eq!(distance(to, from), edits);
        }
    }
}
