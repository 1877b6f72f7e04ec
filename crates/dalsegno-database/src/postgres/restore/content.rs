use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::io::BufRead;

use sha2::{Digest, Sha256};

use super::session::{qualified, session};
use crate::postgres::Access;
use crate::postgres::connection::{Session, literal, quoted};
use crate::postgres::failure::refused;
use crate::{LineSum, Result};

/// What tells of a staged copy later: what a switch leaves on the server, and what was in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Content {
    /// Found again without reading a row.
    pub(super) mark: Mark,
    /// Digest of rows, sequences, large objects and the schema.
    pub(super) digest: String,
}

/// By what the server knows a switch that took place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// The number of the database, which stays with it through every rename, and is not given out
    /// again before four thousand millions of others.
    Database(u32),
    /// The number of the transaction that replaced the rows.
    Transaction(i64),
}

impl Content {
    /// Reads back what [`fmt::Display`] wrote.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (mark, digest) = text.split_once(':')?;
        let mark = match mark.strip_prefix('x') {
            Some(number) => Mark::Transaction(number.parse().ok()?),
            None => Mark::Database(mark.parse().ok()?),
        };
        Some(Self { mark, digest: digest.to_owned() })
    }

    /// Whether the database of this number is the staged one.
    pub(super) fn is_of(&self, oid: Option<u32>) -> bool {
        oid.is_some_and(|oid| self.mark == Mark::Database(oid))
    }
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mark {
            Mark::Database(oid) => write!(f, "{oid}:{}", self.digest),
            Mark::Transaction(number) => write!(f, "x{number}:{}", self.digest),
        }
    }
}

/// Rows and row hash of tables that need not be read, by schema, name and columns.
pub(super) type Known = HashMap<(String, String, Vec<String>), (u64, String)>;

/// Rows of the catalogs change with every change of the schema: their places and the transactions
/// that wrote them tell of any. Statistics are not among them, since the server gathers those by
/// itself.
const CATALOGS: &[&str] = &[
    "pg_attrdef",
    "pg_attribute",
    "pg_cast",
    "pg_class",
    "pg_collation",
    "pg_constraint",
    "pg_conversion",
    "pg_default_acl",
    "pg_description",
    "pg_enum",
    "pg_event_trigger",
    "pg_extension",
    "pg_foreign_data_wrapper",
    "pg_foreign_server",
    "pg_foreign_table",
    "pg_index",
    "pg_inherits",
    "pg_language",
    "pg_largeobject_metadata",
    "pg_opclass",
    "pg_operator",
    "pg_opfamily",
    "pg_policy",
    "pg_proc",
    "pg_publication",
    "pg_publication_rel",
    "pg_range",
    "pg_rewrite",
    "pg_sequence",
    "pg_statistic_ext",
    "pg_transform",
    "pg_trigger",
    "pg_ts_config",
    "pg_ts_dict",
    "pg_type",
];

/// A session that reads rows as a capture does: the same value is the same text.
pub(super) fn reading(access: &Access, database: &str) -> Result<Session> {
    let mut session = session(access, database)?;
    session.run(
        "set up a session",
        "SELECT pg_catalog.set_config('client_encoding', pg_catalog.getdatabaseencoding(), false)",
    )?;
    Ok(session)
}

