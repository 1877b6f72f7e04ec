//! The last bytes of an archive.

use dalsegno_format::{Form, Sha256};
use xxhash_rust::xxh3::xxh3_64;

use super::tables::{RECORD, frame_record, read_frame};
use crate::codec::{Frame, GZIP_HEADER, gzip_empty_tail};

/// Bytes of the payload, the same in every form.
pub(crate) const PAYLOAD: usize = 256;

const MAGIC: &[u8; 8] = b"DALSEGNO";
const VERSION: u32 = 1;

/// Flags of a gzip header: an extra field follows.
const FEXTRA: u8 = 4;

/// Magic number of one of zstd's sixteen kinds of skippable frames (RFC 8878, section 3.1.2).
const SKIPPABLE: u32 = 0x184D_2A5D;

/// A frame and where it lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Region {
    /// First byte in the archive file.
    pub(crate) offset: u64,
    /// The frame.
    pub(crate) frame: Frame,
}

impl Region {
    /// The byte after the last.
    pub(crate) fn end(&self) -> Option<u64> {
        self.offset.checked_add(u64::from(self.frame.stored))
    }
}

/// What the trailer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trailer {
    pub(crate) form: Form,
    /// Bytes of the archive file.
    pub(crate) file_len: u64,
    /// Bytes of the tar stream, up to and with its two last blocks.
    pub(crate) tar_len: u64,
    /// Frames before the manifest's.
    pub(crate) frames: u64,
    /// Members in the member table, the index itself counted.
    pub(crate) members: u64,
    pub(crate) manifest: Region,
    /// The frame that lists the frames of both tables.
    pub(crate) root: Region,
    /// What follows the root: padding of the index and the end of the tar. Nothing in the form
    /// `tar`, where the trailer lies in between.
    pub(crate) closing: Region,
    pub(crate) manifest_sha256: Sha256,
    /// Of both tables, one after the other, uncompressed.
    pub(crate) tables_sha256: Sha256,
}

/// Bytes at the end of an archive that hold the trailer, whatever it says.
pub(crate) fn tail_len(form: Form) -> usize {
    match form {
        Form::TarGz => GZIP_HEADER.len() + 2 + 4 + PAYLOAD + gzip_empty_tail().len(),
        Form::TarZst => 8 + PAYLOAD,
        // A block of its own, then the two that end a tar.
        Form::Tar | Form::Folder => 3 * 512,
    }
}

impl Trailer {
    pub(crate) fn payload(&self) -> [u8; PAYLOAD] {
        let mut out = Vec::with_capacity(PAYLOAD);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&form_number(self.form).to_le_bytes());
        for number in [self.file_len, self.tar_len, self.frames, self.members] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        for region in [&self.manifest, &self.root, &self.closing] {
            out.extend_from_slice(&region.offset.to_le_bytes());
            out.extend_from_slice(&frame_record(&region.frame));
        }
        out.extend_from_slice(&self.manifest_sha256);
        out.extend_from_slice(&self.tables_sha256);
        out.resize(PAYLOAD - 8, 0);
        let hash = xxh3_64(&out);
        out.extend_from_slice(&hash.to_le_bytes());
        let mut payload = [0; PAYLOAD];
        payload.copy_from_slice(&out);
        payload
    }

    /// The last bytes of the archive, [`tail_len`] of them.
    pub(crate) fn tail(&self) -> Vec<u8> {
        wrap(self.form, &self.payload())
    }

    /// Reads the last bytes of an archive. `None` when there is no trailer; otherwise the version
    /// of a newer one, or the trailer.
    pub(crate) fn read(form: Form, tail: &[u8]) -> Option<Result<Self, u32>> {
        let start = match form {
            Form::TarGz => GZIP_HEADER.len() + 6,
            Form::TarZst => 8,
            Form::Tar | Form::Folder => 0,
        };
        let payload: &[u8; PAYLOAD] = tail.get(start..)?.first_chunk()?;
        if &payload[..8] != MAGIC || xxh3_64(&payload[..PAYLOAD - 8]) != u64_at(payload, 248) {
            return None;
        }
        let version = u32::from_le_bytes(*payload[8..].first_chunk()?);
        if version != VERSION {
            return Some(Err(version));
        }
        let trailer = Self {
            form,
            file_len: u64_at(payload, 16),
            tar_len: u64_at(payload, 24),
            frames: u64_at(payload, 32),
            members: u64_at(payload, 40),
            manifest: region_at(payload, 48)?,
            root: region_at(payload, 72)?,
            closing: region_at(payload, 96)?,
            manifest_sha256: *payload[120..].first_chunk()?,
            tables_sha256: *payload[152..].first_chunk()?,
        };
        // The bytes around the numbers are fixed: written again, all must be the same.
        (trailer.tail() == tail).then_some(Ok(trailer))
    }
}

