//! The schema as entries: kinds, owners, dependencies, order, and what belongs to the database.

use dalsegno_database::postgres::catalog::Section;

use crate::files::{shop, taken};

#[test]
fn entries_have_owners_and_dependencies_and_come_in_the_order_of_a_restore() {
    let server = shop(
        "CREATE ROLE maker; CREATE ROLE reader; GRANT CREATE ON SCHEMA public TO maker; SET ROLE maker;
         CREATE TYPE mood AS ENUM ('a', 'c'); ALTER TYPE mood ADD VALUE 'b' AFTER 'a';
         CREATE DOMAIN positive AS int CHECK (value > 0);
         CREATE FUNCTION plus(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + $2';
         CREATE AGGREGATE total(int) (SFUNC = plus, STYPE = int);
         CREATE TABLE a (id serial PRIMARY KEY, m mood DEFAULT 'a', p positive, b_id int);
         CREATE TABLE b (id serial PRIMARY KEY, a_id int REFERENCES a DEFERRABLE INITIALLY DEFERRED);
         ALTER TABLE a ADD FOREIGN KEY (b_id) REFERENCES b ON DELETE SET NULL;
         CREATE INDEX part ON a (p DESC NULLS LAST) WHERE p > 5;
         CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
         CREATE TRIGGER noted BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION note();
         CREATE VIEW seen AS SELECT id, m FROM a;
         GRANT SELECT ON seen TO reader; GRANT SELECT (id) ON a TO reader;
         ALTER TABLE b ENABLE ROW LEVEL SECURITY; CREATE POLICY mine ON b TO reader USING (true);
         COMMENT ON COLUMN a.m IS 'how it feels'; RESET ROLE;
         CREATE FUNCTION ddl() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
         CREATE EVENT TRIGGER watching ON ddl_command_end EXECUTE FUNCTION public.ddl();",
    );
    let taken = taken(&server, "shop");
    let schema = taken.schema();
    let place = |kind: &str, name: &str| {
        let found = schema.entries.iter().position(|e| e.kind == kind && e.name == name);
        found.unwrap_or_else(|| panic!("no {kind} {name}"))
    };
    let entry = |kind: &str, name: &str| &schema.entries[place(kind, name)];
    let table = entry("TABLE", "a");
    assert_eq!((table.owner.as_str(), table.schema.as_str()), ("maker", "public"));
    assert!(
        table.sql.contains("ALTER TABLE \"public\".\"a\" OWNER TO \"maker\";"),
        "{}",
        table.sql
    );
    assert!(table.depends_on.contains(&entry("TYPE", "mood").id));
    let aggregate = &entry("AGGREGATE", "total(integer)").sql;
    assert!(aggregate.contains("ALTER AGGREGATE public.total(integer) OWNER TO"), "{aggregate}");
    for (kind, name) in
        [("INDEX", "part"), ("FK CONSTRAINT", "a a_b_id_fkey"), ("POLICY", "b mine")]
    {
        assert_eq!(entry(kind, name).section, Section::Post, "{kind} {name}");
    }
    assert_eq!(entry("VIEW", "seen").section, Section::Pre);
    assert!(place("ACL", "TABLE seen") > place("TRIGGER", "a noted"));
    assert!(place("EVENT TRIGGER", "watching") > place("ACL", "TABLE seen"));
    for (n, entry) in schema.entries.iter().enumerate() {
        for id in &entry.depends_on {
            let before = schema.entries.iter().position(|other| other.id == *id).unwrap();
            assert!(before < n, "{} `{}` comes before what it needs", entry.kind, entry.name);
        }
    }
    let roles = taken.catalog().roles;
    assert_eq!(roles, ["maker", "postgres", "reader"]);
    let objects = taken.catalog().objects;
    assert!(objects.contains(&("FK CONSTRAINT".to_owned(), 2)), "{objects:?}");

    server.create_database("again");
    server.psql("again", taken.text("3-pre.sql"));
    server.psql("again", taken.text("8-post.sql"));
    assert_eq!(server.psql("again", "SELECT enum_range(NULL::mood)"), "{a,b,c}");
    let owner = "SELECT tableowner FROM pg_tables WHERE tablename = 'b'";
    assert_eq!(server.psql("again", owner), "maker");
    let again = crate::files::taken(&server, "again");
    assert_eq!(again.captured.fingerprint, taken.captured.fingerprint);
}

#[test]
fn what_belongs_to_the_database_is_in_the_catalog_and_in_no_text() {
    let server = shop("");
    server.psql(
        "postgres",
        "CREATE ROLE owner; CREATE ROLE guest; ALTER DATABASE shop OWNER TO owner;
         ALTER DATABASE shop CONNECTION LIMIT 50; COMMENT ON DATABASE shop IS 'the shop''s';
         ALTER DATABASE shop SET work_mem = '7MB'; ALTER ROLE guest IN DATABASE shop SET work_mem = '3MB';
         ALTER DATABASE shop SET search_path = public, \"$user\";
         REVOKE CONNECT ON DATABASE shop FROM PUBLIC; GRANT CONNECT ON DATABASE shop TO guest;",
    );
    let taken = taken(&server, "shop");
    let database = taken.catalog().database;
    assert_eq!((database.name.as_str(), database.owner.as_str()), ("shop", "owner"));
    assert_eq!(database.connection_limit, 50);
    assert_eq!(database.comment.as_deref(), Some("the shop's"));
    assert_eq!((database.encoding.as_str(), database.collate.as_str()), ("UTF8", "C"));
    assert_eq!(database.locale_provider, "libc");
    let settings: Vec<(Option<&str>, &str, &str)> = database
        .settings
        .iter()
        .map(|s| (s.role.as_deref(), s.name.as_str(), s.value.as_str()))
        .collect();
    assert_eq!(
        settings,
        [
            (None, "work_mem", "7MB"),
            (None, "search_path", "public, \"$user\""),
            (Some("guest"), "work_mem", "3MB"),
        ]
    );
    let grants = database.grants.unwrap();
    assert!(grants.iter().any(|g| g.to.as_deref() == Some("guest") && g.right == "CONNECT"));
    assert!(!grants.iter().any(|g| g.to.is_none() && g.right == "CONNECT"), "{grants:?}");
    for file in ["3-pre.sql", "8-post.sql"] {
        assert!(!taken.text(file).contains("DATABASE"), "{}", taken.text(file));
    }
    assert_eq!(taken.catalog().roles, ["guest", "owner"]);
}

#[test]
fn large_objects_keep_number_content_owner_rights_and_comment() {
    let server = shop(
        "CREATE ROLE keeper; CREATE ROLE reader;
         SELECT lo_create(100); SELECT lo_from_bytea(200, '\\x00ff0a5c27');
         SELECT lo_from_bytea(300, convert_to(repeat('0123456789abcdef', 100000), 'UTF8'));
         SELECT lo_put(400, 1048576, '\\x01') FROM lo_create(400);
         ALTER LARGE OBJECT 200 OWNER TO keeper; GRANT SELECT ON LARGE OBJECT 200 TO reader WITH GRANT OPTION;
         GRANT ALL ON LARGE OBJECT 300 TO PUBLIC; COMMENT ON LARGE OBJECT 300 IS E'it''s \\\\ a\\nfile';",
    );
    server.psql(
        "shop",
        "SELECT lo_from_bytea(1000 + n, set_byte('\\x00', 0, n)) FROM generate_series(0, 39) n",
    );
    let first = taken(&server, "shop");
    let large = first.rows().large;
    assert_eq!((large.objects, large.parts), (44, 1));
    assert_eq!(large.content, 5 + 1_600_000 + 1_048_577 + 40);
    server.create_database("again");
    let text = first.text("5-large/000001.sql");
    // Any line ends a statement.
    for line in text.lines() {
        assert!(line.ends_with(';'), "{}", &line[line.len().saturating_sub(80)..]);
    }
    server.psql("again", text);
    let all = "SELECT oid, pg_get_userbyid(lomowner), lomacl, md5(lo_get(oid)),
        obj_description(oid, 'pg_largeobject') FROM pg_largeobject_metadata ORDER BY oid";
    assert_eq!(server.psql("again", all), server.psql("shop", all));
    assert_eq!(
        taken(&server, "again").bytes("5-large/000001.sql"),
        first.bytes("5-large/000001.sql")
    );
}

#[test]
fn a_tablespace_is_set_for_its_own_table_alone() {
    let server = shop("");
    let folder = server.socket_folder().join("space");
    std::fs::create_dir(&folder).unwrap();
    let owner = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(server.data()).unwrap());
    std::os::unix::fs::chown(&folder, Some(owner), None).unwrap();
    server.psql("shop", &format!("CREATE TABLESPACE \"my disk\" LOCATION '{}'", folder.display()));
    server
        .psql("shop", "CREATE TABLE far (a int) TABLESPACE \"my disk\"; CREATE TABLE near (a int)");
    let taken = taken(&server, "shop");
    let tables = taken.statements("TABLE");
    assert!(tables[0].contains("SET default_tablespace = \"my disk\";"), "{tables:?}");
    assert!(!tables[1].contains("tablespace"), "{tables:?}");
    server.create_database("again");
    server.psql("again", taken.text("3-pre.sql"));
    let spaces = "SELECT relname, reltablespace <> 0 FROM pg_class WHERE relname IN ('far', 'near') ORDER BY 1";
    assert_eq!(server.psql("again", spaces), "far|t\nnear|f");
}
