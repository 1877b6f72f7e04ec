//! Files on their way into a sink: one thread reads the server, this one hands them over.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use super::connection::{Killer, Session};
use crate::{DatabaseError, FileSink, Result, Watch};

/// Files that wait to be taken, besides the one that is being filled and the one that is taken.
const WAITING: usize = 1;
const LOOK: Duration = Duration::from_millis(50);

/// A file, whole.
struct File {
    name: String,
    bytes: Vec<u8>,
}

/// The end of a flow that files go into.
pub(super) struct Outlet(SyncSender<File>);

impl Outlet {
    /// Hands a file over; false if nobody takes it any more.
    pub(super) fn file(&self, name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> bool {
        self.0.send(File { name: name.into(), bytes: bytes.into() }).is_ok()
    }
}

/// Runs `produce` on a thread of its own while this one gives its files to `sink`. Returns what it
/// returned, and the bytes that went into the sink. `None` from it means that it was told to stop.
pub(super) fn through<T: Send>(
    session: &mut Session,
    sink: &mut dyn FileSink,
    watch: &mut dyn Watch,
    produce: impl FnOnce(&mut Session, &Outlet) -> Result<Option<T>> + Send,
) -> Result<(T, u64)> {
    let killer = session.killer();
    let (sender, receiver) = sync_channel(WAITING);
    thread::scope(|scope| {
        let producer = scope.spawn(move || produce(session, &Outlet(sender)));
        let taken = take_all(&receiver, sink, watch);
        drop(receiver);
        if taken.is_err() {
            stop(&killer, &producer);
        }
        let produced = match producer.join() {
            Ok(produced) => produced,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        let bytes = taken?;
        match produced? {
            Some(value) => Ok((value, bytes)),
            None => Err(DatabaseError::Cancelled),
        }
    })
}

/// Stops statements until the producer has seen that nothing more is wanted.
fn stop<T>(killer: &Killer, producer: &thread::ScopedJoinHandle<'_, T>) {
    while !producer.is_finished() {
        // Without a second connection the statement runs to its own end.
        let _ = killer.stop_statement();
        for _ in 0..10 {
            if producer.is_finished() {
                return;
            }
            thread::sleep(LOOK);
        }
    }
}

fn take_all(files: &Receiver<File>, sink: &mut dyn FileSink, watch: &mut dyn Watch) -> Result<u64> {
    let mut total = 0;
    loop {
        if watch.cancelled() {
            return Err(DatabaseError::Cancelled);
        }
        match files.recv_timeout(LOOK) {
            Ok(file) => total += take(file, sink, watch)?,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(total),
        }
    }
}

fn take(file: File, sink: &mut dyn FileSink, watch: &mut dyn Watch) -> Result<u64> {
    let File { name, bytes } = file;
    let size = bytes.len() as u64;
    let mut data = Watched { left: &bytes, watch, cancelled: false };
    let done = sink.file(&name, size, &mut data);
    let (left, cancelled) = (data.left.len() as u64, data.cancelled);
    if cancelled {
        return Err(DatabaseError::Cancelled);
    }
    done.map_err(|source| DatabaseError::Sink { name: name.clone(), source })?;
    if left > 0 {
        return Err(DatabaseError::SinkShort { name, size, taken: size - left });
    }
    Ok(size)
}

/// The bytes of a file, which end early when the watch says so.
struct Watched<'w> {
    left: &'w [u8],
    watch: &'w mut dyn Watch,
    cancelled: bool,
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.cancelled = self.cancelled || self.watch.cancelled();
        if self.cancelled {
            return Err(io::Error::other("the capture was stopped"));
        }
        let taken = self.left.read(buffer)?;
        self.watch.bytes(taken as u64);
        Ok(taken)
    }
}
