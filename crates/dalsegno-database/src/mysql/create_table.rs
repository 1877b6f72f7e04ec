//! The parts of a `CREATE TABLE` as the server writes it: what can wait until the rows are there.

/// The text of a `CREATE TABLE`, taken apart at the commas between its elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CreateTable<'a> {
    head: &'a str,
    elements: Vec<&'a str>,
    tail: &'a str,
}

/// What is built after the rows: each a list of elements for `ALTER TABLE … ADD`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Deferred {
    /// Ordinary keys, which one pass over the rows builds.
    pub(super) keys: Vec<String>,
    /// Full-text and spatial keys, one pass each.
    pub(super) alone: Vec<String>,
    /// Foreign keys.
    pub(super) foreign: Vec<String>,
}

/// A foreign key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ForeignKey {
    /// Its columns.
    pub(super) columns: Vec<String>,
    /// The schema it points into, if it is another one.
    pub(super) schema: Option<String>,
    /// The table it points to.
    pub(super) parent: String,
    /// The columns it points to.
    pub(super) parent_columns: Vec<String>,
}

impl<'a> CreateTable<'a> {
    /// Takes the text apart; `None` where it has no list of elements.
    pub(super) fn parse(sql: &'a str) -> Option<Self> {
        let (mut depth, mut open, mut from) = (0_usize, None, 0);
        let mut elements = Vec::new();
        for (at, byte) in outside_quotes(sql) {
            match byte {
                b'(' => {
                    depth += 1;
                    if depth == 1 {
                        open = Some(at);
                        from = at + 1;
                    }
                }
                b',' if depth == 1 => {
                    elements.push(sql[from..at].trim());
                    from = at + 1;
                }
                b')' if depth == 1 => {
                    elements.push(sql[from..at].trim());
                    return Some(Self { head: &sql[..=open?], elements, tail: &sql[at..] });
                }
                b')' => depth = depth.checked_sub(1)?,
                _ => {}
            }
        }
        None
    }

    /// The statement without what can wait, and what can. The clustered key stays, and so does
    /// every key that the table cannot be without: that of an `AUTO_INCREMENT` column, unique keys
    /// where none is primary, and those whose form an `ALTER` cannot give again. `None` if nothing
    /// can wait: all of a table that keeps its history, which does not like to be altered.
    pub(super) fn deferring(&self) -> Option<(String, Deferred)> {
        if contains_word(self.tail, "VERSIONING") {
            return None;
        }
        let primary = self.elements.iter().find(|e| starts_with(e, "PRIMARY KEY"));
        let auto =
            self.elements.iter().find(|e| is_column(e) && contains_word(e, "AUTO_INCREMENT"));
        let auto = auto.and_then(|column| names(column).into_iter().next());
        let bound = auto.filter(|auto| {
            primary.and_then(|p| names(p).into_iter().next()).as_ref() != Some(auto)
        });
        let (mut kept, mut deferred) = (Vec::new(), Deferred::default());
        for &element in &self.elements {
            let list = match key_kind(element) {
                Some(Kind::Foreign) => &mut deferred.foreign,
                Some(Kind::Alone) => &mut deferred.alone,
                Some(kind @ (Kind::Plain | Kind::Unique)) => {
                    let needed = bound
                        .as_ref()
                        .is_some_and(|auto| names(element).iter().skip(1).any(|name| name == auto))
                        || (kind == Kind::Unique && primary.is_none())
                        || ["OVERLAPS", "HASH"].iter().any(|word| contains_word(element, word));
                    if needed { &mut kept } else { &mut deferred.keys }
                }
                None => &mut kept,
            };
            list.push(element.to_owned());
        }
        let waits = !(deferred.keys.is_empty() && deferred.alone.is_empty());
        waits.then(|| (format!("{}\n  {}\n{}", self.head, kept.join(",\n  "), self.tail), deferred))
    }

    /// What another text says otherwise; `None` if it says the same. Where the numbers of new rows
    /// go on does not count: rows that are loaded move it.
    pub(super) fn difference(&self, other: &CreateTable<'_>) -> Option<String> {
        for (mine, others, word) in
            [(&self.elements, &other.elements, "missing"), (&other.elements, &self.elements, "new")]
        {
            if let Some(element) = mine.iter().find(|element| !others.contains(element)) {
                return Some(format!("{element} is {word}"));
            }
        }
        let (mine, others) = (unnumbered(self.tail), unnumbered(other.tail));
        (mine != others).then(|| format!("its options were {mine}, and are {others}"))
    }

