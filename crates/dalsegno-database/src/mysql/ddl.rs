//! What is read out of the server's own statements. They quote names with backticks and texts with
//! apostrophes.

use std::collections::{HashMap, HashSet};

/// A statement as text. A literal with bytes that are no text becomes a hexadecimal one; `None` if
/// such bytes are anywhere else.
pub(super) fn readable(sql: &[u8]) -> Option<String> {
    if let Ok(text) = std::str::from_utf8(sql) {
        return Some(text.to_owned());
    }
    let mut out = Vec::with_capacity(sql.len() + 64);
    let mut at = 0;
    while at < sql.len() {
        let end = token_end(sql, at);
        let token = &sql[at..end];
        if token[0] == b'\'' && std::str::from_utf8(token).is_err() {
            out.extend_from_slice(b"X'");
            out.extend_from_slice(dalsegno_format::hex(&unescaped(token)).as_bytes());
            out.push(b'\'');
        } else {
            out.extend_from_slice(token);
        }
        at = end;
    }
    String::from_utf8(out).ok()
}

/// Whether a literal holds a question mark, which some servers show in place of a character.
pub(super) fn may_lack_characters(sql: &str) -> bool {
    let sql = sql.as_bytes();
    let mut at = 0;
    while at < sql.len() {
        let end = token_end(sql, at);
        if sql[at] == b'\'' && sql[at..end].contains(&b'?') {
            return true;
        }
        at = end;
    }
    false
}

/// Where the literal, the quoted name or the single byte ends that begins at `at`.
fn token_end(sql: &[u8], at: usize) -> usize {
    let quote = sql[at];
    if quote != b'\'' && quote != b'`' {
        return at + 1;
    }
    let mut next = at + 1;
    while next < sql.len() {
        if sql[next] == b'\\' && quote == b'\'' {
            next += 2;
        } else if sql[next] != quote {
            next += 1;
        } else if sql.get(next + 1) == Some(&quote) {
            next += 2;
        } else {
            return next + 1;
        }
    }
    sql.len()
}

/// The bytes that a literal stands for.
fn unescaped(literal: &[u8]) -> Vec<u8> {
    let inner = &literal[1..literal.len() - 1];
    let mut out = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter().copied();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'\'' => {
                bytes.next();
                b'\''
            }
            b'\\' => match bytes.next() {
                Some(b'0') => 0,
                Some(b'n') => b'\n',
                Some(b't') => b'\t',
                Some(b'r') => b'\r',
                Some(b'b') => 8,
                Some(b'Z') => 0x1a,
                Some(other) => other,
                None => b'\\',
            },
            other => other,
        });
    }
    out
}

/// The names that follow the name of `database` and a dot.
pub(super) fn tables_named(sql: &str, database: &str) -> HashSet<String> {
    let sql = sql.as_bytes();
    let mut found = HashSet::new();
    let mut at = 0;
    let mut before: Option<String> = None;
    while at < sql.len() {
        let end = token_end(sql, at);
        let token = &sql[at..end];
        if token[0] == b'`' && token.len() > 2 {
            let name = String::from_utf8_lossy(&token[1..token.len() - 1]).replace("``", "`");
            if before.as_deref() == Some(database) {
                found.insert(name.clone());
            }
            // Only a dot may stand between the two.
            before = (sql.get(end) == Some(&b'.')).then_some(name);
        } else if token != b"." {
            before = None;
        }
        at = end;
    }
    found
}

/// Names in an order in which each comes after what it needs; where they need each other, in the
/// given one.
pub(super) fn in_order(names: &[&str], needs: &HashMap<String, Vec<String>>) -> Vec<String> {
    let mut left: Vec<&str> = names.to_vec();
    let mut made: HashSet<&str> = HashSet::new();
    let mut order = Vec::with_capacity(names.len());
    while !left.is_empty() {
        let ready = |name: &&str| {
            needs.get(*name).is_none_or(|needed| needed.iter().all(|n| made.contains(n.as_str())))
        };
        let (now, later): (Vec<&str>, Vec<&str>) = left.iter().partition(|name| ready(name));
        let (now, later) = if now.is_empty() { (later, now) } else { (now, later) };
        made.extend(&now);
        order.extend(now.into_iter().map(str::to_owned));
        left = later;
    }
    order
}

