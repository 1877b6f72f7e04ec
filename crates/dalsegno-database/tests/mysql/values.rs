use dalsegno_database::mysql::catalog::Form;

use crate::support::{round_trip, server_with};

#[test]
fn a_float_keeps_all_its_bits() {
    let server = server_with(
        "CREATE TABLE t (id INT PRIMARY KEY, f FLOAT, g FLOAT(7,3), d DOUBLE, e DOUBLE(20,2));
         INSERT INTO t VALUES (1, 16777216, 1.2345, 1.7976931348623157e308, 123456789012345.67),
            (2, 3.1415927, -9.999, 2.2250738585072014e-308, 0.1),
            (3, 1.17549e-38, 0, 0.1, NULL), (4, 33554431, NULL, -5e-324, 0);",
    );
    let (capture, _) = round_trip(&server);
    let lines = capture.lines("t");
    assert!(lines[0].starts_with("1\t16777216\t"), "{lines:?}");
    assert!(lines[1].starts_with("2\t3.1415927410125732\t-9.99899959564209\t"), "{lines:?}");
    let equal = "SELECT COUNT(*) FROM site.t JOIN copy.t c USING (id)
        WHERE t.f * 1e0 <=> c.f * 1e0 AND t.g * 1e0 <=> c.g * 1e0
        AND t.d <=> c.d AND t.e * 1e0 <=> c.e * 1e0";
    assert_eq!(server.sql("", equal), "4\n");
}

#[test]
fn the_ends_of_the_number_types_are_kept() {
    let server = server_with(
        "CREATE TABLE t (a BIGINT UNSIGNED, b BIGINT, c DECIMAL(65,30), d BIT(1), e BIT(64), f BIT(10),
            g BOOL, h INT ZEROFILL, i YEAR);
         INSERT INTO t VALUES (18446744073709551615, -9223372036854775808,
            99999999999999999999999999999999999.999999999999999999999999999999, b'1',
            0xffffffffffffffff, b'0000001010', TRUE, 42, 0), (0, 0, -0.000000000000000000000000000001,
            b'0', 0x0900005c0a1a2700, b'1001011100', FALSE, 0, 2155);",
    );
    round_trip(&server);
    let one = "SELECT a, b, c, d + 0, HEX(e), f + 0, g, h, i FROM t ORDER BY a";
    assert_eq!(server.sql("site", one), server.sql("copy", one));
    assert!(server.sql("copy", one).contains("\t900005C0A1A2700\t"));
}

#[test]
fn bytes_that_end_fields_and_rows_stay_inside_them() {
    let server = server_with(
        "CREATE TABLE t (id INT PRIMARY KEY, b VARBINARY(300), l LONGBLOB, s VARCHAR(60), c CHAR(9),
            n BINARY(6));
         INSERT INTO t VALUES (1, x'000A0D095C1A2722', x'00', 'NULL', 'a  ', 'ab'),
            (2, '', '', '\\\\N', '', ''), (3, NULL, NULL, NULL, NULL, NULL),
            (4, x'5C4E', x'5C5C6E', '\\t', ' x ', x'000000090A5C'), (5, x'FFFEC328', '', '\r\n', 'ö', 'x');",
    );
    let (capture, _) = round_trip(&server);
    assert_eq!(capture.lines("t")[0], "1\t\\0\\n\r\\t\\\\\\Z'\"\t\\0\tNULL\ta\tab\\0\\0\\0\\0");
    assert_eq!(capture.lines("t")[2], "3\t\\N\t\\N\t\\N\t\\N\t\\N");
    let hex = "SELECT id, HEX(b), HEX(l), HEX(s), HEX(c), HEX(n) FROM t ORDER BY id";
    assert_eq!(server.sql("site", hex), server.sql("copy", hex));
}

