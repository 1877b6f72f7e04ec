//! Databases that naive tools lose something of, captured and restored under another name.

use std::io::Read;
use std::time::Duration;

use dalsegno_database::postgres::{capture, table_hashes, target};
use dalsegno_database::{
    CaptureOptions, Captured, CapturedFile, CheckOptions, FileSink, Quiet, SwitchOptions,
};
use dalsegno_testkit::PostgresServer;
use sha2::{Digest, Sha256};

use super::shop::{ID, access};

#[derive(Default)]
struct Memory(Vec<(String, Vec<u8>)>);

impl FileSink for Memory {
    fn file(
        &mut self,
        name: &str,
        _: u64,
        data: &mut dyn Read,
    ) -> Result<[u8; 32], Box<dyn std::error::Error + Send + Sync>> {
        let mut bytes = Vec::new();
        data.read_to_end(&mut bytes)?;
        let digest = Sha256::digest(&bytes).into();
        self.0.push((name.to_owned(), bytes));
        Ok(digest)
    }
}

fn captured(server: &PostgresServer, database: &str) -> (Memory, Captured) {
    let options = CaptureOptions {
        lock_timeout: Duration::from_secs(10),
        spool_dir: std::env::temp_dir(),
        exclude_rows_of: Vec::new(),
        workers: 2,
    };
    let mut access = access(server, database);
    access.client_folders = vec![server.programs().to_owned()];
    let mut sink = Memory::default();
    let mut snapshot = capture(&access, &options, &mut Quiet).unwrap();
    let captured = snapshot.write(&mut sink, &mut Quiet).unwrap();
    (sink, captured)
}

