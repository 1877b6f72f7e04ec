//! `pg_dump`, asked for the schema of one snapshot.

use std::collections::HashSet;
use std::env;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use super::catalog::Schema;
use super::failure::Failure;
use super::program::Program;
use super::{Access, schema, toc};
use crate::{DatabaseError, Result, TlsMode};

/// How often it is asked whether the work shall stop.
const ATTENTION: Duration = Duration::from_millis(10);
/// Where the systems keep the authorities they believe, for programs that cannot ask them.
const BUNDLES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// The schema as `snapshot` shows it, or as it is now. `populated` has the materialized views that
/// hold rows. `stopped` is asked all the time.
pub(super) fn dump(
    program: &Program,
    access: &Access,
    snapshot: Option<&str>,
    populated: &HashSet<(String, String)>,
    stopped: &dyn Fn() -> bool,
) -> Result<Schema> {
    let mut command = Command::new(&program.path);
    command.args(["--format=custom", "--schema-only", "--encoding=UTF8", "--no-password"]);
    command.args(snapshot.map(|snapshot| format!("--snapshot={snapshot}")));
    command.args(access.role.as_ref().map(|role| format!("--role={role}")));
    environment(&mut command, access, program.major);
    let archive = output(command, &program.path, access, stopped)?;
    let schema = toc::read(&archive).and_then(|toc| schema::schema(toc, populated));
    schema.map_err(|problem| Failure::Output { program: program.path.clone(), problem }.into())
}

/// Says where the database is, and nothing of what the surroundings say. No secret is an argument.
fn environment(command: &mut Command, access: &Access, major: u32) {
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("PG") {
            command.env_remove(name);
        }
    }
    let mode = match access.tls.mode {
        TlsMode::Disable => "disable",
        TlsMode::Prefer => "prefer",
        TlsMode::Require => "require",
        TlsMode::VerifyCa => "verify-ca",
        TlsMode::VerifyFull => "verify-full",
    };
    command
        .env("LC_ALL", "C")
        .env("PGHOST", &access.host)
        .env("PGPORT", access.port.to_string())
        .env("PGUSER", &access.user)
        .env("PGDATABASE", &access.database)
        .env("PGSSLMODE", mode)
        .env("PGGSSENCMODE", "disable")
        .env("PGCONNECT_TIMEOUT", "15")
        .env("PGAPPNAME", "dalsegno");
    match &access.password {
        Some(password) => command.env("PGPASSWORD", password.expose()),
        // A file that cannot be there: nobody else's password is tried.
        None => command.env("PGPASSFILE", "/dev/null/none"),
    };
    if let Some(options) = &access.options {
        command.env("PGOPTIONS", options);
    }
    let verifies = matches!(access.tls.mode, TlsMode::VerifyCa | TlsMode::VerifyFull);
    match &access.tls.root {
        Some(root) => drop(command.env("PGSSLROOTCERT", root)),
        None if verifies && major >= 16 && access.tls.mode == TlsMode::VerifyFull => {
            command.env("PGSSLROOTCERT", "system");
        }
        None if verifies => {
            let bundle = BUNDLES.into_iter().find(|bundle| Path::new(bundle).is_file());
            command.envs(bundle.map(|bundle| ("PGSSLROOTCERT", bundle)));
        }
        // Without one, a file in the home folder would turn `require` into `verify-ca`.
        None => drop(command.env("PGSSLROOTCERT", "/dev/null/none")),
    }
    if let Some((certificate, key)) = &access.tls.identity {
        command.env("PGSSLCERT", certificate).env("PGSSLKEY", key);
    }
}

/// What the program writes; it fails if it says that it does, or complains of anything.
fn output(
    mut command: Command,
    program: &Path,
    access: &Access,
    stopped: &dyn Fn() -> bool,
) -> Result<Vec<u8>> {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.map_err(DatabaseError::io("start", program))?;
    let out = gather(child.stdout.take().expect("it is piped"));
    let err = gather(child.stderr.take().expect("it is piped"));
    let mut unwanted = false;
    while !(out.is_finished() && err.is_finished()) {
        if !unwanted && stopped() {
            unwanted = true;
            end(&mut child, program)?;
        }
        thread::sleep(ATTENTION);
    }
    let status = child.wait().map_err(DatabaseError::io("wait for", program))?;
    if unwanted {
        return Err(DatabaseError::Cancelled);
    }
    let archive = joined(out).map_err(DatabaseError::io("read from", program))?;
    let said = joined(err).map_err(DatabaseError::io("read from", program))?;
    match complaint(status, &String::from_utf8_lossy(&said)) {
        None => Ok(archive),
        Some(said) => {
            let (program, place) = (program.to_owned(), access.place());
            Err(Failure::Program { program, place, said }.into())
        }
    }
}

type Gathered = thread::JoinHandle<std::io::Result<Vec<u8>>>;

fn gather(mut pipe: impl Read + Send + 'static) -> Gathered {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).map(|_| bytes)
    })
}

fn joined(gathered: Gathered) -> std::io::Result<Vec<u8>> {
    gathered.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn end(child: &mut Child, program: &Path) -> Result<()> {
    child.kill().map_err(DatabaseError::io("stop", program))
}

/// Words of the program itself are taken seriously, also where it goes on; notices of the server
/// are not its own.
fn complaint(status: ExitStatus, said: &str) -> Option<String> {
    let own: Vec<&str> = said.lines().filter(|line| line.starts_with("pg_dump: ")).collect();
    let own = own.join("; ").replace("pg_dump: ", "");
    match (status.success(), own.is_empty()) {
        (true, true) => None,
        (_, false) => Some(own),
        (false, true) if said.trim().is_empty() => Some(status.to_string()),
        (false, true) => Some(format!("{status}: {}", said.trim())),
    }
}
