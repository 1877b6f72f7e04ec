//! Where the frames of an archive lie.

use std::os::unix::fs::FileExt as _;

use crate::codec::{Decoder, Frame};

/// All frames before the manifest's, in order and without gaps.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    /// Start in the file, start in the tar, hash; one more at the end for where the last one ends.
    starts: Vec<(u64, u64, u64)>,
}

impl Frames {
    pub(crate) fn new() -> Self {
        Self { starts: vec![(0, 0, 0)] }
    }

    /// Takes the next frame, which must begin where the last one ended.
    pub(crate) fn push(&mut self, frame: Frame) {
        if let Some(last) = self.starts.last_mut() {
            last.2 = frame.hash;
            let next = (last.0 + u64::from(frame.stored), last.1 + u64::from(frame.length), 0);
            self.starts.push(next);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// Bytes in the file and in the tar.
    pub(crate) fn ends(&self) -> (u64, u64) {
        self.starts.last().map_or((0, 0), |last| (last.0, last.1))
    }

    /// A frame and where it begins: in the file, in the tar.
    pub(crate) fn get(&self, index: usize) -> Option<(u64, u64, Frame)> {
        let (&(offset, at, hash), &(next_offset, next_at, _)) =
            (self.starts.get(index)?, self.starts.get(index + 1)?);
        let frame = Frame {
            stored: u32::try_from(next_offset - offset).ok()?,
            length: u32::try_from(next_at - at).ok()?,
            hash,
        };
        Some((offset, at, frame))
    }

    /// The frame that holds a byte of the tar.
    pub(crate) fn holding(&self, at: u64) -> Option<usize> {
        let after = self.starts.partition_point(|start| start.1 <= at);
        (after < self.starts.len()).then(|| after - 1)
    }
}

/// Why a frame is not what was written.
#[derive(Debug)]
pub(crate) struct BadFrame {
    pub(crate) what: String,
    /// Whether it still stands for as many bytes as it should: whoever checks those otherwise may
    /// use them.
    pub(crate) usable: bool,
}

impl BadFrame {
    fn lost(what: impl Into<String>) -> Self {
        Self { what: what.into(), usable: false }
    }
}

/// Reads one frame: its bytes against their hash, then what they stand for.
pub(crate) fn read_frame(
    file: &std::fs::File,
    decoder: &mut Decoder,
    offset: u64,
    frame: &Frame,
    stored: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> Result<(), BadFrame> {
    // Lengths were bounded when the record was read.
    let plain = matches!(decoder, Decoder::Plain);
    let buffer = if plain { &mut *out } else { &mut *stored };
    buffer.resize(frame.stored as usize, 0);
    file.read_exact_at(buffer, offset)
        .map_err(|error| BadFrame::lost(format!("it cannot be read: {error}")))?;
    let same = xxhash_rust::xxh3::xxh3_64(buffer) == frame.hash;
    let decoded = if plain {
        (frame.stored == frame.length).then_some(()).ok_or("its two lengths differ")
    } else if same {
        decoder.decode(stored, frame.length as usize, out)
    } else {
        decoder.decode_damaged(stored, frame.length as usize, out)
    };
    match (same, decoded) {
        (true, Ok(())) => Ok(()),
        (true, Err(what)) => Err(BadFrame::lost(what)),
        (false, decoded) => {
            let what = "its stored bytes have changed".to_owned();
            Err(BadFrame { what, usable: decoded.is_ok() })
        }
    }
}
