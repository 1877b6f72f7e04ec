use std::collections::{BTreeMap, HashMap};
use std::io::{Read, Write};
use std::sync::mpsc::{
    Receiver, Sender, SyncSender, TryRecvError, TrySendError, channel, sync_channel,
};
use std::thread::JoinHandle;
use std::time::Duration;

use super::session::{qualified, session};
use crate::error::DatabaseError;
use crate::postgres::Access;
use crate::postgres::catalog::{RowsTaken, Table};
use crate::postgres::connection::{Canceller, Session, quoted};
use crate::postgres::failure::refused;
use crate::{LineSum, Place, Result, Watch};

/// Bytes that go to a session at once.
const CHUNK: usize = 256 << 10;
/// Chunks that may wait for a session: with [`MOST_OPEN`] of them, 16 MiB.
const AHEAD: usize = 8;
/// Tables whose last row has not come; the parts of more than this do not alternate.
const MOST_OPEN: usize = 8;
/// Tables whose last row has gone out and is not confirmed.
const MOST_ENDING: usize = 2;
/// A first part of at least this size is worth an own file, written frozen.
const FROZEN_FROM: u64 = 4 << 20;
/// Pause while a session has enough to do, or none is free.
const GLANCE: Duration = Duration::from_micros(500);

/// Sessions that take the rows of tables as these come. Dropped, they are stopped on the server
/// and waited for: what they have not confirmed is undone there.
pub(super) struct Loaders {
    access: Access,
    database: String,
    place: Place,
    /// Statements that a session runs before its first row.
    settings: String,
    idle: Vec<Session>,
    open: HashMap<u32, Load>,
    ending: HashMap<u32, Load>,
    tell: Sender<Ended>,
    ended: Receiver<Ended>,
    taken: BTreeMap<u32, Taken>,
}

/// What has come of one table.
#[derive(Default)]
pub(super) struct Taken {
    pub(super) sum: LineSum,
    pub(super) parts: u32,
    /// Rows that the server has confirmed.
    pub(super) confirmed: u64,
}

struct Load {
    chunks: SyncSender<Chunk>,
    canceller: Canceller,
    thread: JoinHandle<()>,
}

enum Chunk {
    Bytes(Vec<u8>),
    End,
}

struct Ended {
    table: u32,
    loaded: Result<(Session, u64)>,
}

impl Loaders {
    /// Nothing is opened before the first row.
    pub(super) fn new(access: &Access, database: &str, place: Place, settings: String) -> Self {
        let (tell, ended) = channel();
        Self {
            access: access.clone(),
            database: database.to_owned(),
            place,
            settings,
            idle: Vec::new(),
            open: HashMap::new(),
            ending: HashMap::new(),
            tell,
            ended,
            taken: BTreeMap::new(),
        }
    }

    /// Takes the next part of a table's rows. Tables whose rows ended in whole rows, and that are
    /// not this one, are closed. Returns those that the server has confirmed since the last call.
    pub(super) fn part(
        &mut self,
        table: &Table,
        part: u32,
        size: u64,
        data: &mut dyn Read,
        watch: &mut dyn Watch,
    ) -> Result<Vec<u32>> {
        let mut confirmed = self.close(Some(table.id), watch)?;
        let taken = self.taken.entry(table.id).or_default();
        if part != taken.parts + 1 {
            let problem = format!("part {part} of {} follows part {}", label(table), taken.parts);
            return Err(self.damaged(problem));
        }
        let first = taken.parts == 0;
        taken.parts = part;
        while !self.open.contains_key(&table.id) {
            if !self.ending.contains_key(&table.id) {
                self.begin(table, first && size >= FROZEN_FROM)?;
            } else if let Some(table) = self.settle(watch)? {
                confirmed.push(table);
            }
        }
        loop {
            let mut bytes = Vec::with_capacity(CHUNK);
            let read = (&mut *data).take(CHUNK as u64).read_to_end(&mut bytes);
            let name = || format!("4-data/{:06}.{part:06}.copy", table.id);
            let read = read.map_err(|source| DatabaseError::Unreadable { name: name(), source })?;
            if read == 0 {
                return Ok(confirmed);
            }
            self.taken.entry(table.id).or_default().sum.push(&bytes);
            watch.bytes(read as u64);
            self.send(table.id, Chunk::Bytes(bytes), watch)?;
        }
    }

    /// After the last row of all.
    pub(super) fn finish(&mut self, watch: &mut dyn Watch) -> Result<Vec<u32>> {
        let mut confirmed = self.close(None, watch)?;
        if let Some((table, _)) = self.open.iter().next() {
            let problem = format!("the rows of the table with the number {table} end inside a row");
            return Err(self.damaged(problem));
        }
        while !self.ending.is_empty() {
            confirmed.extend(self.settle(watch)?);
        }
        self.idle.clear();
        Ok(confirmed)
    }

    /// What has come of each table that has rows.
    pub(super) fn taken(&self) -> &BTreeMap<u32, Taken> {
        &self.taken
    }

    /// Ends all open tables but one, if they ended in a whole row.
    fn close(&mut self, but: Option<u32>, watch: &mut dyn Watch) -> Result<Vec<u32>> {
        let whole: Vec<u32> = self
            .open
            .keys()
            .copied()
            .filter(|id| Some(*id) != but && self.taken.get(id).is_some_and(|it| it.sum.is_whole()))
            .collect();
        for table in whole {
            self.send(table, Chunk::End, watch)?;
            let load = self.open.remove(&table).expect("it is one of those open");
            self.ending.insert(table, load);
        }
        let mut confirmed = Vec::new();
        while self.ending.len() > MOST_ENDING {
            confirmed.extend(self.settle(watch)?);
        }
        loop {
            match self.ended.try_recv() {
                Ok(ended) => confirmed.push(self.confirm(ended)?),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => return Ok(confirmed),
            }
        }
    }

