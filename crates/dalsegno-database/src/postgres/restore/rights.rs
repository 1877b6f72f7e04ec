use crate::postgres::connection::Session;
use crate::{Holder, Result};

/// What the role of this session may do with databases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rights {
    /// The role.
    pub(super) role: String,
    /// Whether it may do everything.
    pub(super) superuser: bool,
    /// Whether it may create databases, and so rename its own.
    pub(super) createdb: bool,
    /// Whether the live database is its own; `None` if there is none.
    pub(super) owns_live: Option<bool>,
}

impl Rights {
    /// Asks the server: what a role may do it knows best.
    pub(super) fn ask(server: &mut Session, live: &str) -> Result<Self> {
        let row = server.one(
            "ask for the rights of this role",
            "SELECT r.rolname::text, r.rolsuper, r.rolcreatedb, \
                 pg_catalog.pg_has_role(r.oid, d.datdba, 'USAGE') \
                 FROM pg_catalog.pg_roles r \
                 LEFT JOIN pg_catalog.pg_database d ON d.datname::text = $1 \
                 WHERE r.rolname = current_user",
            &[&live],
        )?;
        Ok(Self {
            role: row.get(0),
            superuser: row.get(1),
            createdb: row.get(2),
            owns_live: row.get(3),
        })
    }

    /// Whether a new database can take the name of the live one.
    pub(super) fn may_rename(&self) -> bool {
        (self.superuser || self.createdb) && self.owns_live != Some(false)
    }

    /// The right that is missing for that, as a part of a sentence.
    pub(super) fn lacks(&self) -> String {
        let mut lacks = Vec::new();
        if !self.superuser && !self.createdb {
            lacks.push("may not create databases");
        }
        if self.owns_live == Some(false) {
            lacks.push("does not own the live one");
        }
        format!("the role `{}` {}", self.role, lacks.join(" and "))
    }
}

/// Who is connected to a database, the server's own workers left out.
pub(super) fn sessions_of(server: &mut Session, database: &str) -> Result<Vec<Holder>> {
    let rows = server.rows(
        "list the sessions",
        "SELECT pid, concat_ws(' ', coalesce(usename::text, '?'), \
             nullif(application_name, ''), client_addr::text) \
             FROM pg_catalog.pg_stat_activity \
             WHERE datname::text = $1 AND pid <> pg_catalog.pg_backend_pid() \
             AND coalesce(backend_type, 'client backend') = 'client backend' ORDER BY pid",
        &[&database],
    )?;
    Ok(rows
        .iter()
        .map(|row| Holder {
            pid: u32::try_from(row.get::<_, i32>(0)).unwrap_or_default(),
            command: row.get::<_, String>(1).chars().filter(|c| !c.is_control()).take(80).collect(),
        })
        .collect())
}

/// Sessions of others that this role may not end, which would keep a rename waiting for ever.
pub(super) fn sessions_out_of_reach(server: &mut Session, database: &str) -> Result<Vec<Holder>> {
    let rows = server.rows(
        "list the sessions",
        "SELECT a.pid FROM pg_catalog.pg_stat_activity a \
             JOIN pg_catalog.pg_roles r ON r.oid = a.usesysid, \
             pg_catalog.pg_roles me \
             WHERE me.rolname = current_user AND a.datname::text = $1 \
             AND a.pid <> pg_catalog.pg_backend_pid() \
             AND coalesce(a.backend_type, 'client backend') = 'client backend' \
             AND NOT me.rolsuper AND (r.rolsuper OR NOT ( \
               pg_catalog.pg_has_role(me.oid, r.oid, 'USAGE') \
               OR pg_catalog.pg_has_role(me.oid, 'pg_signal_backend', 'USAGE')))",
        &[&database],
    )?;
    let pids: Vec<i32> = rows.iter().map(|row| row.get(0)).collect();
    let mut holders = sessions_of(server, database)?;
    holders.retain(|holder| pids.iter().any(|pid| u32::try_from(*pid) == Ok(holder.pid)));
    Ok(holders)
}

/// What a rename of the live database would leave hanging: prepared transactions, slots,
/// subscriptions; each with the statement that ends it.
pub(super) fn bound_to(server: &mut Session, database: &str) -> Result<Vec<(String, String)>> {
    let rows = server.rows(
        "look for what is bound to the database",
        "SELECT 'the prepared transaction ' || quote_literal(gid), \
               'ROLLBACK PREPARED ' || quote_literal(gid) \
             FROM pg_catalog.pg_prepared_xacts WHERE database::text = $1 \
             UNION ALL \
             SELECT 'the replication slot ' || quote_ident(slot_name), \
               format('SELECT pg_drop_replication_slot(%L)', slot_name) \
             FROM pg_catalog.pg_replication_slots WHERE database::text = $1 \
             UNION ALL \
             SELECT format('%s subscription(s) of the database', count(*)), \
               'ALTER SUBSCRIPTION ... DISABLE and DROP SUBSCRIPTION in it' \
             FROM pg_catalog.pg_stat_subscription s \
             JOIN pg_catalog.pg_stat_activity a ON a.pid = s.pid \
             WHERE a.datname::text = $1 HAVING count(*) > 0",
        &[&database],
    )?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}
