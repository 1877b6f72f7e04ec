//! An archive file, found out from its end.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use dalsegno_format::{Form, Sha256 as Digest, tree};
use rustix::fs::OFlags;
use sha2::{Digest as _, Sha256};

use super::frames::{Frames, read_frame};
use crate::codec::Decoder;
use crate::index::{
    FRAMES_PER_CHUNK, MEMBERS_PER_CHUNK, PAYLOAD, RECORD, Region, Trailer,
    read_frame as read_record, tail_len,
};
use crate::{ArchiveError, Damage};

/// Bytes at the end in which a trailer is looked for when it is not the very last thing.
const SEARCH: u64 = 1 << 20;

/// An open archive file with a sound trailer.
#[derive(Debug)]
pub(crate) struct TarFile {
    pub(crate) path: PathBuf,
    pub(crate) file: File,
    pub(crate) trailer: Trailer,
    tables: OnceLock<Result<Tables, Damage>>,
}

/// Where everything lies.
#[derive(Debug)]
pub(crate) struct Tables {
    pub(crate) frames: Frames,
    /// Chunks of the member table.
    member_chunks: Vec<Region>,
}

impl TarFile {
    /// Opens the file and reads its trailer; returns how many bytes that took, too.
    pub(crate) fn open(path: &Path) -> Result<(Arc<Self>, u64), ArchiveError> {
        let (file, length) = open_file(path)?;
        let failed = |error| ArchiveError::io("read", path)(error);
        let mut start = [0; 512];
        let found = read_up_to(&file, &mut start, 0).map_err(failed)?;
        let form = form_of(&start[..found])
            .ok_or_else(|| ArchiveError::NotAnArchive { path: path.to_owned() })?;
        let mut tail = vec![0; tail_len(form)];
        let trailer = match length.checked_sub(tail.len() as u64) {
            Some(at) => {
                file.read_exact_at(&mut tail, at).map_err(failed)?;
                Trailer::read(form, &tail)
            }
            None => None,
        };
        let read = (found + tail.len()) as u64;
        match trailer {
            Some(Ok(trailer)) => {
                let fits = fits(&trailer, length);
                if !fits || form == Form::Folder {
                    return Err(ArchiveError::damaged(
                        path,
                        "trailer",
                        "it describes a file of another length",
                    ));
                }
                let tables = OnceLock::new();
                Ok((Arc::new(Self { path: path.to_owned(), file, trailer, tables }), read))
            }
            Some(Err(found)) => Err(ArchiveError::Newer { path: path.to_owned(), found }),
            None => Err(without_trailer(path, &file, form, length)),
        }
    }

    pub(crate) fn form(&self) -> Form {
        self.trailer.form
    }

    pub(crate) fn decoder(&self) -> Result<Decoder, ArchiveError> {
        Decoder::new(self.form()).map_err(ArchiveError::io("decompress", &self.path))
    }

    /// One frame outside the frame table.
    pub(crate) fn region(&self, region: &Region, name: &str) -> Result<Vec<u8>, Damage> {
        let mut out = Vec::new();
        self.decoder()
            .map_err(|error| error.to_string())
            .and_then(|mut decoder| {
                let (offset, frame) = (region.offset, &region.frame);
                read_frame(&self.file, &mut decoder, offset, frame, &mut Vec::new(), &mut out)
                    .map_err(|bad| bad.what)
            })
            .map_err(|what| Damage::new(format!("{name} at byte {}", region.offset), what))?;
        Ok(out)
    }

    /// The manifest's bytes, checked against the trailer.
    pub(crate) fn manifest_bytes(&self) -> Result<Vec<u8>, Damage> {
        let bytes = self.region(&self.trailer.manifest, "manifest in the index")?;
        let digest: Digest = Sha256::digest(&bytes).into();
        if digest == self.trailer.manifest_sha256 {
            Ok(bytes)
        } else {
            Err(Damage::new("manifest in the index", "it has not the digest the trailer names"))
        }
    }

    /// The tables, read once.
    pub(crate) fn tables(&self) -> Result<&Tables, Damage> {
        self.tables.get_or_init(|| Tables::load(self)).as_ref().map_err(Clone::clone)
    }

    /// Where the heads of members begin, from the `first` one on.
    pub(crate) fn members_from(self: &Arc<Self>, first: u64) -> Result<Offsets, Damage> {
        self.tables()?;
        let mut offsets =
            Offsets { tar: Arc::clone(self), chunk: Vec::new(), number: usize::MAX, next: first };
        offsets.load()?;
        Ok(offsets)
    }
}

