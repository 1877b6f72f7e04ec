//! Members into one file.

use std::fs::OpenOptions;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use dalsegno_format::{Entry, EntryKind, Form, Timestamp, tree};
use rustix::fs::OFlags;
use sha2::{Digest as _, Sha256};

use super::control;
use super::pipeline::{Output, Pipeline, Slot, write_at};
use crate::ArchiveError;
use crate::codec::{Block, Encoder, Frame, MAX_FRAME, Part, block_size, frame_of};
use crate::index::{
    FRAMES_PER_CHUNK, MEMBERS_PER_CHUNK, RECORD, Region, Trailer, frame_record, tail_len,
};
use crate::spool::{Spool, SpoolMark};
use crate::tar::{BLOCK, head, padding, top_head};

/// A tar being written.
pub(crate) struct TarSink {
    path: PathBuf,
    top: String,
    form: Form,
    level: Option<u32>,
    pipeline: Pipeline,
    slot: Slot,
    /// Bytes of the tar stream so far.
    offset: u64,
    /// Offset of each member's head.
    members: Spool,
    scratch: Vec<u8>,
}

/// A place in the tar.
pub(crate) struct TarMark {
    blocks: u64,
    block: Block,
    offset: u64,
    members: SpoolMark,
}

impl TarSink {
    pub(crate) fn create(
        path: &Path,
        options: &super::WriteOptions,
        mtime: Timestamp,
    ) -> Result<Self, ArchiveError> {
        let flags = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or(0);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .custom_flags(flags)
            .mode(0o600)
            .open(path)
            .map_err(ArchiveError::io("create", path))?;
        // Not through the mode of `open`: the umask does not apply to what was asked for.
        file.set_permissions(std::fs::Permissions::from_mode(options.file_mode))
            .map_err(ArchiveError::io("set the mode of", path))?;
        let pipeline = Pipeline::start(
            file,
            path,
            options.form,
            options.level,
            options.workers,
            options.max_size,
        )?;
        let slot = pipeline.slot()?;
        let mut sink = Self {
            path: path.to_owned(),
            top: options.name.clone(),
            form: options.form,
            level: options.level,
            pipeline,
            slot,
            offset: 0,
            members: Spool::new(&options.spool_dir),
            scratch: Vec::new(),
        };
        let mut bytes = Vec::new();
        top_head(&mut bytes, &options.name, mtime);
        sink.push(&bytes, Part::Head)?;
        Ok(sink)
    }

    pub(crate) fn bytes_written(&self) -> u64 {
        self.pipeline.shared().bytes.load(Ordering::Acquire)
    }

    /// Begins a member.
    pub(crate) fn start(&mut self, entry: &Entry) -> Result<(), ArchiveError> {
        let at = self.offset;
        self.members.append(|out| out.extend_from_slice(&at.to_le_bytes()))?;
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        head(&mut scratch, &self.top, entry);
        let pushed = self.push(&scratch, Part::Head);
        self.scratch = scratch;
        pushed
    }

    /// Data of the member begun last.
    pub(crate) fn data(&mut self, bytes: &[u8]) -> Result<(), ArchiveError> {
        self.push(bytes, Part::Data)
    }

    /// Ends the member begun last, of whose data `length` bytes came.
    pub(crate) fn end(&mut self, length: u64) -> Result<(), ArchiveError> {
        self.push(&[0; BLOCK][..padding(length)], Part::Head)
    }

    fn push(&mut self, mut bytes: &[u8], part: Part) -> Result<(), ArchiveError> {
        let size = block_size(self.form);
        self.offset += bytes.len() as u64;
        while !bytes.is_empty() {
            let room = size - self.slot.block.bytes.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.slot.block.push(now, part);
            bytes = later;
            if self.slot.block.bytes.len() == size {
                self.cut()?;
            }
        }
        Ok(())
    }

    /// Ends the block here.
    pub(crate) fn cut(&mut self) -> Result<(), ArchiveError> {
        if self.slot.block.bytes.is_empty() {
            return Ok(());
        }
        let next = self.pipeline.slot()?;
        let full = std::mem::replace(&mut self.slot, next);
        self.pipeline.submit(full)
    }

    pub(crate) fn mark(&mut self) -> TarMark {
        TarMark {
            blocks: self.pipeline.mark(),
            block: self.slot.block.clone(),
            offset: self.offset,
            members: self.members.mark(),
        }
    }

    pub(crate) fn rewind(&mut self, mark: TarMark) -> Result<(), ArchiveError> {
        self.pipeline.rewind(mark.blocks)?;
        self.slot.block = mark.block;
        self.offset = mark.offset;
        self.members.rewind(mark.members);
        Ok(())
    }

