use std::path::Path;

use rusqlite::{Error, ErrorCode};

use crate::{DatabaseError, Place, holders};

const READONLY_RECOVERY: i32 = 8 | (1 << 8);
const READONLY_ROLLBACK: i32 = 8 | (3 << 8);

/// What a failed step of the library means to the operator.
pub(super) fn failed(action: &'static str, path: &Path) -> impl FnOnce(Error) -> DatabaseError {
    move |source| {
        let path = path.to_owned();
        match (source.sqlite_error_code(), source.sqlite_extended_error_code()) {
            (Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked), _) => locked(action, &path),
            (Some(ErrorCode::NotADatabase), _) => DatabaseError::NotADatabase { path },
            (Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied), _) => {
                DatabaseError::NoAccess { path, source }
            }
            (_, Some(READONLY_ROLLBACK | READONLY_RECOVERY)) => {
                DatabaseError::NeedsRecovery { path }
            }
            (Some(ErrorCode::ReadOnly), _) => DatabaseError::ReadOnly { path },
            (Some(ErrorCode::OperationInterrupted), _) => DatabaseError::Cancelled,
            _ => DatabaseError::Sqlite { action, path, source },
        }
    }
}

pub(super) fn locked(action: &'static str, path: &Path) -> DatabaseError {
    DatabaseError::Locked {
        action,
        place: Place::file_at(path),
        holders: holders(path).unwrap_or_default(),
    }
}
