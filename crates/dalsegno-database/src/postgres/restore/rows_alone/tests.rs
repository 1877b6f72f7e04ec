use std::time::Duration;

use dalsegno_format::{ErrorKind, Secret};
use dalsegno_testkit::PostgresServer;

use super::*;
use crate::postgres::catalog::{LAYOUT, LargeObjects, TableRows, data_file};
use crate::postgres::{Way, plan, target};
use crate::{
    Captured, CheckOptions, LineSum, Quiet, Recovered, RollbackOptions, Staged, SwitchOptions,
    Switched, Target, Tls, TlsMode,
};

const ID: &str = "0193f5a2-0000-7000-8000-0123456789ab";

const SCHEMA: &str = "
    CREATE TABLE author (id serial PRIMARY KEY, name text NOT NULL);
    CREATE TABLE book (id serial PRIMARY KEY, author_id int REFERENCES author DEFERRABLE
        INITIALLY DEFERRED, title text, long int GENERATED ALWAYS AS (length(title)) STORED);
    COMMENT ON CONSTRAINT book_author_id_fkey ON book IS 'who wrote it';
    CREATE TABLE audit (what text);
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
        $$BEGIN INSERT INTO public.audit VALUES (NEW.title); RETURN NEW; END$$;
    CREATE TRIGGER noted AFTER INSERT ON book FOR EACH ROW EXECUTE FUNCTION note();
    ALTER TABLE book ENABLE ALWAYS TRIGGER noted;
    CREATE TRIGGER off AFTER INSERT ON book FOR EACH ROW EXECUTE FUNCTION note();
    ALTER TABLE book DISABLE TRIGGER off;
    CREATE MATERIALIZED VIEW titles AS SELECT count(*) AS books FROM book;
    INSERT INTO author (name) SELECT 'author ' || n FROM generate_series(1, 10) n;
    INSERT INTO book (author_id, title) SELECT n % 10 + 1, 'title ' || n
        FROM generate_series(1, 500) n;
    TRUNCATE audit; REFRESH MATERIALIZED VIEW titles;
";
const DAMAGE: &str = "DELETE FROM book WHERE id > 7; UPDATE author SET name = 'x';
    INSERT INTO book (title) VALUES ('late')";
const STATE: &str = "SELECT (SELECT count(*) FROM book), (SELECT min(name) FROM author),
    (SELECT count(*) FROM audit), (SELECT last_value FROM book_id_seq),
    (SELECT books FROM titles)";

type Files = Vec<(String, Vec<u8>)>;

/// A database of a role that may do nothing else, captured and then damaged.
fn damaged() -> (PostgresServer, Access, Files, Captured) {
    let server = PostgresServer::start();
    server.psql("postgres", "CREATE ROLE plain LOGIN PASSWORD 'p'");
    server.psql("postgres", "CREATE DATABASE shop OWNER plain");
    server.psql("shop", &format!("SET ROLE plain; {SCHEMA}"));
    let access = Access {
        host: server.host().to_owned(),
        port: server.port(),
        user: "plain".to_owned(),
        password: Some(Secret::new("p")),
        database: "shop".to_owned(),
        tls: Tls { mode: TlsMode::Disable, root: None, identity: None },
        role: None,
        options: None,
        client_folders: vec![server.programs().to_owned()],
    };
    let (files, captured) = captured(&server, &access);
    server.psql("shop", DAMAGE);
    (server, access, files, captured)
}

fn json(value: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap()
}

/// The files of a capture, each table in two parts that are cut anywhere.
fn captured(server: &PostgresServer, access: &Access) -> (Files, Captured) {
    let mut session = Session::open(access).unwrap();
    let populated = survey::populated(&mut session).unwrap();
    let program = program::find("pg_dump", access, session.server).unwrap();
    let schema = dump::dump(&program, access, None, &populated, &|| false).unwrap();
    let found = survey::tables(&mut session).unwrap();
    let catalog = Catalog {
        layout: LAYOUT,
        server_version: String::new(),
        server_number: session.server,
        dump_version: String::new(),
        database: survey::database(&mut session).unwrap(),
        settings: Vec::new(),
        extensions: Vec::new(),
        roles: Vec::new(),
        tables: found.into_iter().map(|found| found.table).collect(),
        objects: Vec::new(),
    };
    let mut files = vec![
        ("1-catalog.json".to_owned(), json(&catalog)),
        ("2-schema.json".to_owned(), json(&schema)),
    ];
    let mut tables = Vec::new();
    for table in &catalog.tables {
        let name = qualified(&table.schema, &table.name);
        let mut text = server.psql("shop", &format!("COPY {name} {} TO STDOUT", columns(table)));
        if text.is_empty() {
            continue;
        }
        text.push('\n');
        let (mut sum, cut) = (LineSum::default(), text.len() / 2);
        sum.push(text.as_bytes());
        for (part, bytes) in [(1, &text[..cut]), (2, &text[cut..])] {
            files.push((data_file(table.id, part), bytes.as_bytes().to_vec()));
        }
        let (rows, hash, bytes) = (sum.ended().rows, sum.ended().hash(), sum.ended().bytes);
        tables.push(TableRows { id: table.id, rows, hash, bytes, parts: 2 });
    }
    let sequences = "SELECT pg_catalog.setval('public.author_id_seq', 10, true);\n\
                     SELECT pg_catalog.setval('public.book_id_seq', 500, true);\n";
    files.push(("7-sequences.sql".to_owned(), sequences.as_bytes().to_vec()));
    let rows = Rows { tables, sequences: 2, large: LargeObjects::default() };
    files.push(("9-rows.json".to_owned(), json(&rows)));
    let captured = serde_json::json!({
        "vendor": "postgresql", "server_version": "", "encoding": "UTF8", "size": 0,
        "tables": [], "excluded": [], "fingerprint": schema.fingerprint(),
        "foreign_key_violations": null, "spooled": false,
    });
    (files, serde_json::from_value(captured).unwrap())
}

