//! The schema: what the site alone can evaluate, and what must come back to the byte.

use dalsegno_testkit::Site;

use super::{LIVE, Peer, comes_back, everything, instead, live, restored, site_of};
use crate::{backup, ok};

/// A check, an expression index, generated columns, and collations in an index and in a key.
const OF_THE_SITE: &str = "
    CREATE TABLE checked (a TEXT, CHECK (a REGEXP '^[a-z ]+$'));
    INSERT INTO checked VALUES ('abc'), ('from the sign');
    CREATE INDEX by_slug ON checked (slug(a));
    CREATE TABLE generated (a TEXT, v TEXT AS (slug(a)) VIRTUAL, s TEXT NOT NULL AS (slug(a)) STORED);
    INSERT INTO generated VALUES ('Da Capo'), ('Dal Segno');
    CREATE INDEX by_generated ON generated (v);
    CREATE TABLE sorted (a TEXT COLLATE german PRIMARY KEY) WITHOUT ROWID;
    INSERT INTO sorted VALUES ('b'), ('A'), ('C');
    CREATE TABLE indexed (a TEXT); CREATE UNIQUE INDEX by_german ON indexed (a COLLATE german);
    INSERT INTO indexed VALUES ('z'), ('Y');
    CREATE TABLE part (a TEXT); CREATE INDEX by_part ON part (a) WHERE a REGEXP 'x';
    INSERT INTO part VALUES ('x'), ('y');";

#[test]
fn functions_and_collations_of_the_site_stand_in_nobody_s_way() {
    for mode in ["wal", "delete"] {
        let first = format!("PRAGMA journal_mode = {mode};");
        let site = site_of(&format!("{first} {OF_THE_SITE}"));
        // Without what the site registers, SQLite itself gives up.
        let mut stranger = Peer::new(&live(&site));
        let said = stranger.ask("PRAGMA integrity_check");
        assert!(said.starts_with("error") || said.contains("no such"), "no hazard: {said}");
        stranger.close();
        let said = comes_back(&site, &first, &["--form", "tar.zst"]);
        assert!(said.contains("only the site knows"), "{said}");
        super::make(&live(&site), "INSERT INTO checked VALUES ('more'); PRAGMA integrity_check");
    }
}

#[test]
fn a_regex_constraint_of_django_passes_backup_restore_and_every_check() {
    let site = Site::bookshop(400, 20);
    let add = "
from django.db import connection, models
from books.models import Genre
rule = models.CheckConstraint(name='named', condition=models.Q(name__regex='.'))
Genre._meta.constraints.append(rule)
with connection.schema_editor() as editor:
    editor.add_constraint(Genre, rule)";
    site.manage(&["shell", "-c", add]);
    let definition = "SELECT sql FROM sqlite_master WHERE sql LIKE '%REGEXP%'";
    let defined = site.ask(LIVE, definition);
    let before = everything(&live(&site));
    backup(&site, "b", &["--skip-media"]);
    site.sql(LIVE, "PRAGMA foreign_keys = off; DELETE FROM books_genre");
    ok(&site, &["restore", "b", "--force", "--no-pre-backup", "--verify", "full"]);
    assert_eq!(everything(&live(&site)), before);
    assert_eq!(site.ask(LIVE, definition), defined);
    ok(&site, &["verify", "b", "--deep"]);
    assert_eq!(ok(&site, &["-q", "diff", "b"]).all(), "No difference.\n");
}

/// One definition of each kind, in odd spelling.
const DEFINITIONS: &str = "
    create   table  Spaced ( a  INTEGER , -- a comment
      b TEXT DEFAULT 'it''s', [c d] , `e` BLOB DEFAULT (x'00') );
    CREATE TABLE wr (a TEXT, b, PRIMARY KEY (b DESC, a)) WITHOUT ROWID; INSERT INTO wr VALUES ('k', 1), ('k', x'00ff');
    CREATE TABLE st (a ANY, b INT NOT NULL) STRICT; INSERT INTO st VALUES ('1', 1), (1, 2), (x'01', 3), (1.0, 4);
    CREATE TABLE gen (a INTEGER, v AS (a * 2) VIRTUAL, s INT GENERATED ALWAYS AS (a * 3) STORED); INSERT INTO gen VALUES (5);
    CREATE TABLE nc (a TEXT COLLATE NOCASE UNIQUE ON CONFLICT REPLACE, b UNIQUE ON CONFLICT IGNORE);
    INSERT INTO nc VALUES ('a', 1), ('A', 2);
    CREATE TABLE parent (id INTEGER PRIMARY KEY, x, y, UNIQUE (x, y));
    CREATE TABLE child (p REFERENCES parent ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED, x, y,
      FOREIGN KEY (x, y) REFERENCES parent (x, y) ON UPDATE CASCADE MATCH FULL);
    CREATE INDEX partial ON gen (a) WHERE a > 1; CREATE INDEX expression ON gen (a + 1, abs(a) DESC);
    CREATE UNIQUE INDEX covering ON child (p, x COLLATE RTRIM, y DESC);
    CREATE TABLE \"odd \"\"name\" (\"a b\" TEXT, \"select\", \"é\", \"\"); INSERT INTO \"odd \"\"name\" VALUES (1, 2, 3, 4);
    CREATE TABLE copied AS SELECT 1 AS one, 'x' AS two; ALTER TABLE copied ADD COLUMN three DEFAULT 3;
    ALTER TABLE copied RENAME COLUMN two TO second;
    CREATE VIEW v (a, b) AS SELECT one, /* kept */ second FROM copied;
    CREATE TRIGGER tr AFTER UPDATE OF a ON gen WHEN new.a > 9 BEGIN DELETE FROM wr; SELECT raise(IGNORE); END;
    ANALYZE;";

