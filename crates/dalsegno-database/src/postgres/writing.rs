//! Files on their way into a sink.

use std::io::{self, Read};

use crate::{DatabaseError, FileSink, Result, Watch};

/// Bytes handed over at once: between them it is asked whether the work shall stop.
const CHUNK: usize = 1 << 20;

/// A sink, and what it took.
pub(super) struct Writing<'w> {
    pub(super) sink: &'w mut dyn FileSink,
    pub(super) watch: &'w mut dyn Watch,
    pub(super) size: u64,
}

impl Writing<'_> {
    /// Stores one file whole.
    pub(super) fn file(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        if self.watch.cancelled() {
            return Err(DatabaseError::Cancelled);
        }
        let size = bytes.len() as u64;
        let mut data = Watched { left: bytes, watch: &mut *self.watch, cancelled: false };
        let stored = self.sink.file(name, size, &mut data);
        if data.cancelled {
            return Err(DatabaseError::Cancelled);
        }
        let taken = size - data.left.len() as u64;
        stored.map_err(|source| DatabaseError::Sink { name: name.to_owned(), source })?;
        if taken < size {
            return Err(DatabaseError::SinkShort { name: name.to_owned(), size, taken });
        }
        self.size += size;
        Ok(())
    }

    /// Stores a value as JSON.
    pub(super) fn json(&mut self, name: &str, value: &impl serde::Serialize) -> Result<()> {
        let mut text = serde_json::to_vec_pretty(value).expect("it is made of texts and numbers");
        text.push(b'\n');
        self.file(name, &text)
    }
}

struct Watched<'w> {
    left: &'w [u8],
    watch: &'w mut dyn Watch,
    cancelled: bool,
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.watch.cancelled() {
            self.cancelled = true;
            return Err(io::Error::other("cancelled"));
        }
        let length = buffer.len().min(CHUNK);
        let read = self.left.read(&mut buffer[..length])?;
        self.watch.bytes(read as u64);
        Ok(read)
    }
}
