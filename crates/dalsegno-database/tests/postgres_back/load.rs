//! What goes into the staged copy, and what is refused.

use dalsegno_database::postgres::catalog::{Grant, RowsTaken, Section, Setting};
use dalsegno_database::{CapturedFile, DatabaseError, Quiet, Watch};
use dalsegno_format::ErrorKind;
use dalsegno_testkit::PostgresServer;

use super::shop::*;

#[test]
fn rows_indexes_keys_triggers_views_and_sequences_are_there() {
    let server = PostgresServer::start();
    let mut capture = Capture::shop();
    capture.large = vec!["SELECT pg_catalog.lo_from_bytea(4711, '\\x0001ff');\n".to_owned()];
    capture.restore(&*shop(&server)).unwrap();
    let says = |sql: &str| server.psql("shop", sql);
    assert_eq!(says("SELECT count(*), sum(id), min(title) FROM book"), "2000|2001000|title \t 1");
    assert_eq!(says("SELECT name FROM author WHERE id = 7"), "author ü 7");
    assert_eq!(says("SELECT long = length(title) FROM book WHERE id = 5"), "t");
    assert_eq!(says("SELECT count(*) FROM audit"), "0", "the trigger did not fire");
    assert_eq!(says("SELECT books FROM titles"), "2000");
    assert_eq!(says("SELECT nextval('book_id_seq')"), "2346");
    assert_eq!(says("SELECT lo_get(4711)"), "\\x0001ff");
    assert_eq!(says("SELECT count(*) FROM pg_index WHERE NOT indisvalid"), "0");
    let key = "SELECT convalidated, condeferrable, condeferred FROM pg_constraint \
               WHERE conname = 'book_author'";
    assert_eq!(says(key), "t|t|t");
    assert_eq!(says("SELECT reltuples FROM pg_class WHERE relname = 'book'"), "2000");
    assert!(server.try_psql("shop", "INSERT INTO book VALUES (1, 1, 'x')").is_err());
    server.psql("shop", "INSERT INTO book VALUES (9999, 1, 'x')");
    assert_eq!(says("SELECT what FROM audit"), "x", "the trigger is there");
}

/// A table whose file is large enough is written frozen, into a file of its own.
#[test]
fn a_large_table_is_frozen_and_parts_of_tables_may_alternate() {
    let server = PostgresServer::start();
    let mut capture = Capture::shop();
    let row = |id: usize| format!("{id}\t1\t{}\n", "x".repeat(1000));
    let books: Vec<u8> = (1..=10_000).map(row).collect::<String>().into_bytes();
    let parts: Vec<Vec<u8>> = books.chunks(5_000_001).map(<[u8]>::to_vec).collect();
    capture.rows[0] = (2, parts);
    let counted = capture.counted();
    let mut staging = shop(&server).begin(&capture.captured()).unwrap();
    let mut files = capture.files();
    // The authors come between two parts of the books.
    let authors = files.iter().position(|(name, _)| name.starts_with("4-data/000001")).unwrap();
    let authors = files.remove(authors);
    let second = files.iter().position(|(name, _)| name == "4-data/000002.000002.copy").unwrap();
    files.insert(second, authors);
    for (name, bytes) in files {
        let file = CapturedFile { name: &name, size: bytes.len() as u64, mode: 0 };
        staging.file(file, &mut bytes.as_slice(), &mut Quiet).unwrap();
    }
    let staged = staging.finish(&mut Quiet).unwrap();
    assert_eq!(counted.tables[0].rows, 10_000);
    assert_eq!(server.psql(NEW, "SELECT count(*) FROM book"), "10000");
    let frozen = "SELECT count(*) FROM pg_visibility_map('book') WHERE all_frozen";
    server.psql(NEW, "CREATE EXTENSION pg_visibility");
    assert_ne!(server.psql(NEW, frozen), "0");
    drop(staged);
    assert!(databases(&server).is_empty());
}

#[test]
fn a_row_that_was_changed_lost_or_doubled_is_found() {
    let server = PostgresServer::start();
    live(&server);
    let truth = Capture::shop();
    let damaged = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut capture = Capture::shop();
        capture.promised = Some(truth.counted());
        change(&mut capture.rows[1].1[0]);
        let error = capture.stage(&*shop(&server)).err().expect("it is not what was captured");
        assert_eq!(error.kind(), ErrorKind::Damaged, "{error}");
        assert_eq!(databases(&server), ["shop"], "nothing is left");
        error.to_string()
    };
    let said = damaged(&|rows| rows[2] = b'A');
    assert!(said.contains("the rows of `public.author` are not those"), "{said}");
    let said = damaged(&|rows| rows.extend(b"11\tmore\n"));
    assert!(said.contains("has 11 rows instead of 10"), "{said}");
    let said = damaged(&|rows| {
        rows.pop();
    });
    assert!(said.contains("inside a row"), "{said}");
    let said = damaged(&|rows| rows.clear());
    assert!(said.contains("`public.author`"), "{said}");
}

