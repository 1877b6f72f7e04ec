//! Which parts of free-form settings are secret, told by their names.

use dalsegno_format::MASK;
use serde_json::Value;

/// Whether a value under this name is to be masked.
///
/// `key` alone counts, `key_file` does not: a path is no secret.
pub(crate) fn is_secret_name(name: &str) -> bool {
    const PARTS: [&str; 8] =
        ["password", "passwd", "passphrase", "secret", "token", "credential", "webhook", "dsn"];
    let name = name.to_ascii_lowercase().replace('-', "_");
    let is_path = ["_file", "_path", "_root", "_dir", "_directory"];
    if is_path.iter().any(|end| name.ends_with(end)) {
        return false;
    }
    name == "key"
        || name == "sslkey_data"
        || name.ends_with("_key")
        || name.contains("_key_")
        || PARTS.iter().any(|part| name.contains(part))
}

/// The value with every secret replaced by [`MASK`]: by name at any depth, and the password of
/// every URL.
pub(crate) fn masked(name: &str, value: &Value) -> Value {
    match value {
        Value::Null | Value::Bool(_) => value.clone(),
        _ if is_secret_name(name) => Value::from(MASK),
        Value::Object(members) => {
            members.iter().map(|(key, item)| (key.clone(), masked(key, item))).collect()
        }
        Value::Array(items) => items.iter().map(|item| masked(name, item)).collect(),
        Value::String(text) => Value::from(masked_url(text)),
        Value::Number(_) => value.clone(),
    }
}

/// `scheme://user:password@host` with the password masked; other text as it is.
fn masked_url(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    // The last `@`, since a password written without care may hold one.
    let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let Some(at) = rest[..authority_end].rfind('@').or_else(|| rest.rfind('@')) else {
        return text.to_owned();
    };
    match rest[..at].split_once(':') {
        Some((user, _)) => format!("{scheme}://{user}:{MASK}{}", &rest[at..]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_that_hold_secrets() {
        for (name, secret) in [
            ("BACKUP_ENCRYPTION_KEY", true),
            ("BACKUP_SFTP_PASSWORD", true),
            ("passwd", true),
            ("access_key_id", true),
            ("key", true),
            ("sslpassword", true),
            ("sentry_dsn", true),
            ("BACKUP_SFTP_KEY_FILE", false),
            ("sslkey", false),
            ("BACKUP_DIR", false),
            ("passfile", false),
            ("keepalives", false),
        ] {
            assert_eq!(is_secret_name(name), secret, "{name}");
        }
    }

    #[test]
    fn secrets_are_masked_at_any_depth() {
        let value = json!({
            "s3": {"secret_key": "s", "bucket": "b", "token": null},
            "list": ["postgres://u:p@h/x", "plain", "https://h/p@q", "x://u:a/b@h/p"],
        });
        assert_eq!(
            masked("BACKUP_DESTINATIONS", &value),
            json!({
                "s3": {"secret_key": "***", "bucket": "b", "token": null},
                "list": ["postgres://u:***@h/x", "plain", "https://h/p@q", "x://u:***@h/p"],
            })
        );
        assert_eq!(masked("BACKUP_ENCRYPTION_KEY", &json!("hunter2")), json!("***"));
        assert_eq!(masked("BACKUP_ENCRYPTION_KEY", &json!(null)), json!(null));
        assert_eq!(masked("key", &json!(["a", "b"])), json!("***"));
    }
}
