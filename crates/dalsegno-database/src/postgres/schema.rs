//! The schema: `pg_dump`'s entries as statements that run one by one, in the order of a restore.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use dalsegno_format::hex;
use sha2::{Digest, Sha256};

use super::catalog::{Entry, Schema, Section};
use super::connection::quoted;
use super::toc::{TocEntry, TocSection};

/// What a session is told before the first entry, beside what the archive itself says.
const PREAMBLE: &str = "SET statement_timeout = 0;\n\
    SET lock_timeout = 0;\n\
    SET idle_in_transaction_session_timeout = 0;\n\
    SET check_function_bodies = false;\n\
    SET xmloption = content;\n\
    SET client_min_messages = warning;\n\
    SET row_security = off;\n";

/// Settings of the archive that stand as entries.
const SETTINGS: [&str; 3] = ["ENCODING", "STDSTRINGS", "SEARCHPATH"];

/// The schema that an archive without data describes. An error says what is not understood.
///
/// Rights are given last, since an owner may have given up some of his own. Materialized views that
/// hold rows are filled after that, in the order in which they were made.
/// `populated` has these views, by schema and name.
pub(super) fn schema(
    toc: Vec<TocEntry>,
    populated: &HashSet<(String, String)>,
) -> Result<Schema, String> {
    let known: HashSet<i32> = toc.iter().map(|entry| entry.id).collect();
    let mut preamble = PREAMBLE.to_owned();
    let mut passes: [Vec<Entry>; 4] = Default::default();
    let mut next = known.iter().max().map_or(1, |id| id + 1);
    let mut refreshes = Vec::new();
    let mut section = Section::Pre;
    for mut entry in toc {
        if SETTINGS.contains(&entry.kind.as_str()) {
            preamble += entry.definition.trim_end();
            preamble.push('\n');
            continue;
        }
        if is_of_database(&entry) {
            continue;
        }
        section = match entry.section {
            TocSection::Any => section,
            TocSection::Pre => Section::Pre,
            TocSection::Post => Section::Post,
            TocSection::Data => {
                return Err(format!("it has data of {} `{}`", entry.kind, entry.tag));
            }
        };
        let schema = entry.schema.clone().unwrap_or_default();
        let of_view = (schema, entry.tag.clone());
        if entry.kind == "MATERIALIZED VIEW" && populated.contains(&of_view) {
            refreshes.push(refresh(next, &entry));
            next += 1;
        }
        entry.depends_on.retain(|id| known.contains(id));
        passes[pass(&entry, section)].push(converted(entry, section)?);
    }
    let [pre, post, rights, mut last] = passes;
    last.extend(refreshes);
    let late = post.into_iter().chain(rights).chain(last);
    let late = late.map(|entry| Entry { section: Section::Post, ..entry });
    Ok(Schema { preamble, entries: pre.into_iter().chain(late).collect() })
}

/// Whether it is about the database as a whole: its properties stand in the catalog, since a restore
/// makes a database of another name.
fn is_of_database(entry: &TocEntry) -> bool {
    match entry.kind.as_str() {
        "DATABASE" | "DATABASE PROPERTIES" => true,
        "ACL" | "COMMENT" | "SECURITY LABEL" => entry.tag.starts_with("DATABASE "),
        _ => false,
    }
}

/// In which of the passes of a restore an entry has its turn.
fn pass(entry: &TocEntry, section: Section) -> usize {
    match entry.kind.as_str() {
        "ACL" | "ACL LANGUAGE" | "DEFAULT ACL" => 2,
        "EVENT TRIGGER" => 3,
        "COMMENT" | "SECURITY LABEL" if entry.tag.starts_with("EVENT TRIGGER ") => 3,
        _ if section == Section::Pre => 0,
        _ => 1,
    }
}

fn converted(entry: TocEntry, section: Section) -> Result<Entry, String> {
    let sql = statements(&entry)?;
    Ok(Entry {
        id: entry.id,
        kind: entry.kind,
        section,
        schema: entry.schema.unwrap_or_default(),
        name: entry.tag,
        owner: entry.owner,
        sql,
        depends_on: entry.depends_on,
    })
}

fn refresh(id: i32, view: &TocEntry) -> Entry {
    let schema = view.schema.clone().unwrap_or_default();
    let sql = format!("REFRESH MATERIALIZED VIEW {}.{};\n", quoted(&schema), quoted(&view.tag));
    Entry {
        id,
        kind: "MATERIALIZED VIEW DATA".to_owned(),
        section: Section::Post,
        schema,
        name: view.tag.clone(),
        owner: view.owner.clone(),
        sql,
        depends_on: vec![view.id],
    }
}

