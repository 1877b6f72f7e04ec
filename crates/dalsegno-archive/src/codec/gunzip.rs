//! Gzip members (RFC 1952) one after the other, from the first byte of a file, as far as they go.

use std::io::{self, BufRead, Read};

use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZError, MZFlush, MZStatus};

/// Flag of a header with an extra field, the only one that occurs.
const FEXTRA: u8 = 4;

/// What comes next.
enum At {
    Header,
    Body,
    Tail,
}

/// Gives what can be had: of a member that is cut short the bytes before the cut, of one whose
/// checksum is wrong all of them.
pub(crate) struct Gunzip<R> {
    reader: R,
    at: At,
    state: Box<InflateState>,
    crc: crc32fast::Hasher,
    length: u32,
    /// Members so far.
    number: u64,
    /// Members whose checksum or length is wrong, since somebody took them.
    pub(crate) wrong: Vec<u64>,
}

impl<R: BufRead> Gunzip<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self {
            reader,
            at: At::Header,
            state: InflateState::new_boxed(DataFormat::Raw),
            crc: crc32fast::Hasher::new(),
            length: 0,
            number: 0,
            wrong: Vec::new(),
        }
    }

    pub(crate) fn get_ref(&self) -> &R {
        &self.reader
    }

    /// `false` at the end of the file.
    fn header(&mut self) -> io::Result<bool> {
        if self.reader.fill_buf()?.is_empty() {
            return Ok(false);
        }
        let mut header = [0; 10];
        self.reader.read_exact(&mut header)?;
        if header[..3] != [0x1f, 0x8b, 8] || header[3] & !FEXTRA != 0 {
            return Err(invalid("a frame has no gzip header"));
        }
        if header[3] & FEXTRA != 0 {
            let mut length = [0; 2];
            self.reader.read_exact(&mut length)?;
            let mut extra = vec![0; usize::from(u16::from_le_bytes(length))];
            self.reader.read_exact(&mut extra)?;
        }
        self.state.reset(DataFormat::Raw);
        self.crc = crc32fast::Hasher::new();
        self.length = 0;
        Ok(true)
    }

    fn tail(&mut self) -> io::Result<()> {
        let mut tail = [0; 8];
        self.reader.read_exact(&mut tail)?;
        let crc = std::mem::take(&mut self.crc).finalize();
        if tail[..4] != crc.to_le_bytes() || tail[4..] != self.length.to_le_bytes() {
            self.wrong.push(self.number);
        }
        self.number += 1;
        Ok(())
    }
}

impl<R: BufRead> Read for Gunzip<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        loop {
            match self.at {
                At::Header => {
                    if !self.header()? {
                        return Ok(0);
                    }
                    self.at = At::Body;
                }
                At::Body => {
                    let input = self.reader.fill_buf()?;
                    let ended = input.is_empty();
                    let step = inflate(&mut self.state, input, out, MZFlush::None);
                    self.reader.consume(step.bytes_consumed);
                    match step.status {
                        Ok(MZStatus::StreamEnd) => self.at = At::Tail,
                        Ok(_) | Err(MZError::Buf) => {}
                        Err(_) => return Err(invalid("a frame cannot be decompressed")),
                    }
                    let written = &out[..step.bytes_written];
                    if !written.is_empty() {
                        self.crc.update(written);
                        let more = u32::try_from(written.len()).unwrap_or(u32::MAX);
                        self.length = self.length.wrapping_add(more);
                        return Ok(written.len());
                    }
                    let stuck = step.bytes_consumed == 0 && matches!(self.at, At::Body);
                    if stuck && ended {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                    if stuck {
                        return Err(invalid("a frame cannot be decompressed"));
                    }
                }
                At::Tail => {
                    self.tail()?;
                    self.at = At::Header;
                }
            }
        }
    }
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::super::{Block, Encoder, Part};
    use super::*;
    use dalsegno_format::Form;

    fn members() -> (Vec<u8>, Vec<u8>) {
        let (mut plain, mut stored, mut frames) = (Vec::new(), Vec::new(), Vec::new());
        let mut encoder = Encoder::new(Form::TarGz, None).unwrap();
        for n in 0..3_u8 {
            let mut block = Block::default();
            let text: Vec<u8> =
                (0..90_000_u32).map(|i| (i / 7 * 31).to_le_bytes()[0] ^ n).collect();
            block.push(&text, Part::Data);
            plain.extend_from_slice(&text);
            encoder.encode(&block, &mut stored, &mut frames).unwrap();
        }
        (plain, stored)
    }

    fn read(stored: &[u8]) -> (Vec<u8>, Option<io::Error>, usize) {
        let mut gunzip = Gunzip::new(io::BufReader::with_capacity(1000, stored));
        let (mut out, mut buffer) = (Vec::new(), vec![0; 777]);
        loop {
            match gunzip.read(&mut buffer) {
                Ok(0) => return (out, None, gunzip.wrong.len()),
                Ok(read) => out.extend_from_slice(&buffer[..read]),
                Err(error) => return (out, Some(error), gunzip.wrong.len()),
            }
        }
    }

    #[test]
    fn all_members_come_and_wrong_sums_are_noted() {
        let (plain, mut stored) = members();
        let (out, error, wrong) = read(&stored);
        assert!(out == plain && error.is_none() && wrong == 0);
        let last = stored.len() - 8;
        stored[last] ^= 1;
        let (out, error, wrong) = read(&stored);
        assert!(out == plain && error.is_none() && wrong == 1);
    }

    #[test]
    fn a_cut_or_broken_stream_gives_what_comes_before() {
        let (plain, stored) = members();
        for cut in (1..stored.len()).step_by(stored.len() / 50) {
            let (out, error, _) = read(&stored[..cut]);
            assert!(plain.starts_with(&out), "{cut}");
            assert!(error.is_some() || out.len() % 90_000 == 0, "{cut}");
            // The window of 32 KiB and what one code stands for may be held back.
            let expected = plain.len() * cut / stored.len();
            assert!(out.len() + 100_000 > expected, "{cut}: {} of {expected}", out.len());
        }
        assert!(read(b"no gzip at all, whatever it is").1.is_some());
        assert!(read(b"").0.is_empty());
    }
}
