//! The switch and its reversal.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use dalsegno_database::postgres::{Way, leftovers, plan, remove_leftover};
use dalsegno_database::{DatabaseError, Place, Quiet, Recovered, Switched};
use dalsegno_testkit::PostgresServer;

use super::shop::*;

#[test]
fn a_restore_switches_rolls_back_and_leaves_nothing() {
    let server = PostgresServer::start();
    live(&server);
    let capture = Capture::shop();
    let switched = capture.restore(&*shop(&server)).unwrap();
    let Switched::Postgresql(record) = &switched else { panic!("{switched:?}") };
    assert_eq!(record.way, Way::Rename);
    assert!(record.refused_for_ms < 1000, "{record:?}");
    assert_eq!(content(&server), "new");
    assert_eq!(databases(&server), ["shop", OLD]);
    assert_eq!(server.psql(OLD, "SELECT * FROM old"), "1");

    let target = shop(&server);
    assert!(target.holds(&switched).unwrap());
    assert!(!target.written_since(&switched, Duration::ZERO).unwrap());
    let back = target.rollback(&switched, back(false), &mut Quiet).unwrap();
    assert_eq!(back.present, None);
    assert_eq!((content(&server), databases(&server)), ("old", vec!["shop".to_owned()]));
    assert!(!target.holds(&switched).unwrap());
}

#[test]
fn a_database_that_was_not_there_is_created_and_taken_away() {
    let server = PostgresServer::start();
    let switched = Capture::shop().restore(&*shop(&server)).unwrap();
    let Switched::Postgresql(record) = &switched else { panic!("{switched:?}") };
    assert_eq!((record.way, &record.kept), (Way::Create, &None));
    assert_eq!(databases(&server), ["shop"]);
    let target = shop(&server);
    let found = target.recover(Some(&record.content), false, Duration::ZERO).unwrap();
    assert!(matches!(found, Recovered::Switched(_)), "{found:?}");
    let other = target.recover(Some("1:x"), false, Duration::ZERO).unwrap();
    assert_eq!(other, Recovered::Nothing, "a database of somebody else is not ours");
    target.rollback(&switched, back(false), &mut Quiet).unwrap();
    assert!(databases(&server).is_empty());
    assert!(!target.holds(&switched).unwrap());
}

/// Each of them is something a site can do without touching a row count.
#[test]
fn whatever_is_written_after_a_restore_is_noticed() {
    let server = PostgresServer::start();
    live(&server);
    let mut capture = Capture::shop();
    capture.large = vec!["SELECT pg_catalog.lo_from_bytea(4711, 'bytes');\n".to_owned()];
    let target = shop(&server);
    for sql in [
        "VACUUM FREEZE ANALYZE",
        "CREATE TEMP TABLE t (a int); SELECT * FROM book",
        "BEGIN; DELETE FROM book; ROLLBACK",
    ] {
        let switched = capture.restore(&*target).unwrap();
        server.psql("shop", sql);
        let written = target.written_since(&switched, Duration::ZERO).unwrap();
        assert!(!written, "nothing that stays is written by {sql}");
        target.rollback(&switched, back(false), &mut Quiet).unwrap();
    }
    for sql in [
        "SELECT nextval('book_id_seq')",
        "SELECT lo_put(4711, 1, 'Y')",
        "ALTER TABLE book DISABLE TRIGGER noted",
        "UPDATE author SET name = 'x' WHERE id = 3",
        "COMMENT ON TABLE book IS 'read'",
        "GRANT SELECT ON book TO PUBLIC",
        "CREATE TABLE more ()",
        "REFRESH MATERIALIZED VIEW titles",
    ] {
        let switched = capture.restore(&*target).unwrap();
        server.psql("shop", sql);
        assert!(target.written_since(&switched, Duration::ZERO).unwrap(), "{sql}");
        let error = target.rollback(&switched, back(false), &mut Quiet).unwrap_err();
        assert!(matches!(error, DatabaseError::ChangedSince { .. }), "{sql}: {error}");
        let kept = target.rollback(&switched, back(true), &mut Quiet).unwrap().present;
        let place = kept.expect("the present state is kept");
        assert!(place.to_string().starts_with(PRESENT), "{place}");
        assert_eq!(content(&server), "old");
        assert_eq!(server.psql(PRESENT, "SELECT count(*) FROM author"), "10");
        target.discard().unwrap();
        assert_eq!(databases(&server), ["shop"]);
    }
}

#[test]
fn leftovers_are_ours_alone_and_only_unfinished_ones_go() {
    let server = PostgresServer::start();
    live(&server);
    for name in [NEW, OLD, PRESENT, "shop_old", "shop2__dalsegno_0123456789ab_new"] {
        server.create_database(name);
    }
    let access = access(&server, "shop");
    let left = leftovers(&access).unwrap();
    let found: Vec<(String, &str, bool)> = left
        .iter()
        .map(|it| {
            let Place::Server { database, .. } = &it.place else { panic!("{it:?}") };
            (database.clone(), it.restore_id.as_str(), it.unfinished)
        })
        .collect();
    let id = "0123456789ab";
    assert_eq!(
        found,
        [(NEW.to_owned(), id, true), (OLD.to_owned(), id, false), (PRESENT.to_owned(), id, false)]
    );
    for left in &left {
        let removed = remove_leftover(&access, left);
        assert_eq!(removed.is_ok(), left.unfinished, "{left:?}");
    }
    remove_leftover(&access, &left[0]).expect("it may be gone already");
    let mut other = left[1].clone();
    other.unfinished = true;
    remove_leftover(&access, &other).expect_err("its name says that it keeps data");
    assert!(!databases(&server).contains(&NEW.to_owned()));
    shop(&server).discard().unwrap();
    assert_eq!(databases(&server), ["shop", "shop2__dalsegno_0123456789ab_new", "shop_old"]);
}

