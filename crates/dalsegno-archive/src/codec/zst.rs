//! Frames as zstd frames (RFC 8878).

use std::io;

use zstd::bulk::Compressor;
use zstd::zstd_safe::compress_bound;

use super::probe::Probe;
use super::runs::{Run, SMALL, runs};
use super::{Block, Frame, Part, frame_of};

/// Magic number of a zstd frame.
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Frame header descriptor: four bytes of content size, the window as large as the content.
const SINGLE_SEGMENT: u8 = 0b1010_0000;

/// The most bytes of one block in a zstd frame.
const BLOCK: usize = 128 * 1024;

/// Bytes that are worth a cut when they are not worth compressing: zstd passes over fewer at once.
const LEAST: usize = 512 * 1024;

/// Compresses blocks where that is worth it.
pub(crate) struct ZstdEncoder {
    compressor: Compressor<'static>,
    probe: Probe,
}

impl ZstdEncoder {
    pub(crate) fn new(level: i32) -> io::Result<Self> {
        Ok(Self { compressor: Compressor::new(level)?, probe: Probe::new() })
    }

    pub(crate) fn encode(
        &mut self,
        block: &Block,
        out: &mut Vec<u8>,
        frames: &mut Vec<Frame>,
    ) -> io::Result<()> {
        for run in runs(block, &mut self.probe, LEAST) {
            let start = out.len();
            if run.compress {
                self.encode_one(&block.bytes[run.start..run.end], out)?;
            } else {
                self.mixed(block, &run, out)?;
            }
            frames.push(frame_of(&out[start..], run.end - run.start));
        }
        Ok(())
    }

    /// One zstd frame of all bytes.
    pub(crate) fn encode_one(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        let start = out.len();
        out.resize(start + compress_bound(bytes.len()), 0);
        let length = self.compressor.compress_to_buffer(bytes, &mut out[start..])?;
        out.truncate(start + length);
        Ok(())
    }

    /// Zstd frames one after the other: data as they are, what lies between them compressed.
    fn mixed(&mut self, block: &Block, run: &Run, out: &mut Vec<u8>) -> io::Result<()> {
        let mut squeezed = run.start;
        for (start, end, part) in block.ranges() {
            let (start, end) = (start.max(run.start), end.min(run.end));
            if part == Part::Head || start >= end || end - start < SMALL {
                continue;
            }
            if squeezed < start {
                self.encode_one(&block.bytes[squeezed..start], out)?;
            }
            raw(&block.bytes[start..end], out);
            squeezed = end;
        }
        if squeezed < run.end {
            self.encode_one(&block.bytes[squeezed..run.end], out)?;
        }
        Ok(())
    }
}

/// A zstd frame of raw blocks, sections 3.1.1.1 and 3.1.1.2.
fn raw(bytes: &[u8], out: &mut Vec<u8>) {
    let length = u32::try_from(bytes.len()).expect("blocks are at most 16 MiB");
    out.reserve(bytes.len() + bytes.len() / BLOCK * 3 + 16);
    out.extend_from_slice(&MAGIC);
    out.push(SINGLE_SEGMENT);
    out.extend_from_slice(&length.to_le_bytes());
    let mut chunks = bytes.chunks(BLOCK).peekable();
    while let Some(chunk) = chunks.next() {
        let last = u32::from(chunks.peek().is_none());
        let size = u32::try_from(chunk.len()).expect("chunks are bounded");
        out.extend_from_slice(&(size << 3 | last).to_le_bytes()[..3]);
        out.extend_from_slice(chunk);
    }
}

#[cfg(test)]
mod tests {
    use dalsegno_format::Form;

    use super::super::Decoder;
    use super::*;

    #[test]
    fn raw_frames_come_back() {
        let bytes: Vec<u8> = (0..300_000_u32).map(|n| n.to_le_bytes()[1] ^ 0x5a).collect();
        for length in [1, 255, 256, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, bytes.len()] {
            let (mut out, mut back) = (Vec::new(), Vec::new());
            raw(&bytes[..length], &mut out);
            raw(&bytes[..1], &mut out);
            let mut decoder = Decoder::new(Form::TarZst).unwrap();
            decoder.decode(&out, length + 1, &mut back).unwrap();
            assert!(back[..length] == bytes[..length], "{length}");
        }
    }
}
