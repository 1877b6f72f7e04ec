//! Starting the disk while a tree is still being staged: the sync at the end then finds little left.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::thread::JoinHandle;

use crossbeam_channel::{Sender, bounded};
use rustix::fs::syncfs;
use rustix::io;

use crate::MediaError;
use crate::error::io_error;

/// Bytes after which the disk is asked to begin writing.
const EVERY: u64 = 256 << 20;

/// A thread that pushes what is written to the disk. Dropped, it ends.
///
/// The kernel tells of a failed write once, to whoever syncs next through any copy of the
/// descriptor: so a failure here is one of the tree, and [`EarlySync::finish`] says so.
pub(super) struct EarlySync {
    ask: Option<Sender<()>>,
    thread: Option<JoinHandle<io::Result<()>>>,
    waiting: u64,
}

impl EarlySync {
    pub(super) fn start(root: &OwnedFd, path: &Path) -> Result<Self, MediaError> {
        let root = rustix::io::fcntl_dupfd_cloexec(root, 0).map_err(io_error("open", path))?;
        let (ask, asked) = bounded(1);
        let work = move || asked.iter().try_for_each(|()| syncfs(&root));
        let thread = std::thread::Builder::new().name("media-sync".to_owned()).spawn(work);
        let thread = thread.map_err(io_error("start a thread for", path))?;
        Ok(Self { ask: Some(ask), thread: Some(thread), waiting: 0 })
    }

    /// So many more bytes were handed over.
    pub(super) fn written(&mut self, bytes: u64) {
        self.waiting = self.waiting.saturating_add(bytes);
        if self.waiting >= EVERY
            && let Some(ask) = &self.ask
        {
            self.waiting = 0;
            // One that is still busy will take these bytes with the next ones.
            let _ = ask.try_send(());
        }
    }

    /// Ends, and tells whether all that was pushed has arrived. The tree is still to be synced.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.join()
    }

    fn join(&mut self) -> io::Result<()> {
        self.ask = None;
        match self.thread.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(result)) => result,
            // It only calls the system; if it ends otherwise, nobody knows what has arrived.
            Some(Err(_)) => Err(io::Errno::IO),
        }
    }
}

impl Drop for EarlySync {
    fn drop(&mut self) {
        // Nobody asked for the result: the tree is given up.
        let _ = self.join();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_early_sync_that_fails_is_told_at_the_end() {
        let path = Path::new("nowhere");
        // The path of a descriptor names a file and cannot be synced.
        let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC;
        let folder = rustix::fs::open("/", flags, rustix::fs::Mode::empty()).unwrap();
        let mut sync = EarlySync::start(&folder, path).unwrap();
        sync.written(EVERY - 1);
        assert_eq!(sync.finish(), Ok(()));
        let mut sync = EarlySync::start(&folder, path).unwrap();
        sync.written(EVERY);
        assert_eq!(sync.finish(), Err(io::Errno::BADF));
    }
}