/// Everything a site could have written, in one value. Reads every row of every table that is not
/// `known`, in one view. Settings of the session decide what text a value is: the same ones must
/// hold whenever two digests are compared.
pub(super) fn digest(session: &mut Session, known: &Known) -> Result<String> {
    session.run("take a view", "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
    let digest = digest_of_view(session, known)?;
    session.run("end a view", "COMMIT")?;
    Ok(digest)
}

/// The same inside a transaction that is open already.
pub(super) fn digest_of_view(session: &mut Session, known: &Known) -> Result<String> {
    let mut digest = Sha256::new();
    for part in [schema(session)?, tables(session, known)?, sequences(session)?, large(session)?] {
        digest.update(part.as_bytes());
        digest.update([0]);
    }
    Ok(hex(&digest.finalize()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn schema(session: &mut Session) -> Result<String> {
    let mut sql: Vec<String> = CATALOGS
        .iter()
        .map(|name| format!("SELECT '{name}', ctid, xmin FROM pg_catalog.{name}"))
        .collect();
    // Sessions with temporary tables leave their schema behind.
    sql.push(
        "SELECT 'pg_namespace', ctid, xmin FROM pg_catalog.pg_namespace \
         WHERE nspname !~ '^pg_(toast_)?temp_'"
            .to_owned(),
    );
    let sql = format!(
        "SELECT md5(string_agg(format('%s %s %s', kind, place, writer), ',' ORDER BY kind, place)) \
         FROM ({}) c (kind, place, writer)",
        sql.join(" UNION ALL ")
    );
    Ok(session.one("look at the schema", &sql, &[])?.get(0))
}

fn tables(session: &mut Session, known: &Known) -> Result<String> {
    let found = session.rows(
        "list the tables",
        "SELECT n.nspname::text, c.relname::text, \
         coalesce(array_agg(a.attname::text ORDER BY a.attnum) \
           FILTER (WHERE a.attname IS NOT NULL), '{}') \
         FROM pg_catalog.pg_class c \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 \
           AND NOT a.attisdropped AND a.attgenerated = '' \
         WHERE c.relkind = 'r' AND c.relpersistence <> 't' \
         AND n.nspname NOT IN ('pg_catalog', 'information_schema') \
         AND n.nspname !~ '^pg_toast' \
         GROUP BY 1, 2 ORDER BY 1, 2",
        &[],
    )?;
    let mut text = String::new();
    for row in found {
        let (schema, name): (String, String) = (row.get(0), row.get(1));
        let columns: Vec<String> = row.get(2);
        let key = (schema, name, columns);
        let (rows, hash) = match known.get(&key) {
            Some(known) => known.clone(),
            None => read(session, &key.0, &key.1, &key.2)?,
        };
        let _ = writeln!(text, "{:?} {:?} {rows} {hash}", key.0, key.1);
    }
    Ok(text)
}

/// Rows and row hash of one table: every column but generated ones, in their order.
pub(super) fn read(
    session: &mut Session,
    schema: &str,
    name: &str,
    columns: &[String],
) -> Result<(u64, String)> {
    let list: Vec<String> = columns.iter().map(|column| quoted(column)).collect();
    // No list at all would take every column, and an empty one is no SQL: where there is none, each
    // row is an empty line.
    let sql = if list.is_empty() {
        format!("COPY (SELECT FROM ONLY {}) TO STDOUT", qualified(schema, name))
    } else {
        format!("COPY {} ({}) TO STDOUT", qualified(schema, name), list.join(", "))
    };
    let place = session.place().clone();
    let action = || format!("read the rows of `{schema}.{name}`");
    let mut reader = session.client.copy_out(&sql).map_err(refused(action(), &place))?;
    let mut sum = LineSum::default();
    loop {
        let bytes = match reader.fill_buf() {
            Ok(bytes) => bytes,
            Err(error) => {
                return Err(match error.downcast::<postgres::Error>() {
                    Ok(error) => refused(action(), &place)(error),
                    Err(source) => {
                        crate::DatabaseError::Unreadable { name: name.to_owned(), source }
                    }
                });
            }
        };
        if bytes.is_empty() {
            return Ok((sum.ended().rows, sum.ended().hash()));
        }
        sum.push(bytes);
        let length = bytes.len();
        reader.consume(length);
    }
}

fn sequences(session: &mut Session) -> Result<String> {
    let rows = session.rows(
        "list the sequences",
        "SELECT n.nspname::text, c.relname::text FROM pg_catalog.pg_class c \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind = 'S' AND c.relpersistence <> 't' ORDER BY 1, 2",
        &[],
    )?;
    let names: Vec<(String, String)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let mut text = String::new();
    for some in names.chunks(200) {
        let each: Vec<String> = some
            .iter()
            .map(|(schema, name)| {
                let label = literal(&format!("{schema:?}.{name:?}"));
                format!("SELECT {label}, last_value, is_called FROM {}", qualified(schema, name))
            })
            .collect();
        for row in session.rows("read the sequences", &each.join(" UNION ALL "), &[])? {
            let (name, value, called): (String, i64, bool) = (row.get(0), row.get(1), row.get(2));
            let _ = writeln!(text, "{name} {value} {called}");
        }
    }
    Ok(text)
}

/// Bytes of a large object that the server hashes at once.
const LARGE: i32 = 8 << 20;

fn large(session: &mut Session) -> Result<String> {
    let list = "SELECT oid FROM pg_catalog.pg_largeobject_metadata ORDER BY oid";
    let mut text = String::new();
    for row in session.rows("list the large objects", list, &[])? {
        let oid: u32 = row.get(0);
        let _ = write!(text, "{oid}");
        for piece in 0_i64.. {
            let row = session.one(
                format_args!("read the large object {oid}"),
                "SELECT md5(piece), length(piece) \
                 FROM pg_catalog.lo_get($1, $2, $3) piece",
                &[&oid, &(piece * i64::from(LARGE)), &LARGE],
            )?;
            let (hash, length): (String, i32) = (row.get(0), row.get(1));
            let _ = write!(text, " {hash}");
            if length < LARGE {
                break;
            }
        }
        text.push('\n');
    }
    Ok(text)
}
