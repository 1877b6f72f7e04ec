//! What a capture is: its files, its order, its counts.

use std::time::Duration;

use dalsegno_database::postgres::{capture, table_counts, table_hashes};
use dalsegno_database::{FileColumn, Quiet, TableCount};
use xxhash_rust::xxh3::xxh3_128;

use crate::files::{Files, access, options, shop, taken, try_taken};

const SHOP: &str = "CREATE TABLE author (id serial PRIMARY KEY, name text NOT NULL);
    CREATE TABLE book (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        author_id int REFERENCES author DEFERRABLE INITIALLY DEFERRED, cover text);
    CREATE TABLE empty (id int);
    INSERT INTO author (name) SELECT 'author ' || n FROM generate_series(1, 3) n;
    INSERT INTO book (author_id, cover) VALUES (1, 'a.png'), (2, 'b.png'), (2, 'b.png'), (3, ''), (3, NULL);";

#[test]
fn files_come_in_their_order_and_rows_json_tells_what_they_hold() {
    let server = shop(SHOP);
    let taken = taken(&server, "shop");
    let names = taken.names();
    assert_eq!(names[..3], ["1-catalog.json", "2-schema.json", "3-pre.sql"]);
    assert_eq!(names[names.len() - 3..], ["7-sequences.sql", "8-post.sql", "9-rows.json"]);
    let data: Vec<&&str> = names.iter().filter(|name| name.starts_with("4-data/")).collect();
    assert_eq!(data.len(), 2, "{names:?}");
    assert_eq!(taken.lines("author"), ["1\tauthor 1", "2\tauthor 2", "3\tauthor 3"]);
    let rows = taken.rows_of("book");
    assert_eq!((rows.rows, rows.parts), (5, 1));
    assert_eq!(rows.bytes, taken.data("book").len() as u64);
    let sum = taken
        .lines("book")
        .iter()
        .fold(0_u128, |sum, line| sum.wrapping_add(xxh3_128(line.as_bytes())));
    assert_eq!(rows.hash, format!("{sum:032x}"));
    assert_eq!((taken.rows_of("empty").rows, taken.rows_of("empty").parts), (0, 0));

    let count = |name: &str, rows| TableCount {
        name: name.to_owned(),
        rows: Some(rows),
        note: None,
        damaged: false,
    };
    let counts = [count("author", 3), count("book", 5), count("empty", 0)];
    assert_eq!(taken.captured.tables, counts);
    assert_eq!(taken.captured.vendor, "postgresql");
    assert_eq!(taken.captured.encoding, "UTF8");
    let facts = taken.captured.postgres.as_ref().unwrap();
    assert_eq!(facts.server_number / 10_000, server.major());
    assert_eq!(facts.extensions[0].name, "plpgsql");
    let json = serde_json::to_value(&taken.captured).unwrap();
    assert_eq!(json["collate"], "C");
    assert_eq!(
        serde_json::from_value::<dalsegno_database::Captured>(json).unwrap(),
        taken.captured
    );

    let live = access(&server, "shop");
    let wait = Duration::from_secs(5);
    assert_eq!(table_counts(&live, wait, &mut Quiet).unwrap(), counts);
    let hashes = table_hashes(&live, wait, &mut Quiet).unwrap();
    assert_eq!(hashes[1].hash.as_ref(), Some(&rows.hash));
    assert_eq!(hashes[1].rows, Some(5));
}

#[test]
fn equal_schemas_have_equal_fingerprints_and_others_do_not() {
    let server = shop(SHOP);
    let before = taken(&server, "shop").captured.fingerprint;
    server.create_database("again");
    server.psql("again", "CREATE TABLE other (id int); DROP TABLE other;");
    server.psql("again", SHOP);
    assert_eq!(taken(&server, "again").captured.fingerprint, before);
    server.psql("again", "CREATE INDEX ON book (cover)");
    assert_ne!(taken(&server, "again").captured.fingerprint, before);
}

