//! Two threads over one database: one reads it, one hands its bytes to the sink.

use std::error::Error;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;

use super::FILE_NAME;
use super::flow::{Flow, LOOK, Source};
use crate::{DatabaseError, FileSink, Result, Watch};

/// Lets `read` run in a thread of its own while `sink` takes what comes from `source`, which `read`
/// fills.
///
/// `read` gives `None` when it ended because nobody wanted more. It looks at the flag it is given
/// once no more bytes can tell it so.
pub(super) fn beside<T: Send>(
    source: Source,
    size: u64,
    sink: &mut dyn FileSink,
    watch: &mut dyn Watch,
    read: impl FnOnce(&AtomicBool) -> Result<Option<T>> + Send,
) -> Result<T> {
    let stop = &AtomicBool::new(false);
    thread::scope(|scope| {
        let (alive, ended) = channel::<()>();
        let reader = scope.spawn(move || {
            let _alive = alive;
            read(stop)
        });
        let mut flow = Flow::new(source, size, watch);
        let stored = sink.file(FILE_NAME, size, &mut flow).map_err(in_sink);
        let (left, cancelled) = flow.finish();
        if cancelled || left > 0 || stored.is_err() {
            stop.store(true, Ordering::Relaxed);
        }
        while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(LOOK) {
            if watch.cancelled() {
                stop.store(true, Ordering::Relaxed);
            }
        }
        let read = reader.join().unwrap_or_else(|panic| resume_unwind(panic));
        match read {
            _ if cancelled => Err(DatabaseError::Cancelled),
            // The sink only saw that no more came.
            Err(error) if !matches!(error, DatabaseError::Cancelled) => Err(error),
            read => {
                stored?;
                if left > 0 {
                    let (name, taken) = (FILE_NAME.to_owned(), size - left);
                    return Err(DatabaseError::SinkShort { name, size, taken });
                }
                read?.ok_or(DatabaseError::Cancelled)
            }
        }
    })
}

/// What a sink's error is to a capture.
pub(super) fn in_sink(source: Box<dyn Error + Send + Sync>) -> DatabaseError {
    DatabaseError::Sink { name: FILE_NAME.to_owned(), source }
}

/// A watch of a thread that another one stops.
pub(super) struct Until<'a>(pub(super) &'a AtomicBool);

impl Watch for Until<'_> {
    fn bytes(&mut self, _: u64) {}

    fn cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
