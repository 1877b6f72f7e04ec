//! What went wrong, as far as a caller acts on it.

/// The kind of an error: one row of the outcome table.
///
/// The numbers are exit codes of the command line and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Failed for a reason of its own.
    Failed,
    /// The request itself is wrong.
    Usage,
    /// Finished, but not all of it.
    Partial,
    /// No such backup or restore.
    NotFound,
    /// Somebody else holds what is needed.
    Locked,
    /// Wrong key or passphrase.
    WrongKey,
    /// Refused, since it would endanger data.
    Refused,
    /// Verification or a drill found damage.
    Damaged,
    /// Cancelled by the operator.
    Cancelled,
}

impl ErrorKind {
    /// The exit code of the command line.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Partial => 3,
            Self::NotFound => 10,
            Self::Locked => 11,
            Self::WrongKey => 12,
            Self::Refused => 13,
            Self::Damaged => 20,
            Self::Cancelled => 130,
        }
    }

    /// The name used in JSON reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::Partial => "partial",
            Self::NotFound => "not_found",
            Self::Locked => "locked",
            Self::WrongKey => "wrong_key",
            Self::Refused => "refused",
            Self::Damaged => "damaged",
            Self::Cancelled => "cancelled",
        }
    }
}