    /// Writes index, end of tar and trailer, and makes all of it durable. Returns the file's size.
    pub(crate) fn finish(
        mut self,
        manifest: &[u8],
        mtime: Timestamp,
        max_size: Option<u64>,
    ) -> Result<u64, ArchiveError> {
        self.cut()?;
        let at = self.offset;
        self.members.append(|out| out.extend_from_slice(&at.to_le_bytes()))?;
        let encoder = Encoder::new(self.form, self.level);
        let mut tail = Tail {
            output: self.pipeline.finish()?,
            encoder: encoder.map_err(ArchiveError::io("compress", &self.path))?,
            path: self.path,
            max_size,
            buffer: Vec::new(),
        };
        let index = IndexSize::new(self.form, manifest, &self.members, tail.output.frames.len())?;
        let entry =
            control(tree::INDEX, EntryKind::File { size: index.size, extents: None }, 0o600, mtime);
        let mut bytes = Vec::new();
        head(&mut bytes, &self.top, &entry);
        let tar_len = at + bytes.len() as u64 + index.size + 2 * BLOCK as u64;
        let head_frame = tail.frame(&bytes)?;
        tail.output.frames.push(head_frame.frame);
        let mut trailer = Trailer {
            form: self.form,
            file_len: 0,
            tar_len,
            frames: tail.output.frames.len() as u64,
            members: self.members.len() / 8,
            manifest: tail.frame(manifest)?,
            root: head_frame,
            closing: head_frame,
            manifest_sha256: Sha256::digest(manifest).into(),
            tables_sha256: [0; 32],
        };
        let (root, digest) = tail.tables(&self.members)?;
        trailer.tables_sha256 = digest;
        trailer.root = tail.frame(&root)?;
        tail.close(trailer, index.padding)
    }
}

/// Sizes of the index, known before it is written since all its records have fixed sizes.
struct IndexSize {
    size: u64,
    padding: usize,
}

impl IndexSize {
    fn new(
        form: Form,
        manifest: &[u8],
        members: &Spool,
        frames: usize,
    ) -> Result<Self, ArchiveError> {
        // The frame of the index's own head comes on top.
        let frames = frames + 1;
        let member_chunks = members.len().div_ceil(8 * MEMBERS_PER_CHUNK as u64);
        let frame_chunks = frames.div_ceil(FRAMES_PER_CHUNK) as u64;
        let root = (member_chunks + frame_chunks) * RECORD as u64;
        if manifest.len() > MAX_FRAME || root > MAX_FRAME as u64 {
            return Err(ArchiveError::Sequence {
                reason: "the manifest or the index is too large",
            });
        }
        let used = manifest.len() as u64 + members.len() + (frames * RECORD) as u64 + root;
        let padding = padding(used);
        let trailer = if form == Form::Tar { BLOCK as u64 } else { 0 };
        Ok(Self { size: used + padding as u64 + trailer, padding })
    }
}

/// The end of the file, written by one thread.
struct Tail {
    output: Output,
    encoder: Encoder,
    path: PathBuf,
    max_size: Option<u64>,
    buffer: Vec<u8>,
}

impl Tail {
    fn write(&mut self, bytes: &[u8]) -> Result<(), ArchiveError> {
        if let Some(limit) = self.max_size
            && self.output.offset + bytes.len() as u64 > limit
        {
            return Err(ArchiveError::TooLarge { limit });
        }
        write_at(&self.output.file, &self.path, bytes, self.output.offset)?;
        self.output.offset += bytes.len() as u64;
        Ok(())
    }

    fn frame(&mut self, bytes: &[u8]) -> Result<Region, ArchiveError> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        let frame = self
            .encoder
            .encode_one(bytes, &mut buffer)
            .map_err(ArchiveError::io("compress", &self.path))?;
        let offset = self.output.offset;
        self.write(&buffer)?;
        self.buffer = buffer;
        Ok(Region { offset, frame })
    }

    /// Both tables in chunks; returns the root, which lists the chunks, and the tables' digest.
    fn tables(&mut self, members: &Spool) -> Result<(Vec<u8>, [u8; 32]), ArchiveError> {
        use std::io::Read as _;
        let mut root = Vec::new();
        let mut digest = Sha256::new();
        let mut chunk = Vec::new();
        let mut reader = members.reader();
        loop {
            chunk.clear();
            reader
                .by_ref()
                .take(8 * MEMBERS_PER_CHUNK as u64)
                .read_to_end(&mut chunk)
                .map_err(ArchiveError::io("read the spooled index of", &self.path))?;
            if chunk.is_empty() {
                break;
            }
            digest.update(&chunk);
            root.extend_from_slice(&frame_record(&self.frame(&chunk)?.frame));
        }
        let frames = std::mem::take(&mut self.output.frames);
        for some in frames.chunks(FRAMES_PER_CHUNK) {
            chunk.clear();
            for frame in some {
                chunk.extend_from_slice(&frame_record(frame));
            }
            digest.update(&chunk);
            root.extend_from_slice(&frame_record(&self.frame(&chunk)?.frame));
        }
        Ok((root, digest.finalize().into()))
    }

    fn close(mut self, mut trailer: Trailer, padding: usize) -> Result<u64, ArchiveError> {
        let empty: Frame = frame_of(b"", 0);
        trailer.closing = Region { offset: self.output.offset, frame: empty };
        if trailer.form == Form::Tar {
            self.write(&[0; BLOCK][..padding])?;
        } else {
            trailer.closing = self.frame(&vec![0; padding + 2 * BLOCK])?;
        }
        trailer.file_len = self.output.offset + tail_len(trailer.form) as u64;
        self.write(&trailer.tail())?;
        self.output.file.sync_all().map_err(ArchiveError::io("sync", &self.path))?;
        Ok(trailer.file_len)
    }
}
