//! Frames: pieces of the tar stream that are stored, compressed and checked on their own.

mod deflate;
mod gunzip;
mod gzip;
mod probe;
mod runs;
mod zst;

use dalsegno_format::Form;
use xxhash_rust::xxh3::xxh3_64;

pub(crate) use gunzip::Gunzip;
pub(crate) use gzip::{GZIP_HEADER, gzip_empty_tail};

/// CRC-32 and length at the end of a gzip member.
const GZIP_TAIL: usize = 8;

/// Level of `.tar.gz` unless another is asked for.
const GZIP_LEVEL: u32 = 6;

/// The same of `.tar.zst`. A shop's database of 735 MB takes 2.1 s of one processor and 352 MB at
/// level 2, 2.8 s and 346 MB at level 3.
const ZSTD_LEVEL: u32 = 2;

/// The most bytes of the tar stream in one frame; a reader never allocates more for one.
pub(crate) const MAX_FRAME: usize = 16 << 20;

/// The most stored bytes of one frame.
pub(crate) const MAX_STORED: usize = MAX_FRAME + (1 << 20);

/// Where one frame ends and the next begins, and what its stored bytes hash to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Bytes in the archive file.
    pub(crate) stored: u32,
    /// Bytes of the tar stream.
    pub(crate) length: u32,
    /// XXH3-64 of the stored bytes.
    pub(crate) hash: u64,
}

/// Bytes of the tar stream that one block is filled up to.
pub(crate) fn block_size(form: Form) -> usize {
    if form == Form::TarZst { 2 << 20 } else { 1 << 20 }
}

/// A part of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Headers and padding: few bytes, mostly zeros.
    Head,
    /// Content of files, of any kind.
    Data,
}

/// One block of the tar stream and the places where its parts begin.
#[derive(Debug, Default, Clone)]
pub(crate) struct Block {
    /// The bytes.
    pub(crate) bytes: Vec<u8>,
    /// Ascending; the first at 0 unless the block is empty.
    pub(crate) parts: Vec<(usize, Part)>,
}

impl Block {
    pub(crate) fn push(&mut self, bytes: &[u8], part: Part) {
        if self.parts.last().is_none_or(|&(_, last)| last != part) {
            self.parts.push((self.bytes.len(), part));
        }
        self.bytes.extend_from_slice(bytes);
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.parts.clear();
    }

    /// The parts as ranges.
    pub(crate) fn ranges(&self) -> impl Iterator<Item = (usize, usize, Part)> + '_ {
        self.parts.iter().enumerate().map(|(i, &(start, part))| {
            let end = self.parts.get(i + 1).map_or(self.bytes.len(), |&(next, _)| next);
            (start, end, part)
        })
    }
}

/// Makes frames of one form.
pub(crate) enum Encoder {
    Plain,
    Gzip(Box<gzip::GzipEncoder>),
    Zstd(Box<zst::ZstdEncoder>),
}

impl Encoder {
    /// An encoder for a tar form at a level the form knows; others are brought into range.
    pub(crate) fn new(form: Form, level: Option<u32>) -> std::io::Result<Self> {
        let level = i32::try_from(level.unwrap_or(if form == Form::TarGz {
            GZIP_LEVEL
        } else {
            ZSTD_LEVEL
        }));
        let level = level.unwrap_or(i32::MAX);
        Ok(match form {
            Form::TarGz => Self::Gzip(Box::new(gzip::GzipEncoder::new(level.clamp(1, 12)))),
            Form::TarZst => Self::Zstd(Box::new(zst::ZstdEncoder::new(level.clamp(1, 19))?)),
            Form::Tar | Form::Folder => Self::Plain,
        })
    }

    /// Appends the block to `out` as frames, and what they are to `frames`. The plain encoder
    /// leaves `out` empty instead: the frame is the block itself.
    pub(crate) fn encode(
        &mut self,
        block: &Block,
        out: &mut Vec<u8>,
        frames: &mut Vec<Frame>,
    ) -> std::io::Result<()> {
        match self {
            Self::Plain => frames.push(frame_of(&block.bytes, block.bytes.len())),
            Self::Gzip(gzip) => gzip.encode(block, out, frames),
            Self::Zstd(zstd) => zstd.encode(block, out, frames)?,
        }
        Ok(())
    }
}

