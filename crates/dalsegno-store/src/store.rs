//! The port every store implements.

use std::io::Read;
use std::time::SystemTime;

use crate::{ObjectName, StoreError};

/// One object of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// Its name.
    pub name: ObjectName,
    /// Its bytes.
    pub size: u64,
    /// When it was put.
    pub modified: SystemTime,
}

/// Immutable objects under plain names.
///
/// - `put` is all or nothing: after an error, or a crash at any instant, the name is either absent
///   or holds all bytes; a name that exists is refused and left as it is.
/// - What `put` returned is durable: it survives a power cut.
/// - `list` shows no unfinished object.
/// - `delete` of an absent name is not an error, so that it may be repeated.
pub trait Store: Send + Sync {
    /// Stores all of `body` under `name`; returns its size in bytes.
    fn put(&self, name: &ObjectName, body: &mut dyn Read) -> Result<u64, StoreError>;

    /// Reads an object from its first byte.
    fn get(&self, name: &ObjectName) -> Result<Box<dyn Read + Send>, StoreError>;

    /// All finished objects, by name.
    fn list(&self) -> Result<Vec<Listing>, StoreError>;

    /// Removes an object.
    fn delete(&self, name: &ObjectName) -> Result<(), StoreError>;

    /// What the store is, for messages: a path or an address without secrets.
    fn describe(&self) -> String;
}