#[test]
fn the_texts_alone_rebuild_the_database_with_psql() {
    let server = shop(SHOP);
    server.psql(
        "shop",
        "CREATE ROLE clerk; GRANT SELECT (name) ON author TO clerk WITH GRANT OPTION;
         CREATE FUNCTION shout(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT upper($1)';
         CREATE INDEX ON author (shout(name));
         CREATE MATERIALIZED VIEW names AS SELECT shout(name) AS n FROM author;
         CREATE MATERIALIZED VIEW twice AS SELECT n || n AS n FROM names;
         CREATE MATERIALIZED VIEW nothing AS SELECT 1 AS a WITH NO DATA;
         COMMENT ON TABLE author IS E'a \\\\ comment\\n\\\\! false';
         SELECT lo_from_bytea(4711, '\\x00ff'); COMMENT ON LARGE OBJECT 4711 IS E'it''s\\nlarge';
         GRANT SELECT ON LARGE OBJECT 4711 TO clerk; ALTER TABLE author OWNER TO clerk;
         SELECT setval('author_id_seq', 42);",
    );
    let first = taken(&server, "shop");
    server.create_database("rebuilt");
    server.psql("rebuilt", first.text("3-pre.sql"));
    for table in first.catalog().tables {
        let columns: Vec<String> =
            table.columns.iter().map(|column| format!("\"{}\"", column.name)).collect();
        let data = String::from_utf8(first.data(&table.shown())).unwrap();
        let copy = format!("COPY {} ({}) FROM STDIN;\n", table.name, columns.join(","));
        server.psql("rebuilt", &format!("{copy}{data}\\.\n"));
    }
    server.psql("rebuilt", first.text("5-large/000001.sql"));
    server.psql("rebuilt", first.text("7-sequences.sql"));
    server.psql("rebuilt", first.text("8-post.sql"));

    let second = taken(&server, "rebuilt");
    assert_eq!(second.captured.fingerprint, first.captured.fingerprint);
    assert_eq!(second.rows(), first.rows());
    for name in ["3-pre.sql", "8-post.sql", "7-sequences.sql", "5-large/000001.sql"] {
        assert_eq!(second.text(name), first.text(name));
    }
    assert_eq!(server.psql("rebuilt", "SELECT count(*) FROM twice"), "3");
    assert_eq!(server.psql("rebuilt", "SELECT nextval('author_id_seq')"), "43");
    assert!(server.try_psql("rebuilt", "SELECT * FROM nothing").is_err());
}

#[test]
fn rows_of_excluded_tables_are_left_out_and_unknown_names_refused() {
    let server = shop(SHOP);
    let mut options = options();
    options.exclude_rows_of = vec!["book".to_owned()];
    let taken = try_taken(&access(&server, "shop"), &options).unwrap();
    assert_eq!(taken.captured.excluded, ["book"]);
    assert!(taken.data("book").is_empty());
    assert!(taken.rows().tables.iter().all(|rows| rows.id != taken.table("book").id));
    assert_eq!(taken.captured.tables[1].rows, Some(0));
    assert!(taken.text("3-pre.sql").contains("CREATE TABLE public.book"));
    options.exclude_rows_of = vec!["bok".to_owned()];
    let error = try_taken(&access(&server, "shop"), &options).err().unwrap();
    assert!(error.to_string().contains("has no table `bok`"), "{error}");
}

#[test]
fn names_of_files_are_found_once_and_unreadable_columns_told() {
    let server = shop(SHOP);
    let mut snapshot = capture(&access(&server, "shop"), &options(), &mut Quiet).unwrap();
    snapshot.write(&mut Files::default(), &mut Quiet).unwrap();
    server.psql("shop", "INSERT INTO book (cover) VALUES ('late.png')");
    let column = |table: &str, column: &str| FileColumn {
        table: table.to_owned(),
        column: column.to_owned(),
    };
    let columns = [column("book", "gone"), column("nowhere", "file"), column("book", "cover")];
    let mut found = Vec::new();
    let unreadable = snapshot
        .file_references(&columns, &mut |number, value| {
            found.push((number, String::from_utf8(value.to_owned()).unwrap()));
        })
        .unwrap();
    found.sort();
    assert_eq!(found, [(2, "a.png".to_owned()), (2, "b.png".to_owned())]);
    let columns: Vec<usize> = unreadable.iter().map(|column| column.column).collect();
    assert_eq!(columns, [0, 1]);
    assert!(unreadable[0].reason.contains("\"gone\" does not exist"), "{unreadable:?}");
}

#[test]
fn a_large_table_comes_in_parts_and_several_sessions_read_it_alike() {
    let server = shop(
        "CREATE TABLE big (id int, pad text, large text);
         ALTER TABLE big ALTER pad SET STORAGE PLAIN;
         INSERT INTO big SELECT n, repeat(md5(n::text), 230) FROM generate_series(1, 9000) n;
         INSERT INTO big VALUES (0, '', repeat('x', 20000000));
         CREATE TABLE small (id int); INSERT INTO small SELECT generate_series(1, 10);",
    );
    let one = taken(&server, "shop");
    let rows = one.rows_of("big");
    assert!(rows.parts >= 5, "{rows:?}");
    assert_eq!(rows.rows, 9_001);
    for workers in [1, 4] {
        let mut options = options();
        options.workers = workers;
        let other = try_taken(&access(&server, "shop"), &options).unwrap();
        let again = other.rows_of("big");
        assert_eq!((again.rows, again.bytes), (rows.rows, rows.bytes));
        assert_eq!(again.hash, rows.hash);
        // Alone, a session fills every part; several read less than a part each.
        let first = other.bytes(&format!("4-data/{:06}.000001.copy", again.id)).len();
        assert_eq!(first == 16 << 20, workers == 1, "{first}");
    }
    let parts: Vec<&str> = one.names().into_iter().filter(|n| n.starts_with("4-data/")).collect();
    let mut sorted = parts.clone();
    sorted.sort_unstable();
    assert_eq!(parts, sorted, "the larger table is the first here, its parts together");
}
