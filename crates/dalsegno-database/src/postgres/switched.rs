use serde::{Deserialize, Serialize};

use crate::Place;

/// How a staged copy was put in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// There was no live database: the new one got its name.
    Create,
    /// Two databases changed names in one transaction.
    Rename,
    /// Everything was written inside one transaction of the live database, the old objects moved
    /// into a schema of their own.
    Schema,
    /// The rows were replaced in one transaction; the old ones are not kept.
    Rows,
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
    /// The complete old database, or the schema in the live one that holds it; `None` if there was
    /// none, or it could not be kept.
    pub kept: Option<Place>,
    /// What tells later whether the live database was written to.
    pub content: String,
    /// For how long, in milliseconds, clients of the live database were refused; 0 if that was not
    /// measured.
    #[serde(default)]
    pub refused_for_ms: u64,
}
