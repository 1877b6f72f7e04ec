//! Names of users and groups on this machine.

use std::collections::HashMap;
use std::path::Path;

/// The tables of `/etc/passwd` and `/etc/group`, both ways. Users that only a directory service
/// knows have no name here; their numbers are kept.
#[derive(Debug, Default)]
pub(crate) struct Owners {
    users: Table,
    groups: Table,
}

#[derive(Debug, Default)]
struct Table {
    names: HashMap<u32, String>,
    ids: HashMap<String, u32>,
}

impl Owners {
    /// Reads both tables; a file that cannot be read counts as empty.
    pub(crate) fn load() -> Self {
        Self { users: read(Path::new("/etc/passwd")), groups: read(Path::new("/etc/group")) }
    }

    pub(crate) fn user(&self, uid: u32) -> String {
        self.users.names.get(&uid).cloned().unwrap_or_default()
    }

    pub(crate) fn group(&self, gid: u32) -> String {
        self.groups.names.get(&gid).cloned().unwrap_or_default()
    }

    pub(crate) fn uid(&self, user: &str) -> Option<u32> {
        self.users.ids.get(user).copied()
    }

    pub(crate) fn gid(&self, group: &str) -> Option<u32> {
        self.groups.ids.get(group).copied()
    }
}

fn read(path: &Path) -> Table {
    parse(&String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()))
}

/// `name:password:id:…` on each line, in both files. The first line of an id or a name counts.
fn parse(text: &str) -> Table {
    let mut table = Table::default();
    for line in text.lines() {
        let mut fields = line.split(':');
        let (Some(name), Some(_), Some(id)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        let Ok(id) = id.parse() else { continue };
        if name.is_empty() || name.starts_with(['#', '+', '-']) {
            continue;
        }
        table.names.entry(id).or_insert_with(|| name.to_owned());
        table.ids.entry(name.to_owned()).or_insert(id);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables() {
        let table =
            parse("root:x:0:0::/root:/bin/sh\n#c:x:1\n+nis::\nweb:x:33:33\ntoor:x:0:0\nbad:x:y\n");
        assert_eq!(table.names.get(&0).map(String::as_str), Some("root"));
        assert_eq!(table.ids.get("toor"), Some(&0));
        assert_eq!(table.ids.get("web"), Some(&33));
        assert_eq!(table.names.len(), 2);
        assert_eq!(Owners::load().user(0), "root");
    }
}
