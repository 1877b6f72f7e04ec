use dalsegno_database::mysql::catalog::{Kind, Section};

use crate::support::{capture, round_trip, server_with};

#[test]
fn every_kind_of_object_comes_back_through_the_plain_client() {
    let server = server_with(include_str!("objects.sql"));
    let (capture, copy) = round_trip(&server);
    let kinds: Vec<(Kind, u64)> =
        capture.catalog().objects.iter().map(|objects| (objects.kind, objects.count)).collect();
    assert_eq!(
        kinds,
        [
            (Kind::Sequence, 2),
            (Kind::Table, 4),
            (Kind::Function, 1),
            (Kind::Procedure, 2),
            (Kind::Package, 1),
            (Kind::PackageBody, 1),
            (Kind::View, 3),
            (Kind::Trigger, 3),
            (Kind::Event, 2)
        ]
    );
    assert_eq!(capture.report().sequences, copy.report().sequences);
    assert_eq!(server.sql("copy", "SELECT f(20), NEXTVAL(down)"), "41\t-5\n");
    assert_eq!(server.sql("copy", "CALL semi"), ";;\n");
    // The trigger's own mode lets a backslash be one, and its triggers did not fire at loading.
    assert_eq!(server.sql("copy", "SELECT COUNT(*) FROM log"), "0\n");
    server.sql("copy", "INSERT INTO parent (id, name) VALUES (90, 'x')");
    assert_eq!(server.sql("copy", "SELECT what FROM log ORDER BY id"), "one\\\\\ntwo\nthree\n");
}

#[test]
fn entries_are_in_an_order_in_which_they_can_be_made() {
    let server = server_with(
        "CREATE TABLE z (a INT); CREATE VIEW c AS SELECT a FROM z; CREATE VIEW b AS SELECT * FROM c;
         CREATE VIEW a AS SELECT b.a FROM b JOIN c USING (a);
         CREATE TRIGGER tr BEFORE INSERT ON z FOR EACH ROW SET @x = 1;",
    );
    let capture = capture(&server, "site");
    let names: Vec<String> = capture.entries().into_iter().map(|entry| entry.name).collect();
    assert_eq!(names, ["z", "c", "b", "a", "tr"]);
    let ids: Vec<u32> = capture.entries().iter().map(|entry| entry.id).collect();
    assert_eq!(ids, [1, 2, 3, 4, 5]);
    assert_eq!(capture.entry("tr").depends_on, [1]);
    assert_eq!(capture.entry("z").section, Section::Pre);
    assert_eq!(capture.entry("tr").section, Section::Post);
}

#[test]
fn a_view_that_does_not_work_is_captured_and_said() {
    let server = server_with(
        "CREATE TABLE t (a INT); CREATE TABLE gone (a INT); CREATE VIEW good AS SELECT a FROM t;
         CREATE VIEW tableless AS SELECT a FROM gone; DROP TABLE gone;
         CREATE DEFINER = 'nobody'@'nowhere' VIEW ownerless AS SELECT a FROM t; INSERT INTO t VALUES (1);",
    );
    let capture = capture(&server, "site");
    assert_eq!(capture.entry("good").broken, None);
    for name in ["tableless", "ownerless"] {
        assert!(capture.entry(name).broken.is_some(), "{name}");
        assert!(capture.catalog().notes.iter().any(|note| note.contains(name)), "{name}");
        assert!(capture.text("8-post.sql").contains(&format!("-- view {name} did not work")));
    }
    assert_eq!(capture.entry("ownerless").definer.as_deref(), Some("nobody@nowhere"));
    assert_eq!(capture.rows("t").rows, 1);
    capture.load(&server, "copy");
    assert_eq!(server.sql("copy", "SELECT a FROM good"), "1\n");
}

#[test]
fn an_event_is_made_disabled_and_set_to_work_by_a_second_statement() {
    let server = server_with(
        "CREATE EVENT `on` ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 00:00:00' ON COMPLETION PRESERVE
            COMMENT 'ON COMPLETION PRESERVE ENABLE' DO SET @a = ';;';
         CREATE EVENT `off` ON SCHEDULE AT '2031-01-01 00:00:00' DISABLE DO SET @a = 1;",
    );
    let capture = capture(&server, "site");
    let on = capture.entry("on");
    assert!(on.sql.contains(" ON COMPLETION PRESERVE DISABLE COMMENT "), "{}", on.sql);
    assert_eq!(on.enable.as_deref(), Some("ALTER EVENT `on` ENABLE"));
    assert_eq!(on.session.time_zone.as_deref(), Some("SYSTEM"));
    assert_eq!(capture.entry("off").enable, None);
    capture.load(&server, "copy");
    let status =
        "SELECT EVENT_NAME, STATUS FROM information_schema.EVENTS WHERE EVENT_SCHEMA = 'copy'
        ORDER BY 1";
    assert_eq!(server.sql("", status), "off\tDISABLED\non\tENABLED\n");
}

