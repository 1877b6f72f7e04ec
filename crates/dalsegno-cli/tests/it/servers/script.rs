//! `restore.sh` with the server's own client alone.

use std::process::{Command, Stdio};

use dalsegno_testkit::PostgresServer;

use super::{Kind, Server, bookshop};
use crate::{backup, text};

fn scripted(kind: Kind) {
    let server = Server::start(kind);
    let site = bookshop(&server);
    let folder = backup(&site, "b", &["--form", "folder"]);
    let rows = server.dump("shop");
    server.create_database("fresh");
    let script = folder.join("restore.sh");
    let run = |name: &str| {
        let mut command = Command::new("dash");
        command
            .arg(&script)
            .args(["--force", "--skip-media", "--database"])
            .arg(format!("default={name}"))
            .stdin(Stdio::null());
        match &server {
            Server::Postgresql(server) => {
                let host = text(server.socket_folder());
                command.env("PGHOST", host).env("PGPORT", server.port().to_string());
                command.env("PGUSER", "postgres").env("PGPASSWORD", PostgresServer::PASSWORD);
            }
            Server::Mariadb(server) => {
                let home = site.outside("home");
                std::fs::create_dir_all(&home).expect("it can be made");
                let options = format!(
                    "[client]\nuser={}\nsocket={}\n",
                    server.user(),
                    server.socket().display()
                );
                std::fs::write(home.join(".my.cnf"), options).expect("it can be written");
                command.env("HOME", home).env("MYSQL_PWD", server.password());
            }
        }
        let done = command.output().expect("dash runs");
        let said = [done.stdout, done.stderr].concat();
        (done.status.success(), String::from_utf8_lossy(&said).into_owned())
    };
    let (done, said) = run("fresh");
    assert!(done, "{said}");
    assert_eq!(server.dump("fresh").replace("`fresh`", "`shop`"), rows);
    let (done, said) = run("fresh");
    assert!(!done && said.contains("is not empty: nothing was changed"), "{said}");
}

#[test]
fn restore_sh_loads_a_postgresql_database_by_psql_alone() {
    scripted(Kind::Postgresql);
}

#[test]
fn restore_sh_loads_a_mariadb_database_by_its_client_alone() {
    scripted(Kind::Mariadb);
}
