//! Starting the disk early: the last sync then finds little left to write.

use std::fs::File;
use std::io;
use std::thread::{Builder, JoinHandle};

use crossbeam_channel::{Sender, bounded};

/// Bytes after which the disk is asked to begin writing.
const EVERY: u64 = 64 << 20;

/// Pushes what is written of one file to the disk, by a thread, while others go on.
///
/// The kernel tells of a failed write once: to whoever syncs next through any copy of the
/// descriptor. So a failure here is one of the file: [`Flusher::finish`] says so. Dropped, the
/// thread ends.
#[derive(Default)]
pub(crate) struct Flusher {
    flushed: u64,
    running: Option<Running>,
}

struct Running {
    ask: Option<Sender<()>>,
    thread: Option<JoinHandle<io::Result<()>>>,
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
        if self.running.is_none() {
            self.running = Running::start(file);
        }
        if let Some(Running { ask: Some(ask), .. }) = &self.running {
            // One that is still busy will take these bytes with the next ones.
            let _ = ask.try_send(());
        }
    }

    /// Ends, and tells whether all that was pushed has arrived. The file is still to be synced.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        self.running.take().map_or(Ok(()), |mut running| running.join())
    }
}

impl Running {
    /// `None` when the machine gives no descriptor or no thread: the last sync then has all to do.
    fn start(file: &File) -> Option<Self> {
        let file = file.try_clone().ok()?;
        let (ask, asked) = bounded(1);
        let sync = move || asked.iter().try_for_each(|()| file.sync_data());
        let thread = Builder::new().spawn(sync).ok()?;
        Some(Self { ask: Some(ask), thread: Some(thread) })
    }

    fn join(&mut self) -> io::Result<()> {
        self.ask = None;
        let ended = self.thread.take().map(JoinHandle::join);
        match ended {
            None => Ok(()),
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(io::Error::other("the thread that syncs has ended unexpectedly")),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Nobody asked for the result: the file is given up.
        let _ = self.join();
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;

    use super::*;

    #[test]
    fn an_early_sync_that_fails_is_told_at_the_end() {
        // A pipe takes bytes and cannot be synced.
        let (_reader, writer) = std::io::pipe().unwrap();
        let file = File::from(OwnedFd::from(writer));
        let mut flusher = Flusher::default();
        flusher.written(&file, EVERY - 1);
        assert!(flusher.finish().is_ok());
        flusher.written(&file, EVERY);
        assert_eq!(flusher.finish().unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
