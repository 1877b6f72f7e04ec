//! Which database goes where, and what becomes of its tables.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use dalsegno_database::{Database, DatabaseError, Quiet, TableCount, sqlite};

use super::{DatabasePlan, RestorePlan, TablePlan, require_absent};
use crate::backup::BUSY_TIMEOUT;
use crate::captured::captured;
use crate::restore::{NewDatabase, RestoreRequest};
use crate::server::Access;
use crate::site::LiveDatabase;
use crate::{EngineError, Site, compatibility};

pub(super) fn plan_databases(site: &Site, plan: &mut RestorePlan) -> Result<(), EngineError> {
    let request = plan.request.clone();
    if request.to_media.is_some() && request.to_database.is_none() {
        plan.notes.push("databases are left as they are: only `--to-media` was given".to_owned());
        return Ok(());
    }
    let held: Vec<String> = plan.manifest.metadata.databases.keys().cloned().collect();
    if request.skip_database {
        return Ok(());
    }
    if held.is_empty() {
        if let Some(wanted) = request.database.or(request.from_database) {
            return Err(EngineError::NotInBackup { wanted, holds: vec!["no database".to_owned()] });
        }
        plan.notes.push("the backup holds no database".to_owned());
        return Ok(());
    }
    for (source, alias) in pairs(&request, &held)? {
        let database = plan_database(site, plan, &source, &alias)?;
        plan.notes.extend(no_rollback(&database, request.pre_backup));
        plan.databases.push(database);
    }
    let gaps = plan.databases.iter().filter_map(|d| d.gap.as_ref());
    let unknown: Vec<String> = gaps.clone().flat_map(|g| g.unknown.clone()).collect();
    let missing: Vec<String> = gaps.flat_map(|g| g.missing.clone()).collect();
    if !unknown.is_empty() {
        return Err(EngineError::NewerBackup { migrations: unknown });
    }
    if !missing.is_empty() {
        if !request.no_migrate {
            return Err(EngineError::OlderBackup { migrations: missing });
        }
        plan.notes.push(format!(
            "the backup is older than the code: run `manage.py migrate` afterwards ({})",
            missing.join(", ")
        ));
    }
    Ok(())
}

/// Which database of the backup goes to which alias.
fn pairs(request: &RestoreRequest, held: &[String]) -> Result<Vec<(String, String)>, EngineError> {
    if let Some(source) = &request.from_database
        && !held.contains(source)
    {
        return Err(EngineError::NotInBackup { wanted: source.clone(), holds: held.to_vec() });
    }
    if request.database.is_none()
        && request.to_database.is_none()
        && request.from_database.is_none()
    {
        return Ok(held.iter().map(|alias| (alias.clone(), alias.clone())).collect());
    }
    let target = request.database.clone().or(request.from_database.clone());
    let source = match (&request.from_database, &target, held) {
        (Some(source), _, _) => source.clone(),
        (None, _, [only]) => only.clone(),
        (None, Some(same), _) if held.contains(same) => same.clone(),
        (None, None, _) if held.iter().any(|alias| alias == "default") => "default".to_owned(),
        (None, target, _) => {
            let wanted = target.clone().unwrap_or_else(|| "default".to_owned());
            return Err(EngineError::NotInBackup { wanted, holds: held.to_vec() });
        }
    };
    let target = target.unwrap_or_else(|| source.clone());
    Ok(vec![(source, target)])
}

