//! Connections that load rows and build keys, each at one table at a time, while the next rows
//! are read.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use mysql::LocalInfileHandler;

use super::Access;
use super::catalog::Table;
use super::connection::{Killer, Session};
use super::create_table::Deferred;
use super::inserts::inserts;
use crate::{DatabaseError, Result, Watch};

/// More than one builds the keys of a table while the next one is loaded.
const WORKERS: usize = 2;
/// How soon a cancel is seen.
const LOOK: Duration = Duration::from_millis(10);

/// A table that rows are loaded into.
#[derive(Debug)]
pub(super) struct Loaded {
    /// What the capture says of it.
    pub(super) table: Table,
    /// Where it is: a name as a statement takes it.
    pub(super) into: String,
    /// What is built when its rows are there.
    pub(super) deferred: Deferred,
}

enum Job {
    Part { table: Arc<Loaded>, data: Vec<u8>, rows: u64 },
    Build(Arc<Loaded>),
}

/// What went wrong, and how many warnings there were, by table.
#[derive(Debug, Default)]
struct Shared {
    failure: Option<DatabaseError>,
    warnings: Vec<(u32, u64, String)>,
}

/// The connections. Dropped, what they do is stopped.
pub(super) struct Loading {
    workers: Vec<Worker>,
    shared: Arc<Mutex<Shared>>,
    /// The table whose parts come now, and who loads it.
    current: Option<(u32, usize)>,
}

struct Worker {
    /// Taken away when no more work will come.
    jobs: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
    killer: Killer,
}

impl Loading {
    /// Opens the connections.
    pub(super) fn open(access: &Access) -> Result<Self> {
        let shared = Arc::new(Mutex::new(Shared::default()));
        let mut workers = Vec::new();
        for _ in 0..WORKERS {
            let mut session = Session::for_restore(access)?;
            session.run("set the session of", &access.database, "SET SESSION autocommit = 0")?;
            let limits = Limits::of(&mut session)?;
            let killer = session.killer();
            let (jobs, receiver) = sync_channel(1);
            let shared = Arc::clone(&shared);
            let thread = thread::spawn(move || work(session, limits, &receiver, &shared));
            workers.push(Worker { jobs: Some(jobs), thread: Some(thread), killer });
        }
        Ok(Self { workers, shared, current: None })
    }

    /// Hands on a part, with the number of its rows; waits where all are busy.
    pub(super) fn part(
        &mut self,
        table: &Arc<Loaded>,
        data: Vec<u8>,
        rows: u64,
        watch: &dyn Watch,
    ) -> Result<()> {
        let worker = match self.current {
            Some((id, worker)) if id == table.table.id => worker,
            // The other one is building keys.
            Some((_, worker)) => (worker + 1) % self.workers.len(),
            None => 0,
        };
        self.current = Some((table.table.id, worker));
        self.send(worker, Job::Part { table: Arc::clone(table), data, rows }, watch)
    }

    /// After the last part of a table: its keys are built.
    pub(super) fn build(&mut self, table: &Arc<Loaded>, watch: &dyn Watch) -> Result<()> {
        let worker = match self.current {
            Some((id, worker)) if id == table.table.id => worker,
            _ => 0,
        };
        self.send(worker, Job::Build(Arc::clone(table)), watch)
    }

    /// Waits until everything is done. Returns the warnings of each table, with the first in words.
    pub(super) fn finish(mut self, watch: &dyn Watch) -> Result<Vec<(u32, u64, String)>> {
        for worker in &mut self.workers {
            worker.jobs = None;
        }
        while self.workers.iter().any(|w| w.thread.as_ref().is_some_and(|t| !t.is_finished())) {
            if watch.cancelled() {
                return Err(DatabaseError::Cancelled);
            }
            self.failed()?;
            thread::sleep(LOOK);
        }
        self.failed()?;
        for worker in &mut self.workers {
            if let Some(thread) = worker.thread.take()
                && let Err(panic) = thread.join()
            {
                std::panic::resume_unwind(panic);
            }
        }
        Ok(std::mem::take(&mut lock(&self.shared).warnings))
    }

    fn send(&mut self, worker: usize, job: Job, watch: &dyn Watch) -> Result<()> {
        let mut job = job;
        loop {
            self.failed()?;
            if watch.cancelled() {
                return Err(DatabaseError::Cancelled);
            }
            let jobs =
                self.workers[worker].jobs.as_ref().expect("it is taken away at the end only");
            match jobs.try_send(job) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Full(back)) => job = back,
                // It ended after an error, which is told in the next round, or it panicked.
                Err(TrySendError::Disconnected(back)) => {
                    self.failed()?;
                    if let Some(thread) = self.workers[worker].thread.take()
                        && let Err(panic) = thread.join()
                    {
                        std::panic::resume_unwind(panic);
                    }
                    job = back;
                }
            }
            thread::sleep(LOOK);
        }
    }

    fn failed(&self) -> Result<()> {
        lock(&self.shared).failure.take().map_or(Ok(()), Err)
    }
}

