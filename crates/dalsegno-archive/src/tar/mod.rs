//! Members as POSIX pax writes them (IEEE Std 1003.1, `pax`, "ustar Interchange Format" and "pax
//! Extended Header"; holes as GNU tar's sparse format 1.0), with exactly one way to write each:
//! a reader that writes the head anew and compares has checked every bit of it.

mod head;
mod parse;
mod pax;

pub(crate) use head::{BLOCK, data_len, head, padding, top_head};
pub(crate) use parse::{HeadError, Parsed, Source, read_head, read_top};
