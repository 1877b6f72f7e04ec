//! Tables that are easily read wrongly, or not at all.

use dalsegno_database::postgres::catalog::{RowsTaken, TableKind};
use dalsegno_format::ErrorKind;

use crate::files::{access, access_as, options, shop, taken, try_taken};

#[test]
fn row_security_that_hides_rows_stops_the_capture() {
    let server = shop(
        "CREATE ROLE clerk LOGIN PASSWORD 'pw' CREATEDB; GRANT ALL ON SCHEMA public TO clerk;
         SET ROLE clerk; CREATE TABLE note (who text, body text);
         INSERT INTO note VALUES ('clerk', 'mine'), ('boss', 'hidden');
         CREATE POLICY own ON note USING (who = current_user);
         ALTER TABLE note ENABLE ROW LEVEL SECURITY;",
    );
    let clerk = access_as(&server, "shop", "clerk");
    // The owner is exempt until he says otherwise.
    let taken = try_taken(&clerk, &options()).unwrap();
    assert_eq!(taken.rows_of("note").rows, 2);
    server.psql("shop", "ALTER TABLE note FORCE ROW LEVEL SECURITY");
    let error = try_taken(&clerk, &options()).err().unwrap();
    assert!(error.to_string().contains("read all rows of `note`"), "{error}");
    assert!(error.hint().unwrap().contains("BYPASSRLS"));
    assert_eq!(crate::files::taken(&server, "shop").rows_of("note").rows, 2);
}

#[test]
fn rows_are_taken_once_from_where_they_are() {
    let server = shop(
        "CREATE TABLE parent (id int); CREATE TABLE child (extra int) INHERITS (parent);
         INSERT INTO parent VALUES (1); INSERT INTO child VALUES (2, 2);
         CREATE TABLE sale (day date, price int) PARTITION BY RANGE (day);
         CREATE TABLE sale_old (gone int, price int, day date);
         ALTER TABLE sale_old DROP COLUMN gone;
         ALTER TABLE sale ATTACH PARTITION sale_old FOR VALUES FROM ('2000-01-01') TO ('2020-01-01');
         CREATE TABLE sale_new PARTITION OF sale DEFAULT;
         INSERT INTO sale VALUES ('2010-05-05', 5), ('2024-06-06', 6), ('2024-07-07', 7);
         CREATE FOREIGN DATA WRAPPER nothing; CREATE SERVER far FOREIGN DATA WRAPPER nothing;
         CREATE FOREIGN TABLE elsewhere (id int) SERVER far;
         CREATE VIEW seen AS SELECT * FROM parent;
         CREATE MATERIALIZED VIEW kept AS SELECT * FROM parent;",
    );
    let taken = taken(&server, "shop");
    assert_eq!(taken.lines("parent"), ["1"]);
    assert_eq!(taken.lines("child"), ["2\t2"]);
    assert_eq!(taken.lines("sale_old"), ["5\t2010-05-05"]);
    assert_eq!(taken.lines("sale_new"), ["2024-06-06\t6", "2024-07-07\t7"]);
    let sale = taken.table("sale");
    assert_eq!((sale.kind, &sale.rows), (TableKind::Partitioned, &RowsTaken::None));
    assert_eq!(taken.table("sale_old").partition_of, Some(sale.id));
    assert_eq!(taken.table("elsewhere").kind, TableKind::Foreign);
    let counts = &taken.captured.tables;
    let names: Vec<&str> = counts.iter().map(|table| table.name.as_str()).collect();
    assert_eq!(names, ["child", "elsewhere", "parent", "sale_new", "sale_old"]);
    assert_eq!(counts[1].rows, None);
    assert!(counts[1].note.is_some());
    assert_eq!(taken.rows().tables.len(), 4, "views and what is elsewhere have no rows here");
}