#[test]
fn missing_and_misplaced_files_are_found() {
    let server = PostgresServer::start();
    let capture = Capture::shop();
    let files = capture.files();
    for (without, _) in files.iter().filter(|(name, _)| {
        !["3-pre.sql", "8-post.sql", "7-sequences.sql"].contains(&name.as_str())
    }) {
        let mut staging = shop(&server).begin(&capture.captured()).unwrap();
        let done =
            files.iter().filter(|(name, _)| name != without).try_for_each(|(name, bytes)| {
                let file = CapturedFile { name, size: bytes.len() as u64, mode: 0 };
                staging.file(file, &mut bytes.as_slice(), &mut Quiet)
            });
        let error = done.and_then(|()| staging.finish(&mut Quiet).map(drop)).expect_err(without);
        assert_eq!(error.kind(), ErrorKind::Damaged, "{without}: {error}");
        assert!(databases(&server).is_empty(), "{without}");
    }
}

#[test]
fn the_first_statement_that_fails_ends_the_restore_and_is_named() {
    let server = PostgresServer::start();
    live(&server);
    let mut capture = Capture::shop();
    let bad = "CREATE INDEX b ON public.book (no_such_function(title));\n";
    capture.schema.entries.push(entry(20, (Section::Post, "INDEX"), "b", bad, &[2]));
    let error = capture.stage(&*shop(&server)).err().expect("an index is lost");
    let said = error.to_string();
    assert!(said.contains("restore the index `public.b`"), "{said}");
    assert!(said.contains("no_such_function"), "{said}");
    assert_eq!(databases(&server), ["shop"]);

    let mut capture = Capture::shop();
    capture.rows[1].1[0].extend(b"10\tten again\n");
    let error = capture.stage(&*shop(&server)).err().expect("a key is not unique");
    assert!(error.to_string().contains("author_pkey"), "{error}");

    let mut capture = Capture::shop();
    capture.rows[1].1[0].extend(b"eleven\tno number\n");
    let error = capture.stage(&*shop(&server)).err().expect("no number");
    assert!(error.to_string().contains("invalid input syntax"), "{error}");
    assert!(error.to_string().contains("`public.author`"), "{error}");
    assert_eq!(databases(&server), ["shop"]);
}

/// `pg_restore` loses such an index and says that errors were ignored.
#[test]
fn a_function_that_names_another_without_its_schema_works_under_the_path_of_the_site() {
    let server = PostgresServer::start();
    let mut capture = Capture::shop();
    let mut add = |id, section, kind: &str, name: &str, sql: &str| {
        capture.schema.entries.push(entry(id, (section, kind), name, sql, &[]));
    };
    add(
        30,
        Section::Pre,
        "FUNCTION",
        "norm(text)",
        "CREATE FUNCTION public.norm(text) RETURNS text IMMUTABLE LANGUAGE sql \
         AS 'SELECT lower($1)';\n",
    );
    add(
        31,
        Section::Pre,
        "FUNCTION",
        "norm2(text)",
        "CREATE FUNCTION public.norm2(text) RETURNS text IMMUTABLE LANGUAGE plpgsql \
         AS 'BEGIN RETURN norm($1); END';\n",
    );
    let index = "CREATE INDEX by_norm ON public.book (public.norm2(title));\n";
    capture.schema.entries.push(entry(32, (Section::Post, "INDEX"), "by_norm", index, &[2, 31]));
    capture.restore(&*shop(&server)).unwrap();
    let valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'by_norm'::regclass";
    assert_eq!(server.psql("shop", valid), "t");
}

