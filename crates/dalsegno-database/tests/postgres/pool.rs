//! A connection pool between us and the server, which gives a session away after each transaction.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use dalsegno_database::postgres::{Access, Failure, capture};
use dalsegno_database::{DatabaseError, Quiet, Tls, TlsMode};
use dalsegno_format::ErrorKind;
use dalsegno_testkit::PostgresServer;

use crate::files::{access, options, try_taken};

type Idle = Arc<Mutex<Vec<TcpStream>>>;

/// A pool; its port. It lives as long as the test's process.
fn pool(server: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let idle = Idle::default();
    thread::spawn(move || {
        for client in listener.incoming() {
            let idle = Arc::clone(&idle);
            // A client that goes away ends its thread; the test looks at what the client got.
            thread::spawn(move || serve(&mut client.unwrap(), server, &idle));
        }
    });
    port
}

fn serve(client: &mut TcpStream, server: u16, idle: &Idle) -> std::io::Result<()> {
    let mut session = TcpStream::connect(("127.0.0.1", server))?;
    session.write_all(&message(client, 0)?)?;
    answers(&mut session, client)?;
    idle.lock().unwrap().push(session);
    let mut taken: Option<TcpStream> = None;
    loop {
        let asked = message(client, 1)?;
        if asked[0] == b'X' {
            return Ok(());
        }
        let mut session = match taken.take() {
            Some(session) => session,
            None => idle.lock().unwrap().pop().expect("as many sessions as clients"),
        };
        session.write_all(&asked)?;
        let asks = matches!(asked[0], b'Q' | b'S');
        if asks && answers(&mut session, client)? == b'I' {
            idle.lock().unwrap().push(session);
        } else {
            taken = Some(session);
        }
    }
}

/// One message: its kind, of as many bytes as `kind`, its length, its content.
fn message(from: &mut TcpStream, kind: usize) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; kind + 4];
    from.read_exact(&mut bytes)?;
    let length = u32::from_be_bytes(bytes[kind..].try_into().unwrap());
    bytes.resize(kind + length as usize, 0);
    from.read_exact(&mut bytes[kind + 4..])?;
    Ok(bytes)
}

/// Hands on what the server says until it waits again; whether it is in a transaction then.
fn answers(session: &mut TcpStream, client: &mut TcpStream) -> std::io::Result<u8> {
    loop {
        let said = message(session, 1)?;
        client.write_all(&said)?;
        if said[0] == b'Z' {
            return Ok(said[5]);
        }
    }
}

#[test]
fn a_pool_that_gives_sessions_away_is_refused_before_any_setting_is_changed() {
    let mut server = PostgresServer::start();
    server.create_database("shop");
    server.psql("shop", "CREATE TABLE t AS SELECT 1 AS a");
    let trusting = "local all all scram-sha-256\nhost all all 127.0.0.1/32 trust\n";
    std::fs::write(server.data().join("pg_hba.conf"), trusting).unwrap();
    server.restart();
    let direct = Access {
        host: server.host().to_owned(),
        tls: Tls { mode: TlsMode::Disable, ..Tls::default() },
        ..access(&server, "shop")
    };
    try_taken(&direct, &options()).unwrap();
    let pooled = Access { port: pool(server.port()), ..direct };
    let error = capture(&pooled, &options(), &mut Quiet).err().unwrap();
    let DatabaseError::Postgres(failure) = &error else { panic!("{error:?}") };
    assert!(matches!(**failure, Failure::Pooled { .. }), "{error:?}");
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.hint().unwrap().contains("not that of the pool"));
    let settings = "SELECT count(*) FROM pg_stat_activity WHERE query ~* '^set'";
    assert_eq!(server.psql("shop", settings), "0");
}