#[test]
fn excluding_a_partitioned_table_excludes_its_partitions_at_every_level() {
    let server = shop(
        "CREATE TABLE log (n int) PARTITION BY RANGE (n);
         CREATE TABLE log_low PARTITION OF log FOR VALUES FROM (0) TO (10) PARTITION BY LIST (n);
         CREATE TABLE log_five PARTITION OF log_low FOR VALUES IN (5);
         CREATE TABLE log_high PARTITION OF log DEFAULT;
         INSERT INTO log VALUES (5), (50); CREATE TABLE kept AS SELECT 1 AS a;",
    );
    let mut options = options();
    options.exclude_rows_of = vec!["log".to_owned()];
    let taken = try_taken(&access(&server, "shop"), &options).unwrap();
    assert_eq!(taken.captured.excluded, ["log", "log_five", "log_high", "log_low"]);
    assert_eq!(taken.rows().tables.len(), 1);
    assert_eq!(taken.lines("kept"), ["1"]);
}

#[test]
fn generated_missing_and_dropped_columns_leave_every_row_counted() {
    let server = shop(
        "CREATE TABLE g (a int, b int GENERATED ALWAYS AS (a * 2) STORED, c text);
         ALTER TABLE g DROP COLUMN c; ALTER TABLE g ADD COLUMN d int DEFAULT 9;
         INSERT INTO g (a) VALUES (1), (2);
         CREATE TABLE bare (); INSERT INTO bare DEFAULT VALUES; INSERT INTO bare DEFAULT VALUES;
         CREATE TABLE lone (one int GENERATED ALWAYS AS (1) STORED);
         INSERT INTO lone DEFAULT VALUES;
         CREATE UNLOGGED TABLE u (a int); INSERT INTO u VALUES (7);",
    );
    let taken = taken(&server, "shop");
    assert_eq!(taken.lines("g"), ["1\t9", "2\t9"]);
    let columns = taken.table("g").columns;
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["a", "d"]);
    assert_eq!(taken.data("bare"), b"\n\n");
    assert_eq!(taken.rows_of("bare").rows, 2);
    assert_eq!(taken.data("lone"), b"\n");
    assert_eq!(taken.lines("u"), ["7"]);
    assert!(taken.table("u").unlogged && !taken.table("g").unlogged);
}

#[test]
fn defaults_of_roles_and_databases_change_no_byte_and_end_no_capture() {
    let sql = "CREATE TABLE v (t timestamptz, f float8, d interval, b bytea);
        INSERT INTO v VALUES ('2024-01-02 03:04:05+00', 0.1::float8 + 0.2, '1 day 2 hours', '\\x00ff');";
    let server = shop(sql);
    let before = taken(&server, "shop");
    assert_eq!(
        before.lines("v"),
        ["2024-01-02 03:04:05+00\t0.30000000000000004\t1 day 02:00:00\t\\\\x00ff"]
    );
    server.psql(
        "shop",
        "ALTER ROLE postgres SET datestyle = 'German'; ALTER ROLE postgres SET timezone = 'Asia/Tokyo';
         ALTER ROLE postgres SET extra_float_digits = 0; ALTER ROLE postgres SET bytea_output = 'escape';
         ALTER ROLE postgres SET intervalstyle = 'iso_8601';
         ALTER DATABASE shop SET statement_timeout = '1ms'; ALTER DATABASE shop SET lock_timeout = '1ms';
         ALTER DATABASE shop SET idle_in_transaction_session_timeout = '1ms';
         ALTER DATABASE shop SET default_transaction_read_only = on;
         ALTER DATABASE shop SET standard_conforming_strings = off;
         ALTER DATABASE shop SET search_path = 'nowhere';",
    );
    let after = taken(&server, "shop");
    assert_eq!(after.rows(), before.rows());
    assert_eq!(after.data("v"), before.data("v"));
    let settings = after.catalog().database.settings;
    let text = |name: &str| {
        settings.iter().find(|setting| setting.name == name).map(|setting| setting.value.as_str())
    };
    assert_eq!(text("search_path"), Some("nowhere"));
    assert_eq!(text("statement_timeout"), Some("1ms"));
    assert_eq!(text("DateStyle").or(text("datestyle")), None, "a role's own is not the database's");
}