/// What `pg_restore` would run for an entry: where it goes, what it is, whose it is.
fn statements(entry: &TocEntry) -> Result<String, String> {
    let mut lines = Vec::new();
    let tablespace = entry.tablespace.as_deref().filter(|name| !name.is_empty());
    if let Some(tablespace) = tablespace {
        lines.push(format!("SET default_tablespace = {};", quoted(tablespace)));
    }
    // A partitioned table has a method without having storage, and no setting gives it one.
    let partitioned = entry.relkind == b'p';
    if let Some(method) = entry.access_method.as_deref().filter(|_| !partitioned) {
        lines.push(format!("SET default_table_access_method = {};", quoted(method)));
    }
    let definition = entry.definition.trim_end();
    if !definition.is_empty() {
        lines.push(definition.to_owned());
    }
    if let Some(method) = entry.access_method.as_deref().filter(|_| partitioned) {
        let table = named(entry);
        lines.push(format!("ALTER TABLE {table} SET ACCESS METHOD {};", quoted(method)));
    }
    if tablespace.is_some() {
        lines.push("SET default_tablespace = '';".to_owned());
    }
    if let Some(object) = owned(entry)? {
        lines.push(format!("ALTER {object} OWNER TO {};", quoted(&entry.owner)));
    }
    lines.push(String::new());
    Ok(lines.join("\n"))
}

fn named(entry: &TocEntry) -> String {
    match &entry.schema {
        Some(schema) => format!("{}.{}", quoted(schema), quoted(&entry.tag)),
        None => quoted(&entry.tag),
    }
}

/// What `ALTER … OWNER` calls the object; `None` for what has no owner of its own.
fn owned(entry: &TocEntry) -> Result<Option<String>, String> {
    // What cannot be dropped by itself is not owned by itself.
    if entry.owner.is_empty() || entry.drop.is_empty() {
        return Ok(None);
    }
    let object = match entry.kind.as_str() {
        "VIEW" | "SEQUENCE" | "MATERIALIZED VIEW" => format!("TABLE {}", named(entry)),
        kind @ ("COLLATION"
        | "CONVERSION"
        | "DOMAIN"
        | "TABLE"
        | "TYPE"
        | "FOREIGN TABLE"
        | "TEXT SEARCH DICTIONARY"
        | "TEXT SEARCH CONFIGURATION"
        | "STATISTICS"
        | "DATABASE"
        | "PROCEDURAL LANGUAGE"
        | "SCHEMA"
        | "EVENT TRIGGER"
        | "FOREIGN DATA WRAPPER"
        | "SERVER"
        | "PUBLICATION"
        | "SUBSCRIPTION") => format!("{kind} {}", named(entry)),
        // Their names need arguments, which stand in the statement that drops them.
        "AGGREGATE" | "FUNCTION" | "OPERATOR" | "OPERATOR CLASS" | "OPERATOR FAMILY"
        | "PROCEDURE" => {
            let object = entry.drop.strip_prefix("DROP ");
            let object = object.ok_or_else(|| format!("`{}` drops nothing", entry.drop))?;
            object.trim_end_matches([';', '\n']).to_owned()
        }
        "CAST"
        | "CHECK CONSTRAINT"
        | "CONSTRAINT"
        | "DATABASE PROPERTIES"
        | "DEFAULT"
        | "FK CONSTRAINT"
        | "INDEX"
        | "RULE"
        | "TRIGGER"
        | "ROW SECURITY"
        | "POLICY"
        | "USER MAPPING"
        | "EXTENSION"
        | "TRANSFORM"
        | "ACCESS METHOD"
        | "TABLE ATTACH"
        | "INDEX ATTACH"
        | "PUBLICATION TABLE"
        | "PUBLICATION TABLES IN SCHEMA"
        | "SUBSCRIPTION TABLE"
        | "SEQUENCE OWNED BY"
        | "DEFAULT ACL"
        | "TEXT SEARCH PARSER"
        | "TEXT SEARCH TEMPLATE"
        | "SHELL TYPE" => return Ok(None),
        other => return Err(format!("the owner of {other} `{}` cannot be set", entry.tag)),
    };
    Ok(Some(object))
}

impl Schema {
    /// The entries of a section as one text for `psql`.
    pub(super) fn text(&self, section: Section) -> String {
        let entries = self.entries.iter().filter(|entry| entry.section == section);
        entries.fold(self.preamble.clone(), |text, entry| text + "\n" + &entry.sql)
    }

    /// How many entries of each kind there are.
    pub(super) fn objects(&self) -> Vec<(String, u64)> {
        let mut objects = BTreeMap::new();
        for entry in &self.entries {
            *objects.entry(entry.kind.clone()).or_insert(0) += 1;
        }
        objects.into_iter().collect()
    }

    /// Owners of the entries.
    pub(super) fn owners(&self) -> BTreeSet<String> {
        let owners = self.entries.iter().map(|entry| entry.owner.clone());
        owners.filter(|owner| !owner.is_empty()).collect()
    }

    /// SHA-256, in hexadecimal, of the sorted texts, each followed by a NUL. Equal schemas have
    /// equal ones, whatever their history; so far as the same `pg_dump` wrote them.
    pub fn fingerprint(&self) -> String {
        let mut texts: Vec<&str> = self.entries.iter().map(|entry| entry.sql.as_str()).collect();
        texts.sort_unstable();
        let mut digest = Sha256::new();
        for text in texts {
            digest.update(text);
            digest.update([0]);
        }
        hex(&digest.finalize())
    }
}
