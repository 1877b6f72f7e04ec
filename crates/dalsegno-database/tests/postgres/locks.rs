//! What happens at the same time: other sessions, a cancelled capture, a server that dies.

use std::cell::Cell;
use std::error::Error;
use std::io::{Read, Write};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use dalsegno_database::postgres::{Cause, Failure, capture};
use dalsegno_database::{DatabaseError, FileSink, Quiet, Watch};
use dalsegno_format::ErrorKind;
use dalsegno_testkit::PostgresServer;

use crate::files::{Files, Taken, access, options, shop, try_taken};

/// A session that has run statements and goes on when it is told to.
struct Other(Child);

impl Other {
    fn runs(server: &PostgresServer, sql: &str) -> Self {
        let mut psql = server.client("psql", "shop");
        psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1"]);
        let child = psql.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut other = Self(child);
        other.say(&format!("{sql};\n\\echo ready\n"));
        let mut ready = [0; 6];
        other.0.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
        assert_eq!(&ready, b"ready\n");
        other
    }

    fn say(&mut self, text: &str) {
        self.0.stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    fn ends_with(mut self, sql: &str) {
        self.say(sql);
        drop(self.0.stdin.take());
        assert!(self.0.wait().unwrap().success());
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn until(what: &str, mut seen: impl FnMut() -> bool) {
    let patience = Instant::now() + Duration::from_secs(20);
    while !seen() {
        assert!(Instant::now() < patience, "{what}");
        thread::sleep(Duration::from_millis(10));
    }
}

fn waits_for_lock(server: &PostgresServer) {
    let sql = "SELECT count(*) FROM pg_stat_activity
        WHERE application_name = 'dalsegno' AND wait_event_type = 'Lock'";
    until("the capture waits", || server.psql("shop", sql) != "0");
}

/// What is captured while another session does `first`, then `then` once the capture waits for it.
fn beside(server: &PostgresServer, first: &str, then: &str) -> Taken {
    let other = Other::runs(server, &format!("BEGIN; {first}"));
    thread::scope(|scope| {
        let taken = scope.spawn(|| try_taken(&access(server, "shop"), &options()));
        waits_for_lock(server);
        other.ends_with(&format!("{then}; COMMIT;"));
        taken.join().unwrap().unwrap()
    })
}

#[test]
fn a_table_emptied_while_it_was_waited_for_is_seen_with_all_that_goes_with_it() {
    let server = shop("CREATE TABLE t AS SELECT 1 AS a; CREATE TABLE log (line text)");
    let taken = beside(&server, "TRUNCATE t", "INSERT INTO log VALUES ('emptied')");
    assert!(taken.lines("t").is_empty());
    assert_eq!(taken.lines("log"), ["emptied"]);
}

#[test]
fn tables_that_come_and_go_while_the_list_is_locked_are_neither_missed_nor_missing() {
    let server = shop("CREATE TABLE a (n int); CREATE TABLE b (n int)");
    let taken = beside(
        &server,
        "LOCK TABLE a",
        "DROP TABLE b; ALTER TABLE a RENAME TO renamed; CREATE TABLE new AS SELECT 5 AS n",
    );
    let names: Vec<String> = taken.captured.tables.iter().map(|table| table.name.clone()).collect();
    assert_eq!(names, ["new", "renamed"]);
    assert_eq!(taken.lines("new"), ["5"]);
}

#[test]
fn who_holds_a_table_too_long_is_in_the_error() {
    let server = shop("CREATE TABLE held (n int)");
    let other = Other::runs(&server, "BEGIN; ALTER TABLE held ADD COLUMN m int");
    let mut options = options();
    options.lock_timeout = Duration::from_millis(300);
    let error = try_taken(&access(&server, "shop"), &options).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Locked);
    let text = error.to_string();
    assert!(text.contains("of postgres on held (ALTER TABLE held ADD COLUMN m int"), "{text}");
    other.ends_with("COMMIT;");
    try_taken(&access(&server, "shop"), &options).unwrap();
}

#[test]
fn rows_written_after_the_snapshot_are_not_in_it_and_sequences_are_never_behind() {
    let server = shop("CREATE TABLE t (id serial, n int); INSERT INTO t (n) VALUES (1), (2)");
    server.psql("shop", "CREATE SEQUENCE never; CREATE SEQUENCE down INCREMENT -5");
    let mut snapshot = capture(&access(&server, "shop"), &options(), &mut Quiet).unwrap();
    server.psql("shop", "INSERT INTO t (n) VALUES (3), (4); CREATE TABLE late (n int)");
    let mut files = Files::default();
    let captured = snapshot.write(&mut files, &mut Quiet).unwrap();
    let taken = Taken { captured, files };
    assert_eq!(taken.lines("t"), ["1\t1", "2\t2"]);
    assert_eq!(taken.captured.tables.len(), 1);
    let lines: Vec<&str> = taken.text("7-sequences.sql").lines().collect();
    assert_eq!(
        lines,
        [
            "SELECT pg_catalog.setval('\"public\".\"down\"', -1, false);",
            "SELECT pg_catalog.setval('\"public\".\"never\"', 1, false);",
            "SELECT pg_catalog.setval('\"public\".\"t_id_seq\"', 4, true);",
        ]
    );
    assert_eq!(taken.rows().sequences, 3);
}

#[test]
fn more_tables_than_the_server_has_locks_for_are_refused_with_the_setting_to_raise() {
    let server =
        PostgresServer::start_with(&["max_locks_per_transaction=10", "max_connections=12"]);
    server.create_database("shop");
    // A transaction takes a lock for each table it makes.
    for n in 0..10 {
        let table = "SELECT format('CREATE TABLE t%s_%s (a int)', NUM, n)";
        let twenty = format!("{table} FROM generate_series(1, 20) n \\gexec");
        server.psql("shop", &twenty.replace("NUM", &n.to_string()));
    }
    let error = try_taken(&access(&server, "shop"), &options()).err().unwrap();
    let text = error.to_string();
    assert!(text.contains("lock 200 tables") && text.contains("17 is needed"), "{text}");
    assert!(error.hint().unwrap().contains("max_locks_per_transaction"));
}

/// Stops after some bytes.
struct Stop {
    left: Cell<u64>,
}

impl Watch for Stop {
    fn bytes(&mut self, n: u64) {
        self.left.set(self.left.get().saturating_sub(n));
    }

    fn cancelled(&self) -> bool {
        self.left.get() == 0
    }
}

const BIG: &str = "CREATE TABLE big AS
    SELECT n, repeat(md5(n::text), 30) AS pad FROM generate_series(1, 60000) n";

fn nobody_is_left(server: &PostgresServer) {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'dalsegno'";
    until("no session is left", || server.psql("shop", sql) == "0");
}

#[test]
fn a_cancelled_capture_ends_at_once_and_leaves_no_session() {
    let server = shop(BIG);
    let mut snapshot = capture(&access(&server, "shop"), &options(), &mut Quiet).unwrap();
    let mut watch = Stop { left: Cell::new(20 << 20) };
    let error = snapshot.write(&mut Files::default(), &mut watch).err().unwrap();
    assert!(matches!(error, DatabaseError::Cancelled), "{error}");
    drop(snapshot);
    nobody_is_left(&server);
}

/// Stops after a moment.
struct Late(Instant);

impl Watch for Late {
    fn bytes(&mut self, _: u64) {}

    fn cancelled(&self) -> bool {
        self.0.elapsed() > Duration::from_millis(300)
    }
}

#[test]
fn a_capture_that_waits_for_a_lock_can_be_cancelled() {
    let server = shop("CREATE TABLE held (n int)");
    let other = Other::runs(&server, "BEGIN; LOCK TABLE held");
    let begun = Instant::now();
    let mut late = Late(begun);
    let error = capture(&access(&server, "shop"), &options(), &mut late).err().unwrap();
    assert!(matches!(error, DatabaseError::Cancelled), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(5));
    nobody_is_left(&server);
    other.ends_with("COMMIT;");
}

/// Does something with the first part of rows.
struct Meddling<F: FnMut()>(F);

impl<F: FnMut()> FileSink for Meddling<F> {
    fn file(
        &mut self,
        name: &str,
        _: u64,
        data: &mut dyn Read,
    ) -> Result<[u8; 32], Box<dyn Error + Send + Sync>> {
        let mut bytes = Vec::new();
        data.read_to_end(&mut bytes)?;
        if name.starts_with("4-data/") {
            (self.0)();
        }
        Ok([0; 32])
    }
}

#[test]
fn a_server_that_dies_in_the_middle_is_an_error_and_no_capture() {
    let mut server = shop(&format!("{BIG}; CREATE TABLE other AS SELECT * FROM big"));
    let mut snapshot = capture(&access(&server, "shop"), &options(), &mut Quiet).unwrap();
    let mut sink = Meddling(|| server.crash());
    let error = snapshot.write(&mut sink, &mut Quiet).err().unwrap();
    let DatabaseError::Postgres(failure) = &error else { panic!("{error:?}") };
    let Failure::Refused { cause, .. } = &**failure else { panic!("{error:?}") };
    assert!(matches!(cause, Cause::Dropped | Cause::NotReady), "{error:?}");
}

#[test]
fn a_sink_that_takes_less_than_a_file_fails_the_capture() {
    struct Short;
    impl FileSink for Short {
        fn file(
            &mut self,
            name: &str,
            size: u64,
            data: &mut dyn Read,
        ) -> Result<[u8; 32], Box<dyn Error + Send + Sync>> {
            let wanted = if name.starts_with("4-data/") { size / 2 } else { size };
            std::io::copy(&mut data.take(wanted), &mut std::io::sink())?;
            Ok([0; 32])
        }
    }
    let server = shop(BIG);
    let mut snapshot = capture(&access(&server, "shop"), &options(), &mut Quiet).unwrap();
    let error = snapshot.write(&mut Short, &mut Quiet).err().unwrap();
    assert!(matches!(error, DatabaseError::SinkShort { .. }), "{error}");
}
