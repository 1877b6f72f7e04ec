//! What an error means to the caller.

use dalsegno_format::ErrorKind;

use super::EngineError;

impl EngineError {
    /// The row of the outcome table.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Project(e) => e.kind(),
            Self::Archive(e) => e.kind(),
            Self::Database { source, .. } => source.kind(),
            Self::Media { source, .. } => source.kind(),
            Self::Store(e) => e.kind(),
            Self::Io { .. } | Self::SwitchStuck { .. } => ErrorKind::Failed,
            Self::NoSuchBackup { .. }
            | Self::OnlyPartial { .. }
            | Self::NoSuchPath { .. }
            | Self::NoSuchRestore { .. } => ErrorKind::NotFound,
            Self::Ambiguous { .. }
            | Self::UnknownAlias { .. }
            | Self::UnknownModel { .. }
            | Self::Request { .. }
            | Self::NotInBackup { .. } => ErrorKind::Usage,
            Self::Busy { .. } => ErrorKind::Locked,
            Self::Damaged { .. } | Self::Unsound { .. } => ErrorKind::Damaged,
            Self::PreBackup(e) | Self::SwitchUndone(e) | Self::SwitchedInPart { first: e, .. } => {
                e.kind()
            }
            Self::Unended { source, .. }
            | Self::RollbackStuck { source, .. }
            | Self::DiscardStuck { source, .. } => source.kind(),
            Self::Cancelled => ErrorKind::Cancelled,
            Self::RestoreState { .. }
            | Self::NoRollback { .. }
            | Self::NotABackup { .. }
            | Self::RecordPlaces { .. }
            | Self::ElsewhereNow { .. }
            | Self::OtherMount { .. }
            | Self::FixtureChanged { .. }
            | Self::OtherSite { .. }
            | Self::Interrupted { .. }
            | Self::OutputNotWritable { .. }
            | Self::NotYet { .. }
            | Self::Vendor { .. }
            | Self::BrokenAlias { .. }
            | Self::InMemory { .. }
            | Self::WrongEngine { .. }
            | Self::NewerBackup { .. }
            | Self::OlderBackup { .. }
            | Self::OtherProject { .. }
            | Self::UnsafeRoot { .. }
            | Self::NoSpace { .. }
            | Self::NoRoom { .. }
            | Self::NotWritable { .. }
            | Self::Consent { .. }
            | Self::Declined { .. } => ErrorKind::Refused,
        }
    }
}