#[test]
fn what_belongs_to_the_database_as_a_whole_comes_back() {
    let server = PostgresServer::start();
    server.psql("postgres", "CREATE ROLE web LOGIN; CREATE ROLE boss");
    let mut capture = Capture::shop();
    let setting = |role: Option<&str>, name: &str, value: &str| Setting {
        role: role.map(str::to_owned),
        name: name.to_owned(),
        value: value.to_owned(),
    };
    let facts = &mut capture.catalog.database;
    facts.owner = "boss".to_owned();
    facts.comment = Some("the shop's".to_owned());
    facts.connection_limit = 17;
    facts.settings = vec![
        setting(None, "search_path", "\"$user\", public, app"),
        setting(None, "statement_timeout", "1ms"),
        setting(None, "default_transaction_read_only", "on"),
        setting(Some("web"), "work_mem", "7MB"),
        setting(None, "app.tenant", "it's \\ one"),
    ];
    facts.grants = Some(vec![
        Grant { to: None, by: "boss".to_owned(), right: "TEMPORARY".to_owned(), grantable: false },
        Grant {
            to: Some("web".to_owned()),
            by: "boss".to_owned(),
            right: "CONNECT".to_owned(),
            grantable: true,
        },
    ]);
    capture.restore(&*shop(&server)).unwrap();
    let says = |sql: &str| server.psql("postgres", sql);
    let facts = "SELECT datdba::regrole, datconnlimit, shobj_description(oid, 'pg_database'), \
                 datacl FROM pg_database WHERE datname = 'shop'";
    assert_eq!(says(facts), "boss|17|the shop's|{=T/boss,web=c*/boss}");
    let settings = "SELECT setrole, setconfig FROM pg_db_role_setting \
                    WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = 'shop') \
                    ORDER BY setrole = 0 DESC";
    let found = says(settings);
    for expected in [
        r#"search_path=\"$user\", public, app"#,
        "statement_timeout=1ms",
        "default_transaction_read_only=on",
        "work_mem=7MB",
        r"app.tenant=it's \\ one",
    ] {
        assert!(found.contains(expected), "{expected} in {found}");
    }
    let target = shop(&server);
    target.discard().unwrap();
}

#[test]
fn rows_that_were_left_out_stay_out_and_those_of_extensions_are_added() {
    let server = PostgresServer::start();
    let mut capture = Capture::shop();
    capture.catalog.tables[2].rows = RowsTaken::Excluded;
    // What the scripts of an extension put there must not be thrown away.
    capture.catalog.tables[0].rows = RowsTaken::Where("WHERE id < 100".to_owned());
    capture.schema.entries[0].sql += "INSERT INTO public.author VALUES (100, 'built in');\n";
    let staged = capture.stage(&*shop(&server)).unwrap();
    assert_eq!(server.psql(NEW, "SELECT count(*) FROM author"), "11");
    drop(staged);
}

struct StopAfter(u64);

impl Watch for StopAfter {
    fn bytes(&mut self, n: u64) {
        self.0 = self.0.saturating_sub(n);
    }

    fn cancelled(&self) -> bool {
        self.0 == 0
    }
}

#[test]
fn a_cancelled_restore_stops_on_the_server_and_leaves_nothing() {
    let server = PostgresServer::start();
    live(&server);
    let mut capture = Capture::shop();
    // An index that takes for ever, and more rows than the watch allows.
    capture.schema.entries.push(entry(
        40,
        (Section::Pre, "FUNCTION"),
        "slow(integer)",
        "CREATE FUNCTION public.slow(integer) RETURNS integer IMMUTABLE LANGUAGE plpgsql \
         AS 'BEGIN PERFORM pg_catalog.pg_sleep(60); RETURN $1; END';\n",
        &[],
    ));
    let slow = "CREATE INDEX slow ON public.author (public.slow(id));\n";
    capture.schema.entries.push(entry(41, (Section::Post, "INDEX"), "slow", slow, &[1]));
    capture.rows.reverse();
    let begun = std::time::Instant::now();
    let mut staging = shop(&server).begin(&capture.captured()).unwrap();
    let mut watch = StopAfter(40_000);
    let done = capture.fill(&mut *staging, &mut watch);
    let error = match done {
        Ok(()) => staging.finish(&mut watch).err().expect("it was stopped"),
        Err(error) => {
            drop(staging);
            error
        }
    };
    assert!(matches!(error, DatabaseError::Cancelled), "{error}");
    assert!(begun.elapsed().as_secs() < 30, "{:?}", begun.elapsed());
    assert_eq!(databases(&server), ["shop"]);
    let busy = "SELECT count(*) FROM pg_stat_activity WHERE query ~ 'slow' AND state = 'active' \
                AND pid <> pg_backend_pid()";
    assert_eq!(server.psql("postgres", busy), "0");
}