#[test]
fn the_text_of_every_definition_is_the_same_to_the_byte() {
    let site = site_of(DEFINITIONS);
    let texts = "SELECT group_concat(hex(sql)) FROM (SELECT sql FROM sqlite_master ORDER BY name)";
    let before = site.ask(LIVE, texts);
    for form in ["folder", "tar", "tar.gz", "tar.zst"] {
        comes_back(&site, "", &["--form", form]);
        assert_eq!(site.ask(LIVE, texts), before, "{form}");
    }
    // They do what they say: a conflict replaces, a key that is set to NULL follows.
    site.sql(LIVE, "INSERT INTO nc VALUES ('a', 3)");
    assert_eq!(site.ask(LIVE, "SELECT group_concat(a || b) FROM nc"), "a3");
    assert_eq!(site.ask(LIVE, "SELECT v || '-' || s FROM gen"), "10-15");
    assert_eq!(site.ask(LIVE, "PRAGMA integrity_check"), "ok");
}

const TRIGGERS: &str = "
    PRAGMA recursive_triggers = on;
    CREATE TABLE t (a); CREATE TABLE audit (what);
    CREATE TRIGGER i AFTER INSERT ON t BEGIN INSERT INTO audit VALUES ('insert ' || new.a); END;
    CREATE TRIGGER u BEFORE UPDATE ON t BEGIN INSERT INTO audit VALUES ('update'); END;
    CREATE TRIGGER d AFTER DELETE ON t BEGIN INSERT INTO audit VALUES ('delete'); END;
    CREATE TABLE deep (n); CREATE TRIGGER again AFTER INSERT ON deep WHEN new.n < 5 BEGIN INSERT INTO deep VALUES (new.n + 1); END;
    CREATE VIEW door AS SELECT a FROM t;
    CREATE TRIGGER instead INSTEAD OF INSERT ON door BEGIN INSERT INTO t VALUES ('by the door ' || new.a); END;
    INSERT INTO t VALUES (1); INSERT INTO deep VALUES (1);
    CREATE TABLE doomed (a); CREATE VIEW broken AS SELECT * FROM doomed; DROP TABLE doomed;
    CREATE VIEW circle AS SELECT * FROM circle;
    ";

#[test]
fn triggers_do_not_fire_and_broken_views_are_no_obstacle() {
    let site = site_of(TRIGGERS);
    let audit = "SELECT group_concat(what) FROM audit";
    assert_eq!(site.ask(LIVE, audit), "insert 1");
    comes_back(&site, "", &[]);
    assert_eq!(site.ask(LIVE, audit), "insert 1", "a trigger fired");
    assert_eq!(site.ask(LIVE, "SELECT count(*) FROM deep"), "5");
    let mut peer = Peer::new(&live(&site));
    peer.run("INSERT INTO door VALUES ('x')");
    assert_eq!(peer.ask("SELECT a FROM t"), "ok [(1,), ('by the door x',)]");
    for view in ["broken", "circle"] {
        let said = peer.ask(&format!("SELECT * FROM {view}"));
        assert!(said.starts_with("error"), "{said}");
    }
    peer.close();
}

#[test]
fn temporary_objects_are_not_stored_and_stay_with_their_connection() {
    for mode in ["wal", "delete"] {
        let first = format!("PRAGMA journal_mode = {mode};");
        let site = site_of(&format!("{first} CREATE TABLE t (a); INSERT INTO t VALUES (1)"));
        let mut peer = Peer::new(&live(&site));
        peer.run("CREATE TEMP TABLE mine (a)");
        peer.run(
            "CREATE TEMP TRIGGER tell AFTER INSERT ON t BEGIN INSERT INTO mine VALUES (new.a); END",
        );
        backup(&site, "b", &[]);
        peer.run("INSERT INTO t VALUES (2)");
        restored(&site, "b");
        assert_eq!(site.ask(LIVE, "SELECT group_concat(name) FROM sqlite_master"), "t");
        peer.run("INSERT INTO t VALUES (3)");
        assert_eq!(peer.ask("SELECT a FROM mine"), "ok [(2,), (3,)]", "{mode}");
        assert_eq!(site.ask(LIVE, "SELECT group_concat(a) FROM t"), "1,3", "{mode}");
    }
}

#[test]
fn a_schema_that_changed_places_is_not_read_under_the_old_names() {
    for mode in ["wal", "delete"] {
        let first = format!("PRAGMA journal_mode = {mode};");
        // The same number of changes to both schemas gives them the same cookie.
        let site = site_of(&format!(
            "{first} CREATE TABLE a (x); INSERT INTO a VALUES ('a'); CREATE TABLE b (x); INSERT INTO b VALUES ('b')"
        ));
        backup(&site, "b", &[]);
        instead(
            &site,
            &format!(
                "{first} CREATE TABLE b (x); INSERT INTO b VALUES ('old b'); CREATE TABLE a (x); INSERT INTO a VALUES ('old a')"
            ),
        );
        let mut peer = Peer::new(&live(&site));
        assert_eq!(peer.ask("SELECT x FROM a"), "ok [('old a',)]");
        restored(&site, "b");
        assert_eq!(peer.ask("SELECT x FROM a"), "ok [('a',)]", "{mode}");
        assert_eq!(peer.ask("SELECT x FROM b"), "ok [('b',)]", "{mode}");
    }
}
