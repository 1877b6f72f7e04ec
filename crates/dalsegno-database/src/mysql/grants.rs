//! What an account may do, as `SHOW GRANTS` says it.

/// Rights that staging and switching take on the live database and on the schemas beside it.
const NEEDED: [&str; 8] =
    ["SELECT", "INSERT", "DELETE", "CREATE", "DROP", "ALTER", "INDEX", "REFERENCES"];
/// Rights any of which lets an account make objects that run with another's rights.
const FOR_DEFINERS: [&str; 4] = ["SUPER", "SET USER", "SET_USER_ID", "SET_ANY_DEFINER"];

/// The grants of the account that is logged in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Rights {
    grants: Vec<Grant>,
    roles: bool,
}

/// One line of `SHOW GRANTS` on a whole schema, or on all.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Grant {
    privileges: Vec<String>,
    /// As in `LIKE`; `None` stands for every schema.
    schema: Option<String>,
}

impl Rights {
    /// Reads the lines of `SHOW GRANTS`. What is granted on single tables or routines is left out.
    pub(super) fn parse(lines: &[String]) -> Self {
        let mut rights = Self::default();
        for line in lines {
            let Some(rest) = line.strip_prefix("GRANT ") else { continue };
            let Some((privileges, rest)) = rest.split_once(" ON ") else {
                // What a role may do is not always listed.
                rights.roles = true;
                continue;
            };
            let schema = match rest.split_once(".* TO ") {
                Some(("*", _)) => None,
                Some((schema, _)) => match unquoted(schema) {
                    Some(schema) => Some(schema),
                    None => continue,
                },
                None => continue,
            };
            let privileges =
                privileges.split(',').map(|name| name.trim().to_ascii_uppercase()).collect();
            rights.grants.push(Grant { privileges, schema });
        }
        rights
    }

    /// The first right that is missing for a restore, on the first of these schemas where one is;
    /// `None` too where roles leave it open.
    pub(super) fn missing(&self, schemas: &[&str]) -> Option<(&'static str, String)> {
        if self.roles {
            return None;
        }
        schemas.iter().find_map(|schema| {
            let right = NEEDED.into_iter().find(|right| !self.may(right, schema))?;
            Some((right, (*schema).to_owned()))
        })
    }

    /// Whether objects may be made that run with the rights of another account; `None` where roles
    /// leave it open.
    pub(super) fn sets_definers(&self) -> Option<bool> {
        let may = self
            .grants
            .iter()
            .filter(|grant| grant.schema.is_none())
            .any(|grant| FOR_DEFINERS.iter().any(|right| grant.holds(right)));
        if may { Some(true) } else { (!self.roles).then_some(false) }
    }

    fn may(&self, right: &str, schema: &str) -> bool {
        self.grants.iter().any(|grant| {
            let here = grant.schema.as_ref().is_none_or(|pattern| matches(pattern, schema));
            here && grant.holds(right)
        })
    }
}

impl Grant {
    fn holds(&self, right: &str) -> bool {
        self.privileges
            .iter()
            .any(|held| held == right || held == "ALL PRIVILEGES" || held == "ALL")
    }
}

fn unquoted(text: &str) -> Option<String> {
    let inner = text.strip_prefix('`')?.strip_suffix('`')?;
    Some(inner.replace("``", "`"))
}

/// `LIKE`, without regard to case in ASCII: names of schemas may be kept in lower case.
fn matches(pattern: &str, text: &str) -> bool {
    let mut pattern_chars = pattern.chars();
    let Some(first) = pattern_chars.next() else { return text.is_empty() };
    let rest = pattern_chars.as_str();
    match first {
        '%' => text
            .char_indices()
            .map(|(at, _)| at)
            .chain([text.len()])
            .any(|at| matches(rest, &text[at..])),
        '_' => {
            let mut chars = text.chars();
            chars.next().is_some() && matches(rest, chars.as_str())
        }
        _ => {
            let (literal, rest) = match (first, rest.chars().next()) {
                ('\\', Some(escaped)) => (escaped, &rest[escaped.len_utf8()..]),
                _ => (first, rest),
            };
            let mut chars = text.chars();
            chars.next().is_some_and(|c| c.eq_ignore_ascii_case(&literal))
                && matches(rest, chars.as_str())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rights(lines: &[&str]) -> Rights {
        Rights::parse(&lines.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    const SCHEMAS: [&str; 2] = ["shop", "shop__dalsegno_0123456789ab_new"];

    #[test]
    fn all_on_the_live_database_alone_is_not_enough() {
        let app = rights(&[
            "GRANT USAGE ON *.* TO `app`@`%` IDENTIFIED BY PASSWORD '*0'",
            "GRANT ALL PRIVILEGES ON `shop`.* TO `app`@`%`",
        ]);
        assert_eq!(app.missing(&SCHEMAS), Some(("SELECT", SCHEMAS[1].to_owned())));
        assert_eq!(app.sets_definers(), Some(false));
    }

    #[test]
    fn a_pattern_or_everything_is() {
        let pattern = rights(&[
            "GRANT ALL PRIVILEGES ON `shop`.* TO `app`@`%`",
            "GRANT ALL PRIVILEGES ON `shop\\_\\_dalsegno\\_%`.* TO `app`@`%`",
        ]);
        assert_eq!(pattern.missing(&SCHEMAS), None);
        let root = rights(&["GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost` WITH GRANT OPTION"]);
        assert_eq!(root.missing(&SCHEMAS), None);
        assert_eq!(root.sets_definers(), Some(true));
    }

    #[test]
    fn one_right_that_lacks_is_named() {
        let some = rights(&["GRANT SELECT, INSERT, DELETE, CREATE, DROP, INDEX ON *.* TO `a`@`%`"]);
        assert_eq!(some.missing(&SCHEMAS), Some(("ALTER", "shop".to_owned())));
        let wild = rights(&["GRANT ALL PRIVILEGES ON `sho_`.* TO `a`@`%`"]);
        assert_eq!(wild.missing(&["shop"]), None);
        assert!(wild.missing(&["shops"]).is_some());
    }

    #[test]
    fn roles_leave_it_open() {
        let roles = rights(&["GRANT `writer` TO `app`@`%`", "GRANT USAGE ON *.* TO `app`@`%`"]);
        assert_eq!(roles.missing(&SCHEMAS), None);
        assert_eq!(roles.sets_definers(), None);
    }

    #[test]
    fn rights_on_single_tables_do_not_count() {
        let one = rights(&["GRANT ALL PRIVILEGES ON `shop`.`book` TO `app`@`%`"]);
        assert!(one.missing(&["shop"]).is_some());
    }
}