#[test]
fn counters_zero_ids_and_sequences_go_on_where_they_were() {
    let server = server_with(
        "SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO';
         CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, a INT); INSERT INTO t VALUES (0, 1), (5, 2), (900, 3);
         DELETE FROM t WHERE id = 900; CREATE TABLE second (a INT, n INT AUTO_INCREMENT, PRIMARY KEY (a, n)) ENGINE = MyISAM;
         INSERT INTO second (a) VALUES (1), (1), (2); CREATE SEQUENCE s START 7 INCREMENT 3 CACHE 10; SELECT NEXTVAL(s);",
    );
    let (capture, _) = round_trip(&server);
    assert!(capture.entry("t").sql.contains("AUTO_INCREMENT=901"));
    let next = "INSERT INTO t (a) VALUES (9); SELECT MAX(id) FROM t; SELECT NEXTVAL(s) > 7";
    assert_eq!(server.sql("copy", next), "901\n1\n");
}

#[test]
fn the_default_of_a_binary_column_keeps_bytes_that_are_no_text() {
    let server = server_with(
        "CREATE TABLE t (id INT, b VARBINARY(9) DEFAULT x'FF005C270A', c VARCHAR(9) DEFAULT 'ö''\\\\');
         INSERT INTO t (id) VALUES (1);",
    );
    let (capture, _) = round_trip(&server);
    assert!(capture.entry("t").sql.contains("DEFAULT X'ff005c270a'"), "{}", capture.entry("t").sql);
    server.sql("copy", "INSERT INTO t (id) VALUES (2)");
    assert_eq!(server.sql("copy", "SELECT DISTINCT HEX(b), c FROM t"), "FF005C270A\tö'\\\\\n");
}

#[test]
fn a_definition_in_which_the_server_loses_characters_is_said() {
    let server = server_with(
        "SET NAMES utf8mb4; CREATE TABLE t (a VARCHAR(9) DEFAULT '😀'); CREATE TABLE fine (a VARCHAR(9) DEFAULT 'ö');",
    );
    let notes = capture(&server, "site").catalog().notes;
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].starts_with("the server's own definition of `t` holds `?`"), "{notes:?}");
}

#[test]
fn defaults_of_the_database_and_the_case_of_names_are_recorded() {
    let server = server_with("CREATE TABLE t (a INT)");
    server.sql("", "ALTER DATABASE site CHARACTER SET latin2 COLLATE latin2_czech_cs COMMENT 'ö'");
    let capture = capture(&server, "site");
    let catalog = capture.catalog();
    assert_eq!((&*catalog.character_set, &*catalog.collation), ("latin2", "latin2_czech_cs"));
    assert_eq!((catalog.comment.as_deref(), catalog.lower_case_table_names), (Some("ö"), 0));
    assert_eq!(capture.captured.encoding, "latin2");
    assert_eq!(capture.captured.mysql.unwrap().default_collation, "latin2_czech_cs");
}

#[test]
fn names_of_every_kind_go_through_and_none_is_a_path() {
    let server = server_with(
        "CREATE TABLE `a.b` (`c``d` INT PRIMARY KEY, `select` TEXT, ` e'\"` INT);
         CREATE TABLE `../ö\\\\` (`%s` INT); CREATE TABLE `t;--` (`1` INT); CREATE VIEW `v``w` AS SELECT * FROM `a.b`;
         INSERT INTO `a.b` VALUES (1, 'x', 2); INSERT INTO `../ö\\\\` VALUES (1); INSERT INTO `t;--` VALUES (3);
         CREATE TABLE MixedCase (a INT); CREATE TABLE mixedcase (a INT); INSERT INTO MixedCase VALUES (1);",
    );
    let (capture, _) = round_trip(&server);
    for (name, _) in &capture.files {
        let plain = |c: char| c.is_ascii_alphanumeric() || "./-".contains(c);
        assert!(name.chars().all(plain) && !name.contains(".."), "{name}");
    }
    assert_eq!((capture.rows("MixedCase").rows, capture.rows("mixedcase").rows), (1, 0));
}