fn wrap(form: Form, payload: &[u8; PAYLOAD]) -> Vec<u8> {
    let mut out = Vec::with_capacity(tail_len(form));
    let length = u16::try_from(PAYLOAD).expect("the payload is short");
    match form {
        Form::TarGz => {
            out.extend_from_slice(&GZIP_HEADER);
            out[3] = FEXTRA;
            out.extend_from_slice(&(length + 4).to_le_bytes());
            out.extend_from_slice(b"DS");
            out.extend_from_slice(&length.to_le_bytes());
            out.extend_from_slice(payload);
            out.extend_from_slice(&gzip_empty_tail());
        }
        Form::TarZst => {
            out.extend_from_slice(&SKIPPABLE.to_le_bytes());
            out.extend_from_slice(&u32::from(length).to_le_bytes());
            out.extend_from_slice(payload);
        }
        Form::Tar | Form::Folder => {
            out.extend_from_slice(payload);
            out.resize(3 * 512, 0);
        }
    }
    out
}

fn form_number(form: Form) -> u32 {
    match form {
        Form::Folder => 0,
        Form::Tar => 1,
        Form::TarGz => 2,
        Form::TarZst => 3,
    }
}

fn u64_at(payload: &[u8; PAYLOAD], at: usize) -> u64 {
    u64::from_le_bytes(*payload[at..].first_chunk().expect("offsets lie inside the payload"))
}

fn region_at(payload: &[u8; PAYLOAD], at: usize) -> Option<Region> {
    let frame = read_frame(&payload[at + 8..at + 8 + RECORD])?;
    Some(Region { offset: u64_at(payload, at), frame })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trailer(form: Form) -> Trailer {
        let region = |n: u32| Region {
            offset: u64::from(n) * 1000,
            frame: Frame { stored: n, length: 2 * n, hash: u64::from(n) << 40 },
        };
        Trailer {
            form,
            file_len: 1 << 40,
            tar_len: 1 << 41,
            frames: 7,
            members: 9,
            manifest: region(1),
            root: region(2),
            closing: region(3),
            manifest_sha256: [4; 32],
            tables_sha256: [5; 32],
        }
    }

    #[test]
    fn reads_back_and_no_bit_is_free() {
        for form in [Form::Tar, Form::TarGz, Form::TarZst] {
            let tail = trailer(form).tail();
            assert_eq!(tail.len(), tail_len(form));
            assert_eq!(Trailer::read(form, &tail), Some(Ok(trailer(form))));
            for bit in 0..tail.len() * 8 {
                let mut bad = tail.clone();
                bad[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(Trailer::read(form, &bad), None, "bit {bit}");
            }
        }
    }

    #[test]
    fn a_newer_one_says_so() {
        let mut payload = trailer(Form::TarZst).payload();
        payload[8] = 2;
        let hash = xxh3_64(&payload[..248]);
        payload[248..].copy_from_slice(&hash.to_le_bytes());
        assert_eq!(Trailer::read(Form::TarZst, &wrap(Form::TarZst, &payload)), Some(Err(2)));
    }
}
