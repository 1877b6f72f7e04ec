use std::fmt::Write as _;

use crate::postgres::catalog::{DatabaseFacts, Grant};
use crate::postgres::connection::{literal, quoted};

/// The statement that makes an empty database with the locale of the one that was captured.
pub(super) fn create(name: &str, facts: &DatabaseFacts, tablespace: Option<&str>) -> String {
    let mut sql = format!(
        "CREATE DATABASE {} TEMPLATE template0 OWNER {} ENCODING {} LC_COLLATE {} LC_CTYPE {}",
        quoted(name),
        quoted(&facts.owner),
        literal(&facts.encoding),
        literal(&facts.collate),
        literal(&facts.ctype),
    );
    // Servers before 15 know one provider, and no word for it.
    let options = match facts.locale_provider.as_str() {
        "icu" => Some("ICU_LOCALE"),
        "builtin" => Some("BUILTIN_LOCALE"),
        _ => None,
    };
    if let Some(option) = options {
        let _ = write!(sql, " LOCALE_PROVIDER {}", facts.locale_provider);
        if let Some(locale) = &facts.locale {
            let _ = write!(sql, " {option} {}", literal(locale));
        }
        if let Some(rules) = &facts.icu_rules {
            let _ = write!(sql, " ICU_RULES {}", literal(rules));
        }
    }
    if let Some(tablespace) = tablespace {
        let _ = write!(sql, " TABLESPACE {}", quoted(tablespace));
    }
    sql
}

/// Parameters whose value is a list: what the server keeps is the list as it is written.
const LISTS: &[&str] = &[
    "local_preload_libraries",
    "search_path",
    "session_preload_libraries",
    "shared_preload_libraries",
    "temp_tablespaces",
    "unix_socket_directories",
];

/// The statements that give a database what belongs to it as a whole and what a new one lacks.
pub(super) fn properties(name: &str, facts: &DatabaseFacts) -> Vec<String> {
    let database = quoted(name);
    let mut sql = Vec::new();
    for setting in &facts.settings {
        let of = match &setting.role {
            Some(role) => format!("ROLE {} IN DATABASE {database}", quoted(role)),
            None => format!("DATABASE {database}"),
        };
        // A dotted name is two words for the parser; an extension's own parameter keeps its dot.
        let parameter: Vec<String> = setting.name.split('.').map(quoted).collect();
        let is_list = LISTS.contains(&setting.name.to_ascii_lowercase().as_str());
        let value = match setting.value.as_str() {
            "" => "''".to_owned(),
            value if is_list => value.to_owned(),
            value => literal(value),
        };
        sql.push(format!("ALTER {of} SET {} TO {value}", parameter.join(".")));
    }
    if let Some(comment) = &facts.comment {
        sql.push(format!("COMMENT ON DATABASE {database} IS {}", literal(comment)));
    }
    if let Some(grants) = &facts.grants {
        sql.push(format!("REVOKE ALL ON DATABASE {database} FROM PUBLIC"));
        sql.push(format!("REVOKE ALL ON DATABASE {database} FROM {}", quoted(&facts.owner)));
        sql.extend(grants.iter().map(|grant| granted(&database, grant)));
    }
    if facts.connection_limit != -1 {
        sql.push(format!("ALTER DATABASE {database} CONNECTION LIMIT {}", facts.connection_limit));
    }
    sql
}

fn granted(database: &str, grant: &Grant) -> String {
    let to = grant.to.as_deref().map_or_else(|| "PUBLIC".to_owned(), quoted);
    let option = if grant.grantable { " WITH GRANT OPTION" } else { "" };
    format!("GRANT {} ON DATABASE {database} TO {to}{option}", grant.right)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::catalog::Setting;

    pub(super) fn facts() -> DatabaseFacts {
        DatabaseFacts {
            name: "shop".to_owned(),
            owner: "own\"er".to_owned(),
            encoding: "UTF8".to_owned(),
            collate: "C".to_owned(),
            ctype: "de_DE.utf8".to_owned(),
            locale_provider: "libc".to_owned(),
            locale: None,
            icu_rules: None,
            collation_version: None,
            tablespace: None,
            connection_limit: -1,
            comment: None,
            grants: None,
            settings: Vec::new(),
            size: 0,
        }
    }

    #[test]
    fn a_database_is_made_with_its_locale() {
        assert_eq!(
            create("shop_new", &facts(), None),
            "CREATE DATABASE \"shop_new\" TEMPLATE template0 OWNER \"own\"\"er\" ENCODING 'UTF8' \
             LC_COLLATE 'C' LC_CTYPE 'de_DE.utf8'"
        );
        let icu = DatabaseFacts {
            locale_provider: "icu".to_owned(),
            locale: Some("de-u-kn".to_owned()),
            icu_rules: Some("&a < b".to_owned()),
            ..facts()
        };
        assert!(create("x", &icu, Some("fast")).ends_with(
            " LOCALE_PROVIDER icu ICU_LOCALE 'de-u-kn' ICU_RULES '&a < b' TABLESPACE \"fast\""
        ));
    }

    #[test]
    fn settings_rights_comment_and_limit_are_given_to_it() {
        let setting = |role: Option<&str>, name: &str, value: &str| Setting {
            role: role.map(str::to_owned),
            name: name.to_owned(),
            value: value.to_owned(),
        };
        let grant = |to: Option<&str>, right: &str, grantable| Grant {
            to: to.map(str::to_owned),
            by: "own\"er".to_owned(),
            right: right.to_owned(),
            grantable,
        };
        let facts = DatabaseFacts {
            settings: vec![
                setting(None, "search_path", "\"$user\", app"),
                setting(Some("web"), "app.tenant", "it's"),
                setting(None, "search_path", ""),
            ],
            comment: Some("the shop".to_owned()),
            grants: Some(vec![grant(None, "CONNECT", false), grant(Some("web"), "CREATE", true)]),
            connection_limit: 7,
            ..facts()
        };
        assert_eq!(
            properties("shop", &facts),
            [
                "ALTER DATABASE \"shop\" SET \"search_path\" TO \"$user\", app",
                "ALTER ROLE \"web\" IN DATABASE \"shop\" SET \"app\".\"tenant\" TO 'it''s'",
                "ALTER DATABASE \"shop\" SET \"search_path\" TO ''",
                "COMMENT ON DATABASE \"shop\" IS 'the shop'",
                "REVOKE ALL ON DATABASE \"shop\" FROM PUBLIC",
                "REVOKE ALL ON DATABASE \"shop\" FROM \"own\"\"er\"",
                "GRANT CONNECT ON DATABASE \"shop\" TO PUBLIC",
                "GRANT CREATE ON DATABASE \"shop\" TO \"web\" WITH GRANT OPTION",
                "ALTER DATABASE \"shop\" CONNECTION LIMIT 7",
            ]
        );
    }
}
