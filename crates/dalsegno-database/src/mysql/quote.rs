//! Names and texts as statements take them.

/// A name between backticks, which every `sql_mode` takes.
pub(super) fn identifier(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A text as a literal; with `NO_BACKSLASH_ESCAPES` it must hold no backslash.
pub(super) fn text(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}
