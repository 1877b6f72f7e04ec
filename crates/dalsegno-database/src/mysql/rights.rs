//! Whether the account sees everything: the server hides from others what triggers, events and
//! routines there are, as if there were none.

use super::connection::Session;
use super::error::{Said, ServerError};
use crate::Result;

/// A kind of object, and the rights of which one makes it visible.
const HIDDEN: [(&str, &[&str]); 3] = [
    ("triggers", &["TRIGGER"]),
    ("events", &["EVENT"]),
    (
        "routines",
        &["EXECUTE", "ALTER ROUTINE", "CREATE ROUTINE", "SHOW_ROUTINE", "SHOW CREATE ROUTINE"],
    ),
];

/// Refuses an account that would capture less than there is. Where rights come through a role,
/// that cannot be told, and a note says so.
pub(super) fn require(session: &mut Session, notes: &mut Vec<String>) -> Result<()> {
    let database = session.database().to_owned();
    let grants = session.ask("read the rights on", &database, "SHOW GRANTS")?;
    let grants: Vec<String> = grants.iter().map(|row| row.text(0)).collect();
    for (what, rights) in HIDDEN {
        match seen(&grants, &database, rights) {
            Seen::Yes => {}
            Seen::Unknown => notes.push(format!(
                "the rights of the account come from a role: if it may not see {what}, they are \
                 not in this capture"
            )),
            Seen::No => {
                let user = session.user().to_owned();
                return Err(ServerError::NoRight {
                    action: "see all",
                    object: what.to_owned(),
                    place: session.place(),
                    user,
                    source: Said {
                        code: None,
                        text: format!("the account has none of the rights {}", rights.join(", ")),
                    },
                }
                .into());
            }
        }
    }
    Ok(())
}

#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Yes,
    No,
    Unknown,
}

/// Whether one of the rights is granted on all of a database.
fn seen(grants: &[String], database: &str, rights: &[&str]) -> Seen {
    let mut role = false;
    for grant in grants {
        let Some((granted, object)) = parts(grant) else {
            role |= grant.starts_with("GRANT ");
            continue;
        };
        let listed = granted.split(',').map(str::trim);
        let mut rights =
            listed.filter(|right| *right == "ALL PRIVILEGES" || rights.contains(right));
        if rights.next().is_some() && covers(object, database) {
            return Seen::Yes;
        }
    }
    if role { Seen::Unknown } else { Seen::No }
}

/// What a line grants, and on what; `None` for a role.
fn parts(grant: &str) -> Option<(&str, &str)> {
    let (granted, rest) = grant.strip_prefix("GRANT ")?.split_once(" ON ")?;
    let (object, _) = rest.split_once(" TO ")?;
    Some((granted, object))
}

/// Whether `*.*` or a pattern of names, then `.*`, covers the database.
fn covers(object: &str, database: &str) -> bool {
    if object == "*.*" {
        return true;
    }
    let pattern = object.strip_suffix(".*").map(|name| name.trim_matches('`').replace("``", "`"));
    pattern.is_some_and(|pattern| {
        let pattern: Vec<char> = pattern.chars().collect();
        let name: Vec<char> = database.chars().collect();
        is_like(&name, &pattern)
    })
}

/// `LIKE`, with a backslash before what stands for itself.
fn is_like(name: &[char], pattern: &[char]) -> bool {
    match pattern {
        [] => name.is_empty(),
        ['%', rest @ ..] => (0..=name.len()).any(|from| is_like(&name[from..], rest)),
        ['\\', literal, rest @ ..] => name.first() == Some(literal) && is_like(&name[1..], rest),
        ['_', rest @ ..] => !name.is_empty() && is_like(&name[1..], rest),
        [literal, rest @ ..] => {
            name.first().is_some_and(|c| c.eq_ignore_ascii_case(literal))
                && is_like(&name[1..], rest)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_right_counts_where_it_covers_the_database() {
        for (grants, expected) in [
            (vec!["GRANT ALL PRIVILEGES ON *.* TO `a`@`%` WITH GRANT OPTION"], Seen::Yes),
            (
                vec![
                    "GRANT USAGE ON *.* TO `a`@`%`",
                    "GRANT SELECT, TRIGGER ON `my\\_shop`.* TO `a`@`%`",
                ],
                Seen::Yes,
            ),
            (vec!["GRANT TRIGGER ON `my%`.* TO `a`@`%`"], Seen::Yes),
            (vec!["GRANT TRIGGER ON `other`.* TO `a`@`%`"], Seen::No),
            (vec!["GRANT TRIGGER ON `my\\_shop`.`t` TO `a`@`%`"], Seen::No),
            (vec!["GRANT SELECT ON *.* TO `a`@`%`"], Seen::No),
            (vec!["GRANT `r` TO `a`@`%`", "GRANT USAGE ON *.* TO `a`@`%`"], Seen::Unknown),
        ] {
            let grants: Vec<String> = grants.into_iter().map(str::to_owned).collect();
            assert_eq!(seen(&grants, "my_shop", &["TRIGGER"]), expected, "{grants:?}");
        }
    }
}
