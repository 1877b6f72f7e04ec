//! Progress within one content, which may be as long as the whole backup.

use std::io;

use super::{Progress, Watch};

/// Bytes after which progress is told.
const EVERY: u64 = 1 << 20;

/// Tells how far a pass has come while a content is read, and asks whether to go on.
pub(crate) struct Telling<'a, 'w> {
    watch: &'a mut Watch<'w>,
    progress: &'a mut Progress,
    untold: u64,
    cancelled: bool,
}

impl<'a, 'w> Telling<'a, 'w> {
    pub(crate) fn new(watch: &'a mut Watch<'w>, progress: &'a mut Progress) -> Self {
        Self { watch, progress, untold: 0, cancelled: false }
    }

    /// So many more bytes of the content have come; `stored` says how many stored bytes all that
    /// came so far took. An error when the run was asked to stop.
    pub(crate) fn came(
        &mut self,
        bytes: usize,
        stored: impl FnOnce(&Progress) -> u64,
    ) -> io::Result<()> {
        self.progress.bytes += bytes as u64;
        self.progress.stored = stored(self.progress);
        self.untold += bytes as u64;
        if self.untold < EVERY {
            return Ok(());
        }
        self.untold = 0;
        (self.watch.progress)(*self.progress);
        if (self.watch.cancelled)() {
            self.cancelled = true;
            return Err(io::Error::other("cancelled"));
        }
        Ok(())
    }

    /// Whether [`Telling::came`] has said so.
    pub(crate) fn has_stopped(&self) -> bool {
        self.cancelled
    }

    /// Whether the run was asked to stop.
    pub(crate) fn cancelled(&self) -> bool {
        self.cancelled || (self.watch.cancelled)()
    }
}