/// Goes through the member table.
pub(crate) struct Offsets {
    tar: Arc<TarFile>,
    chunk: Vec<u8>,
    number: usize,
    next: u64,
}

impl Offsets {
    fn load(&mut self) -> Result<(), Damage> {
        let number = usize::try_from(self.next / MEMBERS_PER_CHUNK as u64).unwrap_or(usize::MAX);
        if number != self.number
            && let Some(region) = self.tar.tables()?.member_chunks.get(number)
        {
            self.chunk = self.tar.region(region, "member table")?;
            self.number = number;
        }
        Ok(())
    }

    /// Offset of the next member's head in the tar; `None` after the last.
    pub(crate) fn next(&mut self) -> Result<Option<u64>, Damage> {
        if self.next >= self.tar.trailer.members {
            return Ok(None);
        }
        self.load()?;
        let at = usize::try_from(self.next % MEMBERS_PER_CHUNK as u64).unwrap_or(0) * 8;
        self.next += 1;
        match self.chunk.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
            Some(bytes) => Ok(Some(u64::from_le_bytes(*bytes))),
            None => Err(Damage::new("member table", "it is shorter than the trailer says")),
        }
    }
}

impl Tables {
    fn load(tar: &TarFile) -> Result<Self, Damage> {
        let trailer = &tar.trailer;
        let bad = |what: &str| Damage::new("index", what);
        let root = tar.region(&trailer.root, "root of the index")?;
        let member_chunks = trailer.members.div_ceil(MEMBERS_PER_CHUNK as u64);
        let frame_chunks = trailer.frames.div_ceil(FRAMES_PER_CHUNK as u64);
        let chunks = member_chunks.saturating_add(frame_chunks);
        if chunks.checked_mul(RECORD as u64) != Some(root.len() as u64) {
            return Err(bad("its root has not as many records as the trailer says"));
        }
        let mut offset = trailer.manifest.end().unwrap_or(u64::MAX);
        let mut regions = Vec::new();
        for record in root.chunks_exact(RECORD) {
            let frame = read_record(record).ok_or_else(|| bad("a record in its root is wrong"))?;
            regions.push(Region { offset, frame });
            offset = offset.saturating_add(u64::from(frame.stored));
        }
        if offset != trailer.root.offset {
            return Err(bad("its tables do not end where its root begins"));
        }
        let frame_regions = regions.split_off(usize::try_from(member_chunks).unwrap_or(0));
        let mut digest = Sha256::new();
        for region in &regions {
            digest.update(tar.region(region, "member table")?);
        }
        let mut frames = Frames::new();
        for region in &frame_regions {
            let chunk = tar.region(region, "frame table")?;
            digest.update(&chunk);
            for record in chunk.chunks(RECORD) {
                let frame = read_record(record)
                    .filter(|frame| frame.stored > 0)
                    .ok_or_else(|| bad("a record in its frame table is wrong"))?;
                frames.push(frame);
            }
            if frames.ends().0 > trailer.manifest.offset {
                break;
            }
        }
        let count = frames.len() as u64;
        if count != trailer.frames || frames.ends().0 != trailer.manifest.offset {
            return Err(bad("its frames do not fill the archive"));
        }
        let digest: Digest = digest.finalize().into();
        if digest != trailer.tables_sha256 {
            return Err(bad("its tables have not the digest the trailer names"));
        }
        Ok(Self { frames, member_chunks: regions })
    }
}

/// Whether the places the trailer names lie one after the other in a file of this length.
fn fits(trailer: &Trailer, length: u64) -> bool {
    let after_root = trailer.root.end();
    let closing = if trailer.form == Form::Tar {
        after_root.map(|end| end.div_ceil(512) * 512)
    } else {
        trailer.closing.end()
    };
    // Where the trailer lies inside the index there is no closing frame.
    let none = crate::codec::frame_of(b"", 0);
    trailer.file_len == length
        && (trailer.form != Form::Tar || trailer.closing.frame == none)
        && trailer.manifest.end().is_some_and(|end| end <= trailer.root.offset)
        && after_root == Some(trailer.closing.offset)
        && closing.and_then(|end| end.checked_add(tail_len(trailer.form) as u64)) == Some(length)
}

fn form_of(start: &[u8]) -> Option<Form> {
    if start.starts_with(&[0x1f, 0x8b]) {
        Some(Form::TarGz)
    } else if start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        Some(Form::TarZst)
    } else if start.get(257..262) == Some(&b"ustar"[..]) {
        Some(Form::Tar)
    } else {
        None
    }
}