fn plan_database(
    site: &Site,
    plan: &RestorePlan,
    source: &str,
    alias: &str,
) -> Result<DatabasePlan, EngineError> {
    let described = &plan.manifest.metadata.databases[source];
    let held = plan.manifest.completion.databases.get(source);
    let elsewhere = plan.request.to_database.is_some();
    let target = match &plan.request.to_database {
        Some(NewDatabase::File(path)) => new_place(path)?,
        Some(NewDatabase::OnServer { vendor, host, port, name }) => {
            new_on_server(site, vendor, (host.as_deref(), *port), name)?
        }
        None => site.database(alias, "restore")?,
    };
    let database = target.database.clone();
    if described.vendor != database.vendor() {
        return Err(EngineError::WrongEngine {
            source_alias: source.to_owned(),
            alias: target.alias,
            backup: described.vendor.clone(),
            live: database.vendor().to_owned(),
        });
    }
    let captured = captured(held, &described.vendor);
    let failed = || EngineError::database(&target.alias);
    let exists = database.exists().map_err(failed())?;
    let live = if exists { live_counts(database.as_ref()) } else { BTreeMap::new() };
    let way = database.plan(&captured, BUSY_TIMEOUT).map_err(failed())?;
    let migrations = plan.manifest.metadata.migrations.get(source);
    Ok(DatabasePlan {
        source: source.to_owned(),
        exists,
        elsewhere,
        bytes: held.map_or(0, |h| h.bytes),
        tables: tables(&live, &captured.tables),
        gap: compatibility::gap(site, migrations.map(Vec::as_slice)).filter(|_| !elsewhere),
        way,
        captured,
        target,
    })
}

/// What is to be known beforehand of a switch that keeps no old copy.
fn no_rollback(database: &DatabasePlan, pre_backup: bool) -> Option<String> {
    let (alias, way) = (&database.target.alias, &database.way);
    let old = if pre_backup {
        "the old ones are in the backup that is made first"
    } else {
        "the old ones are gone then, since no backup is made first"
    };
    (!way.keeps && database.exists && !database.elsewhere)
        .then(|| format!("database {alias}: {}; there will be no rollback, {old}", way.way))
}

/// A restore beside the site never touches anything that exists.
fn new_place(path: &Path) -> Result<LiveDatabase, EngineError> {
    require_absent(path)?;
    let text = path.to_string_lossy();
    for end in ["-wal", "-shm", "-journal"] {
        if text.strip_suffix(end).is_some_and(|database| Path::new(database).exists()) {
            return Err(EngineError::Request {
                problem: format!(
                    "`{text}` is a name that SQLite uses for `{}`",
                    &text[..text.len() - end.len()]
                ),
                hint: None,
            });
        }
    }
    Ok(LiveDatabase {
        alias: path.display().to_string(),
        engine: None,
        database: Arc::new(sqlite::Location::new(path)),
    })
}

/// A database of this name on a server that the site uses; none of the others is touched.
fn new_on_server(
    site: &Site,
    vendor: &str,
    (host, port): (Option<&str>, Option<u16>),
    name: &str,
) -> Result<LiveDatabase, EngineError> {
    let fits = |access: &Access| {
        access.vendor() == vendor
            && host.is_none_or(|host| access.host() == host)
            && port.is_none_or(|port| access.port() == port)
    };
    let access = site.servers().into_iter().find(fits);
    let access = access.ok_or_else(|| EngineError::Request {
        problem: format!("no database of this site is on that {vendor} server"),
        hint: Some(format!(
            "`--to-database {vendor}:///NAME` makes a new database on the server of the site."
        )),
    })?;
    let database = access.of_database(name).database();
    let alias = database.place().to_string();
    if database.exists().map_err(EngineError::database(&alias))? {
        let taken = DatabaseError::Taken { place: database.place() };
        return Err(EngineError::database(&alias)(taken));
    }
    Ok(LiveDatabase { alias, engine: None, database })
}

/// Rows of the live tables; a live database that cannot be read has none that could be shown, and
/// that is no reason not to restore it.
fn live_counts(database: &dyn Database) -> BTreeMap<String, Option<u64>> {
    database
        .table_counts(BUSY_TIMEOUT, &mut Quiet)
        .map(|tables| tables.into_iter().map(|t| (t.name, t.rows)).collect())
        .unwrap_or_default()
}

fn tables(live: &BTreeMap<String, Option<u64>>, after: &[TableCount]) -> Vec<TablePlan> {
    let mut names: Vec<&String> = live.keys().chain(after.iter().map(|t| &t.name)).collect();
    names.sort();
    names.dedup();
    let plan = |name: &String| TablePlan {
        name: name.clone(),
        now: live.get(name).copied().flatten(),
        after: after.iter().find(|t| t.name == *name).and_then(|t| t.rows),
    };
    names.into_iter().map(plan).collect()
}