#[test]
fn bytes_of_databases_that_are_not_utf8_stay_as_they_are() {
    let server = shop("");
    for (name, encoding) in [("latin", "LATIN1"), ("raw", "SQL_ASCII")] {
        server.psql(
            "postgres",
            &format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C'"),
        );
    }
    server
        .psql("latin", "CREATE TABLE \"größe\" (\"maß\" text); INSERT INTO \"größe\" VALUES ('é')");
    let latin = taken(&server, "latin");
    assert_eq!(latin.data("größe"), b"\xe9\n");
    assert_eq!(latin.captured.encoding, "LATIN1");
    assert!(latin.text("3-pre.sql").contains("CREATE TABLE public.\"größe\""));
    server.psql(
        "raw",
        "CREATE TABLE t (a text); SET escape_string_warning = off;
        INSERT INTO t VALUES (E'\\xff\\xfe'), (E'\\xc3\\xa9')",
    );
    let raw = taken(&server, "raw");
    assert_eq!(raw.catalog().database.encoding, "SQL_ASCII");
    assert_eq!(raw.data("t"), b"\xff\xfe\n\xc3\xa9\n");
}

#[test]
fn tables_of_extensions_have_the_rows_that_are_the_users_alone() {
    let server = shop(
        "CREATE TABLE spatial (id int); INSERT INTO spatial VALUES (1), (2), (900001);
         CREATE TABLE inner_table (id int); INSERT INTO inner_table VALUES (1);
         ALTER EXTENSION plpgsql ADD TABLE spatial; ALTER EXTENSION plpgsql ADD TABLE inner_table;
         UPDATE pg_extension SET extconfig = ARRAY['spatial'::regclass::oid],
            extcondition = ARRAY['WHERE id > 900000'] WHERE extname = 'plpgsql';",
    );
    let taken = taken(&server, "shop");
    assert_eq!(taken.table("spatial").rows, RowsTaken::Where("WHERE id > 900000".to_owned()));
    assert_eq!(taken.lines("spatial"), ["900001"]);
    assert_eq!(taken.catalog().tables.len(), 1, "what is the extension's own stays out");
    assert!(!taken.text("3-pre.sql").contains("CREATE TABLE"));
}

#[test]
fn a_value_whose_text_is_too_long_is_refused_before_any_work() {
    let server = shop(
        "CREATE TABLE blob (id int, a bytea, b bytea); INSERT INTO blob VALUES (1, '\\x00', NULL);
         INSERT INTO blob SELECT 2, convert_to(repeat('x', 300000000), 'UTF8'),
            convert_to(repeat('x', 240000000), 'UTF8');",
    );
    let error = try_taken(&access(&server, "shop"), &options()).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Refused);
    let text = error.to_string();
    assert!(text.contains("the row of `blob` at ctid (0,2)"), "{text}");
    assert!(text.contains("540000000 bytes"), "{text}");
    let mut options = options();
    options.exclude_rows_of = vec!["blob".to_owned()];
    try_taken(&access(&server, "shop"), &options).unwrap();
}

#[test]
fn a_large_object_with_a_security_label_is_refused() {
    let server = shop("SELECT lo_from_bytea(4711, 'x')");
    try_taken(&access(&server, "shop"), &options()).unwrap();
    // No provider of labels is installed here, so the label is put where one would put it.
    server.psql(
        "shop",
        "SET allow_system_table_mods = on;
         INSERT INTO pg_catalog.pg_seclabel
            VALUES (4711, 'pg_catalog.pg_largeobject'::regclass, 0, 'selinux', 'secret');",
    );
    let error = try_taken(&access(&server, "shop"), &options()).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.to_string().contains("the large object 4711"), "{error}");
}
