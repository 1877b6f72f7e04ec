//! Everything comes back, and the old state too.

use dalsegno_database::mysql;
use dalsegno_database::{DatabaseError, Quiet, Recovered, Target as _};
use dalsegno_format::ErrorKind;

use crate::support::{
    BACK, FORCED, LATER, access, assert_same, beside, capture, oracle, restore, roles, shop,
    shop_on, stage, target,
};

#[test]
fn every_row_and_object_comes_back_and_so_does_the_old_state() {
    let server = shop();
    let live = access(&server, "shop");
    let backup = capture(&live);
    let catalog: mysql::catalog::Catalog = serde_json::from_slice(&backup.files[0].1).unwrap();
    let big = catalog.tables.iter().find(|table| table.name == "big").unwrap();
    assert!(big.data_length > 8 << 20, "its keys would not wait for its rows");
    let before = oracle(&server, "shop");
    server.sql("shop", LATER);
    let later = oracle(&server, "shop");
    assert_ne!(before, later);

    let switched = restore(&live, &backup);
    assert_same(&oracle(&server, "shop"), &before, "");
    assert_eq!(server.sql("shop", "SELECT what FROM audit"), "once\n", "a trigger fired");
    assert_eq!(roles(&live), ["log", "old"]);
    let target = target(&live);
    assert!(target.holds(&switched).unwrap());
    assert!(!target.written_since(&switched, crate::support::WAIT).unwrap());
    assert!(mysql::leftovers(&live).unwrap().iter().all(|left| !left.unfinished));

    // What was restored goes on where the original would have.
    server.sql("shop", "INSERT INTO numbered (x) VALUES (3)");
    assert_eq!(server.sql("shop", "SELECT id FROM numbered ORDER BY id"), "105\n110\n115\n");
    server.sql("shop", "INSERT INTO book (title) VALUES ('after')");
    assert_eq!(server.sql("shop", "SELECT MAX(id) FROM book"), "500\n");
    assert_eq!(server.sql("shop", "SELECT COUNT(*) FROM audit"), "3\n");
    assert!(target.written_since(&switched, crate::support::WAIT).unwrap());

    let refused = target.rollback(&switched, BACK, &mut Quiet).unwrap_err();
    assert!(matches!(refused, DatabaseError::ChangedSince { .. }), "{refused}");
    assert!(oracle(&server, "shop").contains("'after'"));

    let present = target.rollback(&switched, FORCED, &mut Quiet).unwrap().present.unwrap();
    assert_same(&oracle(&server, "shop"), &later, "");
    assert!(!target.holds(&switched).unwrap());
    assert_eq!(roles(&live), ["log", "present"]);
    let (kept, _) =
        present.to_string().split_once(" on ").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    assert_eq!(server.sql(&kept, "SELECT title FROM book WHERE id = 500"), "after\n");
    assert_eq!(server.sql(&kept, "SELECT COUNT(*) FROM titles"), "5\n");
    target.discard().unwrap();
    assert_eq!(beside(&live), Vec::<String>::new());
    assert_same(&oracle(&server, "shop"), &later, "");
}

#[test]
fn nothing_was_written_and_nothing_is_kept_of_the_backup() {
    let server = shop();
    let live = access(&server, "shop");
    let backup = capture(&live);
    server.sql("shop", LATER);
    let later = oracle(&server, "shop");
    let switched = restore(&live, &backup);
    let back = target(&live).rollback(&switched, BACK, &mut Quiet).unwrap();
    assert_eq!(back.present, None);
    assert_same(&oracle(&server, "shop"), &later, "");
    assert_eq!(beside(&live), Vec::<String>::new());
}

#[test]
fn only_an_object_that_changed_is_written_to_as_well() {
    let server = shop();
    let live = access(&server, "shop");
    let switched = restore(&live, &capture(&live));
    server.sql("shop", "DROP VIEW a_first");
    assert!(target(&live).written_since(&switched, crate::support::WAIT).unwrap());
}

#[test]
fn a_database_that_is_not_there_is_made_and_a_rollback_removes_it() {
    let server = shop();
    let backup = capture(&access(&server, "shop"));
    let before = oracle(&server, "shop");
    // By another name: a text that names its own database would name the wrong one.
    let live = access(&server, "other place");
    assert!(!mysql::exists(&live).unwrap());
    let staged = stage(&live, &backup, &mut Quiet).unwrap();
    let content = staged.content().to_owned();
    let switched = staged.switch(crate::support::SWITCH, &mut Quiet).unwrap();
    assert_eq!(switched.kept(), None);
    assert_eq!(beside(&live), Vec::<String>::new());
    let named = |text: String| text.replace("other place", "shop");
    assert_same(&named(oracle(&server, "other place")), &before, "");
    server.sql("other place", "INSERT INTO numbered (x) VALUES (3)");
    server.sql("other place", "DELETE FROM numbered WHERE x = 3");

    let target = target(&live);
    let found = target.recover(Some(&content), false, crate::support::WAIT).unwrap();
    assert_eq!(found, Recovered::Switched(Box::new(switched.clone())));
    assert_eq!(
        target.recover(Some("other"), false, crate::support::WAIT).unwrap(),
        Recovered::Nothing
    );
    assert_eq!(
        target.recover(Some(&content), true, crate::support::WAIT).unwrap(),
        Recovered::Nothing
    );
    assert!(target.holds(&switched).unwrap());
    assert_eq!(target.rollback(&switched, BACK, &mut Quiet).unwrap().present, None);
    assert!(!mysql::exists(&live).unwrap());
    assert!(!target.holds(&switched).unwrap());
    assert_eq!(beside(&live), Vec::<String>::new());
}

#[test]
fn a_server_that_takes_no_local_files_gets_statements() {
    let server = shop_on(&["--local-infile=0"]);
    let live = access(&server, "shop");
    let backup = capture(&live);
    let before = oracle(&server, "shop");
    server.sql("shop", LATER);
    restore(&live, &backup);
    assert_same(&oracle(&server, "shop"), &before, "");
}

#[test]
fn a_restore_whose_names_are_taken_is_refused() {
    let server = shop();
    let live = access(&server, "shop");
    let backup = capture(&live);
    restore(&live, &backup);
    let again = stage(&live, &backup, &mut Quiet).err().unwrap();
    assert_eq!(again.kind(), ErrorKind::Refused, "{again}");
    assert_eq!(roles(&live), ["log", "old"]);
}
