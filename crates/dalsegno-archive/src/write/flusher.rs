//! Starting the disk early: the last sync then finds little left to write.

use std::fs::File;
use std::thread::JoinHandle;

use crossbeam_channel::{Sender, bounded};

/// Bytes after which the disk is asked to begin writing.
const EVERY: u64 = 64 << 20;

/// Pushes what is written of one file to the disk, by a thread, while others go on. Its errors are
/// not lost: the last sync reports them again. Dropped, it ends.
#[derive(Default)]
pub(crate) struct Flusher {
    flushed: u64,
    thread: Option<Running>,
}

struct Running {
    ask: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Flusher {
    /// So many bytes of `file`, always the same one, are written by now.
    pub(crate) fn written(&mut self, file: &File, bytes: u64) {
        // After a rewind there may be fewer than before.
        self.flushed = self.flushed.min(bytes);
        if bytes - self.flushed < EVERY {
            return;
        }
        self.flushed = bytes;
        if self.thread.is_none() {
            self.thread = Running::start(file);
        }
        if let Some(Running { ask: Some(ask), .. }) = &self.thread {
            // One that is still busy will take these bytes with the next ones.
            let _ = ask.try_send(());
        }
    }
}

impl Running {
    fn start(file: &File) -> Option<Self> {
        let file = file.try_clone().ok()?;
        let (ask, asked) = bounded(1);
        let thread = std::thread::spawn(move || {
            for () in asked {
                let _ = file.sync_data();
            }
        });
        Some(Self { ask: Some(ask), thread: Some(thread) })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.ask = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