#[test]
fn every_character_set_goes_through_as_it_is_stored() {
    let server = server_with(
        "CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(20) CHARACTER SET latin1,
            b VARCHAR(20) CHARACTER SET utf8mb3, c VARCHAR(20) CHARACTER SET utf8mb4,
            d VARCHAR(20) CHARACTER SET cp1251, e VARCHAR(20) CHARACTER SET utf16,
            f VARCHAR(20) CHARACTER SET sjis, g TEXT CHARACTER SET ucs2, h ENUM('é','ü') CHARACTER SET latin1,
            i VARCHAR(20) CHARACTER SET big5);
         INSERT INTO t VALUES (1, 'é', 'ö', '😀', 'Ж', '😀Ċ\\t', 'ソ表', 'ऊ', 'ü', '功'),
            (2, _latin1 x'C3A9', '', 'a\u{301}', '', '', '', '', 'é', '');",
    );
    let (capture, _) = round_trip(&server);
    assert_eq!(capture.table("t").columns.len(), 10);
    let hex =
        "SELECT id, HEX(a), HEX(b), HEX(c), HEX(d), HEX(e), HEX(f), HEX(g), h + 0, HEX(i) FROM t
        ORDER BY id";
    assert_eq!(server.sql("site", hex), server.sql("copy", hex));
    assert!(server.sql("copy", hex).contains("F09F9880"));
    assert!(server.sql("copy", hex).contains("C3A9"));
}

#[test]
fn dates_that_strict_servers_refuse_and_times_of_all_zones_are_kept() {
    let server = server_with(
        "SET sql_mode = 'ALLOW_INVALID_DATES', time_zone = 'SYSTEM';
         CREATE TABLE t (id INT PRIMARY KEY, a DATE NOT NULL DEFAULT '0000-00-00', b DATETIME(6), c TIMESTAMP(6) NULL,
            d TIME(6), e YEAR, f TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP);
         SET time_zone = '+05:30';
         INSERT INTO t VALUES (1, '0000-00-00', '2024-02-31 00:00:00.000001', '2024-03-31 02:30:00.123456',
            '-838:59:59.999999', 0, '2001-01-01 00:00:01'), (2, '2024-00-00', '0000-00-00', '0000-00-00', '838:59:59', 1901,
            '2038-01-19 03:14:07'), (3, '9999-12-31', '9999-12-31 23:59:59.999999', NULL, '00:00:00.5', 2155, '1970-01-02');",
    );
    let (capture, _) = round_trip(&server);
    assert!(capture.lines("t")[0].contains("\t2024-03-30 21:00:00.123456\t"));
    let all = "SELECT t.*, UNIX_TIMESTAMP(c), UNIX_TIMESTAMP(f) FROM t ORDER BY id";
    assert_eq!(server.sql("site", all), server.sql("copy", all));
}

#[test]
fn an_enumeration_keeps_its_error_value_and_its_empty_label_apart() {
    let server = server_with(
        "SET sql_mode = '';
         CREATE TABLE plain (id INT PRIMARY KEY, e ENUM('a','b,c','d''e','1'), s SET('x','y','w'));
         INSERT INTO plain VALUES (1, 'b,c', 'x,w'), (2, 'wrong', ''), (3, '1', NULL), (4, NULL, 'x');
         CREATE TABLE labelled (id INT PRIMARY KEY, e ENUM('a','','2'));
         INSERT INTO labelled VALUES (1, 0), (2, ''), (3, 'a'), (4, '2'), (5, NULL);",
    );
    let (capture, _) = round_trip(&server);
    assert_eq!(capture.rows("plain").warnings, 1);
    assert_eq!(capture.rows("labelled").warnings, 1);
    assert_eq!(capture.table("labelled").columns[1].form, Form::Number);
    assert_eq!(server.sql("copy", "SELECT e + 0 FROM labelled ORDER BY id"), "0\n2\n1\n3\nNULL\n");
    assert_eq!(server.sql("copy", "SELECT e + 0 FROM plain ORDER BY id"), "2\n0\n4\nNULL\n");
    assert_eq!(server.sql("copy", "SELECT s + 0 FROM plain ORDER BY id"), "5\n0\nNULL\n1\n");
}

