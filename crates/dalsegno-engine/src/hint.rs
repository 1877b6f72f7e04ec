//! What to do next, for each error.

use crate::EngineError;

/// A cause's own hint, if it has one, and what to do after it.
fn then(source: &EngineError, next: &str) -> String {
    source.hint().map_or_else(|| next.to_owned(), |hint| format!("{hint} {next}"))
}

impl EngineError {
    /// The next thing to do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Project(e) => e.hint(),
            Self::Archive(e) => e.hint(),
            Self::Database { source, .. } => source.hint(),
            Self::Media { source, .. } => source.hint(),
            Self::Store(e) => e.hint(),
            Self::PreBackup(e) => Some(match e.hint() {
                Some(hint) => format!("{hint} Or restore without it: `--no-pre-backup`."),
                None => "Restore without it: `--no-pre-backup`.".to_owned(),
            }),
            Self::SwitchUndone(e) => e.hint(),
            Self::NoRollback { pre_backup, .. } | Self::SwitchedInPart { pre_backup, .. } => {
                Some(match pre_backup {
                    Some(path) => {
                        format!("`dalsegno restore '{}'` brings the old rows back.", path.display())
                    }
                    None => "Restore a backup that was made before it.".to_owned(),
                })
            }
            Self::Unended { id, source, .. } => Some(then(
                source,
                &format!("Once that is put right, `dalsegno rollback {id}` ends it."),
            )),
            Self::RollbackStuck { id, source, .. } => Some(then(
                source,
                &format!(
                    "`dalsegno rollback {id}` goes on from there; until then keep the site stopped."
                ),
            )),
            Self::DiscardStuck { id, .. } if self.is_denied() => Some(format!(
                "Run `dalsegno discard {id}` as root, or as the owner of the folder it lies in: what could be removed is gone."
            )),
            Self::DiscardStuck { id, .. } => {
                Some(format!("Once that is put right, run `dalsegno discard {id}` again."))
            }
            other => other.hint_on_request().or_else(|| other.hint_on_site()),
        }
    }

    /// Hints on what was asked for.
    fn hint_on_request(&self) -> Option<String> {
        let hint = match self {
            Self::NoSuchBackup { searched, .. } => format!(
                "Searched {}. `dalsegno list` shows the backups there are; a path works too.",
                searched
                    .iter()
                    .map(|p| format!("`{}`", p.display()))
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
            Self::OnlyPartial { .. } => {
                "Name the one to restore; `dalsegno show` tells what it lacks.".to_owned()
            }
            Self::OtherSite { theirs, .. } => {
                format!("Run it there: `dalsegno --project {}`.", theirs.display())
            }
            Self::Interrupted { id, .. } => format!(
                "`dalsegno rollback {id} --force` puts the old data back and keeps what is there now."
            ),
            Self::FixtureChanged { .. } => {
                "Use `--force` to roll back all the same; the edited file is kept.".to_owned()
            }
            Self::ElsewhereNow { alias, .. } => {
                return Some(format!(
                    "Let `{alias}` in the `DATABASES` setting name it once more, then run this again."
                ));
            }
            Self::OtherMount { then, .. } => {
                format!("Mount what belongs at `{}` and try again.", then.display())
            }
            Self::RecordPlaces { .. } => {
                "Look at the record; if the settings changed since, put the old data back by hand."
                    .to_owned()
            }
            Self::NotABackup { .. } => {
                "Only archives and folders that Dalsegno made are deleted.".to_owned()
            }
            Self::RestoreState { .. } => {
                "`dalsegno doctor` lists the restores that keep old data.".to_owned()
            }
            Self::NoSuchPath { .. } => {
                "Check the path; `dalsegno list` shows the project's backups.".to_owned()
            }
            Self::Ambiguous { .. } => "Give the id, or more of it.".to_owned(),
            Self::NoSuchRestore { known, .. } if known.is_empty() => {
                "This project has no restore that could be undone.".to_owned()
            }
            Self::NoSuchRestore { known, .. } => format!("Known restores: {}.", known.join(", ")),
            Self::UnknownAlias { known, what, .. } => format!(
                "The project's {what}s: {}.",
                if known.is_empty() { "none".to_owned() } else { known.join(", ") }
            ),
            Self::UnknownModel { nearest: Some(nearest), .. } => {
                format!("Did you mean `{nearest}`?")
            }
            Self::UnknownModel { .. } => "`dalsegno describe` lists the models.".to_owned(),
            Self::Request { hint, .. } => return hint.clone(),
            Self::NotInBackup { .. } => {
                "`--from-database` names one of those, `--skip-database` none.".to_owned()
            }
            Self::OlderBackup { .. } => {
                "`--no-migrate` takes the backup as it is; run `manage.py migrate` afterwards."
                    .to_owned()
            }
            Self::OtherProject { .. } => {
                "If that is what you want, repeat with `--other-project`.".to_owned()
            }
            Self::Consent { .. } => "Repeat with `--force` to answer yes.".to_owned(),
            _ => return None,
        };
        Some(hint)
    }

    /// Hints on what was found.
    fn hint_on_site(&self) -> Option<String> {
        let hint = match self {
            Self::OutputNotWritable { .. } => {
                "Run as the site's user, or choose another folder with `--output-dir`.".to_owned()
            }
            Self::NotYet { setting, .. } => {
                format!("Set `{setting}` to False, or wait for the version that can.")
            }
            Self::Vendor { .. } => {
                "SQLite, PostgreSQL, MySQL and MariaDB are supported, others where Django is. Name \
                 another alias with `--database`, or use `--skip-database`."
                    .to_owned()
            }
            Self::BrokenAlias { .. } => {
                "Install what Django asks for, or name another alias with `--database`.".to_owned()
            }
            Self::InMemory { .. } => {
                "Use `--skip-database`, or name another alias with `--database`.".to_owned()
            }
            Self::WrongEngine { .. } => {
                "A native backup goes back to the engine it came from; name a fitting target with `--database`.".to_owned()
            }
            Self::NewerBackup { .. } => {
                "Deploy the code the backup was made with, or newer, and restore again.".to_owned()
            }
            Self::UnsafeRoot { .. } => {
                "Set MEDIA_ROOT (or the storage's `location`) to a folder of its own, or use `--skip-media`.".to_owned()
            }
            Self::NoSpace { .. } => {
                "Free some space, or choose another folder with `--output-dir`.".to_owned()
            }
            Self::NoRoom { folder, .. } => {
                format!("Free some space in `{}`: the old data are kept there until you discard them.", folder.display())
            }
            Self::NotWritable { path, .. } => {
                format!("Run as the site's user, or give this one the right to write `{}`.", path.display())
            }
            Self::Busy { .. } => "Wait until it ends, or stop that process.".to_owned(),
            Self::Damaged { .. } => {
                "Use another backup (`dalsegno list`), or skip the check with `--no-backup-check`.".to_owned()
            }
            Self::Unsound { path, database, .. } => format!(
                "Use another backup (`dalsegno list`); what is left of this one comes out with \
                 `dalsegno get {} {}/db.sqlite3 -o FILE`.",
                path.display(),
                dalsegno_format::tree::database(database)
            ),
            Self::SwitchStuck { restore, .. } => {
                format!("Stop the site and run `dalsegno rollback {restore}`.")
            }
            _ => return None,
        };
        Some(hint)
    }
}
