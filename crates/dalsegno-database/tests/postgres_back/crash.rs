//! Deaths of the process and of the server.

use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use dalsegno_database::{DatabaseError, Quiet, Recovered};
use dalsegno_testkit::PostgresServer;

use super::child::Child;
use super::shop::*;

/// Old or new, never mixed; what was half done is gone; and what is kept can be put back.
fn settled(server: &PostgresServer, child: &Child, step: &str) -> &'static str {
    let target = shop(server);
    let recovered = target.recover(child.begun().as_deref(), true, Duration::ZERO).unwrap();
    let now = content(server);
    match (now, recovered) {
        ("old", Recovered::Undone | Recovered::Nothing) => {
            assert_eq!(databases(server), ["shop"], "{step}");
        }
        ("new", Recovered::Switched(switched)) => {
            assert_eq!(databases(server), ["shop", OLD], "{step}");
            assert!(!target.written_since(&switched, Duration::ZERO).unwrap(), "{step}");
            target.rollback(&switched, back(false), &mut Quiet).unwrap();
            assert_eq!(databases(server), ["shop"], "{step}");
            assert_eq!(content(server), "old", "{step}");
        }
        (now, recovered) => panic!("{step}: {now}, and {recovered:?}"),
    }
    let again = target.recover(child.begun().as_deref(), true, Duration::ZERO).unwrap();
    assert_eq!(again, Recovered::Nothing, "{step}");
    now
}

#[test]
fn a_kill_at_any_step_of_a_restore_leaves_old_or_new() {
    let server = PostgresServer::start();
    live(&server);
    let mut seen = Vec::new();
    for step in 1.. {
        let child = Child::new();
        let ended = child.run(server.port(), "restore", &step.to_string());
        if ended.signal().is_none() {
            assert!(ended.success());
            break;
        }
        seen.push(settled(&server, &child, &step.to_string()));
    }
    assert!(seen.len() >= 6, "{seen:?}");
    assert!(seen.contains(&"old") && seen.contains(&"new"), "{seen:?}");
    let switched = seen.iter().position(|state| *state == "new").unwrap();
    assert!(seen[switched..].iter().all(|state| *state == "new"), "{seen:?}");
}

#[test]
fn a_kill_at_any_step_of_a_rollback_leaves_old_or_new_and_it_can_be_run_again() {
    let server = PostgresServer::start();
    live(&server);
    for step in 1.. {
        let child = Child::new();
        assert!(child.run(server.port(), "restore", "never").success());
        let switched = child.switched().unwrap();
        let ended = child.run(server.port(), "rollback", &step.to_string());
        if ended.signal().is_none() {
            assert!(ended.success());
            assert!(step > 3);
            break;
        }
        let target = shop(&server);
        let now = content(&server);
        assert_eq!(target.holds(&switched).unwrap(), now == "new", "{step}");
        match target.rollback(&switched, back(true), &mut Quiet) {
            Ok(_) => assert_eq!(now, "new", "{step}"),
            Err(DatabaseError::KeptMissing { .. }) => assert_eq!(now, "old", "{step}"),
            Err(error) => panic!("{step}: {error}"),
        }
        assert_eq!(content(&server), "old", "{step}");
        target.discard().unwrap();
        assert_eq!(databases(&server), ["shop"], "{step}");
    }
}

#[test]
fn a_discard_that_was_killed_can_be_run_again() {
    let server = PostgresServer::start();
    live(&server);
    for step in 1.. {
        let child = Child::new();
        if !databases(&server).contains(&OLD.to_owned()) {
            server.create_database(OLD);
            server.create_database(PRESENT);
        }
        if child.run(server.port(), "discard", &step.to_string()).signal().is_none() {
            assert_eq!(step, 4);
            break;
        }
        shop(&server).discard().unwrap();
        assert_eq!(databases(&server), ["shop"]);
    }
    assert_eq!(content(&server), "old");
}

#[test]
fn a_server_that_crashes_at_any_time_leaves_old_or_new() {
    let mut server = PostgresServer::start();
    live(&server);
    let mut seen = Vec::new();
    for round in 0..8_u64 {
        let child = Child::new();
        let port = server.port();
        let pid = rustix::process::Pid::from_raw(i32::try_from(server.pid().unwrap()).unwrap());
        std::thread::scope(|scope| {
            scope.spawn(|| child.run(port, "restore", "never"));
            std::thread::sleep(Duration::from_millis(120 + round * 90));
            rustix::process::kill_process(pid.unwrap(), rustix::process::Signal::QUIT).unwrap();
        });
        server.restart();
        seen.push(settled(&server, &child, &round.to_string()));
    }
    assert!(seen.contains(&"old"), "{seen:?}");
}