/// Captures `here`, restores it as `there`, and compares schema, rows and sequences.
fn there_and_back(server: &PostgresServer) {
    let (files, captured_here) = captured(server, "here");
    let target = target(&access(server, "there"), ID).unwrap();
    let mut staging = target.begin(&captured_here).unwrap();
    for (name, bytes) in &files.0 {
        let file = CapturedFile { name, size: bytes.len() as u64, mode: 0 };
        staging
            .file(file, &mut bytes.as_slice(), &mut Quiet)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    let mut staged = staging.finish(&mut Quiet).unwrap();
    let options = CheckOptions { expected_counts: &captured_here.tables, full: true };
    let report = staged.check(&options, &mut Quiet).unwrap();
    assert!(report.is_sound(), "{report:?}");
    let options = SwitchOptions { lock_timeout: Duration::from_secs(10) };
    let switched = staged.switch(options, &mut Quiet).unwrap();
    assert!(!target.written_since(&switched, Duration::ZERO).unwrap());

    let (_, captured_there) = captured(server, "there");
    assert_eq!(captured_here.fingerprint, captured_there.fingerprint, "the schema");
    let hashes = |database| {
        table_hashes(&access(server, database), Duration::from_secs(10), &mut Quiet).unwrap()
    };
    assert_eq!(hashes("here"), hashes("there"));
    let sequences = "SELECT schemaname, sequencename, last_value FROM pg_sequences ORDER BY 1, 2";
    assert_eq!(server.psql("here", sequences), server.psql("there", sequences));
}

#[test]
fn tables_of_every_kind_come_back() {
    let server = PostgresServer::start();
    server.psql("postgres", "CREATE ROLE app; CREATE ROLE reader");
    server.create_database("here");
    server.psql(
        "here",
        r#"
        CREATE SCHEMA "Odd.schema" AUTHORIZATION app;
        CREATE TABLE "Odd.schema"."select ""x""" ("a.b" int PRIMARY KEY, "Column" text);
        INSERT INTO "Odd.schema"."select ""x""" VALUES (1, 'NULL'), (2, NULL), (3, '\N'), (4, E'\\.');
        CREATE TABLE nothing (); INSERT INTO nothing DEFAULT VALUES; INSERT INTO nothing DEFAULT VALUES;
        CREATE UNLOGGED TABLE scratch (a int); INSERT INTO scratch VALUES (1), (1);
        CREATE TABLE parent (a int); CREATE TABLE child (b int) INHERITS (parent);
        INSERT INTO parent VALUES (1); INSERT INTO child VALUES (2, 3);
        CREATE TABLE part (id int, at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
        CREATE TABLE part_old PARTITION OF part FOR VALUES FROM (MINVALUE) TO ('2020-01-01');
        CREATE TABLE part_new (at date NOT NULL, gone text, id int NOT NULL);
        ALTER TABLE part_new DROP COLUMN gone;
        ALTER TABLE part ATTACH PARTITION part_new FOR VALUES FROM ('2020-01-01') TO (MAXVALUE);
        CREATE INDEX part_at ON part (at DESC NULLS LAST);
        INSERT INTO part SELECT n, date '2019-12-01' + n FROM generate_series(1, 100) n;
        CREATE TABLE refers (id int, at date, FOREIGN KEY (id, at) REFERENCES part);
        INSERT INTO refers VALUES (5, date '2019-12-06');
        CREATE TABLE a (id int PRIMARY KEY, b_id int); CREATE TABLE b (id int PRIMARY KEY, a_id int
            REFERENCES a DEFERRABLE INITIALLY DEFERRED);
        ALTER TABLE a ADD FOREIGN KEY (b_id) REFERENCES b ON DELETE SET NULL;
        ALTER TABLE a ADD COLUMN up int REFERENCES a;
        BEGIN; INSERT INTO b VALUES (1, 1); INSERT INTO a VALUES (1, 1, 1); COMMIT;
        CREATE TABLE ident (id int GENERATED ALWAYS AS IDENTITY (START 10 INCREMENT 5), v int);
        INSERT INTO ident (v) VALUES (1), (2);
        CREATE TABLE wrong (v int); INSERT INTO wrong VALUES (-1);
        ALTER TABLE wrong ADD CONSTRAINT positive CHECK (v > 0) NOT VALID;
        ALTER TABLE wrong ADD CONSTRAINT dangling FOREIGN KEY (v) REFERENCES a NOT VALID;
        CREATE SEQUENCE never AS smallint MINVALUE 671; CREATE SEQUENCE down INCREMENT -3;
        SELECT nextval('down'), nextval('down');
        "#,
    );
    there_and_back(&server);
    let says = |sql: &str| server.psql("there", sql);
    assert_eq!(says("SELECT count(*) FROM ONLY parent"), "1");
    assert_eq!(says("SELECT count(*) FROM part_old"), "30");
    let valid = "SELECT conname, convalidated FROM pg_constraint
        WHERE conname IN ('positive', 'dangling') ORDER BY 1";
    assert_eq!(says(valid), "dangling|f\npositive|f");
    assert_eq!(says("SELECT last_value, is_called FROM never"), "671|f");
    assert_eq!(says("INSERT INTO ident (v) VALUES (3) RETURNING id"), "20");
    assert_eq!(says("SELECT pg_get_serial_sequence('ident', 'id')"), "public.ident_id_seq");
}

#[test]
fn types_functions_views_policies_rights_and_large_objects_come_back() {
    let server = PostgresServer::start();
    server.psql("postgres", "CREATE ROLE app; CREATE ROLE reader");
    server.create_database("here");
    server.psql(
        "here",
        r#"
        CREATE TYPE mood AS ENUM ('a', 'b'); ALTER TYPE mood ADD VALUE 'aa' AFTER 'a';
        CREATE DOMAIN positive AS int CHECK (VALUE > 0);
        CREATE TYPE pair AS (x int, y text); CREATE TYPE span AS RANGE (SUBTYPE = int);
        CREATE TABLE typed (m mood, p positive, c pair[], s span, f float8, n numeric,
            t timestamptz, i interval, j jsonb, b bytea, r regclass, money money, x text[]);
        INSERT INTO typed VALUES ('aa', 1, ARRAY[ROW(1, 'ü,')::pair], '[1,5)',
            0.30000000000000004, 'NaN', 'infinity', '-178000000 years', '1.10', '\x00ff',
            'typed', 12.5, ARRAY[NULL, 'NULL', '']),
            ('b', 2, '{}', 'empty', 'Infinity', '-Infinity', '4713-01-01 BC', '1 mon -1 day',
            '{"a": null}', '', 'pg_class', -1, '{}');
        CREATE FUNCTION lim() RETURNS int LANGUAGE sql STABLE AS 'SELECT 100';
        CREATE TABLE checked (v int CHECK (v <= lim())); INSERT INTO checked VALUES (7);
        CREATE VIEW v1 WITH (security_barrier) AS SELECT m, p FROM typed WHERE p > 1;
        CREATE VIEW v2 AS SELECT * FROM v1 WITH CASCADED CHECK OPTION;
        CREATE MATERIALIZED VIEW m1 AS SELECT count(*) AS n FROM typed;
        CREATE MATERIALIZED VIEW m2 AS SELECT n + 1 AS n FROM m1;
        CREATE UNIQUE INDEX ON m2 (n);
        CREATE MATERIALIZED VIEW m3 AS SELECT 1 AS one WITH NO DATA;
        CREATE TABLE secret (u name, v text); INSERT INTO secret VALUES ('app', 'x'), ('o', 'y');
        ALTER TABLE secret ENABLE ROW LEVEL SECURITY; ALTER TABLE secret FORCE ROW LEVEL SECURITY;
        CREATE POLICY own ON secret TO app USING (u = current_user);
        GRANT SELECT (v), UPDATE (v) ON secret TO reader WITH GRANT OPTION;
        ALTER DEFAULT PRIVILEGES FOR ROLE app GRANT SELECT ON TABLES TO reader;
        COMMENT ON COLUMN secret.v IS 'it''s \ secret';
        CREATE TABLE idx (a text, b int, r int4range, EXCLUDE USING gist (r WITH &&),
            UNIQUE NULLS NOT DISTINCT (b) INCLUDE (a) DEFERRABLE);
        CREATE INDEX ON idx (lower(a) text_pattern_ops) WHERE b > 3;
        CREATE INDEX ON idx USING gin (to_tsvector('simple', a));
        CREATE INDEX brin ON idx USING brin (b) WITH (pages_per_range = 4);
        CREATE STATISTICS st (dependencies) ON a, b FROM idx;
        ALTER TABLE idx ALTER COLUMN a SET STATISTICS 77;
        SELECT lo_from_bytea(4711, decode(repeat('00ff', 400000), 'hex'));
        ALTER LARGE OBJECT 4711 OWNER TO app; GRANT SELECT ON LARGE OBJECT 4711 TO reader;
        "#,
    );
    there_and_back(&server);
    let says = |sql: &str| server.psql("there", sql);
    assert_eq!(says("SELECT enum_range(NULL::mood)"), "{a,aa,b}");
    assert_eq!(says("SELECT n FROM m2"), "3");
    assert_eq!(says("SELECT relispopulated FROM pg_class WHERE relname = 'm3'"), "f");
    assert_eq!(says("SELECT length(lo_get(4711)), md5(lo_get(4711))"), {
        server.psql("here", "SELECT length(lo_get(4711)), md5(lo_get(4711))")
    });
    let large = "SELECT lomowner::regrole, lomacl FROM pg_largeobject_metadata";
    assert_eq!(says(large), server.psql("here", large));
    assert_eq!(says("SELECT count(*) FROM pg_index WHERE NOT indisvalid"), "0");
}

#[test]
fn other_encodings_come_back_byte_by_byte() {
    let server = PostgresServer::start();
    for (encoding, bytes) in [("LATIN1", "e4f6fc"), ("SQL_ASCII", "ff80c3")] {
        server.psql(
            "postgres",
            &format!(
                "CREATE DATABASE here TEMPLATE template0 ENCODING '{encoding}' \
                 LC_COLLATE 'C' LC_CTYPE 'C'"
            ),
        );
        server.psql("here", "CREATE TABLE t (a text)");
        server.psql(
            "here",
            &format!("INSERT INTO t VALUES (convert_from('\\x{bytes}', '{encoding}'))"),
        );
        there_and_back(&server);
        let hex = "SELECT encode(a::bytea, 'hex') FROM t";
        let hex = if encoding == "LATIN1" {
            "SELECT encode(convert_to(a, 'LATIN1'), 'hex') FROM t"
        } else {
            hex
        };
        assert_eq!(server.psql("there", hex), bytes, "{encoding}");
        server.psql("postgres", "DROP DATABASE here");
        server.psql("postgres", "DROP DATABASE there");
    }
}
