//! A small capture, made by hand, and what restores it.

use std::time::Duration;

use dalsegno_database::postgres::catalog::{
    Catalog, Column, DatabaseFacts, Entry, LAYOUT, LargeObjects, Rows, RowsTaken, Schema, Section,
    Table, TableKind, TableRows, data_file,
};
use dalsegno_database::postgres::{Access, target};
use dalsegno_database::{
    Captured, CapturedFile, CheckOptions, DatabaseError, Quiet, RollbackOptions, Staged, Staging,
    SwitchOptions, Switched, Target, Tls, TlsMode, Watch,
};
use dalsegno_format::Secret;
use dalsegno_testkit::PostgresServer;
use xxhash_rust::xxh3::xxh3_128;

/// The id of a restore.
pub(crate) const ID: &str = "0193f5a2-0000-7000-8000-0123456789ab";
pub(crate) const NEW: &str = "shop__dalsegno_0123456789ab_new";
pub(crate) const OLD: &str = "shop__dalsegno_0123456789ab_old";
pub(crate) const PRESENT: &str = "shop__dalsegno_0123456789ab_present";

/// The way to a database as the superuser.
pub(crate) fn access(server: &PostgresServer, database: &str) -> Access {
    as_role(server, database, PostgresServer::USER, PostgresServer::PASSWORD)
}

pub(crate) fn as_role(
    server: &PostgresServer,
    database: &str,
    user: &str,
    password: &str,
) -> Access {
    Access {
        host: server.host().to_owned(),
        port: server.port(),
        user: user.to_owned(),
        password: Some(Secret::new(password)),
        database: database.to_owned(),
        tls: Tls { mode: TlsMode::Disable, root: None, identity: None },
        role: None,
        options: None,
        client_folders: Vec::new(),
    }
}

/// The target of [`ID`] in the database `shop`.
pub(crate) fn shop(server: &PostgresServer) -> Box<dyn Target> {
    target(&access(server, "shop"), ID).unwrap()
}

/// A live database of another content: one table `old` with a row.
pub(crate) fn live(server: &PostgresServer) {
    server.create_database("shop");
    server.psql("shop", "CREATE TABLE old (a int); INSERT INTO old VALUES (1)");
}

/// Files of a capture, in their order.
pub(crate) struct Capture {
    pub(crate) catalog: Catalog,
    pub(crate) schema: Schema,
    /// The rows of each table, by its number, in parts.
    pub(crate) rows: Vec<(u32, Vec<Vec<u8>>)>,
    pub(crate) sequences: String,
    pub(crate) large: Vec<String>,
    /// What `9-rows.json` says, where that is not the truth.
    pub(crate) promised: Option<Rows>,
}

impl Capture {
    /// Two tables with a foreign key, an index, a sequence and a trigger that must not fire.
    pub(crate) fn shop() -> Self {
        let mut books = Vec::new();
        for id in 1..=2000_u32 {
            books.extend(format!("{id}\t{}\ttitle \\t {id}\n", id % 10 + 1).bytes());
        }
        // Cut inside a row.
        let (first, second) = books.split_at(books.len() / 2 + 3);
        let authors: Vec<String> = (1..=10).map(|id| format!("{id}\tauthor ü {id}\n")).collect();
        Self {
            catalog: catalog(vec![
                table(1, "author", &["id", "name"]),
                table(2, "book", &["id", "author_id", "title"]),
                table(3, "audit", &["what"]),
            ]),
            schema: schema(),
            rows: vec![
                (2, vec![first.to_vec(), second.to_vec()]),
                (1, vec![authors.concat().into_bytes()]),
            ],
            sequences: "SELECT pg_catalog.setval('public.book_id_seq', 2345, true);\n".to_owned(),
            large: Vec::new(),
            promised: None,
        }
    }

    /// The rows, as they were counted and hashed on the way out.
    pub(crate) fn counted(&self) -> Rows {
        let tables = self.rows.iter().map(|(id, parts)| {
            let bytes = parts.concat();
            let lines = bytes.strip_suffix(b"\n").unwrap_or(&bytes).split(|byte| *byte == b'\n');
            let lines: Vec<&[u8]> = if bytes.is_empty() { Vec::new() } else { lines.collect() };
            let hash = lines.iter().fold(0_u128, |sum, row| sum.wrapping_add(xxh3_128(row)));
            TableRows {
                id: *id,
                rows: lines.len() as u64,
                hash: format!("{hash:032x}"),
                bytes: bytes.len() as u64,
                parts: u32::try_from(parts.len()).unwrap(),
            }
        });
        Rows {
            tables: tables.collect(),
            sequences: self.sequences.lines().count() as u64,
            large: LargeObjects {
                parts: u32::try_from(self.large.len()).unwrap(),
                ..LargeObjects::default()
            },
        }
    }

