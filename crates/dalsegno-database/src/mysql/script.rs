//! The capture for the plain client alone: run as `mariadb --comments --binary-mode DATABASE`, in
//! the folder of the capture, `3-pre.sql`, `6-load.sql`, `7-sequences.sql`, `8-post.sql`.

use std::fmt::Write as _;

use super::catalog::{Catalog, Entry, Rows, Schema, Section, SequenceValue, TableRows};
use super::quote;

/// What every file begins with: nothing that is loaded is checked, changed or moved to another
/// time zone.
const HEAD: &str = "SET NAMES utf8mb4;\n\
    SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES', time_zone = '+00:00', \
    foreign_key_checks = 0, unique_checks = 0;\n";

/// `3-pre.sql`: sequences and tables.
pub(super) fn pre(schema: &Schema) -> String {
    let mut out = HEAD.to_owned();
    for entry in schema.entries.iter().filter(|entry| entry.section == Section::Pre) {
        write(&mut out, format_args!("{};\n", entry.sql));
    }
    out
}

/// `6-load.sql`: every part of every table.
pub(super) fn load(catalog: &Catalog, rows: &[TableRows]) -> String {
    let mut out = HEAD.to_owned();
    if catalog.tables.iter().any(|table| table.history) {
        out.push_str("SET SESSION system_versioning_insert_history = 1;\n");
    }
    for table in catalog.tables.iter().filter(|table| table.rows == Rows::Captured) {
        let clause = table.load_clause(&quote::identifier(&table.name));
        let parts = rows.iter().find(|rows| rows.id == table.id).map_or(0, |rows| rows.parts);
        for part in 1..=parts {
            let file = table.data_file(part);
            write(&mut out, format_args!("LOAD DATA LOCAL INFILE '{file}' {clause};\n"));
        }
    }
    out
}

/// `7-sequences.sql`.
pub(super) fn sequences(schema: &Schema, values: &[SequenceValue]) -> String {
    let mut out = HEAD.to_owned();
    for value in values {
        let Some(entry) = schema.entries.iter().find(|entry| entry.id == value.id) else {
            continue;
        };
        let name = quote::identifier(&entry.name);
        write(
            &mut out,
            format_args!("SELECT SETVAL({name}, {}, 0, {});\n", value.next, value.cycle),
        );
    }
    out
}

/// `8-post.sql`: everything else. Views that did not work are left out, by name.
pub(super) fn post(schema: &Schema) -> String {
    let mut out = HEAD.to_owned();
    for entry in schema.entries.iter().filter(|entry| entry.section == Section::Post) {
        if let Some(reason) = &entry.broken {
            let reason = reason.replace(['\n', '\r'], " ");
            let name = entry.name.replace(['\n', '\r'], " ");
            write(&mut out, format_args!("-- view {name} did not work: {reason}\n"));
            continue;
        }
        object(&mut out, entry);
    }
    out
}

fn object(out: &mut String, entry: &Entry) {
    out.push_str(HEAD);
    let made = &entry.session;
    let settings = [
        ("character_set_client", &made.character_set_client),
        ("collation_connection", &made.collation_connection),
        ("sql_mode", &made.sql_mode),
        ("time_zone", &made.time_zone),
    ];
    for (name, value) in settings {
        if let Some(value) = value {
            write(out, format_args!("SET SESSION {name} = {};\n", quote::text(value)));
        }
    }
    let end = delimiter(&entry.sql);
    write(out, format_args!("DELIMITER {end}\n{}\n{end}\nDELIMITER ;\n", entry.sql));
    if let Some(enable) = &entry.enable {
        write(out, format_args!("{enable};\n"));
    }
}

/// Something that does not occur in the statement.
fn delimiter(sql: &str) -> String {
    let mut end = ";;".to_owned();
    while sql.contains(&end) {
        end.push('$');
    }
    end
}

fn write(out: &mut String, what: std::fmt::Arguments<'_>) {
    // Writing to a text cannot fail.
    let _ = out.write_fmt(what);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delimiter_is_never_in_the_statement() {
        for (sql, expected) in [("a;b", ";;"), ("a;;b", ";;$"), ("a;;$;;b;;$$", ";;$$$")] {
            assert_eq!(delimiter(sql), expected, "{sql}");
        }
    }
}
