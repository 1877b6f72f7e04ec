//! Several sessions read rows at once; what they read comes out in a fixed order.
//!
//! Each job is one `COPY`. Sessions take jobs in their order and run ahead of the one whose turn it
//! is, as far as the memory goes that all of them share.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::Access;
use super::connection::{Canceller, Session};
use super::rows::copy;
use super::view::join;
use crate::{DatabaseError, Result, RowSum, Watch};

/// Bytes of the largest part.
pub(super) const PART: usize = 16 << 20;
/// How often it is asked whether the work shall stop.
const ATTENTION: Duration = Duration::from_millis(50);

/// One `COPY`.
pub(super) struct Job {
    /// What is attempted, for errors.
    pub(super) action: String,
    pub(super) statement: String,
}

/// What comes out of a job.
pub(super) enum Event {
    /// The next bytes; to be given back.
    Part(Vec<u8>),
    /// There are no more.
    Done(RowSum),
}

/// The receiving end.
pub(super) struct Parts<'f> {
    gate: &'f Gate,
    events: Receiver<(usize, Result<Event>)>,
    ahead: HashMap<usize, VecDeque<Event>>,
    turn: usize,
}

/// Reads all `jobs` in `workers` sessions that share `snapshot`, while `receive` takes what they
/// read. When it returns, or anything fails, the sessions are stopped, on the server too.
pub(super) fn read_all<T>(
    access: &Access,
    snapshot: &str,
    (workers, jobs): (usize, &[Job]),
    receive: impl FnOnce(&mut Parts<'_>) -> Result<T>,
) -> Result<T> {
    let gate = Gate::new((workers + 1) * PART);
    let next = AtomicUsize::new(0);
    let running = Mutex::new(Vec::new());
    let (tell, events) = channel();
    thread::scope(|scope| {
        let workers: Vec<_> = (0..workers)
            .map(|_| {
                let worker = Worker { gate: &gate, next: &next, jobs, tell: tell.clone() };
                let running = &running;
                scope.spawn(move || worker.work(access, snapshot, running))
            })
            .collect();
        drop(tell);
        let mut parts = Parts { gate: &gate, events, ahead: HashMap::new(), turn: 0 };
        let result = receive(&mut parts);
        gate.stop();
        while !workers.iter().all(thread::ScopedJoinHandle::is_finished) {
            let running: Vec<Canceller> = locked(&running).clone();
            running.iter().for_each(Canceller::cancel);
            thread::sleep(ATTENTION / 5);
        }
        for worker in workers {
            worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
        result
    })
}

impl Parts<'_> {
    /// The next event of the job whose turn it is; after its end, the next job has its turn.
    pub(super) fn next(&mut self, watch: &dyn Watch) -> Result<Event> {
        loop {
            if let Some(event) = self.ahead.get_mut(&self.turn).and_then(VecDeque::pop_front) {
                if matches!(event, Event::Done(_)) {
                    self.ahead.remove(&self.turn);
                    self.turn += 1;
                    self.gate.turn(self.turn);
                }
                return Ok(event);
            }
            if let Ok((job, event)) = self.events.recv_timeout(ATTENTION) {
                self.ahead.entry(job).or_default().push_back(event?);
            }
            // A worker that panics stops the others.
            if watch.cancelled() || self.gate.is_stopped() {
                return Err(DatabaseError::Cancelled);
            }
        }
    }

    /// Takes back the bytes of a part of the job whose turn it is: there is room for others.
    pub(super) fn give_back(&self, part: Vec<u8>) {
        self.gate.give_back(self.turn, part);
    }
}

struct Worker<'f> {
    gate: &'f Gate,
    next: &'f AtomicUsize,
    jobs: &'f [Job],
    tell: Sender<(usize, Result<Event>)>,
}

impl Worker<'_> {
    fn work(self, access: &Access, snapshot: &str, running: &Mutex<Vec<Canceller>>) {
        let _guard = StopOnPanic(self.gate);
        let mut session = None;
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = self.jobs.get(number) else { return };
            let session = match &mut session {
                Some(session) => Ok(session),
                none => joined(access, snapshot, running).map(|opened| none.insert(opened)),
            };
            let done = session.and_then(|session| self.read(session, number, job));
            let failed = done.is_err();
            // The other end is gone once it has failed by itself.
            let _ = self.tell.send((number, done.map(Event::Done)));
            if failed || self.gate.is_stopped() {
                return;
            }
        }
    }

    fn read(&self, session: &mut Session, number: usize, job: &Job) -> Result<RowSum> {
        let mut sum = RowSum::default();
        let mut part = self.gate.buffer();
        copy(session, &job.action, &job.statement, |line| {
            sum.add(&line[..line.len() - 1]);
            let mut left = line;
            while part.len() + left.len() > PART {
                let (now, later) = left.split_at(PART - part.len());
                part.extend_from_slice(now);
                left = later;
                let full = std::mem::replace(&mut part, self.gate.buffer());
                self.send(number, full)?;
            }
            part.extend_from_slice(left);
            Ok(())
        })?;
        if !part.is_empty() {
            self.send(number, part)?;
        }
        Ok(sum)
    }

    fn send(&self, number: usize, part: Vec<u8>) -> Result<()> {
        self.gate.enter(number, part.len())?;
        self.tell.send((number, Ok(Event::Part(part)))).map_err(|_| DatabaseError::Cancelled)
    }
}

fn joined(access: &Access, snapshot: &str, running: &Mutex<Vec<Canceller>>) -> Result<Session> {
    let mut session = Session::open(access)?;
    locked(running).push(session.canceller());
    join(&mut session, snapshot)?;
    Ok(session)
}

struct StopOnPanic<'g>(&'g Gate);

impl Drop for StopOnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.stop();
        }
    }
}

/// The memory that all sessions share.
struct Gate {
    room: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Bytes that are on their way.
    taken: usize,
    /// Those of the job whose turn it is, if any.
    of_turn: HashMap<usize, usize>,
    turn: usize,
    stopped: bool,
    spare: Vec<Vec<u8>>,
}

impl Gate {
    fn new(room: usize) -> Self {
        Self { room, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Waits until there is room for so many bytes of a job. The one whose turn it is never waits
    /// for the others.
    fn enter(&self, job: usize, bytes: usize) -> Result<()> {
        let mut state = locked(&self.state);
        loop {
            if state.stopped {
                return Err(DatabaseError::Cancelled);
            }
            let own = state.of_turn.get(&job).copied().unwrap_or(0);
            if state.taken + bytes <= self.room || (state.turn == job && own == 0) {
                state.taken += bytes;
                *state.of_turn.entry(job).or_default() += bytes;
                return Ok(());
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn give_back(&self, job: usize, mut part: Vec<u8>) {
        let mut state = locked(&self.state);
        state.taken -= part.len();
        if let Some(own) = state.of_turn.get_mut(&job) {
            *own -= part.len();
        }
        part.clear();
        state.spare.push(part);
        self.changed.notify_all();
    }

    fn turn(&self, job: usize) {
        let mut state = locked(&self.state);
        state.turn = job;
        state.of_turn.retain(|other, _| *other >= job);
        self.changed.notify_all();
    }

    fn buffer(&self) -> Vec<u8> {
        locked(&self.state).spare.pop().unwrap_or_default()
    }

    fn stop(&self) {
        locked(&self.state).stopped = true;
        self.changed.notify_all();
    }

    fn is_stopped(&self) -> bool {
        locked(&self.state).stopped
    }
}

/// What a thread that panicked left is looked at no more than its flag.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