/// The statement that makes an event, with the event disabled; `None` if it does not enable it.
pub(super) fn event_disabled(sql: &str) -> Option<String> {
    const PRESERVED: [&str; 2] = ["ON COMPLETION PRESERVE ", "ON COMPLETION NOT PRESERVE "];
    let bytes = sql.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        for words in PRESERVED {
            let Some(rest) = sql.get(at..).and_then(|rest| rest.strip_prefix(words)) else {
                continue;
            };
            let rest = rest.strip_prefix("ENABLE")?;
            return Some(format!("{}{words}DISABLE{rest}", &sql[..at]));
        }
        at = token_end(bytes, at);
    }
    None
}

/// The statement that makes a table, without the counter that moves with its rows.
pub(super) fn without_counter(sql: &str) -> String {
    const WORD: &str = " AUTO_INCREMENT=";
    let bytes = sql.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if let Some(rest) = sql.get(at..).and_then(|rest| rest.strip_prefix(WORD)) {
            let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
            return format!("{}{rest}", &sql[..at]);
        }
        at = token_end(bytes, at);
    }
    sql.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_that_is_no_text_becomes_hexadecimal_and_nothing_else_does() {
        let sql = b"`a'b` varbinary(4) DEFAULT '\xff\\0\\\\''\\n' COMMENT '\xc3\xb6''x'";
        let expected = "`a'b` varbinary(4) DEFAULT X'ff005c270a' COMMENT 'ö''x'";
        assert_eq!(readable(sql).unwrap(), expected);
        assert_eq!(readable(b"`\xff` int"), None);
        assert_eq!(readable("'ö'".as_bytes()).unwrap(), "'ö'");
    }

    #[test]
    fn a_question_mark_counts_in_a_literal_alone() {
        assert!(may_lack_characters("`a` text DEFAULT '?' COMMENT 'x'"));
        assert!(!may_lack_characters("`?` text DEFAULT 'ö''' COMMENT '`'"));
    }

    #[test]
    fn a_view_names_its_tables_and_not_what_stands_in_texts() {
        let sql = "select `x`.`v``1`.`a` AS `b`,'`x`.`no`' from (`x`.`v``1` join `y`.`v2`) \
                   where `x` = `v3`";
        assert_eq!(tables_named(sql, "x"), HashSet::from(["v`1".to_owned()]));
    }

    #[test]
    fn views_come_after_what_they_need_even_in_a_circle() {
        let needs = |pairs: &[(&str, &str)]| {
            let mut needs: HashMap<String, Vec<String>> = HashMap::new();
            for (name, needed) in pairs {
                needs.entry((*name).to_owned()).or_default().push((*needed).to_owned());
            }
            needs
        };
        let names = ["a", "b", "c"];
        assert_eq!(in_order(&names, &needs(&[("a", "b"), ("b", "c")])), ["c", "b", "a"]);
        assert_eq!(in_order(&names, &needs(&[("a", "b"), ("b", "a")])), ["c", "a", "b"]);
    }

    #[test]
    fn an_event_is_disabled_where_it_says_so_and_not_in_its_text() {
        let sql = "CREATE EVENT `ON COMPLETION PRESERVE ENABLE` ON SCHEDULE EVERY 1 DAY \
                   ON COMPLETION NOT PRESERVE ENABLE COMMENT 'ö ENABLE' DO SELECT 1";
        let expected = "CREATE EVENT `ON COMPLETION PRESERVE ENABLE` ON SCHEDULE EVERY 1 DAY \
                        ON COMPLETION NOT PRESERVE DISABLE COMMENT 'ö ENABLE' DO SELECT 1";
        assert_eq!(event_disabled(sql).unwrap(), expected);
        assert_eq!(event_disabled(expected), None);
    }

    #[test]
    fn the_counter_of_a_table_goes_and_a_comment_that_looks_like_it_stays() {
        let sql = "CREATE TABLE `t` (`a` int COMMENT ' AUTO_INCREMENT=9') ENGINE=InnoDB \
                   AUTO_INCREMENT=17 DEFAULT CHARSET=utf8mb4";
        let expected = "CREATE TABLE `t` (`a` int COMMENT ' AUTO_INCREMENT=9') ENGINE=InnoDB \
                        DEFAULT CHARSET=utf8mb4";
        assert_eq!(without_counter(sql), expected);
        assert_eq!(without_counter(expected), expected);
    }
}