impl Drop for Loading {
    fn drop(&mut self) {
        for worker in &mut self.workers {
            worker.jobs = None;
        }
        for worker in &mut self.workers {
            let Some(thread) = worker.thread.take() else { continue };
            while !thread.is_finished() {
                // A statement that begins just after the kill is killed by the next one; without a
                // second connection it runs to its own end.
                let _ = worker.killer.stop_statement();
                thread::sleep(LOOK * 5);
            }
            let _ = thread.join();
        }
    }
}

fn lock(shared: &Mutex<Shared>) -> std::sync::MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Does what comes until nothing comes, or something fails.
fn work(mut session: Session, limits: Limits, jobs: &Receiver<Job>, shared: &Mutex<Shared>) {
    for job in jobs {
        let done = match job {
            Job::Part { table, data, rows } => load(&mut session, limits, &table, data, rows)
                .map(|found| lock(shared).warnings.extend(found)),
            Job::Build(table) => build(&mut session, &table),
        };
        if let Err(error) = done {
            lock(shared).failure.get_or_insert(error);
            return;
        }
    }
}

/// What the server takes.
#[derive(Debug, Clone, Copy)]
struct Limits {
    infile: bool,
    packet: usize,
}

impl Limits {
    fn of(session: &mut Session) -> Result<Self> {
        let server = session.database().to_owned();
        let sql = "SELECT @@GLOBAL.local_infile, @@max_allowed_packet";
        let rows = session.ask("look at the settings of", &server, sql)?;
        let number = |at| rows.first().and_then(|row| row.number::<usize>(at));
        Ok(Self { infile: number(0) == Some(1), packet: number(1).unwrap_or(1 << 20) })
    }
}

/// Loads a part, and believes it only if every row arrived: the server turns errors into warnings.
fn load(
    session: &mut Session,
    limits: Limits,
    table: &Loaded,
    data: Vec<u8>,
    rows: u64,
) -> Result<Option<(u32, u64, String)>> {
    let name = &table.table.name;
    let (affected, warnings, first) = if limits.infile {
        load_infile(session, table, data)?
    } else {
        insert(session, limits, table, &data)?
    };
    session.run("commit the rows of", name, "COMMIT")?;
    if affected != rows {
        let said = if first.is_empty() { String::new() } else { format!(": {first}") };
        return Err(DatabaseError::Damaged {
            path: session.path_of(&table.into.replace('`', "")),
            problem: format!("of {rows} rows of `{name}` the server took {affected}{said}"),
        });
    }
    Ok((warnings > 0).then_some((table.table.id, warnings, first)))
}

type Took = (u64, u64, String);

fn load_infile(session: &mut Session, table: &Loaded, data: Vec<u8>) -> Result<Took> {
    let name = &table.table.name;
    let sql = format!("LOAD DATA LOCAL INFILE 'rows' {}", table.table.load_clause(&table.into));
    let handler =
        LocalInfileHandler::new(move |_, writer| std::io::Write::write_all(writer, &data));
    session.conn().set_local_infile_handler(Some(handler));
    let done = session.run("load rows into", name, &sql);
    session.conn().set_local_infile_handler(None);
    done?;
    outcome(session, name)
}

fn insert(session: &mut Session, limits: Limits, table: &Loaded, data: &[u8]) -> Result<Took> {
    let name = &table.table.name;
    let mut all = (0, 0, String::new());
    for (sql, rows) in inserts(&table.table, &table.into, data, limits.packet / 2) {
        if sql.len() >= limits.packet {
            let what = format!(
                "a row takes a statement of {} bytes, more than its `max_allowed_packet`",
                sql.len()
            );
            return Err(session.unexpected("insert rows into", name, what));
        }
        session.run("insert rows into", name, &sql)?;
        let (affected, warnings, first) = outcome(session, name)?;
        if affected != rows {
            return Ok((all.0 + affected, warnings, first));
        }
        all.0 += affected;
        all.1 += warnings;
        if all.2.is_empty() {
            all.2 = first;
        }
    }
    Ok(all)
}

fn outcome(session: &mut Session, name: &str) -> Result<Took> {
    let affected = session.conn().affected_rows();
    // Before anything else is asked: the next statement forgets them.
    if session.conn().warnings() == 0 {
        return Ok((affected, 0, String::new()));
    }
    let first = session.warnings(name)?;
    let warnings = session.count("count the warnings about", name, "SELECT @@warning_count")?;
    Ok((affected, warnings, first))
}

fn build(session: &mut Session, table: &Loaded) -> Result<()> {
    let deferred = &table.deferred;
    let all = (!deferred.keys.is_empty()).then(|| deferred.keys.join(", ADD "));
    for element in all.iter().chain(&deferred.alone) {
        let sql = format!("ALTER TABLE {} ADD {element}", table.into);
        session.run("build the keys of", &table.table.name, &sql)?;
    }
    Ok(())
}
