//! Names of objects.

use std::fmt;

use crate::StoreError;

/// The name of an object: one file name, UTF-8, that starts with no dot (those are work in
/// progress) and holds no `/`, no NUL and no control character.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName(String);

impl ObjectName {
    /// Checks and takes a name.
    pub fn new(name: impl Into<String>) -> Result<Self, StoreError> {
        let name = name.into();
        let bad = name.is_empty()
            || name.len() > 255
            || name.starts_with('.')
            || name.contains('/')
            || name.chars().any(char::is_control);
        if bad { Err(StoreError::Name { name }) } else { Ok(Self(name)) }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