#[test]
fn geometry_json_and_the_types_of_mariadb_are_kept() {
    let server = server_with(
        "CREATE TABLE t (id INT PRIMARY KEY, g GEOMETRY NOT NULL, SPATIAL INDEX (g), j JSON, u UUID, i INET6, k INET4,
            c TEXT COMPRESSED);
         INSERT INTO t VALUES (1, ST_GeomFromText('POINT(1 2)', 4326), '{\"a\": 1.0, \"b\":\"\\\\u00e9\\\\n\"}',
            '123e4567-e89b-12d3-a456-426655440000', '2001:db8::ff00:42:8329', '192.0.2.33', REPEAT('compress ', 500)),
            (2, ST_GeomFromText('POLYGON((0 0,9 0,9 9,0 0))', 0), NULL, NULL, '::', NULL, NULL);",
    );
    let (capture, _) = round_trip(&server);
    let form = |at: usize| capture.table("t").columns[at].form;
    assert_eq!(
        (form(1), form(3), form(4), form(5)),
        (Form::Bytes, Form::Text, Form::Text, Form::Text)
    );
    let all = "SELECT id, ST_AsText(g), ST_SRID(g), j, u, i, k, c FROM t ORDER BY id";
    assert_eq!(server.sql("site", all), server.sql("copy", all));
    assert!(server.sql("copy", all).contains("1.0"));
}

#[test]
fn generated_columns_are_left_out_and_invisible_ones_are_not() {
    let server = server_with(
        "CREATE TABLE t (a INT, v INT AS (a * 2) VIRTUAL, s INT AS (a + 1) STORED, h INT INVISIBLE DEFAULT 7, KEY (v));
         INSERT INTO t (a, h) VALUES (1, 10), (NULL, 20);
         CREATE TABLE only_generated (v INT AS (1) VIRTUAL);
         INSERT INTO only_generated () VALUES (), (), ();",
    );
    let (capture, _) = round_trip(&server);
    let names = capture.table("t").columns.into_iter().map(|column| column.name);
    assert_eq!(names.collect::<Vec<_>>(), ["a", "h"]);
    assert_eq!(capture.lines("only_generated"), ["", "", ""]);
    let all = "SELECT a, v, s, h FROM t ORDER BY a";
    assert_eq!(server.sql("copy", all), "NULL\tNULL\tNULL\t20\n1\t2\t2\t10\n");
    assert_eq!(server.sql("copy", "SELECT v FROM only_generated"), "1\n1\n1\n");
}

#[test]
fn equal_rows_of_a_table_without_a_key_are_all_there() {
    let server =
        server_with("CREATE TABLE t (a TEXT); INSERT INTO t VALUES ('x'), ('x'), ('x'), ('y');");
    let (capture, _) = round_trip(&server);
    assert_eq!(capture.rows("t").rows, 4);
    assert_eq!(capture.captured.tables[0].rows, Some(4));
}

#[test]
fn the_history_of_a_versioned_table_is_captured_and_can_be_loaded() {
    let server = server_with(
        "CREATE TABLE implicit (a INT) WITH SYSTEM VERSIONING;
         INSERT INTO implicit VALUES (1); UPDATE implicit SET a = 2; DELETE FROM implicit; INSERT INTO implicit VALUES (9);
         CREATE TABLE named (a INT PRIMARY KEY, s TIMESTAMP(6) GENERATED ALWAYS AS ROW START, `e\u{60}\u{60}` TIMESTAMP(6)
            GENERATED ALWAYS AS ROW END, PERIOD FOR SYSTEM_TIME (s, `e\u{60}\u{60}`)) WITH SYSTEM VERSIONING;
         INSERT INTO named (a) VALUES (1); UPDATE named SET a = 2;",
    );
    let (capture, _) = round_trip(&server);
    assert!(capture.table("implicit").history && capture.table("named").history);
    assert_eq!((capture.rows("implicit").rows, capture.rows("named").rows), (3, 2));
    let all = "SELECT a, row_start, row_end FROM implicit FOR SYSTEM_TIME ALL ORDER BY row_start";
    assert_eq!(server.sql("site", all), server.sql("copy", all));
    assert_eq!(server.sql("copy", "SELECT a FROM implicit"), "9\n");
}