    fn begin(&mut self, table: &Table, frozen: bool) -> Result<()> {
        if self.open.len() >= MOST_OPEN {
            let problem = format!("the parts of more than {MOST_OPEN} tables alternate");
            return Err(self.damaged(problem));
        }
        let session = if let Some(session) = self.idle.pop() {
            session
        } else {
            let mut session = session(&self.access, &self.database)?;
            session.run("set up a session for rows", &self.settings)?;
            session
        };
        let canceller = session.canceller();
        let (chunks, coming) = sync_channel(AHEAD);
        let copy = Copy::new(table, frozen, &self.place);
        let (tell, id) = (self.tell.clone(), table.id);
        let thread = std::thread::spawn(move || {
            let loaded = copy.run(session, &coming);
            // Whoever asked may have given up; what was not confirmed is undone.
            let _ = tell.send(Ended { table: id, loaded });
        });
        self.open.insert(table.id, Load { chunks, canceller, thread });
        Ok(())
    }

    fn send(&mut self, table: u32, mut chunk: Chunk, watch: &mut dyn Watch) -> Result<()> {
        loop {
            if watch.cancelled() {
                return Err(DatabaseError::Cancelled);
            }
            let Some(load) = self.open.get(&table) else {
                return Err(self.damaged("rows come for a table that is closed".to_owned()));
            };
            match load.chunks.try_send(chunk) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Full(back)) => {
                    chunk = back;
                    std::thread::sleep(GLANCE);
                }
                // The session has ended, and says why.
                Err(TrySendError::Disconnected(_)) => loop {
                    self.settle(watch)?;
                },
            }
        }
    }

    /// Waits for the next table to be confirmed.
    fn settle(&mut self, watch: &mut dyn Watch) -> Result<Option<u32>> {
        if watch.cancelled() {
            return Err(DatabaseError::Cancelled);
        }
        match self.ended.recv_timeout(Duration::from_millis(50)) {
            Ok(ended) => self.confirm(ended).map(Some),
            Err(_) => Ok(None),
        }
    }

    fn confirm(&mut self, ended: Ended) -> Result<u32> {
        let running = self.ending.remove(&ended.table).or_else(|| self.open.remove(&ended.table));
        if let Some(load) = running {
            // It has sent its last word.
            let _ = load.thread.join();
        }
        let (session, rows) = ended.loaded?;
        self.idle.push(session);
        self.taken.entry(ended.table).or_default().confirmed += rows;
        Ok(ended.table)
    }

    fn damaged(&self, problem: String) -> DatabaseError {
        DatabaseError::DamagedBackup { place: self.place.clone(), problem }
    }
}

impl Drop for Loaders {
    fn drop(&mut self) {
        let loads: Vec<Load> =
            self.open.drain().chain(self.ending.drain()).map(|(_, load)| load).collect();
        for Load { chunks, canceller, thread } in loads {
            drop(chunks);
            while !thread.is_finished() {
                canceller.cancel();
                std::thread::sleep(Duration::from_millis(20));
            }
            // A panic there is told by whoever waits for the table.
            let _ = thread.join();
        }
    }
}

/// The statements for one table.
struct Copy {
    name: String,
    truncate: Option<String>,
    statement: String,
    place: Place,
}

impl Copy {
    fn new(table: &Table, frozen: bool, place: &Place) -> Self {
        let target = qualified(&table.schema, &table.name);
        // What an extension has put there itself stays.
        let frozen = frozen && table.rows == RowsTaken::All;
        let options = if frozen { " WITH (FREEZE)" } else { "" };
        Self {
            name: label(table),
            truncate: frozen.then(|| format!("BEGIN; TRUNCATE ONLY {target}")),
            statement: format!("COPY {target} {} FROM STDIN{options}", columns(table)),
            place: place.clone(),
        }
    }

    fn run(self, mut session: Session, coming: &Receiver<Chunk>) -> Result<(Session, u64)> {
        let action = || format!("load the rows of {}", self.name);
        let client = &mut session.client;
        if let Some(truncate) = &self.truncate {
            client.batch_execute(truncate).map_err(refused(action(), &self.place))?;
        }
        let mut writer = client.copy_in(&self.statement).map_err(refused(action(), &self.place))?;
        let rows = loop {
            match coming.recv() {
                Ok(Chunk::Bytes(bytes)) => {
                    if let Err(error) = writer.write_all(&bytes) {
                        return Err(broken(error, &action(), &self.place));
                    }
                }
                Ok(Chunk::End) => break writer.finish().map_err(refused(action(), &self.place))?,
                Err(_) => return Err(DatabaseError::Cancelled),
            }
        };
        if self.truncate.is_some() {
            client.batch_execute("COMMIT").map_err(refused(action(), &self.place))?;
        }
        Ok((session, rows))
    }
}

/// The client hands an error of the server on as one of writing.
pub(super) fn broken(error: std::io::Error, action: &str, place: &Place) -> DatabaseError {
    match error.downcast::<postgres::Error>() {
        Ok(error) => refused(action, place)(error),
        Err(source) => DatabaseError::Unreadable { name: action.to_owned(), source },
    }
}

/// The columns of the rows, in brackets; none at all has no list.
pub(super) fn columns(table: &Table) -> String {
    if table.columns.is_empty() {
        return String::new();
    }
    let names: Vec<String> = table.columns.iter().map(|column| quoted(&column.name)).collect();
    format!("({})", names.join(", "))
}

/// A table as people read it.
pub(super) fn label(table: &Table) -> String {
    format!("`{}.{}`", table.schema, table.name)
}