fn stage(
    target: &dyn Target,
    files: &[(String, Vec<u8>)],
    captured: &Captured,
) -> Result<Box<dyn Staged>> {
    let mut staging = target.begin(captured)?;
    for (name, bytes) in files {
        let file = CapturedFile { name, size: bytes.len() as u64, mode: 0 };
        staging.file(file, &mut bytes.as_slice(), &mut Quiet)?;
    }
    staging.finish(&mut Quiet)
}

#[test]
fn an_owner_without_createdb_gets_its_rows_back_in_one_transaction() {
    let (server, access, files, captured) = damaged();
    let way = plan(&access, &captured).unwrap();
    assert!(!way.keeps && way.notes[0].contains("may not create databases"), "{way:?}");
    let target = target(&access, ID).unwrap();
    let mut staged = stage(&*target, &files, &captured).unwrap();
    let full = CheckOptions { full: true, ..CheckOptions::default() };
    let report = staged.check(&full, &mut Quiet).unwrap();
    assert!(report.is_sound() && !report.counts.is_empty(), "{report:?}");
    let begun = staged.content().to_owned();
    let wait = Duration::from_millis(200);
    let open = target.recover(Some(&begun), true, wait).unwrap_err();
    assert_eq!(open.kind(), ErrorKind::Locked, "the transaction is neither in nor out: {open}");
    let options = SwitchOptions { lock_timeout: Duration::from_secs(5) };
    let switched = staged.switch(options, &mut Quiet).unwrap();
    assert_eq!(server.psql("shop", STATE), "500|author 1|0|500|500");
    let triggers = "SELECT string_agg(tgname || tgenabled::text, ',' ORDER BY tgname)
        FROM pg_trigger WHERE NOT tgisinternal";
    assert_eq!(server.psql("shop", triggers), "notedA,offD");
    let key = "SELECT convalidated, condeferred, obj_description(oid, 'pg_constraint')
        FROM pg_constraint WHERE conname = 'book_author_id_fkey'";
    assert_eq!(server.psql("shop", key), "t|t|who wrote it");

    let Switched::Postgresql(record) = &switched else { panic!("{switched:?}") };
    assert_eq!((record.way, &record.kept), (Way::Rows, &None));
    assert!(target.holds(&switched).unwrap());
    assert!(!target.written_since(&switched, Duration::ZERO).unwrap());
    let found = target.recover(Some(&begun), true, wait).unwrap();
    assert_eq!(found, Recovered::Switched(Box::new(switched.clone())));
    let options = RollbackOptions { lock_timeout: wait, force: true };
    let error = target.rollback(&switched, options, &mut Quiet).unwrap_err();
    assert!(matches!(error, DatabaseError::KeptMissing { .. }), "{error}");
    server.psql("shop", "UPDATE book SET title = 'changed' WHERE id = 9");
    assert!(target.written_since(&switched, Duration::ZERO).unwrap());
}

#[test]
fn until_the_commit_nothing_has_happened() {
    let (server, access, mut files, captured) = damaged();
    let before = server.psql("shop", STATE);
    let target = target(&access, ID).unwrap();
    let staged = stage(&*target, &files, &captured).unwrap();
    let begun = staged.content().to_owned();
    drop(staged);
    assert_eq!(server.psql("shop", STATE), before, "rows and sequences are as they were");
    let found = target.recover(Some(&begun), true, Duration::from_secs(5)).unwrap();
    assert_eq!(found, Recovered::Undone);

    let part = files.iter_mut().rfind(|(name, _)| name.starts_with("4-data/")).unwrap();
    let last = part.1.len() - 2;
    part.1[last] ^= 1;
    let error = stage(&*target, &files, &captured).err().expect("a byte is wrong");
    assert_eq!(error.kind(), ErrorKind::Damaged, "{error}");
    assert_eq!(server.psql("shop", STATE), before);
}

#[test]
fn another_schema_or_tables_of_others_are_refused_before_anything_is_touched() {
    let (server, access, files, captured) = damaged();
    let before = server.psql("shop", STATE);
    let refused = |why: &str| {
        let target = target(&access, ID).unwrap();
        let planned = plan(&access, &captured).unwrap_err();
        let staged = stage(&*target, &files, &captured).err().unwrap();
        for error in [planned, staged] {
            assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
            assert!(error.to_string().contains(why), "{error}");
        }
        assert_eq!(server.psql("shop", STATE), before);
    };
    server.psql("shop", "SET ROLE plain; ALTER TABLE audit ADD COLUMN at date");
    refused("its schema is not that of the backup");
    server.psql("shop", "ALTER TABLE audit DROP COLUMN at; CREATE TABLE foreign_one ()");
    refused("it has tables of `postgres`");
    server.psql("shop", "DROP TABLE foreign_one; SELECT lo_create(4711)");
    refused("it has large objects");
}