impl Encoder {
    /// Appends all of `bytes`, at most [`MAX_FRAME`] of them, to `out` as one frame.
    pub(crate) fn encode_one(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> std::io::Result<Frame> {
        let start = out.len();
        match self {
            Self::Plain => out.extend_from_slice(bytes),
            Self::Gzip(gzip) => gzip.encode_one(bytes, out),
            Self::Zstd(zstd) => zstd.encode_one(bytes, out)?,
        }
        Ok(frame_of(&out[start..], bytes.len()))
    }
}

/// The record of a frame.
pub(crate) fn frame_of(stored: &[u8], length: usize) -> Frame {
    Frame {
        stored: u32::try_from(stored.len()).expect("frames are at most 17 MiB"),
        length: u32::try_from(length).expect("frames are at most 16 MiB"),
        hash: xxh3_64(stored),
    }
}

/// Reads frames of one form back.
pub(crate) enum Decoder {
    Plain,
    Gzip(libdeflater::Decompressor),
    Zstd(zstd::bulk::Decompressor<'static>),
}

impl Decoder {
    pub(crate) fn new(form: Form) -> std::io::Result<Self> {
        Ok(match form {
            Form::TarGz => Self::Gzip(libdeflater::Decompressor::new()),
            Form::TarZst => Self::Zstd(zstd::bulk::Decompressor::new()?),
            Form::Tar | Form::Folder => Self::Plain,
        })
    }

    /// Replaces the content of `out` by the `length` bytes that `stored` stands for; otherwise
    /// says what is wrong with them. `length` is at most [`MAX_FRAME`].
    pub(crate) fn decode(
        &mut self,
        stored: &[u8],
        length: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), &'static str> {
        const SHORT: &str = "it holds another number of bytes than announced";
        if length > MAX_FRAME {
            return Err("it announces more bytes than a frame may have");
        }
        out.clear();
        let found = match self {
            Self::Plain => {
                out.extend_from_slice(stored);
                out.len()
            }
            Self::Gzip(gzip) => {
                if stored.get(..GZIP_HEADER.len()) != Some(&GZIP_HEADER[..]) {
                    return Err("its gzip header is not as it was written");
                }
                out.resize(length, 0);
                gzip.gzip_decompress(stored, out).map_err(|_| "it cannot be decompressed")?
            }
            Self::Zstd(zstd) => {
                out.reserve(length);
                let mut exact = std::io::Cursor::new(std::mem::take(out));
                exact.get_mut().resize(length, 0);
                let found = zstd.decompress_to_buffer(stored, exact.get_mut().as_mut_slice());
                *out = exact.into_inner();
                found.map_err(|_| "it cannot be decompressed")?
            }
        };
        if found == length { Ok(()) } else { Err(SHORT) }
    }

    /// The same for a frame known to be damaged: where the checksum of the compressed form itself
    /// is all that is wrong, its bytes come nevertheless.
    pub(crate) fn decode_damaged(
        &mut self,
        stored: &[u8],
        length: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), &'static str> {
        let what = match self.decode(stored, length, out) {
            Err(what) if length <= MAX_FRAME => what,
            decoded => return decoded,
        };
        let Self::Gzip(gzip) = self else { return Err(what) };
        let end = stored.len().saturating_sub(GZIP_TAIL);
        let deflated = stored.get(GZIP_HEADER.len()..end).ok_or(what)?;
        out.resize(length, 0);
        match gzip.deflate_decompress(deflated, out) {
            Ok(found) if found == length => Ok(()),
            _ => Err(what),
        }
    }

    /// The bytes of the first frame of `stored`, when it has at most `most` of them: a look at
    /// what kind of archive this may be.
    pub(crate) fn first(&mut self, stored: &[u8], most: usize) -> Option<Vec<u8>> {
        let mut out = vec![0; most];
        let found = match self {
            Self::Plain => {
                out.truncate(stored.len().min(most));
                let length = out.len();
                out.copy_from_slice(&stored[..length]);
                length
            }
            Self::Gzip(gzip) => gzip.gzip_decompress(stored, &mut out).ok()?,
            Self::Zstd(zstd) => {
                let length = zstd::zstd_safe::find_frame_compressed_size(stored).ok()?;
                zstd.decompress_to_buffer(stored.get(..length)?, out.as_mut_slice()).ok()?
            }
        };
        out.truncate(found);
        Some(out)
    }
}

/// Bytes that do not compress, the same for the same seed.
#[cfg(test)]
fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[4]
    })
    .take(length)
    .collect()
}
