use super::names::Names;
use super::preflight;
use super::rights::{Rights, sessions_of};
use super::rows_alone::same_schema;
use super::session::{maintenance, session};
use crate::postgres::Access;
use crate::{Captured, Quiet, Result, SwitchPlan};

/// How a restore would be put in place; refused where it could not be.
pub fn plan(access: &Access, captured: &Captured) -> Result<SwitchPlan> {
    let names = Names::new(&access.database, "plan")?;
    let mut server = maintenance(access)?;
    let rights = Rights::ask(&mut server, &names.live)?;
    if !rights.may_rename() {
        rows_instead(access, &rights)?;
        same_schema(access, &captured.fingerprint, &Quiet)?;
        return Ok(SwitchPlan {
            way: "the rows replaced in one transaction".to_owned(),
            keeps: false,
            notes: vec![
                format!("{}: no new database is made", rights.lacks()),
                "the old rows are not kept: there is no rollback of the database".to_owned(),
                "clients wait until the restore is over".to_owned(),
            ],
            holders: sessions_of(&mut server, &access.database)?,
        });
    }
    if rights.owns_live.is_none() {
        let way = "a new database".to_owned();
        return Ok(SwitchPlan { way, keeps: true, notes: Vec::new(), holders: Vec::new() });
    }
    preflight::unbound(&mut server, access)?;
    Ok(SwitchPlan {
        way: "a new database, renamed in one transaction".to_owned(),
        keeps: true,
        notes: vec!["sessions of the live database are ended; clients connect again".to_owned()],
        holders: sessions_of(&mut server, &access.database)?,
    })
}

/// Refuses a role that may not even replace the rows.
pub(super) fn rows_instead(access: &Access, rights: &Rights) -> Result<()> {
    let place = access.place();
    if rights.owns_live.is_none() {
        return Err(preflight::refused(
            &place,
            format!("{}, and there is none to write into", rights.lacks()),
            "Create it, or let the role create databases (`CREATEDB`).".to_owned(),
        ));
    }
    preflight::owns_all(&mut session(access, &access.database)?, rights, &place)
}
