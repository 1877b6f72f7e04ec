//! What killed runs and undecided restores left behind, and what becomes of it.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use dalsegno_format::tree;
use dalsegno_store::{Leftover, Life, leftovers};

use super::Findings;
use crate::Site;
use crate::lock::Lock;
use crate::restore::{Left, RestoreRecord, State, left, records_aside, told, unreadable_records};
use crate::verify::SCRATCH;

/// What killed backups, deletions and looks into backups left in the folders of backups and scratch.
pub(super) fn backups(site: &Site, findings: &mut Findings) {
    for folder in site.folders() {
        match leftovers(&folder) {
            Ok(left) => left.iter().for_each(|left| unfinished(left, findings)),
            Err(error) => findings.warning(error.to_string(), error.hint()),
        }
        names(&folder, findings);
    }
    for folder in [site.settings().temp.clone(), std::env::temp_dir()] {
        for left in leftovers(&folder).unwrap_or_default() {
            let ours = left.object.as_ref().is_some_and(|object| object.as_str() == SCRATCH);
            if ours && left.life != Life::Alive {
                findings.warning(
                    format!("a killed `verify` or `diff` left `{}`", left.path.display()),
                    match &left.life {
                        Life::Unknown(why) => {
                            format!("Delete it when neither is running: {why}.")
                        }
                        _ => "The next `verify --deep` or `diff` there removes it.".to_owned(),
                    },
                );
            }
        }
    }
}

fn unfinished(left: &Leftover, findings: &mut Findings) {
    let path = left.path.display();
    match &left.life {
        Life::Alive => {}
        Life::Dead if left.path.extension().is_some_and(|e| e == "removed") => findings.warning(
            format!("a deletion was interrupted: `{path}` is what remains of a backup"),
            "The next `dalsegno backup` or `dalsegno delete` in that folder removes it.".to_owned(),
        ),
        Life::Dead => findings.warning(
            format!("a killed backup left `{path}`"),
            "The next `dalsegno backup` or `dalsegno delete` in that folder removes it.".to_owned(),
        ),
        Life::Unknown(why) => findings.warning(
            format!("an unfinished backup was left: `{path}` ({why})"),
            "Delete it when no backup is running.".to_owned(),
        ),
    }
}

/// Sidecars of nothing, and spools whose process died before it could take their names away.
fn names(folder: &Path, findings: &mut Findings) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut names: Vec<OsString> = entries.flatten().map(|entry| entry.file_name()).collect();
    names.sort();
    for name in names {
        let path = folder.join(&name);
        let shown = path.display();
        let name = name.to_string_lossy();
        let spool = name.starts_with(".spool-")
            || (name.starts_with(".dalsegno-") && name.ends_with(".spool"));
        if spool {
            findings.warning(
                format!("a killed run left `{shown}`"),
                "It holds nothing: delete it when no backup is running.".to_owned(),
            );
        } else if let Some(archive) = name.strip_suffix(tree::SIDECAR)
            && !name.starts_with('.')
            && folder.join(archive).symlink_metadata().is_err()
        {
            findings.warning(
                format!("`{shown}` describes an archive that is not there"),
                "Delete it, unless the archive is to come back.".to_owned(),
            );
        }
    }
}

/// What restores keep, and what killed ones left.
pub(super) fn restores(site: &Site, findings: &mut Findings) {
    for error in unreadable_records(site) {
        findings.warning(
            format!("{error}: that restore can be neither rolled back nor discarded"),
            "Look at the file; if no data of it are kept, delete it.".to_owned(),
        );
    }
    let records = match crate::restore::restores(site) {
        Ok(records) => records,
        Err(error) => return findings.bad(error.to_string(), error.hint()),
    };
    let running = Lock::is_taken(&site.settings().root);
    for record in &records {
        decided(record, running, findings);
    }
    if !running {
        aside(&records_aside(site), findings);
    }
    for left in left(site) {
        beside(&left, &records, &site.settings().root, findings);
    }
}

fn decided(record: &RestoreRecord, running: bool, findings: &mut Findings) {
    let id = record.id;
    match record.state {
        State::Switched | State::RolledBack if record.keeps().is_empty() => {}
        State::RolledBack => findings.warning(
            format!("restore {id} was rolled back; what was written after it is kept"),
            format!("`dalsegno discard {id}` drops it."),
        ),
        State::Switched if !record.in_place().is_empty() => findings.warning(
            format!("restore {id} of {} keeps old data", record.backup_name),
            format!(
                "`dalsegno discard {id}` drops them; it cannot be rolled back, since it replaced rows in \
                 place."
            ),
        ),
        State::Switched => findings.warning(
            format!("restore {id} of {} keeps the old data", record.backup_name),
            format!("`dalsegno discard {id}` drops them, `dalsegno rollback {id}` puts them back."),
        ),
        State::Failed | State::Discarded => {}
        _ if running => findings.good(format!("restore {id} is under way")),
        State::Switching | State::RollingBack => {
            let told = told(record);
            findings.bad(told.text, told.hint);
        }
        State::Staging | State::Discarding => {
            let told = told(record);
            findings.warning(told.text, told.hint);
        }
    }
}

fn aside(paths: &[PathBuf], findings: &mut Findings) {
    for path in paths {
        findings.warning(
            format!("a killed run left `{}`", path.display()),
            "The next restore, rollback or discard removes it.".to_owned(),
        );
    }
}

/// What lies beside live data. What a record keeps, or brings to an end, was told with the record.
fn beside(left: &Left, records: &[RestoreRecord], root: &Path, findings: &mut Findings) {
    let path = &left.place;
    let Some(record) = left.record(records) else {
        let records = root.join("restores");
        return findings.warning(
            format!(
                "`{path}` is of a restore that has no record in `{}`",
                records.display()
            ),
            if left.unfinished {
                "If no other settings of this site name another BACKUP_ROOT, and no restore is running, delete it."
            } else {
                "It may be the only copy of what was there before a restore: look at it before you delete it."
            }
            .to_owned(),
        );
    };
    let id = record.id;
    match record.state {
        State::Staging | State::Switching | State::RollingBack | State::Discarding => {}
        _ if left.unfinished => findings.warning(
            format!("`{path}` was left by restore {id}, which is over"),
            "The next restore, rollback or discard removes it.".to_owned(),
        ),
        State::Switched | State::RolledBack => {}
        State::Failed | State::Discarded => findings.warning(
            format!("`{path}` was left by restore {id}, which is over ({})", record.state.words()),
            "It may be the only copy of what was there before: look at it before you delete it."
                .to_owned(),
        ),
    }
}
