//! Lists and counts as the texts of errors have them.

use std::path::Path;

pub(super) fn named(steps: &[String]) -> String {
    match steps {
        [] => "nothing is".to_owned(),
        [one] => format!("{one} is"),
        all => format!("{} are", all.join(", ")),
    }
}

pub(super) fn by_backup(path: Option<&Path>) -> String {
    path.map_or_else(String::new, |path| {
        format!("; what was there before is in `{}`", path.display())
    })
}

pub(super) fn put_back(steps: &[String]) -> String {
    match steps {
        [] => "nothing has its old data back".to_owned(),
        [one] => format!("{one} has its old data back"),
        all => format!("{} have their old data back", all.join(", ")),
    }
}

pub(super) fn more(count: usize) -> String {
    if count > 1 { format!(" (and {} more)", count - 1) } else { String::new() }
}