    pub(crate) fn files(&self) -> Vec<(String, Vec<u8>)> {
        let rows = self.promised.clone().unwrap_or_else(|| self.counted());
        let mut files = vec![
            ("1-catalog.json".to_owned(), serde_json::to_vec(&self.catalog).unwrap()),
            ("2-schema.json".to_owned(), serde_json::to_vec(&self.schema).unwrap()),
            ("3-pre.sql".to_owned(), b"nobody reads this".to_vec()),
        ];
        for (id, parts) in &self.rows {
            for (part, bytes) in (1..).zip(parts) {
                files.push((data_file(*id, part), bytes.clone()));
            }
        }
        for (part, text) in (1..).zip(&self.large) {
            files.push((format!("5-large/{part:06}.sql"), text.clone().into_bytes()));
        }
        files.push(("7-sequences.sql".to_owned(), self.sequences.clone().into_bytes()));
        files.push(("8-post.sql".to_owned(), b"nor this".to_vec()));
        files.push(("9-rows.json".to_owned(), serde_json::to_vec(&rows).unwrap()));
        files
    }

    /// What the manifest says of it.
    pub(crate) fn captured(&self) -> Captured {
        Captured {
            vendor: "postgresql".to_owned(),
            server_version: self.catalog.server_version.clone(),
            encoding: "UTF8".to_owned(),
            size: 0,
            tables: Vec::new(),
            excluded: Vec::new(),
            fingerprint: String::new(),
            foreign_key_violations: None,
            spooled: false,
            mysql: None,
            sqlite: None,
            postgres: None,
        }
    }

    pub(crate) fn fill(
        &self,
        staging: &mut dyn Staging,
        watch: &mut dyn Watch,
    ) -> Result<(), DatabaseError> {
        for (name, bytes) in self.files() {
            let file = CapturedFile { name: &name, size: bytes.len() as u64, mode: 0 };
            staging.file(file, &mut bytes.as_slice(), watch)?;
        }
        Ok(())
    }

    pub(crate) fn stage(&self, target: &dyn Target) -> Result<Box<dyn Staged>, DatabaseError> {
        let mut staging = target.begin(&self.captured())?;
        self.fill(&mut *staging, &mut Quiet)?;
        staging.finish(&mut Quiet)
    }

    /// The whole way, as a restore goes it.
    pub(crate) fn restore(&self, target: &dyn Target) -> Result<Switched, DatabaseError> {
        let mut staged = self.stage(target)?;
        let report =
            staged.check(&CheckOptions { full: true, ..Default::default() }, &mut Quiet)?;
        assert!(report.is_sound(), "{report:?}");
        staged.switch(SwitchOptions { lock_timeout: Duration::from_secs(10) }, &mut Quiet)
    }
}

pub(crate) fn back(force: bool) -> RollbackOptions {
    RollbackOptions { lock_timeout: Duration::from_secs(10), force }
}

/// Names of all databases but those of every server.
pub(crate) fn databases(server: &PostgresServer) -> Vec<String> {
    let sql = "SELECT datname FROM pg_database WHERE datname NOT IN \
               ('postgres', 'template0', 'template1') ORDER BY 1";
    server.psql("postgres", sql).lines().map(str::to_owned).collect()
}

/// What the database `shop` holds: `old`, `new`, or nothing that is known.
pub(crate) fn content(server: &PostgresServer) -> &'static str {
    let sql = "SELECT string_agg(relname, ',' ORDER BY relname) FROM pg_class \
               WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace";
    match server.psql("shop", sql).as_str() {
        "old" => "old",
        "audit,author,book" => "new",
        other => panic!("a mixture: {other}"),
    }
}

pub(crate) fn catalog(tables: Vec<Table>) -> Catalog {
    Catalog {
        layout: LAYOUT,
        server_version: "15.0".to_owned(),
        server_number: 150_000,
        dump_version: "15.0".to_owned(),
        database: DatabaseFacts {
            name: "shop".to_owned(),
            owner: PostgresServer::USER.to_owned(),
            encoding: "UTF8".to_owned(),
            collate: "C".to_owned(),
            ctype: "C".to_owned(),
            locale_provider: "libc".to_owned(),
            locale: None,
            icu_rules: None,
            collation_version: None,
            tablespace: None,
            connection_limit: -1,
            comment: None,
            grants: None,
            settings: Vec::new(),
            size: 0,
        },
        settings: Vec::new(),
        extensions: Vec::new(),
        roles: vec![PostgresServer::USER.to_owned()],
        tables,
        objects: Vec::new(),
    }
}

