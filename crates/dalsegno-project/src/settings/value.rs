//! Values of one kind each, out of what settings modules and environments hold.

use std::path::{Path, PathBuf};

use dalsegno_format::ByteSize;
use serde_json::Value;

use crate::descriptor::{SettingOrigin, SettingValue, SettingValues};
use crate::error::ProjectError;
use crate::masking::masked;

/// Where values are looked up, and what paths start from.
pub(super) struct Values<'a> {
    pub(super) settings: &'a SettingValues,
    pub(super) base: &'a Path,
    pub(super) home: Option<&'a Path>,
}

const FLAG: &str = "true, false, 1, 0, yes or no";

impl Values<'_> {
    /// The value, unless there is none: None in the settings, empty in the environment.
    fn get(&self, name: &str) -> Option<&SettingValue> {
        self.settings.get(name).filter(|found| match found.expose() {
            Value::Null => false,
            Value::String(text) => found.origin != SettingOrigin::Environment || !text.is_empty(),
            _ => true,
        })
    }

    pub(super) fn flag(&self, name: &str, default: bool) -> Result<bool, ProjectError> {
        let Some(found) = self.get(name) else { return Ok(default) };
        let flag = match found.expose() {
            Value::Bool(flag) => Some(*flag),
            Value::Number(number) => match number.as_u64() {
                Some(0) => Some(false),
                Some(1) => Some(true),
                _ => None,
            },
            Value::String(text) => match text.trim().to_ascii_lowercase().as_str() {
                "true" | "1" | "yes" => Some(true),
                "false" | "0" | "no" => Some(false),
                _ => None,
            },
            _ => None,
        };
        flag.ok_or_else(|| wrong(name, found, FLAG))
    }

    /// A whole number from 1.
    pub(super) fn number(&self, name: &str, default: u32) -> Result<u32, ProjectError> {
        let Some(found) = self.get(name) else { return Ok(default) };
        whole(found.expose())
            .and_then(|number| u32::try_from(number).ok())
            .filter(|number| *number > 0)
            .ok_or_else(|| wrong(name, found, "a whole number from 1"))
    }

    /// A whole number from 1, or None.
    pub(super) fn limit(&self, name: &str, default: u32) -> Result<Option<u32>, ProjectError> {
        if self.says_none(name) { Ok(None) } else { self.number(name, default).map(Some) }
    }

    pub(super) fn port(&self, name: &str, default: u16) -> Result<u16, ProjectError> {
        let Some(found) = self.get(name) else { return Ok(default) };
        whole(found.expose())
            .and_then(|number| u16::try_from(number).ok())
            .filter(|port| *port > 0)
            .ok_or_else(|| wrong(name, found, "a port from 1 to 65535"))
    }

    /// A size; 0 and None stand for no limit.
    pub(super) fn size(
        &self,
        name: &str,
        default: ByteSize,
    ) -> Result<Option<ByteSize>, ProjectError> {
        if self.says_none(name) {
            return Ok(None);
        }
        let Some(found) = self.get(name) else { return Ok(Some(default)) };
        let size = match found.expose() {
            Value::Number(number) => number.as_u64().map(ByteSize),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        let size = size.ok_or_else(|| wrong(name, found, "a size such as `10GiB`, or bytes"))?;
        Ok(Some(size).filter(|size| size.0 > 0))
    }

    /// Mode bits: a text is octal, with `0o` or without; a number is what Python made of it.
    pub(super) fn mode(&self, name: &str, default: u32) -> Result<u32, ProjectError> {
        let Some(found) = self.get(name) else { return Ok(default) };
        let mode = match found.expose() {
            Value::Number(number) => number.as_u64().and_then(|mode| u32::try_from(mode).ok()),
            Value::String(text) => {
                let digits = text.trim();
                let digits = digits.strip_prefix("0o").unwrap_or(digits);
                let octal = digits.bytes().all(|digit| digit.is_ascii_digit());
                octal.then(|| u32::from_str_radix(digits, 8).ok()).flatten()
            }
            _ => None,
        };
        mode.filter(|mode| *mode <= 0o777 && mode & 0o400 != 0).ok_or_else(|| {
            wrong(name, found, "an octal mode that lets the owner read, such as 0o600")
        })
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<String>, ProjectError> {
        let Some(found) = self.get(name) else { return Ok(None) };
        match found.expose() {
            Value::String(text) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
            _ => Err(wrong(name, found, "a text")),
        }
    }

    pub(super) fn path(&self, name: &str) -> Result<Option<PathBuf>, ProjectError> {
        let Some(found) = self.get(name) else { return Ok(None) };
        let Value::String(text) = found.expose() else {
            return Err(wrong(name, found, "a path"));
        };
        if text.is_empty() || text.contains('\0') {
            return Err(wrong(name, found, "a path"));
        }
        let in_home = match text.strip_prefix('~') {
            Some("") => Some(""),
            Some(rest) => rest.strip_prefix('/'),
            None => None,
        };
        Ok(Some(match (in_home, self.home) {
            (Some(rest), Some(home)) => home.join(rest),
            (Some(_), None) => {
                return Err(wrong(name, found, "a path without `~`, since HOME is not set"));
            }
            (None, _) => self.base.join(text),
        }))
    }

    /// A list of texts: itself, JSON, or parts between commas. Empty is a list of none.
    pub(super) fn list(&self, name: &str) -> Result<Option<Vec<String>>, ProjectError> {
        let Some(found) = self.settings.get(name) else { return Ok(None) };
        let texts = |items: &[Value]| -> Option<Vec<String>> {
            items.iter().map(|item| item.as_str().map(str::to_owned)).collect()
        };
        let list = match found.expose() {
            Value::Null => return Ok(None),
            Value::Array(items) => texts(items),
            Value::String(text) if text.trim_start().starts_with('[') => {
                // A pattern may begin with a bracket too.
                match serde_json::from_str::<Vec<Value>>(text) {
                    Ok(items) => texts(&items),
                    Err(_) => Some(between_commas(text)),
                }
            }
            Value::String(text) => Some(between_commas(text)),
            _ => None,
        };
        list.map(Some).ok_or_else(|| wrong(name, found, "a list of texts"))
    }

    /// Free-form JSON: itself, or a text that holds it.
    pub(super) fn json(&self, name: &str) -> Result<Option<Value>, ProjectError> {
        let Some(found) = self.get(name) else { return Ok(None) };
        let value = match found.expose() {
            Value::String(text) => serde_json::from_str(text).ok(),
            value => Some(value.clone()),
        };
        value
            .filter(|value: &Value| value.is_object() || value.is_array())
            .map(Some)
            .ok_or_else(|| wrong(name, found, "a dictionary or a list"))
    }

    fn says_none(&self, name: &str) -> bool {
        self.settings.get(name).is_some_and(|found| match found.expose() {
            Value::Null => true,
            Value::String(text) => text.trim().eq_ignore_ascii_case("none"),
            _ => false,
        })
    }
}

fn whole(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn between_commas(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

fn wrong(name: &str, found: &SettingValue, expected: &str) -> ProjectError {
    const SHOWN: usize = 80;
    let text = match masked(name, found.expose()) {
        Value::String(text) => text,
        Value::Object(members) if members.contains_key("$unsupported") => {
            let kind = members["$unsupported"].as_str().unwrap_or_default();
            format!("a {kind}")
        }
        value => value.to_string(),
    };
    let mut value: String = text.chars().take(SHOWN).collect();
    if text.chars().nth(SHOWN).is_some() {
        value.push('…');
    }
    ProjectError::BadSetting {
        name: name.to_owned(),
        origin: found.origin,
        value,
        expected: expected.to_owned(),
    }
}
