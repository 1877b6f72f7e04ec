//! Free-form values: options of databases and `BACKUP_*` settings.

use std::collections::BTreeMap;
use std::fmt;

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Value, json};

use crate::masking::masked;

/// `OPTIONS` of a database. Shown, values with a secret name are masked.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct DatabaseOptions(BTreeMap<String, Value>);

impl DatabaseOptions {
    /// The value of one option.
    pub fn expose(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// Names of all options.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl FromIterator<(String, Value)> for DatabaseOptions {
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(options: I) -> Self {
        Self(options.into_iter().collect())
    }
}

impl fmt::Debug for DatabaseOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.iter().map(|(name, v)| (name, masked(name, v)))).finish()
    }
}

impl Serialize for DatabaseOptions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, &masked(name, value))?;
        }
        map.end()
    }
}

/// Where a setting came from; the earlier wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SettingOrigin {
    /// The Django settings.
    Setting,
    /// The `[settings]` of a configuration file.
    Config,
    /// The environment, as the settings module left it.
    Environment,
}

impl fmt::Display for SettingOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Setting => "Django setting",
            Self::Config => "configuration file",
            Self::Environment => "environment variable",
        })
    }
}

/// One `BACKUP_*` value.
///
/// What Python cannot say in JSON is an object `{"$unsupported": "its.Type"}`.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct SettingValue {
    /// Where it came from.
    pub origin: SettingOrigin,
    value: Value,
}

impl SettingValue {
    /// The value itself.
    pub fn expose(&self) -> &Value {
        &self.value
    }
}

/// Every `BACKUP_*` value by name. Shown, secrets are masked.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct SettingValues(BTreeMap<String, SettingValue>);

impl SettingValues {
    /// The value of one name.
    pub fn get(&self, name: &str) -> Option<&SettingValue> {
        self.0.get(name)
    }

    /// All names with their values, in order of names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &SettingValue)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Adds a value unless the name has one.
    pub fn fill_in(&mut self, name: impl Into<String>, origin: SettingOrigin, value: Value) {
        self.0.entry(name.into()).or_insert(SettingValue { origin, value });
    }
}

impl fmt::Debug for SettingValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.0.iter().map(|(name, v)| (name, masked(name, &v.value))))
            .finish()
    }
}

impl Serialize for SettingValues {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, SettingValue { origin, value }) in &self.0 {
            map.serialize_entry(name, &json!({"origin": origin, "value": masked(name, value)}))?;
        }
        map.end()
    }
}
