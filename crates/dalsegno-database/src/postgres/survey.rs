//! What there is to capture, read from the catalogs.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap, HashSet};

use postgres::Row;

use super::catalog::{
    Column, DatabaseFacts, Extension, Grant, RowsTaken, Setting, Table, TableKind,
};
use super::connection::Session;
use super::failure::Failure;
use crate::{DatabaseError, Result};

/// Relations that a dump of the database has: not the system's, not another session's, and of an
/// extension only those whose rows it declares to be the user's.
const DUMPED: &str = "c.relpersistence <> 't'
    AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
    AND (x.condition IS NOT NULL OR NOT EXISTS (
        SELECT FROM pg_catalog.pg_depend d
        WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid
        AND d.objsubid = 0 AND d.deptype = 'e'))";

const RELATIONS: &str = "pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN (SELECT pg_catalog.unnest(extconfig) AS oid, pg_catalog.unnest(extcondition) AS condition
        FROM pg_catalog.pg_extension) x ON x.oid = c.oid";

/// A table that takes a lock: its oid, its schema, its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Lockable {
    pub(super) oid: u32,
    pub(super) schema: String,
    pub(super) name: String,
}

/// A table, with what only the capture itself needs.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) table: Table,
    /// Bytes of the rows, without those that are stored apart.
    pub(super) heap: u64,
    /// Whether row security hides rows from this role.
    pub(super) hidden: bool,
}

/// Everything that is to be locked, ordered by oid.
pub(super) fn lockables(session: &mut Session) -> Result<Vec<Lockable>> {
    let sql = format!(
        "SELECT c.oid, n.nspname::text, c.relname::text FROM {RELATIONS}
         WHERE c.relkind IN ('r', 'p') AND {DUMPED} ORDER BY c.oid"
    );
    let rows = session.rows("list the tables", &sql, &[])?;
    let lockable = |row: &Row| Lockable { oid: row.get(0), schema: row.get(1), name: row.get(2) };
    Ok(rows.iter().map(lockable).collect())
}

/// All tables, in the order of schema and name, with their columns.
pub(super) fn tables(session: &mut Session) -> Result<Vec<Found>> {
    let sql = format!(
        "SELECT c.oid, n.nspname::text, c.relname::text, c.relkind::text,
            c.relpersistence = 'u', pg_catalog.pg_table_size(c.oid),
            pg_catalog.pg_relation_size(c.oid), i.inhparent, x.condition,
            c.relrowsecurity AND pg_catalog.row_security_active(c.oid)
         FROM {RELATIONS}
         LEFT JOIN pg_catalog.pg_inherits i ON i.inhrelid = c.oid AND c.relispartition
         WHERE c.relkind IN ('r', 'p', 'f') AND {DUMPED}
         ORDER BY n.nspname COLLATE \"C\", c.relname COLLATE \"C\""
    );
    let rows = session.rows("list the tables", &sql, &[])?;
    // The largest are read first, and files are written in the order of their names.
    let mut by_size: Vec<&Row> = rows.iter().collect();
    by_size.sort_by_key(|row| Reverse(size(row, 5)));
    let ids: HashMap<u32, u32> = by_size.iter().map(|row| row.get(0)).zip(1..).collect();
    let mut columns = columns(session)?;
    let found = rows.iter().map(|row| {
        let oid: u32 = row.get(0);
        let kind: String = row.get(3);
        let condition: Option<String> = row.get(8);
        let parent: Option<u32> = row.get(7);
        let (kind, rows) = match (kind.as_str(), condition.filter(|text| !text.is_empty())) {
            ("p", _) => (TableKind::Partitioned, RowsTaken::None),
            ("f", _) => (TableKind::Foreign, RowsTaken::None),
            (_, None) => (TableKind::Table, RowsTaken::All),
            (_, Some(condition)) => (TableKind::Table, RowsTaken::Where(condition)),
        };
        let table = Table {
            id: ids[&oid],
            schema: row.get(1),
            name: row.get(2),
            kind,
            rows,
            unlogged: row.get(4),
            columns: columns.remove(&oid).unwrap_or_default(),
            format: "copy".to_owned(),
            partition_of: parent.and_then(|oid| ids.get(&oid).copied()),
            size: size(row, 5),
        };
        Found { table, heap: size(row, 6), hidden: row.get::<_, Option<bool>>(9) == Some(true) }
    });
    Ok(found.collect())
}

