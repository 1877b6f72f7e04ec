//! Records of fixed size, little endian.

use crate::codec::{Frame, MAX_FRAME, MAX_STORED};

/// Bytes of the record of a frame.
pub(crate) const RECORD: usize = 16;

/// Members of one chunk of the member table, eight bytes each.
pub(crate) const MEMBERS_PER_CHUNK: usize = 1 << 16;

/// Frames of one chunk of the frame table.
pub(crate) const FRAMES_PER_CHUNK: usize = 1 << 16;

/// The record of a frame: stored length, length, XXH3-64 of the stored bytes.
pub(crate) fn frame_record(frame: &Frame) -> [u8; RECORD] {
    let mut record = [0; RECORD];
    record[..4].copy_from_slice(&frame.stored.to_le_bytes());
    record[4..8].copy_from_slice(&frame.length.to_le_bytes());
    record[8..].copy_from_slice(&frame.hash.to_le_bytes());
    record
}

/// A record read back; `None` when it announces more than a frame may have.
pub(crate) fn read_frame(record: &[u8]) -> Option<Frame> {
    let stored = u32::from_le_bytes(*record.first_chunk()?);
    let length = u32::from_le_bytes(*record.get(4..)?.first_chunk()?);
    let hash = u64::from_le_bytes(*record.get(8..)?.first_chunk()?);
    let bounded = stored as usize <= MAX_STORED && length as usize <= MAX_FRAME;
    bounded.then_some(Frame { stored, length, hash })
}