    /// The definition of every column.
    pub(super) fn columns(&self) -> impl Iterator<Item = &&'a str> {
        self.elements.iter().filter(|element| is_column(element))
    }

    /// Every foreign key.
    pub(super) fn foreign_keys(&self) -> Vec<ForeignKey> {
        self.elements.iter().filter_map(|element| ForeignKey::parse(element)).collect()
    }
}

impl ForeignKey {
    /// `CONSTRAINT … FOREIGN KEY (…) REFERENCES … (…)`.
    fn parse(element: &str) -> Option<Self> {
        if key_kind(element) != Some(Kind::Foreign) {
            return None;
        }
        let lists = lists(element);
        let (&(from, until), &(parent_from, parent_until)) = (lists.first()?, lists.get(1)?);
        let mut parent = names(&element[until..parent_from]);
        let table = parent.pop()?;
        Some(Self {
            columns: names(&element[from..until]),
            schema: parent.pop(),
            parent: table,
            parent_columns: names(&element[parent_from..parent_until]),
        })
    }
}

/// The options of a table without its counter, which is outside of all quotes.
fn unnumbered(tail: &str) -> String {
    let marker = " AUTO_INCREMENT=";
    let bare: String = outside_quotes(tail).map(|(_, byte)| char::from(byte)).collect();
    if !bare.contains(marker) {
        return tail.to_owned();
    }
    // The first one: a comment comes later.
    let Some(from) = tail.find(marker) else { return tail.to_owned() };
    let rest = &tail[from + marker.len()..];
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    format!("{}{}", &tail[..from], &rest[digits..])
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    Unique,
    Alone,
    Foreign,
}

fn key_kind(element: &str) -> Option<Kind> {
    if is_column(element) {
        return None;
    }
    if starts_with(element, "KEY") || starts_with(element, "INDEX") {
        return Some(Kind::Plain);
    }
    if starts_with(element, "UNIQUE") {
        return Some(Kind::Unique);
    }
    if starts_with(element, "FULLTEXT") || starts_with(element, "SPATIAL") {
        return Some(Kind::Alone);
    }
    let foreign = starts_with(element, "CONSTRAINT") || starts_with(element, "FOREIGN");
    // A check names columns, which stand between quotes.
    (foreign && contains_word(element, "FOREIGN") && contains_word(element, "REFERENCES"))
        .then_some(Kind::Foreign)
}

fn is_column(element: &str) -> bool {
    element.starts_with('`')
}

fn starts_with(element: &str, words: &str) -> bool {
    element.get(..words.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(words))
        && !element[words.len()..].starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
}

/// Whether this word stands in the text, outside of names and strings.
fn contains_word(text: &str, word: &str) -> bool {
    let bare: Vec<u8> = outside_quotes(text).map(|(_, byte)| byte).collect();
    bare.split(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_')
        .any(|found| found.eq_ignore_ascii_case(word.as_bytes()))
}

/// Where each list in parentheses of the outermost level begins and ends.
fn lists(text: &str) -> Vec<(usize, usize)> {
    let (mut depth, mut from, mut found) = (0_usize, 0, Vec::new());
    for (at, byte) in outside_quotes(text) {
        match byte {
            b'(' => {
                depth += 1;
                if depth == 1 {
                    from = at + 1;
                }
            }
            b')' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    found.push((from, at));
                }
            }
            _ => {}
        }
    }
    found
}

/// Every name between backticks.
fn names(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let end = quoted_end(bytes, at);
        if bytes[at] == b'`' {
            found.push(text.get(at + 1..end - 1).unwrap_or_default().replace("``", "`"));
        }
        at = end.max(at + 1);
    }
    found
}

/// The bytes of a text that are not between quotes; a quoted piece gives one blank.
fn outside_quotes(text: &str) -> impl Iterator<Item = (usize, u8)> {
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        let here = at;
        let byte = *bytes.get(here)?;
        at = quoted_end(bytes, here);
        if at > here {
            return Some((here, b' '));
        }
        at += 1;
        Some((here, byte))
    })
}

