//! `restore.sh`: the way back without Dalsegno.

use std::fmt::Write as _;

use dalsegno_format::Metadata;

/// The script with a line in place of what it knows of one backup.
const SCRIPT: &str = include_str!("restore.sh");

/// That line.
const PLACE: &str = "# @@METADATA@@\n";

/// The bytes of `restore.sh` for a backup: a POSIX shell script that knows where the databases and
/// storages of this metadata lay. Whatever text the metadata hold stays text.
pub fn restore_script(metadata: &Metadata) -> Vec<u8> {
    let mut facts = String::new();
    for (name, value) in [
        ("backup_name", &metadata.name),
        ("backup_id", &metadata.id.to_string()),
        ("backup_created", &metadata.created_at),
    ] {
        let _ = writeln!(facts, "{name}={}", quoted(value));
    }
    let databases = metadata.databases.iter().map(|(alias, database)| {
        [alias, &database.vendor, &database.folder, &database.name]
            .map(|text| quoted(text))
            .join(" ")
    });
    facts.push_str(&each("each_database", databases));
    let storages = metadata.storages.iter().map(|(alias, storage)| {
        [alias, &storage.folder, &storage.location].map(|text| quoted(text)).join(" ")
    });
    facts.push_str(&each("each_storage", storages));
    SCRIPT.replacen(PLACE, &facts, 1).into_bytes()
}

/// A shell function that calls its first argument once for each list of words, other arguments
/// after them.
fn each(name: &str, calls: impl Iterator<Item = String>) -> String {
    let mut function = format!("{name}() {{\n    run=$1\n    shift\n");
    for words in calls {
        let _ = writeln!(function, "    \"$run\" {words} \"$@\"");
    }
    function.push_str("}\n");
    function
}

/// One word that the shell takes as it is. A NUL, which no path has, is left out.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\0', "").replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stay_words() {
        for (text, word) in [
            ("plain", "'plain'"),
            ("it's", "'it'\\''s'"),
            ("$(rm -rf /)`x`\n\"\\", "'$(rm -rf /)`x`\n\"\\'"),
            ("a\0b", "'ab'"),
        ] {
            assert_eq!(quoted(text), word);
        }
    }

    #[test]
    fn the_place_is_there_once() {
        assert_eq!(SCRIPT.matches(PLACE).count(), 1);
    }
}
