//! Frames as gzip members (RFC 1952).

use libdeflater::{CompressionLvl, Compressor};

use super::deflate::Mixer;
use super::probe::Probe;
use super::runs::{Run, runs};
use super::{Block, Frame, Part, frame_of};

/// The header of every member: deflate, no flags, no time, no level, unknown system.
pub(crate) const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// What follows a header with an extra field in a member without content: an empty block with the
/// fixed codes, the CRC-32 and the length of nothing.
pub(crate) fn gzip_empty_tail() -> [u8; 10] {
    [3, 0, 0, 0, 0, 0, 0, 0, 0, 0]
}

/// Bytes that are worth a cut when they are not worth compressing: fewer cost less time than the
/// cut costs bytes.
const LEAST: usize = 256 * 1024;

/// Compresses blocks where that is worth it.
pub(crate) struct GzipEncoder {
    compressor: Compressor,
    probe: Probe,
    mixer: Mixer,
    scratch: Vec<u8>,
}

impl GzipEncoder {
    pub(crate) fn new(level: i32) -> Self {
        let level = CompressionLvl::new(level).unwrap_or_default();
        Self {
            compressor: Compressor::new(level),
            probe: Probe::new(),
            mixer: Mixer::new(),
            scratch: Vec::new(),
        }
    }

    pub(crate) fn encode(&mut self, block: &Block, out: &mut Vec<u8>, frames: &mut Vec<Frame>) {
        for run in runs(block, &mut self.probe, LEAST) {
            let start = out.len();
            if !run.compress || !self.compressed(&block.bytes[run.start..run.end], out) {
                self.mixed(block, &run, out);
            }
            frames.push(frame_of(&out[start..], run.end - run.start));
        }
    }

    /// One member of all bytes.
    pub(crate) fn encode_one(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        if !self.compressed(bytes, out) {
            out.extend_from_slice(&GZIP_HEADER);
            self.mixer.begin();
            self.mixer.stored(out, bytes);
            self.mixer.end(out);
            out.extend_from_slice(&tail(bytes));
        }
    }

    /// One member by the real compressor; `false`, and nothing written, where it would not be
    /// shorter than the bytes themselves.
    fn compressed(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> bool {
        self.scratch.resize(bytes.len(), 0);
        let Ok(length) = self.compressor.deflate_compress(bytes, &mut self.scratch) else {
            return false;
        };
        out.extend_from_slice(&GZIP_HEADER);
        out.extend_from_slice(&self.scratch[..length]);
        out.extend_from_slice(&tail(bytes));
        true
    }

    /// One member whose data are stored and whose headers are compressed.
    fn mixed(&mut self, block: &Block, run: &Run, out: &mut Vec<u8>) {
        let bytes = &block.bytes[run.start..run.end];
        out.reserve(bytes.len() + bytes.len() / 1000 + 64);
        out.extend_from_slice(&GZIP_HEADER);
        self.mixer.begin();
        for (start, end, part) in block.ranges() {
            let (start, end) = (start.max(run.start), end.min(run.end));
            if start >= end {
                continue;
            }
            let (from, to) = (start - run.start, end - run.start);
            if part == Part::Head {
                self.mixer.fixed(out, bytes, from, to);
            } else {
                self.mixer.stored(out, &bytes[from..to]);
            }
        }
        self.mixer.end(out);
        out.extend_from_slice(&tail(bytes));
    }
}

/// CRC-32 and length.
fn tail(bytes: &[u8]) -> [u8; 8] {
    let mut tail = [0; 8];
    tail[..4].copy_from_slice(&crc32fast::hash(bytes).to_le_bytes());
    let length = u32::try_from(bytes.len()).expect("blocks are at most 16 MiB");
    tail[4..].copy_from_slice(&length.to_le_bytes());
    tail
}

#[cfg(test)]
mod tests {
    use super::super::{Decoder, noise};
    use super::*;
    use dalsegno_format::Form;

    #[test]
    fn mixed_blocks_are_cut_and_come_back() {
        let mut block = Block::default();
        let mut head = vec![0; 1536];
        head[..20].copy_from_slice(b"backup/files/a.jpg\0\0");
        for (i, size) in [300_000, 80_000, 100, 300_000, 280_000].into_iter().enumerate() {
            block.push(&head, Part::Head);
            if i % 2 == 0 {
                block.push(&noise(size, i as u64 + 9), Part::Data);
            } else {
                block.push(&b"some text, some more\n".repeat(size / 21), Part::Data);
            }
        }
        let mut encoder = GzipEncoder::new(6);
        let (mut out, mut frames) = (Vec::new(), Vec::new());
        encoder.encode(&block, &mut out, &mut frames);
        assert!(frames.len() >= 3, "{frames:?}");
        assert!(out.len() < 590_000, "{}", out.len());
        let mut decoder = Decoder::new(Form::TarGz).unwrap();
        let (mut at, mut back, mut one) = (0, Vec::new(), Vec::new());
        for frame in &frames {
            let end = at + frame.stored as usize;
            decoder.decode(&out[at..end], frame.length as usize, &mut one).unwrap();
            back.extend_from_slice(&one);
            at = end;
        }
        assert_eq!(at, out.len());
        assert!(back == block.bytes);
    }

    #[test]
    fn an_empty_and_a_tiny_block() {
        let mut encoder = GzipEncoder::new(1);
        for size in [0, 1, 5] {
            let mut block = Block::default();
            block.push(&noise(size, 3), Part::Data);
            let (mut out, mut frames) = (Vec::new(), Vec::new());
            encoder.encode(&block, &mut out, &mut frames);
            let mut back = Vec::new();
            Decoder::new(Form::TarGz).unwrap().decode(&out, size, &mut back).unwrap();
            assert_eq!(back, block.bytes);
        }
    }
}