/// Where the quoted piece that begins here ends; here, if none does.
fn quoted_end(bytes: &[u8], from: usize) -> usize {
    let quote = bytes[from];
    if !matches!(quote, b'`' | b'\'' | b'"') {
        return from;
    }
    let mut at = from + 1;
    while let Some(&byte) = bytes.get(at) {
        if byte == b'\\' && quote != b'`' {
            at += 2;
        } else if byte != quote {
            at += 1;
        } else if bytes.get(at + 1) == Some(&quote) {
            at += 2;
        } else {
            return at + 1;
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOK: &str = "CREATE TABLE `bo``ok` (
  `id` int(11) NOT NULL AUTO_INCREMENT,
  `ti,t)le` varchar(10) DEFAULT 'a\\'),KEY' COMMENT 'it''s ), PRIMARY KEY',
  `kind` enum('a','b,c') NOT NULL,
  `twice` int(11) GENERATED ALWAYS AS (`id` * (2)) STORED,
  PRIMARY KEY (`id`),
  UNIQUE KEY `u` (`kind`,`twice`),
  KEY `k` (`ti,t)le`(3)),
  FULLTEXT KEY `f` (`ti,t)le`),
  CONSTRAINT `fk` FOREIGN KEY (`kind`,`twice`) REFERENCES `sh``elf` (`a`,`b`) ON DELETE CASCADE,
  CONSTRAINT `c` CHECK (`id` > 0 and `kind` <> 'FOREIGN REFERENCES')
) ENGINE=InnoDB AUTO_INCREMENT=7 DEFAULT CHARSET=utf8mb4 COMMENT='x)'";

    #[test]
    fn keys_wait_and_what_the_table_needs_stays() {
        let (sql, deferred) = CreateTable::parse(BOOK).unwrap().deferring().unwrap();
        assert_eq!(deferred.keys, ["UNIQUE KEY `u` (`kind`,`twice`)", "KEY `k` (`ti,t)le`(3))"]);
        assert_eq!(deferred.alone, ["FULLTEXT KEY `f` (`ti,t)le`)"]);
        assert_eq!(deferred.foreign.len(), 1);
        assert!(sql.contains("PRIMARY KEY (`id`),\n  CONSTRAINT `c` CHECK"), "{sql}");
        assert!(
            sql.ends_with(") ENGINE=InnoDB AUTO_INCREMENT=7 DEFAULT CHARSET=utf8mb4 COMMENT='x)'")
        );
        assert!(!sql.contains("FULLTEXT") && !sql.contains("`u`") && !sql.contains("ON DELETE"));
    }

    #[test]
    fn a_foreign_key_says_what_it_points_to() {
        let keys = CreateTable::parse(BOOK).unwrap().foreign_keys();
        let key = ForeignKey {
            columns: vec!["kind".to_owned(), "twice".to_owned()],
            schema: None,
            parent: "sh`elf".to_owned(),
            parent_columns: vec!["a".to_owned(), "b".to_owned()],
        };
        assert_eq!(keys, [key]);
        let other = "CONSTRAINT `x` FOREIGN KEY (`a`) REFERENCES `else`.`t` (`b`)";
        assert_eq!(ForeignKey::parse(other).unwrap().schema.as_deref(), Some("else"));
    }

    #[test]
    fn a_key_that_numbers_rows_never_waits() {
        for (elements, waiting) in [
            (
                "`a` int AUTO_INCREMENT, `b` int, KEY `k` (`a`), KEY `l` (`b`)",
                vec!["KEY `l` (`b`)"],
            ),
            (
                "`a` int AUTO_INCREMENT, `b` int, PRIMARY KEY (`b`,`a`), KEY `l` (`b`)",
                vec!["KEY `l` (`b`)"],
            ),
            (
                "`a` int COMMENT 'AUTO_INCREMENT', PRIMARY KEY (`a`), KEY `l` (`a`)",
                vec!["KEY `l` (`a`)"],
            ),
            ("`a` int, `b` int, UNIQUE KEY `u` (`a`), KEY `l` (`b`)", vec!["KEY `l` (`b`)"]),
            ("`a` text, PRIMARY KEY (`b`), UNIQUE KEY `u` (`a`) USING HASH", vec![]),
        ] {
            let sql = format!("CREATE TABLE `t` ({elements}) ENGINE=InnoDB");
            let deferred = CreateTable::parse(&sql).unwrap().deferring();
            assert_eq!(deferred.map_or(Vec::new(), |d| d.1.keys), waiting, "{elements}");
        }
    }

    #[test]
    fn a_table_with_history_is_left_as_it_is() {
        let sql =
            "CREATE TABLE `t` (`a` int, PRIMARY KEY (`a`), KEY `k` (`a`)) WITH SYSTEM VERSIONING";
        assert_eq!(CreateTable::parse(sql).unwrap().deferring(), None);
        assert_eq!(CreateTable::parse("CREATE SEQUENCE `s` start with 1"), None);
    }
}
