use super::names::Names;
use super::preflight;
use super::rights::{Rights, sessions_of};
use super::session::maintenance;
use crate::postgres::Access;
use crate::{Captured, Result, SwitchPlan};

/// How a restore would be put in place; refused where it could not be.
pub fn plan(access: &Access, _: &Captured) -> Result<SwitchPlan> {
    let names = Names::new(&access.database, "plan")?;
    let mut server = maintenance(access)?;
    let rights = Rights::ask(&mut server, &names.live)?;
    preflight::may_rename(&rights, &access.place())?;
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
