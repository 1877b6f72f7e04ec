//! Values and names that a careless way through text would change.

use crate::files::{shop, taken};

const VALUES: &str = r#"
    CREATE TYPE mood AS ENUM ('ok', 'b''ad'); CREATE TYPE pair AS (a int, b text);
    CREATE DOMAIN short AS text CHECK (length(value) < 9);
    CREATE TABLE v (id int, n numeric, f float8, r real, ts timestamp, d date, i interval, t text,
        a text[], j jsonb, js json, x xml, bits bit varying, m money, c "char", l pg_lsn, o regclass,
        u uuid, rng int4range, e mood, es mood[], p pair, s short, ip inet, tv tsvector, pt point);
    INSERT INTO v (id, n, f, r, ts, d, i) VALUES
        (1, 'NaN', 'NaN', 'NaN', 'infinity', '-infinity', '178000000 years'),
        (2, 'Infinity', '-Infinity', '1e-45', '4713-01-01 BC', '4713-01-01 BC', '-00:00:01'),
        (3, 1.10, -0.0, 0.1, '294276-12-31 23:59:59.999999', '5874897-12-31', '1.5 mons');
    INSERT INTO v (id, t, a) VALUES (4, E'\\.', '{NULL,"NULL","",a\\b}'), (5, E'\\N', '{{1,2},{3,4}}'),
        (6, '', '{}'), (7, NULL, NULL), (8, E'tab\tline\nreturn\rback\\slash\b\f\v', '{","}'),
        (9, E'\U0001F600 e\u0301 \uFFFF', NULL), (10, 'NULL', '[5:6]={1,2}');
    INSERT INTO v (id, j, js, x) VALUES (11, '{"b": 1.10, "a": "\u00e9"}', '{"a": "\u0000",  "a": 1}', '<a>&amp;</a>');
    INSERT INTO v (id, bits, m, c, l, o, u, rng) VALUES (12, '10110', 12.34, E'\\377', '16/B374D848',
        'v', '00000000-0000-0000-0000-00000000000f', '(1,5]'), (13, '', -1, '', '0/0', 'pg_class', NULL, 'empty');
    INSERT INTO v (id, e, es, p, s, ip, tv, pt) VALUES (14, 'b''ad', '{ok,"b''ad"}', '(1,"x,""y")', 'dom',
        '::1/64', 'a:1 b:2A', '(1.5,-0)');
"#;

#[test]
fn every_value_comes_back_as_it_was() {
    let server = shop(VALUES);
    let first = taken(&server, "shop");
    assert_eq!(first.rows_of("v").rows, 14);
    server.psql("shop", "CREATE TABLE w (LIKE v)");
    let columns: Vec<String> =
        first.table("v").columns.iter().map(|column| format!("\"{}\"", column.name)).collect();
    let data = String::from_utf8(first.data("v")).unwrap();
    server.psql("shop", &format!("COPY w ({}) FROM STDIN;\n{data}\\.\n", columns.join(", ")));
    let second = taken(&server, "shop");
    assert_eq!(second.rows_of("w").hash, second.rows_of("v").hash);
    let text = "SELECT string_agg(r::text, chr(10) ORDER BY id) FROM";
    assert_eq!(
        server.psql("shop", &format!("{text} v r")),
        server.psql("shop", &format!("{text} w r"))
    );
    let same = "SELECT count(*) FROM v JOIN w USING (id) WHERE v.t IS NOT DISTINCT FROM w.t
        AND v.js::text IS NOT DISTINCT FROM w.js::text AND float8send(v.f) IS NOT DISTINCT FROM float8send(w.f)";
    assert_eq!(server.psql("shop", same), "14");
}

#[test]
fn names_of_every_kind_are_quoted_and_never_names_of_files() {
    let long = "n".repeat(63);
    let names = [
        "say \"hi\"",
        "it's",
        "line\nbreak",
        "select",
        "MixedCase",
        "a.b",
        "größe",
        "1st",
        " ",
        "back\\slash",
        "$dollar$",
        "semi;colon",
        "--dash",
        "../up",
        &long,
    ];
    let server = shop("CREATE SCHEMA \"od\"\"d; schema\"");
    for (n, name) in names.iter().enumerate() {
        let quoted = format!("\"{}\"", name.replace('"', "\"\""));
        server.psql(
            "shop",
            &format!(
                "CREATE TABLE \"od\"\"d; schema\".{quoted} ({quoted} serial, n int);
                 INSERT INTO \"od\"\"d; schema\".{quoted} (n) VALUES ({n});"
            ),
        );
    }
    let taken = taken(&server, "shop");
    for (n, name) in names.iter().enumerate() {
        let shown = format!("od\"d; schema.{name}");
        assert_eq!(taken.lines(&shown), [format!("1\t{n}")], "{name}");
        assert_eq!(taken.table(&shown).columns[0].name, *name);
    }
    for file in taken.names() {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "./-".contains(c);
        assert!(file.chars().all(plain) && !file.contains(".."), "{file}");
    }
    assert_eq!(taken.text("7-sequences.sql").lines().count(), names.len());
    server.create_database("again");
    server.psql("again", taken.text("3-pre.sql"));
    server.psql("again", taken.text("7-sequences.sql"));
    server.psql("again", taken.text("8-post.sql"));
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'od\"d; schema'";
    assert_eq!(server.psql("again", tables), names.len().to_string());
}
