//! Ids and names of backups.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The id of a backup or of a restore: a `UUIDv7` (RFC 9562, section 5.7).
///
/// Ids sort by the millisecond they were made in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BackupId([u8; 16]);

/// A text that is no id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a backup id")]
pub struct IdError(String);

impl BackupId {
    /// An id from milliseconds since 1970 and ten random bytes.
    pub fn new(unix_millis: u64, random: [u8; 10]) -> Self {
        let mut bytes = [0; 16];
        bytes[..6].copy_from_slice(&unix_millis.to_be_bytes()[2..]);
        bytes[6..].copy_from_slice(&random);
        bytes[6] = 0x70 | (bytes[6] & 0x0f);
        bytes[8] = 0x80 | (bytes[8] & 0x3f);
        Self(bytes)
    }

    /// The twelve last hexadecimal digits, all of them random: enough for a name on disk.
    pub fn short(&self) -> String {
        crate::hex(&self.0[10..])
    }
}

impl fmt::Display for BackupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = crate::hex(&self.0);
        write!(f, "{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }
}

impl FromStr for BackupId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let wrong = || IdError(text.to_owned());
        let groups: Vec<&str> = text.split('-').collect();
        if groups.iter().map(|g| g.len()).ne([8, 4, 4, 4, 12]) {
            return Err(wrong());
        }
        let digits = groups.concat();
        let mut bytes = [0; 16];
        for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
            let digit = |c: u8| (c as char).to_digit(16).ok_or_else(wrong);
            *byte = u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).map_err(|_| wrong())?;
        }
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for BackupId {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<BackupId> for String {
    fn from(id: BackupId) -> Self {
        id.to_string()
    }
}

/// The default name of a backup: `backup_YYYYMMDD_HHMMSS` of a local time, `_2`, `_3`, … from the
/// second try on.
pub fn backup_name(local: jiff::civil::DateTime, attempt: u32) -> String {
    let stamp = local.strftime("%Y%m%d_%H%M%S");
    if attempt <= 1 { format!("backup_{stamp}") } else { format!("backup_{stamp}_{attempt}") }
}

/// Whether a name may be given to a backup: one path component of letters, digits and `._+@ -` or
/// anything above ASCII, that does not start with a dot or a dash and is at most 200 bytes long.
pub fn is_backup_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 200
        && !name.starts_with(['.', '-', ' '])
        && !name.ends_with(' ')
        && name.chars().all(|c| {
            if c.is_ascii() {
                c.is_ascii_alphanumeric() || "._+@ -".contains(c)
            } else {
                !c.is_control()
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_sorts_by_time_and_reads_back() {
        let early = BackupId::new(1_000, [0xff; 10]);
        let late = BackupId::new(1_001, [0; 10]);
        assert!(early < late);
        assert_eq!(early.to_string(), "00000000-03e8-7fff-bfff-ffffffffffff");
        assert_eq!(early.to_string().parse(), Ok(early));
        for wrong in
            ["", "x", "00000000-03e8-7fff-bfff-fffffffffffg", "0000000003e87fffbfffffffffffffff"]
        {
            assert!(wrong.parse::<BackupId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn names() {
        let local = jiff::civil::date(2026, 11, 20).at(3, 0, 0, 0);
        assert_eq!(backup_name(local, 1), "backup_20261120_030000");
        assert_eq!(backup_name(local, 2), "backup_20261120_030000_2");
        for good in ["backup_1", "Vor dem Umzug", "café", "a.b-c+d@e"] {
            assert!(is_backup_name(good), "{good}");
        }
        for bad in ["", ".x", "-x", "a/b", "a\nb", "a\0", "..", " a", "a ", "a\u{85}b", "a\\b"] {
            assert!(!is_backup_name(bad), "{bad}");
        }
    }
}