/// Opens a file for reading, and tells its length; a pipe is never waited for.
pub(crate) fn open_file(path: &Path) -> Result<(File, u64), ArchiveError> {
    let nonblock = i32::try_from((OFlags::NONBLOCK | OFlags::NOCTTY).bits()).unwrap_or(0);
    let file = File::options()
        .read(true)
        .custom_flags(nonblock)
        .open(path)
        .map_err(ArchiveError::io("open", path))?;
    let meta = file.metadata().map_err(ArchiveError::io("read", path))?;
    if !meta.is_file() {
        return Err(ArchiveError::NotAnArchive { path: path.to_owned() });
    }
    Ok((file, meta.len()))
}

/// The form a file has by its first bytes.
pub(crate) fn form_at(path: &Path) -> Result<Option<Form>, ArchiveError> {
    let (file, _) = open_file(path)?;
    let mut start = [0; 512];
    let found = read_up_to(&file, &mut start, 0).map_err(ArchiveError::io("read", path))?;
    Ok(form_of(&start[..found]))
}

/// What a file without a trailer at its end is: damaged, cut short, or no backup.
fn without_trailer(path: &Path, file: &File, form: Form, length: u64) -> ArchiveError {
    let failed = |error| ArchiveError::io("read", path)(error);
    let from = length.saturating_sub(SEARCH);
    let mut end = Vec::new();
    let most = usize::try_from(length - from).unwrap_or(0);
    end.resize(most, 0);
    if let Err(error) = file.read_exact_at(&mut end, from) {
        return failed(error);
    }
    let lead = tail_len(form) - PAYLOAD - if form == Form::TarGz { 10 } else { 0 };
    let lead = if form == Form::Tar { 0 } else { lead };
    for at in 0..end.len().saturating_sub(tail_len(form)) {
        let magic = end[at + lead..].starts_with(b"DALSEGNO");
        let stop = at + tail_len(form);
        if magic
            && let Some(Ok(trailer)) = Trailer::read(form, &end[at..stop])
            && trailer.file_len == from + stop as u64
        {
            let extra = end.len() - stop;
            return ArchiveError::damaged(
                path,
                "end of the file",
                format!("{extra} bytes follow the trailer"),
            );
        }
    }
    let mut start = vec![0; usize::try_from(length.min(SEARCH)).unwrap_or(0)];
    if let Err(error) = file.read_exact_at(&mut start, 0) {
        return failed(error);
    }
    let ours = |bytes: &[u8]| {
        let head = &bytes[..bytes.len().min(8192)];
        head.windows(tree::METADATA.len()).any(|part| part == tree::METADATA.as_bytes())
    };
    let first = Decoder::new(form).ok().and_then(|mut d| d.first(&start, 4 << 20));
    let whole = length >= 2 * tail_len(form) as u64;
    match first {
        Some(bytes) if ours(&bytes) => {
            if whole && ends_like_ours(form, &end) {
                ArchiveError::damaged(path, "trailer", "its bytes have changed")
            } else {
                ArchiveError::NoCompletion { path: path.to_owned() }
            }
        }
        // The first frame itself is damaged or cut short, but there is a trailer's trace.
        None if ends_like_ours(form, &end) => {
            ArchiveError::damaged(path, "trailer", "its bytes have changed")
        }
        // So short that not even the first frame is there.
        None if length < 64 * 1024 => ArchiveError::NoCompletion { path: path.to_owned() },
        _ => ArchiveError::NotAnArchive { path: path.to_owned() },
    }
}

/// Whether the place of the trailer holds anything that looks like one, but for a few bytes.
fn ends_like_ours(form: Form, end: &[u8]) -> bool {
    let Some(at) = end.len().checked_sub(tail_len(form)) else { return false };
    let tail = &end[at..];
    let start = match form {
        Form::TarGz => 16,
        Form::TarZst => 8,
        Form::Tar | Form::Folder => 0,
    };
    let Some(magic) = tail.get(start..start + 8) else { return false };
    let same = magic.iter().zip(b"DALSEGNO").filter(|(a, b)| a == b).count();
    same >= 7
}

fn read_up_to(file: &File, out: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut found = 0;
    while found < out.len() {
        match file.read_at(&mut out[found..], offset + found as u64) {
            Ok(0) => break,
            Ok(n) => found += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}