/// The columns of all tables that `COPY` writes, by the table's oid.
fn columns(session: &mut Session) -> Result<HashMap<u32, Vec<Column>>> {
    let sql = "SELECT a.attrelid, a.attname::text,
            pg_catalog.format_type(a.atttypid, a.atttypmod)
         FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relkind IN ('r', 'p', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
         AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
         ORDER BY a.attrelid, a.attnum";
    let mut columns: HashMap<u32, Vec<Column>> = HashMap::new();
    for row in session.rows("list the columns", sql, &[])? {
        let column = Column { name: row.get(1), type_name: row.get(2) };
        columns.entry(row.get(0)).or_default().push(column);
    }
    Ok(columns)
}

/// Materialized views that hold rows, by schema and name.
pub(super) fn populated(session: &mut Session) -> Result<HashSet<(String, String)>> {
    let sql = "SELECT n.nspname::text, c.relname::text FROM pg_catalog.pg_class c
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relkind = 'm' AND c.relispopulated";
    let rows = session.rows("list the materialized views", sql, &[])?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// Sequences, by schema and name, ordered.
pub(super) fn sequences(session: &mut Session) -> Result<Vec<(String, String)>> {
    let sql = format!(
        "SELECT n.nspname::text, c.relname::text FROM {RELATIONS}
         WHERE c.relkind = 'S' AND {DUMPED} ORDER BY n.nspname COLLATE \"C\", c.relname COLLATE \"C\""
    );
    let rows = session.rows("list the sequences", &sql, &[])?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// Extensions, ordered by name.
pub(super) fn extensions(session: &mut Session) -> Result<Vec<Extension>> {
    let sql = "SELECT e.extname::text, n.nspname::text, e.extversion
         FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
         ORDER BY e.extname COLLATE \"C\"";
    let rows = session.rows("list the extensions", sql, &[])?;
    let extension =
        |row: &Row| Extension { name: row.get(0), schema: row.get(1), version: row.get(2) };
    Ok(rows.iter().map(extension).collect())
}

/// Roles that objects of the database depend on. The superuser that a cluster begins with is never
/// among them.
pub(super) fn roles(session: &mut Session) -> Result<BTreeSet<String>> {
    let sql = "SELECT DISTINCT r.rolname::text FROM pg_catalog.pg_shdepend s
         JOIN pg_catalog.pg_roles r ON r.oid = s.refobjid
         WHERE s.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass AND r.rolname !~ '^pg_'
         AND (s.dbid = (SELECT oid FROM pg_catalog.pg_database
                        WHERE datname = pg_catalog.current_database())
              OR s.dbid = 0 AND s.classid = 'pg_catalog.pg_database'::pg_catalog.regclass
              AND s.objid = (SELECT oid FROM pg_catalog.pg_database
                        WHERE datname = pg_catalog.current_database()))";
    let rows = session.rows("list the roles", sql, &[])?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// What belongs to the database as a whole.
pub(super) fn database(session: &mut Session) -> Result<DatabaseFacts> {
    // Columns that came with later versions.
    let version = session.server;
    let since = |number, column, otherwise| if version >= number { column } else { otherwise };
    let provider = since(150_000, "d.datlocprovider::text", "'c'");
    let locale = match version {
        170_000.. => "d.datlocale",
        150_000.. => "d.daticulocale",
        _ => "NULL::text",
    };
    let rules = since(160_000, "d.daticurules", "NULL::text");
    let collation_version = since(150_000, "d.datcollversion", "NULL::text");
    let sql = format!(
        "SELECT d.datname::text, pg_catalog.pg_get_userbyid(d.datdba)::text,
            pg_catalog.pg_encoding_to_char(d.encoding)::text, d.datcollate::text,
            d.datctype::text, {provider}, {locale}, {rules}, {collation_version},
            (SELECT spcname::text FROM pg_catalog.pg_tablespace t
             WHERE t.oid = d.dattablespace AND t.spcname <> 'pg_default'),
            d.datconnlimit, pg_catalog.shobj_description(d.oid, 'pg_database'),
            d.datacl IS NOT NULL, pg_catalog.pg_database_size(d.oid)
         FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()"
    );
    let row = session.one("read the properties of the database", &sql, &[])?;
    let provider: String = row.get(5);
    let changed: bool = row.get(12);
    Ok(DatabaseFacts {
        name: row.get(0),
        owner: row.get(1),
        encoding: row.get(2),
        collate: row.get(3),
        ctype: row.get(4),
        locale_provider: provider_name(session, &provider)?.to_owned(),
        locale: row.get(6),
        icu_rules: row.get(7),
        collation_version: row.get(8),
        tablespace: row.get(9),
        connection_limit: row.get(10),
        comment: row.get(11),
        grants: if changed { Some(grants(session)?) } else { None },
        settings: settings(session)?,
        size: size(&row, 13),
    })
}

fn provider_name(session: &Session, code: &str) -> Result<&'static str> {
    match code {
        "c" => Ok("libc"),
        "i" => Ok("icu"),
        "b" => Ok("builtin"),
        other => Err(DatabaseError::from(Failure::NotCapturable {
            object: "the locale".to_owned(),
            place: session.place().clone(),
            reason: format!("its provider `{other}` is not known to this version"),
            advice: "Use a newer version of this program.",
        })),
    }
}

fn grants(session: &mut Session) -> Result<Vec<Grant>> {
    let sql =
        "SELECT CASE WHEN a.grantee <> 0 THEN pg_catalog.pg_get_userbyid(a.grantee)::text END,
            pg_catalog.pg_get_userbyid(a.grantor)::text, a.privilege_type, a.is_grantable
         FROM pg_catalog.pg_database d, pg_catalog.aclexplode(d.datacl) a
         WHERE d.datname = pg_catalog.current_database()";
    let rows = session.rows("read the rights on the database", sql, &[])?;
    let grant = |row: &Row| Grant {
        to: row.get(0),
        by: row.get(1),
        right: row.get(2),
        grantable: row.get(3),
    };
    Ok(rows.iter().map(grant).collect())
}

fn settings(session: &mut Session) -> Result<Vec<Setting>> {
    let sql = "SELECT r.rolname::text, pg_catalog.unnest(s.setconfig)
         FROM pg_catalog.pg_db_role_setting s
         JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase
         LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole
         WHERE d.datname = pg_catalog.current_database()
         ORDER BY s.setrole";
    let rows = session.rows("read the settings of the database", sql, &[])?;
    let setting = |row: &Row| {
        let text: String = row.get(1);
        let (name, value) = text.split_once('=').unwrap_or((&text, ""));
        Setting { role: row.get(0), name: name.to_owned(), value: value.to_owned() }
    };
    Ok(rows.iter().map(setting).collect())
}

/// A size is never negative, and NULL only of what has no storage.
fn size(row: &Row, column: usize) -> u64 {
    row.get::<_, Option<i64>>(column).map_or(0, i64::unsigned_abs)
}
