//! Inode numbers and instants that the program wrote down, made true for a folder laid out anew.
//!
//! The journal of a storage's switch names folders and entries by inode, the record of a restore
//! names the folder that it put in and the instant after which a change is the site's. After a real
//! crash the files still have their numbers and times; files that are laid out have others, and a
//! change time cannot be set. So each number is replaced by that of the file which had it when the
//! number was written (zero, that no file has, when that one is gone), and the instant by now. What
//! cannot be read is left as it is: whether a torn file is understood is the program's business.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

/// The bytes that a file is to have; `None` for one without numbers.
pub(super) fn translated(path: &[u8], bytes: &[u8], inode: &dyn Fn(u64) -> u64) -> Option<Vec<u8>> {
    let path = String::from_utf8_lossy(path);
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
    let ends = |endings: [&str; 2]| endings.iter().any(|ending| name.ends_with(ending));
    let text = std::str::from_utf8(bytes).ok()?;
    if name.contains(".dalsegno-") && ends([".journal", ".part"]) {
        return text.starts_with("dalsegno-switch 1\n").then(|| journal(text, inode).into_bytes());
    }
    if folder.ends_with("/restores") && ends([".json", ".json.new"]) {
        let mut record: Value = serde_json::from_str(text).ok()?;
        self::record(&mut record, inode);
        return serde_json::to_vec_pretty(&record).ok();
    }
    None
}

fn journal(text: &str, inode: &dyn Fn(u64) -> u64) -> String {
    let line = |line: &str| {
        let skip = match line.split(' ').next() {
            Some("trees") => 1,
            Some("name") => 2,
            _ => return line.to_owned(),
        };
        let words =
            line.split(' ').enumerate().map(|(index, word)| match word.trim_end().parse() {
                Ok(old) if index >= skip => word.replace(word.trim_end(), &inode(old).to_string()),
                _ => word.to_owned(),
            });
        words.collect::<Vec<_>>().join(" ")
    };
    text.split_inclusive('\n').map(line).collect()
}

fn record(value: &mut Value, inode: &dyn Fn(u64) -> u64) {
    let storages = value["storages"].as_array_mut();
    for switched in storages.into_iter().flatten().filter_map(|step| step.get_mut("switched")) {
        if let Some(root) = switched["root"].as_u64() {
            switched["root"] = inode(root).into();
        }
        if switched["at"].is_array() {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
            switched["at"] = vec![now.as_secs(), now.subsec_nanos().into()].into();
            switched["begun"] = vec![0, 0].into();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn double(inode: u64) -> u64 {
        inode * 2
    }

    #[test]
    fn numbers_of_a_journal_are_translated_and_no_others() {
        let text =
            "dalsegno-switch 1\npurpose restore\ntrees 4 -\nwas 0750 33 0 7\nname 31 5 6\ntor";
        let path = b"site/.media.dalsegno-1.journal";
        let now = translated(path, text.as_bytes(), &double).expect("it is a journal");
        let wanted =
            "dalsegno-switch 1\npurpose restore\ntrees 8 -\nwas 0750 33 0 7\nname 31 10 12\ntor";
        assert_eq!(String::from_utf8(now).unwrap(), wanted);
        assert_eq!(translated(b"site/media/a.journal", text.as_bytes(), &double), None);
    }

    #[test]
    fn numbers_and_instants_of_a_record_are_translated() {
        let text = r#"{"storages": [{"begun": true, "switched": {"root": 4, "at": [1, 2], "begun": [1, 1]}}]}"#;
        let now = translated(b"b/restores/1.json", text.as_bytes(), &double).expect("a record");
        let now: Value = serde_json::from_slice(&now).unwrap();
        let step = &now["storages"][0];
        assert_eq!((&step["begun"], &step["switched"]["root"]), (&Value::Bool(true), &8.into()));
        assert!(step["switched"]["at"][0].as_u64() > Some(1_700_000_000));
        assert_eq!(translated(b"b/restores/1.json", &text.as_bytes()[..40], &double), None);
    }
}
