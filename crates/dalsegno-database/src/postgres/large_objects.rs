//! Large objects, as statements: one a line, so that a file of them can be cut between any two.

use std::fmt::Write;

use dalsegno_format::hex;
use postgres::Row;

use super::catalog::{LargeObjects, large_file};
use super::connection::{Session, literal, quoted};
use super::flow::PART;
use super::writing::Writing;
use crate::{DatabaseError, Result};

/// Bytes of an object that one statement writes.
const CHUNK: usize = 512 << 10;
/// Objects whose beginnings are read at once.
const BATCH: i64 = 16;

/// Writes every large object that the session's snapshot has, with its number, owner, rights and
/// comment.
pub(super) fn write(session: &mut Session, out: &mut Writing<'_>) -> Result<LargeObjects> {
    let mut files = Files { found: LargeObjects::default(), part: Vec::new(), out };
    let mut after = 0_u32;
    loop {
        let sql = "SELECT m.oid, pg_catalog.lo_get(m.oid, 0, $3),
                pg_catalog.pg_get_userbyid(m.lomowner)::text, m.lomacl IS NOT NULL,
                pg_catalog.obj_description(m.oid, 'pg_largeobject')
             FROM (SELECT * FROM pg_catalog.pg_largeobject_metadata WHERE oid > $1
                   ORDER BY oid LIMIT $2) m ORDER BY m.oid";
        let chunk = i32::try_from(CHUNK).expect("it is small");
        let rows = session.rows("read the large objects", sql, &[&after, &BATCH, &chunk])?;
        let Some(last) = rows.last() else { return files.finish() };
        after = last.get(0);
        for row in &rows {
            object(session, row, &mut files)?;
        }
    }
}

fn object(session: &mut Session, row: &Row, files: &mut Files<'_, '_>) -> Result<()> {
    let oid: u32 = row.get(0);
    if files.out.watch.cancelled() {
        return Err(DatabaseError::Cancelled);
    }
    files.found.objects += 1;
    files.line(&format!("SELECT pg_catalog.lo_create({oid});"))?;
    let mut bytes: Vec<u8> = row.get(1);
    let mut offset = 0_i64;
    while !bytes.is_empty() {
        files.found.content += bytes.len() as u64;
        let text = hex(&bytes);
        files.line(&format!("SELECT pg_catalog.lo_put({oid}, {offset}, '\\x{text}');"))?;
        if bytes.len() < CHUNK {
            break;
        }
        offset += i64::try_from(bytes.len()).expect("a chunk is small");
        let chunk = i32::try_from(CHUNK).expect("it is small");
        let action = format!("read the large object {oid}");
        let sql = "SELECT pg_catalog.lo_get($1, $2, $3)";
        bytes = session.one(action, sql, &[&oid, &offset, &chunk])?.get(0);
    }
    let (owner, granted): (String, bool) = (row.get(2), row.get(3));
    files.line(&format!("ALTER LARGE OBJECT {oid} OWNER TO {};", quoted(&owner)))?;
    if granted {
        files.line(&rights(session, oid, &owner)?)?;
    }
    if let Some(comment) = row.get::<_, Option<String>>(4) {
        files.line(&format!("COMMENT ON LARGE OBJECT {oid} IS {};", literal(&comment)))?;
    }
    Ok(())
}

/// Statements on one line that leave an object with the rights it has.
fn rights(session: &mut Session, oid: u32, owner: &str) -> Result<String> {
    let sql =
        "SELECT CASE WHEN a.grantee <> 0 THEN pg_catalog.pg_get_userbyid(a.grantee)::text END,
            a.privilege_type, a.is_grantable
         FROM pg_catalog.pg_largeobject_metadata m, pg_catalog.aclexplode(m.lomacl) a
         WHERE m.oid = $1";
    let rows =
        session.rows(format_args!("read the rights on the large object {oid}"), sql, &[&oid])?;
    let mut text = format!("REVOKE ALL ON LARGE OBJECT {oid} FROM {};", quoted(owner));
    for row in rows {
        let to = row.get::<_, Option<String>>(0).map_or("PUBLIC".to_owned(), |name| quoted(&name));
        let (right, grantable): (String, bool) = (row.get(1), row.get(2));
        let option = if grantable { " WITH GRANT OPTION" } else { "" };
        write!(text, " GRANT {right} ON LARGE OBJECT {oid} TO {to}{option};")
            .expect("a text takes everything");
    }
    Ok(text)
}

struct Files<'f, 'w> {
    found: LargeObjects,
    part: Vec<u8>,
    out: &'f mut Writing<'w>,
}

impl Files<'_, '_> {
    fn line(&mut self, text: &str) -> Result<()> {
        if self.part.len() + text.len() + 1 > PART {
            self.store()?;
        }
        self.part.extend_from_slice(text.as_bytes());
        self.part.push(b'\n');
        Ok(())
    }

    fn store(&mut self) -> Result<()> {
        self.found.parts += 1;
        self.found.bytes += self.part.len() as u64;
        self.out.file(&large_file(self.found.parts), &self.part)?;
        self.part.clear();
        Ok(())
    }

    fn finish(mut self) -> Result<LargeObjects> {
        if !self.part.is_empty() {
            self.store()?;
        }
        Ok(self.found)
    }
}
