use serde::{Deserialize, Serialize};

use crate::Place;

/// How a staged copy was put in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// All tables changed schema in one `RENAME TABLE`.
    Rename,
    /// The same, with a short window in which triggers were dropped and made again.
    RenameWithTriggers,
}

/// The record of a switch that took place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switched {
    /// The live database.
    pub live: Place,
    /// The restore.
    pub restore_id: String,
    /// How it was done.
    pub way: Way,
    /// The schema that holds the old tables; `None` if there were none.
    pub kept: Option<Place>,
    /// What tells later whether the live database was written to.
    pub content: String,
}
