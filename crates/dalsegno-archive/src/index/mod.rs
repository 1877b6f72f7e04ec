//! What lets an archive be read from its end: tables of members and frames, and the trailer.

mod tables;
mod trailer;

pub(crate) use tables::{FRAMES_PER_CHUNK, MEMBERS_PER_CHUNK, RECORD, frame_record, read_frame};
pub(crate) use trailer::{PAYLOAD, Region, Trailer, tail_len};
