//! Which role may restore, and what is said to the others.

use dalsegno_database::DatabaseError;
use dalsegno_database::postgres::{plan, target};
use dalsegno_format::ErrorKind;
use dalsegno_testkit::PostgresServer;

use super::shop::*;

fn server_with_roles() -> PostgresServer {
    let server = PostgresServer::start();
    server.psql(
        "postgres",
        "CREATE ROLE builder LOGIN PASSWORD 'p' CREATEDB; CREATE ROLE plain LOGIN PASSWORD 'p'",
    );
    server
}

/// The shop as a role of few rights would have captured it.
fn owned_by(role: &str) -> Capture {
    let mut capture = Capture::shop();
    role.clone_into(&mut capture.catalog.database.owner);
    capture.catalog.roles = vec![role.to_owned()];
    for entry in &mut capture.schema.entries {
        role.clone_into(&mut entry.owner);
    }
    capture
}

#[test]
fn an_owner_who_may_create_databases_restores_and_rolls_back() {
    let server = server_with_roles();
    live(&server);
    server.psql("postgres", "ALTER DATABASE shop OWNER TO builder");
    let capture = owned_by("builder");
    let access = as_role(&server, "shop", "builder", "p");
    let plan = plan(&access, &capture.captured()).unwrap();
    assert!(plan.keeps && plan.way.contains("renamed"), "{plan:?}");
    let ours = target(&access, ID).unwrap();
    let switched = capture.restore(&*ours).unwrap();
    assert_eq!(content(&server), "new");
    ours.rollback(&switched, back(false), &mut dalsegno_database::Quiet).unwrap();
    assert_eq!((content(&server), databases(&server)), ("old", vec!["shop".to_owned()]));
}

#[test]
fn a_role_that_lacks_a_right_is_told_which_before_anything_is_made() {
    let server = server_with_roles();
    live(&server);
    server.psql("postgres", "ALTER DATABASE shop OWNER TO plain");
    for (role, lack) in
        [("plain", "may not create databases"), ("builder", "does not own the live one")]
    {
        let access = as_role(&server, "shop", role, "p");
        let capture = owned_by(role);
        let planned = plan(&access, &capture.captured()).unwrap_err();
        let begun = target(&access, ID).unwrap().begin(&capture.captured()).err().unwrap();
        for error in [planned, begun] {
            assert_eq!(error.kind(), ErrorKind::Refused);
            assert!(error.to_string().contains(lack), "{error}");
            assert!(error.hint().unwrap().contains("CREATEDB"), "{error:?}");
        }
    }
    assert_eq!(databases(&server), ["shop"]);
}

#[test]
fn missing_roles_are_all_named_before_any_work() {
    let server = PostgresServer::start();
    let mut capture = Capture::shop();
    capture.catalog.roles.extend(["web".to_owned(), "it's \"me\"".to_owned()]);
    let error = capture.stage(&*shop(&server)).err().expect("two roles are missing");
    assert!(matches!(error, DatabaseError::NotRestorable { .. }), "{error}");
    assert!(error.to_string().contains("`it's \"me\"`, `web`"), "{error}");
    let hint = error.hint().unwrap();
    server.psql("postgres", hint.split('`').nth(1).unwrap());
    assert!(databases(&server).is_empty());
    capture.restore(&*shop(&server)).unwrap();
}

#[test]
fn objects_that_cannot_be_given_to_their_owner_are_refused_first() {
    let server = server_with_roles();
    let mut capture = owned_by("builder");
    capture.catalog.roles.push("plain".to_owned());
    capture.schema.entries[0].owner = "plain".to_owned();
    capture.schema.entries[0].sql +=
        "GRANT CREATE ON SCHEMA public TO plain; ALTER TABLE public.author OWNER TO plain;\n";
    let ours = target(&as_role(&server, "shop", "builder", "p"), ID).unwrap();
    let error = capture.stage(&*ours).err().expect("builder is not plain");
    assert!(error.to_string().contains("`plain`"), "{error}");
    assert!(databases(&server).is_empty());
    server.psql("postgres", "GRANT plain TO builder");
    capture.restore(&*ours).unwrap();
    let owner = "SELECT relowner::regrole FROM pg_class WHERE relname = 'author'";
    assert_eq!(server.psql("shop", owner), "plain");
}

#[test]
fn sessions_that_may_not_be_ended_are_named() {
    let server = server_with_roles();
    live(&server);
    server.psql("postgres", "ALTER DATABASE shop OWNER TO builder");
    let mut held = server
        .client("psql", "shop")
        .args(["-X", "-c", "SELECT pg_sleep(60)"])
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let busy = "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)'";
    while server.psql("postgres", busy) != "1" {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let access = as_role(&server, "shop", "builder", "p");
    let error = plan(&access, &Capture::shop().captured()).unwrap_err();
    assert!(error.to_string().contains("may not end"), "{error}");
    held.kill().unwrap();
    held.wait().unwrap();
}

#[test]
fn an_older_server_and_an_absent_extension_are_refused() {
    let server = PostgresServer::start();
    let mut capture = Capture::shop();
    capture.catalog.server_number = 990_000;
    let error = capture.stage(&*shop(&server)).err().expect("too old");
    assert!(error.to_string().contains("the backup is of PostgreSQL 99"), "{error}");
    let mut capture = Capture::shop();
    capture.catalog.extensions.push(dalsegno_database::postgres::catalog::Extension {
        name: "postgis".to_owned(),
        schema: "public".to_owned(),
        version: "3".to_owned(),
    });
    let error = capture.stage(&*shop(&server)).err().expect("no such extension");
    assert!(error.to_string().contains("`postgis`"), "{error}");
    assert!(databases(&server).is_empty());
}
