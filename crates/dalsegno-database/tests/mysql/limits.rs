use dalsegno_database::Quiet;
use dalsegno_format::ErrorKind;
use dalsegno_testkit::MariadbServer;

use crate::support::{access, capture, options, round_trip, server_with, try_capture};

#[test]
fn parts_end_at_rows_and_are_at_most_sixteen_mebibytes() {
    let server = server_with(
        "CREATE TABLE t (a INT PRIMARY KEY, b VARCHAR(1000)); INSERT INTO t SELECT seq, REPEAT('ä\\t', 300) FROM seq_1_to_40000;",
    );
    let (capture, _) = round_trip(&server);
    let rows = capture.rows("t");
    assert!(rows.parts >= 3, "{rows:?}");
    let table = capture.table("t");
    let sizes: Vec<usize> =
        (1..=rows.parts).map(|part| capture.bytes(&table.data_file(part)).len()).collect();
    assert!(sizes.iter().all(|size| *size <= 16 << 20), "{sizes:?}");
    assert_eq!(sizes.iter().sum::<usize>() as u64, rows.bytes);
    for part in 1..=rows.parts {
        assert!(capture.bytes(&table.data_file(part)).ends_with(b"\n"));
    }
    let mut names: Vec<&str> = capture.files.iter().map(|(name, _)| &**name).collect();
    names.retain(|name| !name.starts_with("4-data/"));
    assert_eq!(
        names,
        [
            "1-catalog.json",
            "2-schema.json",
            "3-pre.sql",
            "6-load.sql",
            "7-sequences.sql",
            "8-post.sql",
            "9-rows.json"
        ]
    );
    let stored: usize = capture.files.iter().map(|(_, bytes)| bytes.len()).sum();
    assert_eq!(capture.captured.size, stored as u64);
}

#[test]
fn a_row_of_a_hundred_megabytes_passes() {
    let server = MariadbServer::start_with(&["--max-allowed-packet=256M"]);
    server.create_database("site");
    server.sql("site", "CREATE TABLE t (a INT PRIMARY KEY, b LONGBLOB); INSERT INTO t VALUES (1, 'small'), (2, REPEAT('x\\n', 50000000)), (3, 'after');");
    let capture = capture(&server, "site");
    let rows = capture.rows("t");
    assert_eq!((rows.rows, rows.parts), (3, 3));
    assert_eq!(capture.bytes(&capture.table("t").data_file(2)).len(), 150_000_003);
}

#[test]
fn a_row_that_is_too_large_is_refused_by_its_key_before_any_file() {
    let server =
        MariadbServer::start_with(&["--max-allowed-packet=1G", "--innodb-log-file-size=256M"]);
    server.create_database("site");
    server.sql(
        "site",
        "CREATE TABLE t (a INT, k VARCHAR(9), b LONGBLOB, c LONGBLOB, PRIMARY KEY (a, k));
         INSERT INTO t VALUES (1, 'x', '', ''), (2, 'y', REPEAT('x', 280000000), REPEAT('y', 280000000));",
    );
    let error = try_capture(&access(&server, "site"), &options(), &mut Quiet).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a row of `t` is too large: that with `a` = 2, `k` = y has 560000002 bytes, more than 536870912 bytes"
    );
    assert_eq!(error.kind(), ErrorKind::Refused);
    let mut without = options();
    without.exclude_rows_of = vec!["t".to_owned()];
    try_capture(&access(&server, "site"), &without, &mut Quiet).unwrap();
}

#[test]
fn hundreds_of_tables_are_captured() {
    use std::fmt::Write as _;
    let mut sql = String::new();
    for number in 0..400 {
        let _ = writeln!(
            sql,
            "CREATE TABLE t{number} (a INT PRIMARY KEY) ENGINE = Aria; INSERT INTO t{number} VALUES ({number});"
        );
    }
    let server = server_with(&sql);
    let capture = capture(&server, "site");
    assert_eq!(capture.captured.tables.len(), 400);
    assert_eq!(capture.lines("t399"), ["399"]);
}
