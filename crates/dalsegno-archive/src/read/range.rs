//! Part of a tar without the rest: one member, or a list.

use std::io::{self, Read};
use std::sync::Arc;

use super::frames::read_frame;
use super::tar_file::TarFile;
use crate::ArchiveError;
use crate::codec::{Decoder, Frame};

/// Reads a range of the tar, decompressing only the frames it touches. Whoever reads it checks what
/// comes against a SHA-256 or a list: a frame whose stored bytes have changed is used all the same
/// where it still can be, so that damage elsewhere in it hides nothing.
pub(crate) struct RangeReader {
    tar: Arc<TarFile>,
    decoder: Decoder,
    at: u64,
    end: u64,
    stored: Vec<u8>,
    frame: Vec<u8>,
    /// Where `frame` begins in the tar.
    start: u64,
}

impl RangeReader {
    pub(crate) fn new(tar: &Arc<TarFile>, at: u64) -> Result<Self, ArchiveError> {
        let (tar, decoder) = (Arc::clone(tar), tar.decoder()?);
        let (stored, frame) = (Vec::new(), Vec::new());
        Ok(Self { tar, decoder, at, end: u64::MAX, stored, frame, start: 0 })
    }

    /// Ends the range `length` bytes from here.
    pub(crate) fn limit(&mut self, length: u64) {
        self.end = self.at.saturating_add(length);
    }

    fn load(&mut self) -> io::Result<()> {
        let invalid = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
        let frames = &self.tar.tables().map_err(|damage| invalid(damage.to_string()))?.frames;
        let (index, (offset, start, frame)) = frames
            .holding(self.at)
            .and_then(|index| Some((index, frames.get(index)?)))
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        let file = &self.tar.file;
        self.start = start;
        let frame: Frame = frame;
        match read_frame(file, &mut self.decoder, offset, &frame, &mut self.stored, &mut self.frame)
        {
            Err(bad) if !bad.usable => {
                self.frame.clear();
                Err(invalid(format!("frame {index} at byte {offset}: {}", bad.what)))
            }
            _ => Ok(()),
        }
    }
}

impl Read for RangeReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let most = out.len().min(left);
        if most == 0 {
            return Ok(0);
        }
        if self.at < self.start || self.at >= self.start + self.frame.len() as u64 {
            self.load()?;
        }
        let from = usize::try_from(self.at - self.start).unwrap_or(usize::MAX);
        let rest = self.frame.get(from..).unwrap_or_default();
        let most = most.min(rest.len());
        out[..most].copy_from_slice(&rest[..most]);
        self.at += most as u64;
        Ok(most)
    }
}

impl crate::tar::Source for RangeReader {
    fn fill(&mut self, out: &mut [u8]) -> io::Result<()> {
        self.read_exact(out)
    }
}
