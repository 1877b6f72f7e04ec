//! What cannot be restored is refused before the live database is touched.

use std::io::{BufRead, BufReader, Write};

use dalsegno_database::mysql::{self, Access};
use dalsegno_database::{DatabaseError, Quiet, SwitchOptions, Watch};
use dalsegno_format::{ErrorKind, Secret};
use std::time::Duration;

use crate::support::{
    Backup, SWITCH, WAIT, access, assert_same, beside, capture, oracle, restore, shop, stage,
};

/// Staging fails with an error that says this, and nothing is left.
#[track_caller]
fn assert_damaged(live: &Access, backup: &Backup, says: &str) {
    let error = stage(live, backup, &mut Quiet).err().unwrap();
    assert!(error.to_string().contains(says), "{error}");
    assert_eq!(beside(live), Vec::<String>::new(), "{error}");
}

#[test]
fn a_backup_that_is_damaged_is_refused_and_leaves_nothing() {
    let server = shop();
    let live = access(&server, "shop");
    let backup = capture(&live);
    let before = oracle(&server, "shop");
    let named = |name: &str| {
        let catalog: mysql::catalog::Catalog = serde_json::from_slice(&backup.files[0].1).unwrap();
        catalog.tables.into_iter().find(|table| table.name == name).unwrap()
    };
    let (tag, shelf) = (named("tag").data_file(1), named("shelf").data_file(1));

    assert_damaged(
        &live,
        &backup.with(&tag, "NULL", "NILL"),
        "`tag` has 6 rows in 1 files with hash",
    );
    assert_damaged(&live, &backup.with(&shelf, "2\t\\N\n", "2\t\\N"), "middle of a row");
    assert_damaged(&live, &backup.with(&shelf, "2\t\\N\n", ""), "`shelf` has 1 rows");
    // The server only warns of what it cuts off.
    let narrow = backup.with("2-schema.json", "varchar(10)", "varchar(3)");
    assert_damaged(&live, &narrow, "the server warned");
    // A row that is there already stops it, or is left out with a warning: either is seen.
    let unique = backup.with("2-schema.json", "KEY `word` (`word`)", "UNIQUE KEY `word` (`word`)");
    assert_damaged(&live, &unique, "cannot load rows into `tag`");

    let mut missing = backup.clone();
    missing.files.retain(|(name, _)| *name != tag);
    assert_damaged(&live, &missing, "`tag` has 0 rows in 0 files");
    let mut cut = backup.clone();
    cut.files.retain(|(name, _)| name != "9-rows.json");
    assert_damaged(&live, &cut, "`9-rows.json` is missing");
    let mut turned = backup.clone();
    turned.files.swap(0, 1);
    assert_damaged(&live, &turned, "comes before `1-catalog.json`");
    let mut twice = backup.clone();
    let part = twice.files.iter().find(|(name, _)| *name == tag).unwrap().clone();
    twice.files.insert(twice.files.len() - 1, part);
    assert_damaged(&live, &twice, "at the wrong time");
    // What would fail after the switch fails before it.
    let broken = backup.with("2-schema.json", "from `titles`", "from `title`");
    let error = stage(&live, &broken, &mut Quiet).err().unwrap();
    assert!(error.to_string().contains("a_first"), "{error}");
    assert_eq!(beside(&live), Vec::<String>::new());

    assert_same(&oracle(&server, "shop"), &before, "");
}

#[test]
fn a_lock_that_is_not_given_back_leaves_the_old_data_with_triggers_and_events() {
    let server = shop();
    let live = access(&server, "shop");
    let backup = capture(&live);
    server.sql("shop", "INSERT INTO tag VALUES ('now')");
    let before = oracle(&server, "shop");

    let mut holder = server.client("shop").arg("--unbuffered").spawn().unwrap();
    let mut stdin = holder.stdin.take().unwrap();
    stdin.write_all(b"BEGIN; SELECT COUNT(*) FROM tag;\n").unwrap();
    stdin.flush().unwrap();
    let mut line = String::new();
    BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "7\n");

    let staged = stage(&live, &backup, &mut Quiet).unwrap();
    let wait = SwitchOptions { lock_timeout: Duration::from_secs(1) };
    let error = staged.switch(wait, &mut Quiet).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked);
    assert!(error.to_string().contains("session of site@"), "{error}");
    assert_same(&oracle(&server, "shop"), &before, "");
    assert_eq!(beside(&live), Vec::<String>::new());

    drop(stdin);
    holder.wait().unwrap();
    restore(&live, &backup);
    assert_ne!(oracle(&server, "shop"), before);
}