#[test]
fn two_restores_of_one_id_do_not_collide() {
    let server = PostgresServer::start();
    live(&server);
    let capture = Capture::shop();
    let staged = capture.stage(&*shop(&server)).unwrap();
    let error = capture.stage(&*shop(&server)).err().expect("the second is refused");
    assert!(matches!(error, DatabaseError::PlaceTaken { .. }), "{error}");
    assert_eq!(databases(&server), ["shop", NEW], "what the first made is still there");
    drop(staged);
    assert_eq!(databases(&server), ["shop"]);
}

/// Clients that connect again and again: each answer is wholly old or wholly new.
#[test]
fn twenty_readers_never_see_a_mixture() {
    let server = PostgresServer::start();
    live(&server);
    let capture = Capture::shop();
    let staged = capture.stage(&*shop(&server)).unwrap();
    let over = AtomicBool::new(false);
    let params = format!("host={} port={} user=postgres dbname=shop", server.host(), server.port());
    let mut config: postgres::Config = params.parse().unwrap();
    config.password(PostgresServer::PASSWORD);
    let (mut answers, mut longest) = (Vec::new(), Duration::ZERO);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..20).map(|_| scope.spawn(|| reader(&config, &over))).collect();
        std::thread::sleep(Duration::from_millis(300));
        let options = dalsegno_database::SwitchOptions { lock_timeout: Duration::from_secs(20) };
        let switched = staged.switch(options, &mut Quiet);
        std::thread::sleep(Duration::from_millis(300));
        over.store(true, Ordering::Relaxed);
        let Switched::Postgresql(record) = switched.unwrap() else { panic!("another engine") };
        assert!(record.refused_for_ms < 1000, "{record:?}");
        for reader in readers {
            let (seen, gap) = reader.join().unwrap();
            longest = longest.max(gap);
            answers.push(seen);
        }
    });
    for seen in answers {
        assert_eq!(seen, ["old", "new"], "each reader sees the old one, then the new one");
    }
    assert!(longest < Duration::from_secs(2), "{longest:?}");
}

/// What it saw, repetitions left out, and the longest time without an answer.
fn reader(config: &postgres::Config, over: &AtomicBool) -> (Vec<&'static str>, Duration) {
    let sql = "SELECT string_agg(relname, ',' ORDER BY relname) FROM pg_class \
               WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace";
    let (mut seen, mut longest, mut last) = (Vec::new(), Duration::ZERO, Instant::now());
    let mut client = None;
    while !over.load(Ordering::Relaxed) {
        let Some(open) = &mut client else {
            client = config.connect(postgres::NoTls).ok();
            continue;
        };
        let Ok(row) = open.query_one(sql, &[]) else {
            client = None;
            continue;
        };
        let state = match row.get::<_, &str>(0) {
            "old" => "old",
            "audit,author,book" => "new",
            other => panic!("a mixture: {other}"),
        };
        longest = longest.max(last.elapsed());
        last = Instant::now();
        if seen.last() != Some(&state) {
            seen.push(state);
        }
    }
    (seen, longest)
}

#[test]
fn what_is_bound_to_the_live_database_stands_against_a_restore() {
    let server = PostgresServer::start_with(&["max_prepared_transactions=2", "wal_level=logical"]);
    live(&server);
    let capture = Capture::shop();
    let access = access(&server, "shop");
    let refusal = |what: &str| {
        let error = capture.stage(&*shop(&server)).err().unwrap_or_else(|| panic!("{what}"));
        assert!(matches!(error, DatabaseError::NotRestorable { .. }), "{error}");
        assert!(error.to_string().contains(what), "{error}");
        assert!(plan(&access, &capture.captured()).is_err());
        assert_eq!(databases(&server), ["shop"]);
        error.hint().unwrap()
    };
    server.psql("shop", "BEGIN; INSERT INTO old VALUES (2); PREPARE TRANSACTION 'later'");
    assert!(refusal("prepared transaction").contains("ROLLBACK PREPARED 'later'"));
    server.psql("shop", "ROLLBACK PREPARED 'later'");
    server.psql("shop", "SELECT pg_create_logical_replication_slot('feed', 'pgoutput')");
    assert!(refusal("replication slot").contains("pg_drop_replication_slot('feed')"));
    server.psql("shop", "SELECT pg_drop_replication_slot('feed')");
    assert_eq!(plan(&access, &capture.captured()).unwrap().holders, []);
    capture.restore(&*shop(&server)).unwrap();
}