pub(crate) fn table(id: u32, name: &str, columns: &[&str]) -> Table {
    Table {
        id,
        schema: "public".to_owned(),
        name: name.to_owned(),
        kind: TableKind::Table,
        rows: RowsTaken::All,
        unlogged: false,
        columns: columns
            .iter()
            .map(|name| Column { name: (*name).to_owned(), type_name: "text".to_owned() })
            .collect(),
        format: "copy".to_owned(),
        partition_of: None,
        size: 1000,
    }
}

pub(crate) fn entry(
    id: i32,
    (section, kind): (Section, &str),
    name: &str,
    sql: &str,
    depends_on: &[i32],
) -> Entry {
    Entry {
        id,
        kind: kind.to_owned(),
        section,
        schema: "public".to_owned(),
        name: name.to_owned(),
        owner: PostgresServer::USER.to_owned(),
        sql: sql.to_owned(),
        depends_on: depends_on.to_vec(),
    }
}

#[allow(clippy::too_many_lines, reason = "one entry after the other")]
fn schema() -> Schema {
    use Section::{Post, Pre};
    let entries = vec![
        entry(
            1,
            (Pre, "TABLE"),
            "author",
            "CREATE TABLE public.author (id integer NOT NULL, name text NOT NULL);\n",
            &[],
        ),
        entry(
            2,
            (Pre, "TABLE"),
            "book",
            "CREATE TABLE public.book (id integer NOT NULL, author_id integer, title text, \
             long integer GENERATED ALWAYS AS (length(title)) STORED);\n",
            &[],
        ),
        entry(3, (Pre, "TABLE"), "audit", "CREATE TABLE public.audit (what text);\n", &[]),
        entry(
            4,
            (Pre, "FUNCTION"),
            "note()",
            "CREATE FUNCTION public.note() RETURNS trigger LANGUAGE plpgsql AS \
             $$BEGIN INSERT INTO public.audit VALUES (NEW.title); RETURN NEW; END$$;\n",
            &[],
        ),
        entry(
            5,
            (Pre, "SEQUENCE"),
            "book_id_seq",
            "CREATE SEQUENCE public.book_id_seq OWNED BY public.book.id;\n",
            &[2],
        ),
        entry(
            6,
            (Pre, "MATERIALIZED VIEW"),
            "titles",
            "CREATE MATERIALIZED VIEW public.titles AS SELECT count(*) AS books \
             FROM public.book WITH NO DATA;\n",
            &[2],
        ),
        entry(
            10,
            (Post, "CONSTRAINT"),
            "author author_pkey",
            "ALTER TABLE ONLY public.author ADD CONSTRAINT author_pkey PRIMARY KEY (id);\n",
            &[1],
        ),
        entry(
            11,
            (Post, "CONSTRAINT"),
            "book book_pkey",
            "ALTER TABLE ONLY public.book ADD CONSTRAINT book_pkey PRIMARY KEY (id);\n",
            &[2],
        ),
        entry(
            12,
            (Post, "INDEX"),
            "book_title",
            "CREATE INDEX book_title ON public.book (title);\n",
            &[2],
        ),
        entry(
            13,
            (Post, "TRIGGER"),
            "book noted",
            "CREATE TRIGGER noted AFTER INSERT ON public.book FOR EACH ROW \
             EXECUTE FUNCTION public.note();\n",
            &[2, 4],
        ),
        entry(
            14,
            (Post, "FK CONSTRAINT"),
            "book book_author",
            "ALTER TABLE ONLY public.book ADD CONSTRAINT book_author FOREIGN KEY (author_id) \
             REFERENCES public.author(id) DEFERRABLE INITIALLY DEFERRED;\n",
            &[1, 2, 10],
        ),
        entry(
            15,
            (Post, "MATERIALIZED VIEW DATA"),
            "titles",
            "REFRESH MATERIALIZED VIEW public.titles;\n",
            &[6],
        ),
    ];
    let preamble = "SET check_function_bodies = false; SET search_path = '';".to_owned();
    Schema { preamble, entries }
}
