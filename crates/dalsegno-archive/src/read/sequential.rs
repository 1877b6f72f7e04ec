//! The tar stream of an archive file from its first byte, without an index, as far as it goes.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read};
use std::os::unix::fs::FileExt as _;

use dalsegno_format::Form;

use crate::Damage;
use crate::codec::Gunzip;
use crate::tar::Source;

/// Bytes read from the file at once.
const BUFFER: usize = 1 << 20;

/// The largest window a zstd frame may ask for, as a power of two: twice that of the largest frame.
const WINDOW_LOG: u32 = 25;

/// A file read from its beginning.
struct Counted {
    file: File,
    at: u64,
}

impl Read for Counted {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(out, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

enum Bytes {
    Plain(BufReader<Counted>),
    Gzip(Box<Gunzip<BufReader<Counted>>>),
    Zstd(Box<zstd::stream::read::Decoder<'static, BufReader<Counted>>>),
}

/// The tar stream.
pub(crate) struct Sequential {
    bytes: Bytes,
    length: u64,
    /// Bytes of the tar taken so far.
    pub(crate) offset: u64,
}

impl Sequential {
    pub(crate) fn new(file: File, form: Form) -> io::Result<Self> {
        let length = file.metadata()?.len();
        let reader = BufReader::with_capacity(BUFFER, Counted { file, at: 0 });
        let bytes = match form {
            Form::TarGz => Bytes::Gzip(Box::new(Gunzip::new(reader))),
            Form::TarZst => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(reader)?;
                decoder.window_log_max(WINDOW_LOG)?;
                Bytes::Zstd(Box::new(decoder))
            }
            Form::Tar | Form::Folder => Bytes::Plain(reader),
        };
        Ok(Self { bytes, length, offset: 0 })
    }

    /// Bytes of the file read so far.
    pub(crate) fn stored(&self) -> u64 {
        match &self.bytes {
            Bytes::Plain(reader) => reader.get_ref().at,
            Bytes::Gzip(gunzip) => gunzip.get_ref().get_ref().at,
            Bytes::Zstd(decoder) => decoder.get_ref().get_ref().at,
        }
    }

    /// Bytes of the file there are.
    pub(crate) fn stored_total(&self) -> u64 {
        self.length
    }

    /// Frames found to have a wrong checksum since this was asked last.
    pub(crate) fn take_damage(&mut self) -> Vec<Damage> {
        let Bytes::Gzip(gunzip) = &mut self.bytes else { return Vec::new() };
        let named = |number| Damage::new(format!("frame {number}"), "its checksum is wrong");
        std::mem::take(&mut gunzip.wrong).into_iter().map(named).collect()
    }

    /// Some of the next bytes, at least one.
    pub(crate) fn some(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = match &mut self.bytes {
            Bytes::Plain(reader) => reader.read(out),
            Bytes::Gzip(gunzip) => gunzip.read(out),
            Bytes::Zstd(decoder) => decoder.read(out),
        };
        match read {
            Ok(0) if !out.is_empty() => Err(ends_here()),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(ends_here()),
            read => read.inspect(|&read| self.offset += read as u64),
        }
    }

    /// Passes over as many bytes; an error when there are fewer.
    pub(crate) fn skip(&mut self, mut count: u64) -> io::Result<()> {
        if let Bytes::Plain(reader) = &mut self.bytes {
            self.offset = self.offset.saturating_add(count);
            let ready = usize::try_from(count).unwrap_or(usize::MAX).min(reader.buffer().len());
            reader.consume(ready);
            count -= ready as u64;
            if count == 0 {
                return Ok(());
            }
            let file = reader.get_mut();
            file.at =
                file.at.checked_add(count).filter(|&at| at <= self.length).ok_or_else(ends_here)?;
            return Ok(());
        }
        let mut buffer = vec![0; 256 * 1024];
        while count > 0 {
            let most = buffer.len().min(usize::try_from(count).unwrap_or(usize::MAX));
            match self.some(&mut buffer[..most]) {
                Ok(read) => count -= read as u64,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn ends_here() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the file ends here")
}

impl Source for Sequential {
    fn fill(&mut self, mut out: &mut [u8]) -> io::Result<()> {
        while !out.is_empty() {
            match self.some(out) {
                Ok(read) => out = &mut out[read..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Read for Sequential {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() { Ok(0) } else { self.some(out) }
    }
}
