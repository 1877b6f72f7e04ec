use std::io::{BufRead, BufReader, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use dalsegno_database::mysql;
use dalsegno_database::{DatabaseError, FileColumn, Quiet, Watch};
use dalsegno_format::ErrorKind;
use dalsegno_testkit::MariadbServer;

use crate::support::{Memory, WAIT, access, capture, options, server_with, try_capture};

/// A plain client that runs statements again and again until it is dropped.
struct Busy {
    stop: Arc<AtomicBool>,
    worker: Option<thread::JoinHandle<u64>>,
}

impl Busy {
    /// Runs what `next` says, each time anew.
    fn start(server: &MariadbServer, mut next: impl FnMut() -> String + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        let mut child = server.client("site").arg("--unbuffered").spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let mut answers = BufReader::new(child.stdout.take().unwrap());
        let worker = thread::spawn(move || {
            let mut times = 0;
            let mut line = String::new();
            while !seen.load(Ordering::Relaxed) {
                writeln!(stdin, "{}; SELECT 'done';", next()).unwrap();
                line.clear();
                while line.trim_end() != "done" {
                    line.clear();
                    assert_ne!(answers.read_line(&mut line).unwrap(), 0, "the client ended");
                }
                times += 1;
            }
            drop(stdin);
            assert!(child.wait().unwrap().success());
            times
        });
        Self { stop, worker: Some(worker) }
    }

    /// Ends it, and says how often it ran.
    fn end(&mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.worker.take().map_or(0, |worker| worker.join().unwrap())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(worker) = self.worker.take() {
            // Its own panic has been printed.
            let _ = worker.join();
        }
    }
}

#[test]
fn transfers_under_way_never_change_the_sum() {
    let server = server_with(
        "CREATE TABLE a (id INT PRIMARY KEY, balance INT); CREATE TABLE b LIKE a; CREATE TABLE late (id INT);
         INSERT INTO a SELECT seq, 1000 FROM seq_1_to_500; INSERT INTO b SELECT seq, 1000 FROM seq_1_to_500;",
    );
    let mut number = 0_u32;
    let mut busy = Busy::start(&server, move || {
        number += 1;
        let (from, to) = (number % 500 + 1, number * 7 % 500 + 1);
        format!(
            "BEGIN; UPDATE a SET balance = balance - 1 WHERE id = {from};
             UPDATE b SET balance = balance + 1 WHERE id = {to}; INSERT INTO late VALUES ({number}); COMMIT"
        )
    });
    for _ in 0..20 {
        let capture = capture(&server, "site");
        let sum = |table: &str| -> i64 {
            let lines = capture.lines(table);
            lines.iter().map(|line| line.split('\t').nth(1).unwrap().parse::<i64>().unwrap()).sum()
        };
        assert_eq!(sum("a") + sum("b"), 1_000_000);
        assert_eq!(500_000 - sum("a"), i64::try_from(capture.rows("late").rows).unwrap());
    }
    assert!(busy.end() > 100);
}

#[test]
fn what_is_written_after_the_snapshot_is_opened_is_not_in_it() {
    let server = server_with(
        "CREATE TABLE t (a VARCHAR(20)); INSERT INTO t VALUES ('x.png'), ('X.png'), (''), (NULL);",
    );
    let mut snapshot = mysql::capture(&access(&server, "site"), &options(), &mut Quiet).unwrap();
    server.sql("site", "INSERT INTO t VALUES ('late.png'); CREATE TABLE new (a INT);");
    let captured = snapshot.write(&mut Memory::default(), &mut Quiet).unwrap();
    assert_eq!(captured.tables.len(), 1);
    assert_eq!(captured.tables[0].rows, Some(4));
    let columns =
        ["a", "none"].map(|column| FileColumn { table: "t".to_owned(), column: column.to_owned() });
    let mut found = Vec::new();
    let unreadable = snapshot
        .file_references(&columns, &mut |at, value| found.push((at, value.to_vec())))
        .unwrap();
    found.sort();
    assert_eq!(found, [(0, b"X.png".to_vec()), (0, b"x.png".to_vec())]);
    assert_eq!((unreadable.len(), unreadable[0].column), (1, 1));
    assert!(unreadable[0].reason.contains("none"), "{}", unreadable[0].reason);
}

#[test]
fn nobody_changes_a_table_while_the_snapshot_is_open() {
    let server = server_with("CREATE TABLE t (a INT); INSERT INTO t VALUES (1);");
    let mut snapshot = mysql::capture(&access(&server, "site"), &options(), &mut Quiet).unwrap();
    for change in [
        "TRUNCATE t",
        "ALTER TABLE t ADD b INT",
        "DROP TABLE t",
        "CREATE TRIGGER x BEFORE INSERT ON t FOR EACH ROW SET @a = 1",
    ] {
        let said =
            server.try_sql("site", format!("SET lock_wait_timeout = 1; {change}").as_bytes());
        assert!(said.unwrap_err().contains("1205"), "{change}");
    }
    let captured = snapshot.write(&mut Memory::default(), &mut Quiet).unwrap();
    assert_eq!(captured.tables[0].rows, Some(1));
    drop(snapshot);
    server.sql("site", "TRUNCATE t");
}

#[test]
fn tables_that_are_truncated_and_made_all_the_time_are_captured_whole_or_not_at_all() {
    let server = server_with(
        "CREATE TABLE t (a INT); CREATE TABLE p (a INT) PARTITION BY HASH (a) PARTITIONS 3;",
    );
    let mut number = 0_u32;
    let mut busy = Busy::start(&server, move || {
        number += 1;
        format!(
            "TRUNCATE t; INSERT INTO t SELECT seq FROM seq_1_to_10; ALTER TABLE p TRUNCATE PARTITION p1;
             CREATE TABLE n{number} (a INT); DROP TABLE n{number}; DO SLEEP(0.05)"
        )
    });
    let mut whole = 0;
    for _ in 0..15 {
        match try_capture(&access(&server, "site"), &options(), &mut Quiet) {
            Ok(capture) => {
                whole += 1;
                let rows = capture.rows("t").rows;
                assert!(rows == 10 || rows == 0, "{rows}");
            }
            Err(error) => {
                assert!(error.to_string().contains("its tables changed in each of"), "{error}");
            }
        }
    }
    assert!(busy.end() > 1);
    assert!(whole > 0);
}

#[test]
fn tables_that_no_snapshot_covers_are_locked_until_they_are_read() {
    let server = server_with(
        "CREATE TABLE m (a INT) ENGINE = MyISAM; CREATE TABLE r (a INT) ENGINE = Aria; CREATE TABLE mem (a INT) ENGINE = MEMORY;
         CREATE TABLE c (a INT NOT NULL) ENGINE = CSV; CREATE TABLE i (a INT);
         CREATE TABLE m2 LIKE m; CREATE TABLE merged (a INT) ENGINE = MERGE UNION = (m, m2);
         INSERT INTO m VALUES (1); INSERT INTO r VALUES (2); INSERT INTO mem VALUES (3); INSERT INTO c VALUES (4);",
    );
    let mut snapshot = mysql::capture(&access(&server, "site"), &options(), &mut Quiet).unwrap();
    let write = |table: &str| {
        let sql = format!("SET lock_wait_timeout = 1; INSERT INTO {table} VALUES (9)");
        server.try_sql("site", sql.as_bytes())
    };
    for table in ["m", "r", "mem", "c"] {
        assert!(write(table).unwrap_err().contains("1205"), "{table}");
    }
    write("i").unwrap();
    let mut sink = Memory::default();
    let captured = snapshot.write(&mut sink, &mut Quiet).unwrap();
    // The snapshot is still open, and writers go on.
    for table in ["m", "r", "mem", "c"] {
        write(table).unwrap();
    }
    let rows: Vec<_> = captured.tables.iter().map(|table| (&*table.name, table.rows)).collect();
    assert_eq!(
        rows,
        [
            ("c", Some(1)),
            ("i", Some(0)),
            ("m", Some(1)),
            ("m2", Some(0)),
            ("mem", Some(1)),
            ("merged", None),
            ("r", Some(1))
        ]
    );
    let notes = captured.mysql.unwrap().notes;
    assert!(
        notes.iter().any(|note| note.contains("`c`, `m`, `m2`, `mem`, `r`: writers waited")),
        "{notes:?}"
    );
    assert!(
        notes.iter().any(|note| note.contains("`merged` (MRG_MyISAM) lie elsewhere")),
        "{notes:?}"
    );
}

#[test]
fn a_lock_in_the_way_is_waited_for_and_then_named() {
    let server = server_with("CREATE TABLE t (a INT) ENGINE = MyISAM");
    let mut holder = server.client("site");
    let mut holder = holder.spawn().unwrap();
    let mut stdin = holder.stdin.take().unwrap();
    stdin.write_all(b"LOCK TABLES t WRITE; SELECT SLEEP(60);\n").unwrap();
    thread::sleep(Duration::from_millis(500));
    let mut options = options();
    options.lock_timeout = Duration::from_secs(1);
    let since = Instant::now();
    let error = try_capture(&access(&server, "site"), &options, &mut Quiet).unwrap_err();
    assert!(since.elapsed() < Duration::from_secs(5));
    let said = error.to_string();
    assert!(said.starts_with("cannot lock against writers `site`"), "{said}");
    assert!(
        said.contains("is locked; open are session") && said.contains("of `site` (Query since"),
        "{said}"
    );
    assert_eq!(error.kind(), ErrorKind::Locked);
    holder.kill().unwrap();
    holder.wait().unwrap();
}

/// Says "stop" some time after it was first asked.
struct Impatient {
    since: Instant,
    after: Duration,
}

impl Watch for Impatient {
    fn bytes(&mut self, _: u64) {}

    fn cancelled(&self) -> bool {
        self.since.elapsed() > self.after
    }
}

#[test]
fn a_cancel_stops_the_statement_on_the_server_too() {
    let server = server_with(
        "CREATE TABLE t (a INT PRIMARY KEY, b CHAR(200)); INSERT INTO t SELECT seq, REPEAT('x', 200) FROM seq_1_to_400000;",
    );
    let impatient =
        |millis| Impatient { since: Instant::now(), after: Duration::from_millis(millis) };
    // In the middle of the rows.
    let error = try_capture(&access(&server, "site"), &options(), &mut impatient(150)).unwrap_err();
    assert!(matches!(error, DatabaseError::Cancelled), "{error}");
    // In the middle of a wait.
    let mut holder = server.client("site").spawn().unwrap();
    let mut stdin = holder.stdin.take().unwrap();
    stdin.write_all(b"LOCK TABLES t WRITE; SELECT SLEEP(60);\n").unwrap();
    thread::sleep(Duration::from_millis(300));
    let since = Instant::now();
    let error =
        mysql::table_counts(&access(&server, "site"), Duration::from_secs(50), &mut impatient(300))
            .unwrap_err();
    assert!(matches!(error, DatabaseError::Cancelled), "{error}");
    assert!(since.elapsed() < Duration::from_secs(5));
    holder.kill().unwrap();
    holder.wait().unwrap();
    thread::sleep(Duration::from_millis(300));
    let ours = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE DB = 'site' AND INFO NOT LIKE '%SLEEP(60)%'";
    assert_eq!(server.sql("", ours), "0\n");
}

#[test]
fn a_sink_that_fails_ends_the_capture_at_once() {
    struct Full;
    impl dalsegno_database::FileSink for Full {
        fn file(
            &mut self,
            name: &str,
            _: u64,
            data: &mut dyn std::io::Read,
        ) -> Result<[u8; 32], Box<dyn std::error::Error + Send + Sync>> {
            if name.starts_with("4-data/") {
                return Err("no space".into());
            }
            std::io::copy(data, &mut std::io::sink())?;
            Ok([0; 32])
        }
    }
    let server = server_with(
        "CREATE TABLE t (a INT PRIMARY KEY, b CHAR(200)); INSERT INTO t SELECT seq, REPEAT('x', 200) FROM seq_1_to_400000;",
    );
    let mut snapshot = mysql::capture(&access(&server, "site"), &options(), &mut Quiet).unwrap();
    let error = snapshot.write(&mut Full, &mut Quiet).unwrap_err();
    assert_eq!(error.to_string(), "cannot store the captured file `4-data/000001.000001.tsv`");
    let again = snapshot.write(&mut Memory::default(), &mut Quiet).unwrap_err();
    assert!(again.to_string().starts_with("the snapshot of site on "), "{again}");
    assert!(snapshot.file_references(&[], &mut |_, _| {}).is_err());
}

#[test]
fn a_server_that_dies_under_a_capture_fails_it() {
    let mut server = server_with(
        "CREATE TABLE t (a INT PRIMARY KEY, b CHAR(200)); INSERT INTO t SELECT seq, REPEAT('x', 200) FROM seq_1_to_400000;",
    );
    let mut snapshot = mysql::capture(&access(&server, "site"), &options(), &mut Quiet).unwrap();
    server.kill();
    let error = snapshot.write(&mut Memory::default(), &mut Quiet).unwrap_err();
    assert!(error.to_string().contains("broke"), "{error}");
    server.start_again();
    assert_eq!(capture(&server, "site").rows("t").rows, 400_000);
}

#[test]
fn counts_and_hashes_are_those_of_the_capture() {
    let server = server_with(
        "CREATE TABLE t (a INT, f FLOAT); INSERT INTO t VALUES (1, 0.1), (1, 0.1); CREATE TABLE e (a INT);
         CREATE TABLE m (a INT) ENGINE = MyISAM; CREATE TABLE b (a INT) ENGINE = MERGE UNION = (m);",
    );
    let capture = capture(&server, "site");
    let access = access(&server, "site");
    assert_eq!(mysql::table_counts(&access, WAIT, &mut Quiet).unwrap(), capture.captured.tables);
    let hashes = mysql::table_hashes(&access, WAIT, &mut Quiet).unwrap();
    assert_eq!(hashes[3].hash.as_deref(), Some(&*capture.rows("t").hash));
    assert_eq!((hashes[0].rows, hashes[1].rows), (None, Some(0)));
    server.sql("site", "UPDATE t SET a = 2 LIMIT 1");
    let changed = mysql::table_hashes(&access, WAIT, &mut Quiet).unwrap();
    assert_ne!(changed[3].hash, hashes[3].hash);
}

#[test]
fn rows_that_are_to_be_left_out_are_and_the_table_stays() {
    let server = server_with(
        "CREATE TABLE sessions (a INT); CREATE TABLE t (a INT); INSERT INTO sessions VALUES (1); INSERT INTO t VALUES (1)",
    );
    let mut options = options();
    options.exclude_rows_of = vec!["sessions".to_owned()];
    let capture = try_capture(&access(&server, "site"), &options, &mut Quiet).unwrap();
    assert_eq!(capture.captured.excluded, ["sessions"]);
    assert_eq!(capture.report().tables.len(), 1);
    capture.load(&server, "copy");
    assert_eq!(
        server.sql("copy", "SELECT (SELECT COUNT(*) FROM t), COUNT(*) FROM sessions"),
        "1\t0\n"
    );
    options.exclude_rows_of = vec!["none".to_owned()];
    let error = try_capture(&access(&server, "site"), &options, &mut Quiet).unwrap_err();
    assert!(error.to_string().ends_with("has no table `none`"), "{error}");
    assert_eq!(error.kind(), ErrorKind::Usage);
}
