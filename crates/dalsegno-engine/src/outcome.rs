//! The one outcome table: what an error's kind means to each face.

use dalsegno_format::ErrorKind;

/// One row: what each face answers when a verb ends with this kind of error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// The kind.
    pub kind: ErrorKind,
    /// Exit code of the command line.
    pub exit_code: u8,
    /// Status of the REST API.
    pub http_status: u16,
    /// Exception of the Python API, in `dalsegno.errors`.
    pub python: &'static str,
}

const fn row(kind: ErrorKind, exit_code: u8, http_status: u16, python: &'static str) -> Outcome {
    Outcome { kind, exit_code, http_status, python }
}

/// The table, in the order of the exit codes.
pub const OUTCOMES: [Outcome; 9] = [
    row(ErrorKind::Failed, 1, 500, "BackupError"),
    row(ErrorKind::Usage, 2, 400, "UsageError"),
    row(ErrorKind::Partial, 3, 200, "PartialError"),
    row(ErrorKind::NotFound, 10, 404, "NotFoundError"),
    row(ErrorKind::Locked, 11, 423, "LockedError"),
    row(ErrorKind::WrongKey, 12, 403, "WrongKeyError"),
    row(ErrorKind::Refused, 13, 409, "RefusedError"),
    row(ErrorKind::Damaged, 20, 422, "DamagedError"),
    row(ErrorKind::Cancelled, 130, 499, "CancelledError"),
];

/// The row of a kind; a kind without a row of its own is a plain failure.
pub fn outcome(kind: ErrorKind) -> Outcome {
    OUTCOMES.into_iter().find(|row| row.kind == kind).unwrap_or(OUTCOMES[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_agrees_with_the_exit_codes() {
        for row in OUTCOMES {
            assert_eq!(row.exit_code, row.kind.exit_code(), "{:?}", row.kind);
            assert_eq!(outcome(row.kind), row);
        }
    }
}