#[test]
fn an_account_without_the_right_to_make_schemas_is_told_what_to_grant() {
    let server = shop();
    server.sql(
        "shop",
        "DROP VIEW a_first, titles; DROP PROCEDURE greet; DROP FUNCTION double_it;
        DROP EVENT nightly; DROP EVENT never; DROP TRIGGER first; DROP TRIGGER second;",
    );
    let backup = capture(&access(&server, "shop"));
    server.sql("", "CREATE USER few IDENTIFIED BY 'pass'; GRANT ALL ON shop.* TO few;");
    let live = Access {
        user: "few".to_owned(),
        password: Some(Secret::new("pass")),
        ..access(&server, "shop")
    };
    let planned = mysql::plan(&live, &backup.captured, WAIT).unwrap_err();
    let staged = stage(&live, &backup, &mut Quiet).err().unwrap();
    for error in [planned, staged] {
        assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
        assert!(!error.to_string().contains("pass"));
        let hint = error.hint().unwrap();
        assert!(
            hint.contains("GRANT ALL PRIVILEGES ON `shop\\_\\_dalsegno\\_%`.* TO 'few'@'%'"),
            "{hint}"
        );
    }
    server.sql("", "GRANT ALL PRIVILEGES ON `shop\\_\\_dalsegno\\_%`.* TO 'few'@'%'");
    let plan = mysql::plan(&live, &backup.captured, WAIT).unwrap();
    assert!(plan.keeps && plan.notes.is_empty(), "{plan:?}");
    let before = oracle(&server, "shop");
    server.sql("shop", "DELETE FROM tag");
    restore(&live, &backup);
    assert_same(&oracle(&server, "shop"), &before, "");
}

#[test]
fn an_account_that_may_not_set_a_definer_does_not_make_objects_its_own() {
    let server = shop();
    let backup = capture(&access(&server, "shop"));
    server.sql("", "CREATE USER few IDENTIFIED BY 'pass'; GRANT ALL ON `shop%`.* TO few;");
    let live = Access {
        user: "few".to_owned(),
        password: Some(Secret::new("pass")),
        ..access(&server, "shop")
    };
    let error = stage(&live, &backup, &mut Quiet).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
    assert!(error.to_string().contains("has the rights of `site@%`"), "{error}");
    assert!(error.hint().unwrap().contains("GRANT SET USER ON *.* TO 'few'@'%'"));
    assert_eq!(beside(&live), Vec::<String>::new());
}

#[test]
fn a_database_that_others_point_into_is_left_alone() {
    let server = shop();
    let live = access(&server, "shop");
    let backup = capture(&live);
    let staged = stage(&live, &backup, &mut Quiet).unwrap();
    server.sql("", "CREATE DATABASE other;
        CREATE TABLE other.t (b INT, CONSTRAINT into_it FOREIGN KEY (b) REFERENCES shop.book (id));");
    let before = oracle(&server, "shop");
    for error in [
        mysql::plan(&live, &backup.captured, WAIT).unwrap_err(),
        staged.switch(SWITCH, &mut Quiet).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
        assert!(error.to_string().contains("`other.t`"), "{error}");
    }
    assert_same(&oracle(&server, "shop"), &before, "");
    assert_eq!(beside(&live), Vec::<String>::new());
}

/// Stops after so many bytes.
struct Enough(u64);

impl Watch for Enough {
    fn bytes(&mut self, n: u64) {
        self.0 = self.0.saturating_sub(n);
    }

    fn cancelled(&self) -> bool {
        self.0 == 0
    }
}

#[test]
fn a_restore_that_is_cancelled_leaves_nothing() {
    let server = shop();
    let live = access(&server, "shop");
    let backup = capture(&live);
    let before = oracle(&server, "shop");
    for bytes in [1, 1 << 10, 5 << 20] {
        let error = stage(&live, &backup, &mut Enough(bytes)).err().unwrap();
        assert!(matches!(error, DatabaseError::Cancelled), "{error}");
        assert_eq!(beside(&live), Vec::<String>::new());
    }
    assert_eq!(server.sql("", "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = 'site' AND ID <> CONNECTION_ID()"), "0\n");
    assert_same(&oracle(&server, "shop"), &before, "");
}
